//! The backlog of one recipient, added up.

use super::failure::Failure;
use super::recipient::Recipient;

/// The batches that wait for a recipient, or were given up.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// The recipient.
    pub recipient: Recipient,
    /// The number of batches.
    pub batches: u64,
    /// The number of bytes.
    pub bytes: u64,
    /// When the oldest batch was received, or given up, in Unix milliseconds.
    pub since: i64,
    /// Why the last attempt failed.
    pub failure: Option<Failure>,
}

impl Waiting {
    /// Adds another part of the backlog of the same recipient.
    pub(super) fn add(&mut self, other: Self) {
        self.batches += other.batches;
        self.bytes += other.bytes;
        self.since = self.since.min(other.since);
        self.failure = other.failure.or(self.failure.take());
    }
}
