//! Counts of records by outcome.

/// The outcome of records, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Received for the destination.
    pub received: u64,
    /// Accepted by the destination.
    pub delivered: u64,
    /// Not accepted at the first attempt, and kept.
    pub held: u64,
    /// Never to be delivered: rejected, refused, above the cap, or purged.
    pub dropped: u64,
}
