//! Checks the state directory: its owner, its file system, and whether it is writable.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::statvfs::{FsFlags, Statvfs, statvfs};
use nix::unistd::{AccessFlags, access, geteuid};

use super::{Finding, Subject};
use crate::state::{Places, network};

/// The fix for a faulty state directory.
fn elsewhere(places: &Places) -> String {
    let config = Places::shortened(&places.config.join("config.toml"));
    format!("fix it, or choose another directory with CCRUN_STATE_DIR or with `state_dir` in {config}")
}

/// Whether the state directory is usable.
pub(super) fn place(subject: &Subject) -> Vec<Finding> {
    let places = &subject.workspace.places;
    let state = Places::shortened(&places.state);
    let mut findings = Vec::new();
    if let Some(from) = &places.moved_from {
        let from = Places::shortened(from);
        let moved = format!("`{from}` is on a network file system, which cannot hold the store: it is in `{state}`");
        let forgets = places.state.starts_with("/run");
        let finding = if forgets { Finding::warning(moved) } else { Finding::ok(moved) };
        let finding = if forgets { finding.detail("it is cleared at reboot") } else { finding };
        findings.push(if forgets { finding.fix(elsewhere(places)) } else { finding });
    } else if network::is_remote(&places.state) {
        let summary =
            format!("`{state}` is on a network file system, which cannot hold the store, and no other place was found");
        return vec![Finding::failed(summary).fix(elsewhere(places))];
    }
    let Some(there) = places.state.ancestors().find(|path| path.exists()) else { return findings };
    findings.push(match fault(&places.state, there) {
        Some(fault) => Finding::failed(format!("nothing can be stored in `{state}`, so telemetry is off: {fault}"))
            .fix(elsewhere(places)),
        None => file_system(places, statvfs(there).ok().as_ref()),
    });
    findings
}

/// Why the directory is not writable. `there` is the part of its path that exists.
fn fault(state: &Path, there: &Path) -> Option<String> {
    let shown = Places::shortened(there);
    let metadata = there.metadata().ok()?;
    if !metadata.is_dir() {
        return Some(format!("`{shown}` is not a directory"));
    }
    if there == state && metadata.uid() != geteuid().as_raw() {
        return Some(format!("`{shown}` belongs to another user"));
    }
    match access(there, AccessFlags::W_OK | AccessFlags::X_OK) {
        Ok(()) => None,
        Err(Errno::EROFS) => Some(format!("`{shown}` is on a read-only file system")),
        Err(Errno::EACCES) => Some(format!("you have no write permission for `{shown}`")),
        Err(error) => Some(format!("cannot write to `{shown}`: {error}")),
    }
}

/// The finding on the file system. Free space is checked in `machine`.
fn file_system(places: &Places, found: Option<&Statvfs>) -> Finding {
    let state = Places::shortened(&places.state);
    let is_read_only = found.is_some_and(|found| found.flags().contains(FsFlags::ST_RDONLY));
    // File systems that create inodes on demand report none at all.
    let takes_no_files = found.is_some_and(|found| found.files() > 0 && found.files_available() == 0);
    let fault = match (is_read_only, takes_no_files) {
        (true, _) => "its file system is read-only",
        (_, true) => "its file system has no inodes left",
        _ => return Finding::ok(format!("`{state}` is writable")),
    };
    Finding::failed(format!("nothing can be stored in `{state}`, so telemetry is off: {fault}")).fix(elsewhere(places))
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn reasons_for_an_unwritable_directory_are_distinguished() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(fault(&file, &file).unwrap().ends_with("is not a directory"));
        assert_eq!(fault(&directory.path().join("not/yet"), directory.path()), None);
        std::fs::set_permissions(directory.path(), Permissions::from_mode(0o500)).unwrap();
        if !geteuid().is_root() {
            assert!(fault(directory.path(), directory.path()).unwrap().starts_with("you have no write permission for"));
        }
        if !geteuid().is_root() {
            assert!(fault(Path::new("/"), Path::new("/")).unwrap().ends_with("belongs to another user"));
        }
    }
}
