//! The takeover of a session from one worker by another.
//!
//! A worker that stalled, was replaced and resumes would acknowledge data behind every reader. All segments of earlier
//! workers are sealed before the first frame of a later worker is written. The writer of a sealed file sees with the
//! `fstat` after each sync that it must not write to the file. A segment that is opened later is not used if a later
//! worker has a segment. So either the earlier worker sees that it was replaced, or its frame is written before any
//! reader goes on to the segments of the later worker.

use std::io;

use super::segment::{name, segments};
use super::{Files, Position};

/// The state of a segment that is being written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is at its path and not sealed.
    Good,
    /// No name leads to it.
    Unlinked,
    /// Another worker has taken over.
    Sealed,
}

/// Seals all segments of earlier workers.
pub(super) fn seal_earlier(files: &impl Files, session: &str, worker: u32) -> io::Result<()> {
    for (of, number) in segments(files, session)? {
        if of < worker {
            match files.seal(session, &name(of, number)) {
                Err(error) if is_harmless(&error) => {}
                sealed => sealed?,
            }
        }
    }
    Ok(())
}

/// Whether a segment need not be sealed, or cannot be. On a file system without modes the later worker continues all
/// the same, because earlier workers stall only if something stops them.
fn is_harmless(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported)
}

/// Whether there is a segment of a later worker.
pub(super) fn is_taken_over(files: &impl Files, session: &str, worker: u32) -> io::Result<bool> {
    Ok(segments(files, session)?.last().is_some_and(|(last, _)| *last > worker))
}

/// The error with which a replaced worker rejects appends.
pub(super) fn taken_over() -> io::Error {
    io::Error::other("another worker has taken over")
}

/// Whether a worker whose log is durable up to this position has taken over from those before it.
pub fn has_taken_over(durable: Position) -> bool {
    durable.worker <= 1 || durable.number > 0
}
