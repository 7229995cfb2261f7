//! The state directory: ours alone, 0700, its files 0600.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::surroundings::Places;

/// Creates what is missing and refuses what is not ours.
pub fn prepare(places: &Places) -> Result<()> {
    let below = [places.locks(), places.totals_locks(), places.settings_directory(), places.logs()];
    for directory in [&places.state].into_iter().chain(&below) {
        private_directory(directory).with_context(|| format!("cannot use `{}`", directory.display()))?;
    }
    Ok(())
}

/// The bit of a directory in which nobody may remove what is another's: many users write there.
const STICKY: u32 = 0o1000;

/// Creates a directory that only its owner can look into, and refuses one that is somebody else's, or everybody's as
/// `/tmp` is: root would lock all others out.
pub fn private_directory(path: &Path) -> Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
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

/// Writes a file of ours whole or not at all.
pub fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    // tempfile creates with 0600.
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(content)?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// Whether a text is still to be said: not if it is the last that was, as the file at `path` notes from now on.
pub fn once(path: &Path, text: &str) -> bool {
    let is_new = !fs::read(path).is_ok_and(|said| said == text.as_bytes());
    // One that cannot be noted is said again.
    is_new && {
        drop(write(path, text.as_bytes()));
        true
    }
}

/// The lock that says that a session has a collector. Held as long as the value, or a forked process's copy of it,
/// lives: the kernel lets go of it, however the holders end.
#[derive(Debug)]
pub struct SessionLock {
    _file: File,
}

impl SessionLock {
    /// Takes the lock of a session that begins. Nobody else can want it but whoever clears up, for an instant.
    ///
    /// Says in the file who holds it: a full disk still takes a file, and a disk that does not take these few bytes
    /// would take no telemetry.
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

    /// Takes the lock; `None` where somebody holds it.
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

    /// Whether somebody holds the lock. Others may ask at the same time, and nothing is created.
    pub fn is_held(path: &Path) -> bool {
        File::open(path).is_ok_and(|file| matches!(file.try_lock_shared(), Err(fs::TryLockError::WouldBlock)))
    }

    fn open(path: &Path) -> io::Result<File> {
        OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)
    }

    /// Removes the file and lets go: the session is over and nothing of it is left.
    pub fn remove(self, path: &Path) {
        // A file that stays is harmless: a free lock means the same as none.
        drop(fs::remove_file(path));
    }
}

/// Whether a locked file is still the one at its path: its last holder may have removed it after it was opened here.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    match fs::metadata(path) {
        Ok(there) => Ok(there.ino() == file.metadata()?.ino()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// The installation's key, created by whoever comes first.
pub fn key(path: &Path) -> Result<[u8; 32]> {
    let create = || -> Result<()> {
        let mut key = [0; 32];
        crate::random::fill(&mut key)?;
        let mut file = tempfile::NamedTempFile::new_in(path.parent().unwrap_or(Path::new("/")))?;
        file.write_all(&key)?;
        match file.persist_noclobber(path) {
            Err(error) if error.error.kind() != io::ErrorKind::AlreadyExists => Err(error.error.into()),
            _ => Ok(()),
        }
    };
    let read = || fs::read(path);
    let bytes = match read() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            create()?;
            read()?
        }
        other => other?,
    };
    bytes.try_into().map_err(|_| anyhow::anyhow!("`{}` is no key of 32 bytes: remove it", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_all_users_share_stays_as_it_is() {
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
