//! Where a reader finds a session's log, and how far it may read.

use std::io;
use std::path::Path;

use super::{Bound, Disk, Durable, Position, Reader};

/// The possible writers of a log.
#[derive(Clone, Debug)]
pub enum Extent {
    /// No worker: the reader holds the session's lock.
    Ended,
    /// Possibly a worker in another process.
    Live,
    /// The worker in this process.
    Own(Durable),
    /// Any worker: read up to here.
    Known(Bound),
}

/// The logs of some sessions.
#[derive(Clone, Debug)]
pub struct Source {
    /// Where the logs are.
    pub disk: Disk,
    /// Who may write to the logs.
    pub extent: Extent,
}

impl Source {
    /// The logs of sessions whose locks the caller holds.
    pub fn ended(spool: &Path) -> Self {
        Self { disk: Disk::new(spool), extent: Extent::Ended }
    }

    /// The logs of sessions that may be running.
    pub fn live(spool: &Path) -> Self {
        Self { disk: Disk::new(spool), extent: Extent::Live }
    }

    /// The log of a worker in this process.
    pub fn own(spool: &Path, durable: Durable) -> Self {
        Self { disk: Disk::new(spool), extent: Extent::Own(durable) }
    }

    /// How far the logs may be read.
    pub fn bound(&self) -> Bound {
        match &self.extent {
            Extent::Ended => Bound::Ended,
            Extent::Live => Bound::Live,
            Extent::Own(durable) => Bound::Durable(durable.position()),
            Extent::Known(bound) => *bound,
        }
    }

    /// The logs up to what may be read now, even if they are read later.
    #[must_use]
    pub fn as_of_now(&self) -> Self {
        Self { disk: self.disk.clone(), extent: Extent::Known(self.bound()) }
    }

    /// Opens a reader of a session's log from a position on.
    pub fn reader(&self, session: &str, from: Position) -> io::Result<Reader<Disk>> {
        Reader::open(&self.disk, session, from, self.bound())
    }
}
