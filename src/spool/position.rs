//! A reader's position in a session's log.

/// A position in a session's log. Positions are ordered as the log was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The session's worker, counted from 1.
    pub worker: u32,
    /// The worker's segment, counted from 1.
    pub number: u32,
    /// The offset in the segment, in bytes.
    pub offset: u64,
}

impl Position {
    /// Before everything.
    pub const START: Self = Self { worker: 0, number: 0, offset: 0 };

    /// The beginning of a segment.
    pub fn of_segment(worker: u32, number: u32) -> Self {
        Self { worker, number, offset: 0 }
    }

    /// Identifies the segment: worker and number.
    pub fn segment(self) -> (u32, u32) {
        (self.worker, self.number)
    }

    /// The same segment, at another offset.
    #[must_use]
    pub fn at(self, offset: u64) -> Self {
        Self { offset, ..self }
    }
}
