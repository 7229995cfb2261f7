//! The state directory. Only its owner has access: its mode is 0700, and that of its files 0600.

pub mod backoff;
pub mod clock;
mod file;
pub mod installation;
mod key;
pub mod log;
pub mod network;
pub mod notice;
pub mod ownership;
mod places;
pub mod unkept;

pub use file::{append, create, put, remove, settle, sync_entry, write, write_as, write_unsettled};
pub use key::key;
pub use places::Places;

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use anyhow::{Context, Result, bail};

/// Creates missing directories, and refuses those that are not ours.
pub fn prepare(places: &Places) -> Result<()> {
    if network::is_remote(&places.state) {
        bail!(
            "`{}` is on another machine, where the store cannot be, and no local place was found: name one by CCRUN_STATE_DIR",
            places.state.display()
        );
    }
    let below = [places.locks(), places.totals_locks(), places.settings_directory(), places.logs()];
    for directory in [&places.state].into_iter().chain(&below) {
        private_directory(directory).with_context(|| format!("cannot use `{}`", directory.display()))?;
    }
    Ok(())
}

/// The sticky bit of a directory: many users write there, and each may only remove their own files.
const STICKY: u32 = 0o1000;

/// Creates a directory that only its owner can read. Refuses one that belongs to another user or is shared, such as
/// `/tmp`: root would lock all other users out. As root, creates none in another user's directory.
pub fn private_directory(path: &Path) -> Result<()> {
    if let Some(foreign) = ownership::foreign(path).filter(|there| there != path) {
        bail!("`{}` belongs to another user: name a directory of your own by CCRUN_STATE_DIR", foreign.display());
    }
    let missing: Vec<_> = path.ancestors().take_while(|ancestor| !ancestor.exists()).collect();
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    missing.into_iter().try_for_each(sync_entry)?;
    let metadata =
        fs::symlink_metadata(path).and_then(|found| if found.is_symlink() { fs::metadata(path) } else { Ok(found) })?;
    if metadata.uid() != nix::unistd::geteuid().as_raw() {
        bail!("it belongs to another user");
    }
    if metadata.mode() & STICKY != 0 {
        bail!("it is shared by all users: name a directory below it");
    }
    if metadata.mode() & 0o077 != 0 {
        fs::set_permissions(path, Permissions::from_mode(0o700))?;
    }
    Ok(())
}

/// Returns whether a text is new, and saves it at `path`. It is not new if it equals the last saved text.
pub fn once(path: &Path, text: &str) -> bool {
    let is_new = !fs::read(path).is_ok_and(|said| said == text.as_bytes());
    // A text that cannot be saved is shown again.
    is_new && {
        drop(write(path, text.as_bytes()));
        true
    }
}

/// The lock that shows that a session has a collector. It is held while the value, or a forked process's copy of it,
/// lives. The kernel releases it however the holders end.
#[derive(Debug)]
pub struct SessionLock {
    _file: File,
}

impl SessionLock {
    /// Takes the lock for a new session. Only a process that cleans up can hold it, for an instant.
    ///
    /// Writes the holder's pid to the file. A full disk still creates an empty file, but a disk that cannot take these
    /// few bytes cannot take telemetry either.
    pub fn begin(path: &Path) -> io::Result<Self> {
        loop {
            let mut file = Self::open(path)?;
            file.lock()?;
            if is_at(&file, path)? {
                if let Err(error) = writeln!(file, "{}", std::process::id()) {
                    drop(fs::remove_file(path));
                    return Err(error);
                }
                return Ok(Self { _file: file });
            }
        }
    }

    /// Takes the lock; `None` if another process holds it.
    pub fn take(path: &Path) -> io::Result<Option<Self>> {
        loop {
            let file = Self::open(path)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(fs::TryLockError::WouldBlock) => return Ok(None),
                Err(fs::TryLockError::Error(error)) => return Err(error),
            }
            if is_at(&file, path)? {
                return Ok(Some(Self { _file: file }));
            }
        }
    }

    /// Whether a process holds the lock. Concurrent calls are possible, and nothing is created.
    pub fn is_held(path: &Path) -> bool {
        File::open(path).is_ok_and(|file| matches!(file.try_lock_shared(), Err(fs::TryLockError::WouldBlock)))
    }

    fn open(path: &Path) -> io::Result<File> {
        OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)
    }

    /// Removes the file and releases the lock: the session is over and has left nothing behind.
    pub fn remove(self, path: &Path) {
        // A remaining file is harmless: a free lock means the same as no lock.
        drop(fs::remove_file(path));
    }
}

/// Whether a locked file is still the one at its path. Its last holder may have removed it after it was opened here.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    match fs::metadata(path) {
        Ok(there) => Ok(there.ino() == file.metadata()?.ino()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_shared_by_all_users_keeps_its_permissions() {
        let root = tempfile::tempdir().unwrap();
        let (shared, own) = (root.path().join("shared"), root.path().join("own"));
        for (path, mode) in [(&shared, 0o1777), (&own, 0o755)] {
            fs::create_dir(path).unwrap();
            fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        }
        assert!(private_directory(&shared).unwrap_err().to_string().contains("shared by all users"));
        private_directory(&own).unwrap();
        let mode = |path| fs::metadata(path).unwrap().mode() & 0o7777;
        assert_eq!((mode(&shared), mode(&own)), (0o1777, 0o700));
    }
}
