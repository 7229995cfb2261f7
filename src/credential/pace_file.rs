//! What all sessions of the user share of a destination's credentials: how fast to try them, in a small file, and whose
//! turn it is to run a command. No value is in either, nor a name: a keyed hash stands for the destination.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::pace::Pace;
use crate::state::private_directory;

/// How much of the file is read, in bytes.
const MAXIMUM: u64 = 1024;

/// The file of one destination's pace.
#[derive(Debug)]
pub(super) struct PaceFile {
    path: PathBuf,
    /// What is known where the file cannot be used.
    instead: Pace,
}

impl PaceFile {
    /// That of a path; nothing is read yet.
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, instead: Pace::default() }
    }

    /// Acts on what is shared, while no other process does, and keeps what became of it. Where the file cannot be used
    /// this process goes by itself.
    pub(super) fn with<T>(&mut self, act: impl FnOnce(&mut Pace) -> T) -> T {
        let Ok((mut file, before)) = open(&self.path) else { return act(&mut self.instead) };
        let mut pace = before;
        let result = act(&mut pace);
        if pace != before {
            // Where it cannot be kept, what this process has met itself still holds that back.
            drop(write(&mut file, &pace));
        }
        result
    }
}

fn open(path: &Path) -> io::Result<(File, Pace)> {
    if let Some(directory) = path.parent()
        && !directory.exists()
    {
        private_directory(directory).map_err(io::Error::other)?;
    }
    let mut file = OpenOptions::new().create(true).truncate(false).read(true).write(true).mode(0o600).open(path)?;
    file.lock()?;
    let mut text = Vec::new();
    (&mut file).take(MAXIMUM).read_to_end(&mut text)?;
    // A file that was torn, or is another version's, says nothing.
    let pace = serde_json::from_slice(&text).unwrap_or_default();
    Ok((file, pace))
}

fn write(file: &mut File, pace: &Pace) -> io::Result<()> {
    let text = serde_json::to_vec(pace)?;
    file.rewind()?;
    file.write_all(&text)?;
    file.set_len(text.len() as u64)
}

/// Whose turn it is to run a command; the turn ends with the value.
#[derive(Debug)]
pub(super) struct Turn {
    _file: Option<File>,
}

impl Turn {
    /// Waits for it: the command's own cache then serves those that come later, and ten terminals are not ten logins.
    /// Where there is no file to queue on, nobody waits.
    pub(super) fn wait(path: &Path) -> Self {
        let file = || {
            let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
            file.lock()?;
            // So that nobody takes it for forgotten and removes it.
            drop(file.set_modified(SystemTime::now()));
            io::Result::Ok(file)
        };
        Self { _file: file().ok() }
    }
}

/// Removes what no session has touched since `oldest`.
pub fn prune(directory: &Path, oldest: SystemTime) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let changed = entry.metadata().and_then(|metadata| metadata.modified());
        if changed.is_ok_and(|changed| changed < oldest) {
            // One that cannot be removed is met again next time.
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
    fn what_one_learns_the_others_know() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("credentials/a");
        let (mut one, mut other) = (PaceFile::new(path.clone()), PaceFile::new(path.clone()));
        one.with(|pace| pace.refused(1000, 1.0));
        assert_eq!(other.with(|pace| pace.wait(1000)), Duration::from_secs(1));
        other.with(Pace::accepted);
        assert!(one.with(|pace| pace.is_open()));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
        // What nobody can read is as good as nothing.
        fs::write(&path, "{\"accep").unwrap();
        assert_eq!(one.with(|pace| *pace), Pace::default());
    }

    #[test]
    fn without_a_file_each_goes_by_itself() {
        // Nothing can be made below a file, whoever tries.
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut pace = PaceFile::new(file.path().join("credentials/a"));
        pace.with(|pace| pace.refused(0, 1.0));
        assert_eq!(pace.with(|pace| pace.failures()), 1);
    }

    #[test]
    fn what_nobody_touches_goes() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("a"), "").unwrap();
        prune(directory.path(), SystemTime::now() - Duration::from_mins(1));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        prune(directory.path(), SystemTime::now() + Duration::from_mins(1));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
