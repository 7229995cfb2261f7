//! Durable files that later runs depend on. Each is written completely or not at all, and survives a power cut.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use tempfile::NamedTempFile;

/// The mode of our files: only the owner can read and write them.
const PRIVATE: u32 = 0o600;

/// Writes one of our files, replacing an existing one.
pub fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    write_as(path, content, PRIVATE)
}

/// The same with this mode.
pub fn write_as(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    put(filled(path, content, mode)?, path)
}

/// Moves a finished file into place durably.
pub fn put(file: NamedTempFile, path: &Path) -> io::Result<()> {
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    sync_entry(path)
}

/// Writes one of our files if it does not exist yet. An existing file stays, and the error says so.
pub fn create(path: &Path, content: &[u8]) -> io::Result<()> {
    let file = filled(path, content, PRIVATE)?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path).map_err(|error| error.error)?;
    sync_entry(path)
}

/// Writes one of our files completely but leaves syncing to [`settle`], because a launch must not wait for the disk.
pub fn write_unsettled(path: &Path, content: &[u8]) -> io::Result<()> {
    filled(path, content, PRIVATE)?.persist(path).map(drop).map_err(|error| error.error)
}

/// Waits until an existing file would survive a power cut.
pub fn settle(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()?;
    sync_entry(path)
}

/// Appends to one of our files in a single write, so that concurrent additions do not mix.
pub fn append(path: &Path, addition: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).mode(PRIVATE).open(path)?;
    file.write_all(addition)?;
    file.sync_all()?;
    sync_entry(path)
}

/// Removes a file durably.
pub fn remove(path: &Path) -> io::Result<()> {
    fs::remove_file(path)?;
    sync_entry(path)
}

/// Waits until the directory entry for a path, or its removal, would survive a power cut.
pub fn sync_entry(path: &Path) -> io::Result<()> {
    match File::open(directory_of(path)).and_then(|directory| directory.sync_all()) {
        // Some file systems do not sync directories, and some directories are writable but not readable.
        Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::PermissionDenied) => Ok(()),
        synced => synced,
    }
}

/// A temporary file beside `path` with the given content.
fn filled(path: &Path, content: &[u8], mode: u32) -> io::Result<NamedTempFile> {
    let mut file = NamedTempFile::new_in(directory_of(path))?;
    file.write_all(content)?;
    // tempfile creates with 0600.
    if mode != PRIVATE {
        file.as_file().set_permissions(Permissions::from_mode(mode))?;
    }
    Ok(file)
}

fn directory_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_created_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        create(&path, b"one").unwrap();
        assert_eq!(create(&path, b"two").unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"one");
        write_as(&path, b"three", 0o640).unwrap();
        append(&path, b" and four").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"three and four");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o640);
        settle(&path).unwrap();
        remove(&path).unwrap();
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0, "something is left");
    }
}
