//! The state of a destination's credentials that all sessions of a user share: how fast to try them, in a small file,
//! and a lock for running a command. Neither contains a value or a name: a keyed hash identifies the destination.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::acceptance::Acceptance;
use crate::state::private_directory;

/// How much of the file is read, in bytes.
const MAXIMUM: u64 = 1024;

/// The file of one destination's acceptance.
#[derive(Debug)]
pub(super) struct AcceptanceFile {
    path: PathBuf,
    /// The state if the file cannot be used.
    instead: Acceptance,
}

impl AcceptanceFile {
    /// The file at a path. Nothing is read yet.
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, instead: Acceptance::default() }
    }

    /// Runs `act` on the shared state while no other process does, and saves the result. If the file cannot be used,
    /// the process uses a state of its own.
    pub(super) fn with<T>(&mut self, act: impl FnOnce(&mut Acceptance) -> T) -> T {
        let Ok((mut file, before)) = open(&self.path) else { return act(&mut self.instead) };
        let mut shared = before;
        let result = act(&mut shared);
        if shared != before {
            // If saving fails, this process still respects its own failures.
            drop(write(&mut file, &shared));
        }
        result
    }
}

fn open(path: &Path) -> io::Result<(File, Acceptance)> {
    if let Some(directory) = path.parent()
        && !directory.exists()
    {
        private_directory(directory).map_err(io::Error::other)?;
    }
    let mut file = OpenOptions::new().create(true).truncate(false).read(true).write(true).mode(0o600).open(path)?;
    file.lock()?;
    let mut text = Vec::new();
    (&mut file).take(MAXIMUM).read_to_end(&mut text)?;
    // A damaged file, or one of another version, counts as empty.
    let shared = serde_json::from_slice(&text).unwrap_or_default();
    Ok((file, shared))
}

fn write(file: &mut File, shared: &Acceptance) -> io::Result<()> {
    let text = serde_json::to_vec(shared)?;
    file.rewind()?;
    file.write_all(&text)?;
    file.set_len(text.len() as u64)
}

/// The lock for running a command, released when dropped.
#[derive(Debug)]
pub(super) struct Turn {
    _file: Option<File>,
}

impl Turn {
    /// Waits for the lock. Later sessions then use the command's own cache, and ten terminals do not cause ten logins.
    /// Without a file to lock, it does not wait.
    pub(super) fn wait(path: &Path) -> Self {
        let file = || {
            let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
            file.lock()?;
            // Updated so that pruning does not remove it.
            #[expect(clippy::disallowed_methods, reason = "the moment at which it is used")]
            drop(file.set_modified(SystemTime::now()));
            io::Result::Ok(file)
        };
        Self { _file: file().ok() }
    }
}

/// Removes files that no session has used since `oldest`.
pub fn prune(directory: &Path, oldest: SystemTime) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let changed = entry.metadata().and_then(|metadata| metadata.modified());
        if changed.is_ok_and(|changed| changed < oldest) {
            // One that cannot be removed is tried again next time.
            drop(fs::remove_file(entry.path()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::time::Duration;

    use super::*;

    #[test]
    fn sessions_share_the_state() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("credentials/a");
        let (mut one, mut other) = (AcceptanceFile::new(path.clone()), AcceptanceFile::new(path.clone()));
        one.with(|shared| shared.refused(1000, 1.0));
        assert_eq!(other.with(|shared| shared.wait(1000)), Duration::from_secs(1));
        other.with(Acceptance::accepted);
        assert!(one.with(|shared| shared.is_open()));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
        // An unreadable file counts as empty.
        fs::write(&path, "{\"accep").unwrap();
        assert_eq!(one.with(|shared| *shared), Acceptance::default());
    }

    #[test]
    fn without_a_file_each_process_has_its_own_state() {
        // No file can be created below a file, not even by root.
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut shared = AcceptanceFile::new(file.path().join("credentials/a"));
        shared.with(|shared| shared.refused(0, 1.0));
        assert_eq!(shared.with(|shared| shared.failures()), 1);
    }

    #[test]
    fn unused_files_are_removed() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("a"), "").unwrap();
        prune(directory.path(), SystemTime::now() - Duration::from_mins(1));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        prune(directory.path(), SystemTime::now() + Duration::from_mins(1));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
