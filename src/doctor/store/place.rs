//! The directory that everything is kept in: whose it is, where it is, and whether anything can be written there.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::statvfs::{FsFlags, Statvfs, statvfs};
use nix::unistd::{AccessFlags, access, geteuid};

use super::{Finding, Subject};
use crate::network;
use crate::surroundings::Places;

/// What helps wherever the place is to blame.
const ELSEWHERE: &str = "mend that, or name another place by CCRUN_STATE_DIR, or by `state_dir` in config.toml";

/// Whether the state directory can be used.
pub(super) fn place(subject: &Subject) -> Vec<Finding> {
    let places = &subject.setting.places;
    let state = Places::shortened(&places.state);
    let mut findings = Vec::new();
    if let Some(from) = &places.moved_from {
        let from = Places::shortened(from);
        let moved = format!("`{from}` is on another machine, where the store cannot be: it is in `{state}`");
        let forgets = places.state.starts_with("/run");
        let finding = if forgets { Finding::warning(moved) } else { Finding::ok(moved) };
        let finding = if forgets { finding.detail("that forgets when the machine starts anew") } else { finding };
        findings.push(if forgets { finding.fix(ELSEWHERE) } else { finding });
    } else if network::is_remote(&places.state) {
        let summary =
            format!("`{state}` is on another machine, where the store cannot be, and no other place was found");
        return vec![Finding::failed(summary).fix(ELSEWHERE)];
    }
    let Some(there) = places.state.ancestors().find(|path| path.exists()) else { return findings };
    findings.push(match fault(&places.state, there) {
        Some(fault) => {
            Finding::failed(format!("nothing can be kept in `{state}`, so telemetry is off: {fault}")).fix(ELSEWHERE)
        }
        None => file_system(&state, statvfs(there).ok().as_ref()),
    });
    findings
}

/// Why nothing can be written; `there` is what is there of the directory.
fn fault(state: &Path, there: &Path) -> Option<String> {
    let shown = Places::shortened(there);
    let metadata = there.metadata().ok()?;
    if !metadata.is_dir() {
        return Some(format!("`{shown}` is no directory"));
    }
    if there == state && metadata.uid() != geteuid().as_raw() {
        return Some(format!("`{shown}` belongs to another user"));
    }
    match access(there, AccessFlags::W_OK | AccessFlags::X_OK) {
        Ok(()) => None,
        Err(Errno::EROFS) => Some(format!("`{shown}` is on a file system that is read-only")),
        Err(Errno::EACCES) => Some(format!("you may not write in `{shown}`")),
        Err(error) => Some(format!("`{shown}` cannot be written to: {error}")),
    }
}

/// What to say of the file system, but for the room on it, which is the machine's affair.
fn file_system(state: &str, found: Option<&Statvfs>) -> Finding {
    let is_read_only = found.is_some_and(|found| found.flags().contains(FsFlags::ST_RDONLY));
    // Some make inodes as they need them, and say that they have none at all.
    let takes_no_files = found.is_some_and(|found| found.files() > 0 && found.files_available() == 0);
    let fault = match (is_read_only, takes_no_files) {
        (true, _) => "its file system is read-only",
        (_, true) => "its file system takes no more files, whatever room there is",
        _ => return Finding::ok(format!("`{state}` can be written to")),
    };
    Finding::failed(format!("nothing can be kept in `{state}`, so telemetry is off: {fault}")).fix(ELSEWHERE)
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_cannot_be_written_to_is_told_apart() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(fault(&file, &file).unwrap().ends_with("is no directory"));
        assert_eq!(fault(&directory.path().join("not/yet"), directory.path()), None);
        std::fs::set_permissions(directory.path(), Permissions::from_mode(0o500)).unwrap();
        if !geteuid().is_root() {
            assert!(fault(directory.path(), directory.path()).unwrap().starts_with("you may not write in"));
        }
        if !geteuid().is_root() {
            assert!(fault(Path::new("/"), Path::new("/")).unwrap().ends_with("belongs to another user"));
        }
    }
}
