//! Detects file systems that cannot hold the store. Its processes share memory through a file (`SQLite`, *Write-Ahead
//! Logging*), which network file systems do not support.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::statfs::{Statfs, statfs};
use nix::unistd::geteuid;

/// The types of file systems that are, or may be, remote, by statfs(2)'s `f_type`: NFS, SMB, SMB2, CIFS, FUSE, 9P, AFS,
/// Ceph, Coda, Lustre, GFS2, OCFS2, and those that virtual machines share with their hosts.
#[cfg(target_os = "linux")]
const REMOTE: [u64; 13] = [
    0x6969,
    0x517b,
    0xfe53_4d42,
    0xff53_4d42,
    0x6573_5546,
    0x0102_1997,
    0x5346_414f,
    0x00c3_6400,
    0x7375_7245,
    0x0bd0_0bd0,
    0x0116_1970,
    0x7461_636f,
    0x786f_4256,
];

/// The directory to use if the state directory is remote: a local one that belongs to this user. `None` if the state is
/// local, or if there is no such directory. `runtime` is `$XDG_RUNTIME_DIR`.
pub fn moved(state: &Path, runtime: Option<&Path>) -> Option<PathBuf> {
    if !is_remote(state) {
        return None;
    }
    let lasting = Path::new("/var/tmp").join(format!("ccrun-{}", geteuid()));
    let places = [Some(lasting), runtime.map(|runtime| runtime.join("ccrun"))];
    places.into_iter().flatten().find(|place| !is_remote(place) && may_be_ours(place))
}

/// Whether a directory is, or can become, ours. Any user may write to `/var/tmp`, so an existing one must be a
/// directory of ours, and not a link.
fn may_be_ours(place: &Path) -> bool {
    match place.symlink_metadata() {
        Ok(found) => found.is_dir() && found.uid() == geteuid().as_raw(),
        Err(_) => place.parent().is_some_and(Path::is_dir),
    }
}

/// Whether a path, or its closest existing ancestor, is on another machine.
pub fn is_remote(path: &Path) -> bool {
    for ancestor in path.ancestors() {
        match statfs(ancestor) {
            Ok(found) => return is_remote_kind(&found),
            Err(Errno::ENOENT) => {}
            // The next use reports what is wrong.
            Err(_) => return false,
        }
    }
    false
}

#[cfg(target_os = "linux")]
fn is_remote_kind(found: &Statfs) -> bool {
    // The field's type differs between machines, and only its low 32 bits matter.
    let kind = format!("{:x}", found.filesystem_type().0);
    let low = &kind[kind.len().saturating_sub(8)..];
    u64::from_str_radix(low, 16).is_ok_and(|kind| REMOTE.contains(&kind))
}

#[cfg(target_os = "macos")]
fn is_remote_kind(found: &Statfs) -> bool {
    ["nfs", "smbfs", "afpfs", "webdav", "macfuse", "osxfuse"].contains(&found.filesystem_type_name())
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
fn is_remote_kind(_found: &Statfs) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_directories_are_kept() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(moved(&directory.path().join("not/there/yet"), None), None);
        assert_eq!(moved(Path::new("/proc"), None), None);
    }

    #[test]
    fn a_link_and_another_users_directory_are_rejected() {
        let directory = tempfile::tempdir().unwrap();
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(directory.path(), &link).unwrap();
        assert!(may_be_ours(directory.path()) && may_be_ours(&directory.path().join("new")));
        assert!(!may_be_ours(&link) && !may_be_ours(&directory.path().join("no/parent")));
    }
}
