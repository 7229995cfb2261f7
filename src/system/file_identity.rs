//! Identifies the file at a path.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Device and inode: the same for every path of a file.
pub type FileIdentity = (u64, u64);

/// The identity of the file at a path, if there is one.
pub fn file_identity(path: &Path) -> Option<FileIdentity> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}
