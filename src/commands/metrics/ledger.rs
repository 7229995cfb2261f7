//! Reads the ledger's sums when it has changed.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::report::ledger::{Lasting, LedgerSource};
use crate::report::{Dimension, SourceError};
use crate::store;
use crate::system::file_identity::{FileIdentity, file_identity};

/// How long to wait for another process's checkpoint. Prometheus waits ten seconds for the whole answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// A reading is repeated as many times later as it took, so that frequent scrapes cost a twentieth of a core at most.
const SHARE: u32 = 20;

/// The page cache, in KiB. Each page is read once.
const CACHE: i64 = 256;

/// The ledger, and what was read of it.
pub(super) struct Ledger {
    path: PathBuf,
    labels: Vec<Dimension>,
    open: Option<Open>,
    /// When it may be read again.
    next: Instant,
}

/// An open ledger. Between two looks it has no transaction, so that it holds nothing up.
struct Open {
    connection: Connection,
    identity: Option<FileIdentity>,
    /// Changes with every commit of another process (`SQLite`, `PRAGMA data_version`).
    version: Option<i64>,
}

/// What a look has found.
pub(super) enum Look {
    /// The ledger has not changed.
    Same,
    /// It has changed, and will be read later.
    Deferred,
    /// New sums.
    New(Lasting),
}

/// Why there are no sums.
#[derive(Debug)]
pub(super) enum Fault {
    /// There is no ledger.
    Missing,
    /// It cannot be read.
    Unreadable(SourceError),
}

impl From<SourceError> for Fault {
    fn from(error: SourceError) -> Self {
        Self::Unreadable(error)
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Unreadable(error.into())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => formatter.write_str("there is no ledger"),
            Self::Unreadable(error) => error.fmt(formatter),
        }
    }
}

impl Ledger {
    /// The ledger at a path, by these labels.
    pub(super) fn new(path: &Path, labels: Vec<Dimension>) -> Self {
        Self { path: path.to_owned(), labels, open: None, next: Instant::now() }
    }

    /// Its labels.
    pub(super) fn labels(&self) -> &[Dimension] {
        &self.labels
    }

    /// Reads it if it has changed.
    pub(super) fn look(&mut self) -> Result<Look, Fault> {
        let looked = self.read();
        if looked.is_err() {
            self.open = None;
        }
        looked
    }

    fn read(&mut self) -> Result<Look, Fault> {
        let identity = file_identity(&self.path);
        let mut open = match self.open.take().filter(|open| open.identity == identity) {
            Some(open) => open,
            // A damaged ledger is replaced by a new file.
            None => Open { connection: open(&self.path)?, identity, version: None },
        };
        let version = open.connection.query_row("PRAGMA data_version", [], |row| row.get(0))?;
        let look = if open.version == Some(version) {
            Look::Same
        } else if open.version.is_some() && Instant::now() < self.next {
            Look::Deferred
        } else {
            let started = Instant::now();
            let lasting = LedgerSource::new(&open.connection)?.lasting(&self.labels)?;
            open.version = Some(version);
            self.next = Instant::now() + started.elapsed().saturating_mul(SHARE);
            Look::New(lasting)
        };
        self.open = Some(open);
        Ok(look)
    }
}

fn open(path: &Path) -> Result<Connection, Fault> {
    let connection = store::open_to_read_within(path, PATIENCE)?.ok_or(Fault::Missing)?;
    connection.pragma_update(None, "cache_size", -CACHE)?;
    Ok(connection)
}
