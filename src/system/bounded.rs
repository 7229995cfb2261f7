//! Bounded reads of files that others write.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;

/// The first `limit` bytes of a file.
pub fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Why an untrusted file was not read. Each message continues the name of the file.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The system reports an error.
    #[error("cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// It is a link, which could lead anywhere.
    #[error("is a link, which is never followed")]
    Link,
    /// A pipe could block, and a device may have no end.
    #[error("is not a regular file")]
    Irregular,
    /// It is larger than the limit, in bytes.
    #[error("is larger than {} KiB", .0 / 1024)]
    Large(u64),
}

/// The whole content of an untrusted file. It must be a regular file of at most `limit` bytes, and not a link. The
/// checks use the opened file, so that it cannot be replaced in between.
pub fn read_foreign(path: &Path, limit: u64) -> Result<(Vec<u8>, Metadata), Refusal> {
    // The size is the number of bytes read, because a file may grow meanwhile.
    let (bytes, metadata) = read_foreign_start(path, limit + 1)?;
    if bytes.len() as u64 > limit { Err(Refusal::Large(limit)) } else { Ok((bytes, metadata)) }
}

/// The first `limit` bytes of an untrusted file, with the same checks.
pub fn read_foreign_start(path: &Path, limit: u64) -> Result<(Vec<u8>, Metadata), Refusal> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = File::options().read(true).custom_flags(flags.bits()).open(path).map_err(|error| {
        match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::ELOOP | Errno::EMLINK) => Refusal::Link,
            // A socket, or a device without a driver.
            Some(Errno::ENXIO | Errno::ENODEV | Errno::EOPNOTSUPP) => Refusal::Irregular,
            _ => Refusal::Unreadable(error),
        }
    })?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(Refusal::Irregular);
    }
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes)?;
    Ok((bytes, metadata))
}
