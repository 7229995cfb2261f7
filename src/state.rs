//! The state directory: ours alone, 0700, its files 0600.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::surroundings::Places;

/// Creates what is missing and refuses what is not ours.
pub fn prepare(places: &Places) -> Result<()> {
    for directory in [&places.state, &places.state.join("locks"), &places.state.join("settings")] {
        private_directory(directory).with_context(|| format!("cannot use `{}`", directory.display()))?;
    }
    Ok(())
}

fn private_directory(path: &Path) -> Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    let metadata =
        fs::symlink_metadata(path).and_then(|found| if found.is_symlink() { fs::metadata(path) } else { Ok(found) })?;
    if metadata.uid() != nix::unistd::geteuid().as_raw() {
        bail!("it belongs to another user");
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

/// The lock that says that a session has a collector. Held as long as the value, or a forked process's copy of it,
/// lives: the kernel lets go of it, however the holders end.
#[derive(Debug)]
pub struct SessionLock {
    _file: File,
}

impl SessionLock {
    /// Takes the lock; `None` where somebody holds it.
    pub fn take(path: &Path) -> io::Result<Option<Self>> {
        loop {
            let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(fs::TryLockError::WouldBlock) => return Ok(None),
                Err(fs::TryLockError::Error(error)) => return Err(error),
            }
            // Its holder may have removed the file between the opening and the lock.
            match fs::metadata(path) {
                Ok(there) if there.ino() == file.metadata()?.ino() => return Ok(Some(Self { _file: file })),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Removes the file and lets go: the session is over and nothing of it is left.
    pub fn remove(self, path: &Path) {
        // A file that stays is harmless: a free lock means the same as none.
        drop(fs::remove_file(path));
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
