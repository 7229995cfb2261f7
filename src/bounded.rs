//! Reading files that others write: no more of them than expected.

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

/// Why a file that a stranger may have put there was not read. Each goes on from the file's name.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The system says so.
    #[error("cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// A link could lead anywhere.
    #[error("is a link, which is never followed")]
    Link,
    /// A pipe would block, a device has no end.
    #[error("is no regular file")]
    Irregular,
    /// More than the limit, in bytes.
    #[error("is larger than {} KiB", .0 / 1024)]
    Large(u64),
}

/// A file that a stranger may have put there, whole: a regular one of at most `limit` bytes, never through a link. All
/// of that is asked of what was opened, so that nothing can be put in its place in between.
pub fn read_foreign(path: &Path, limit: u64) -> Result<(Vec<u8>, Metadata), Refusal> {
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
    // Its size is what was read, for a file may grow meanwhile.
    file.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit { Err(Refusal::Large(limit)) } else { Ok((bytes, metadata)) }
}
