//! Combines the ledgers of several machines: one machine writes a file, and another reads it into its ledger.
//!
//! The file is JSON lines compressed with gzip: a head, then texts, prompts, kinds and contexts by the writer's ids,
//! the facts and counters that refer to them, and an end. A context names its machine, and a fact that two machines
//! know belongs to the smaller id, so that reading files twice, or in another order, changes nothing. If a machine has
//! forgotten facts of its own, others forget them when they read its file.

mod read;
#[cfg(test)]
mod tests;
mod write;

use rusqlite::Connection;
use thiserror::Error;

use crate::store::StoreError;

pub use read::{Merged, merge};
pub use write::{Written, write};

/// The name of the format in a file's head.
const FORMAT: &str = "ccrun-ledger";

/// The version of the format that is written, and the newest that is read.
const VERSION: i64 = 1;

/// Why a file is rejected.
#[derive(Debug, Error)]
pub enum MergeError {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(#[from] std::io::Error),
    /// It is damaged, or not an export of a ledger.
    #[error("not a ledger export, or damaged")]
    Damaged,
    /// A newer `ccrun` wrote it.
    #[error("written by a newer ccrun (format version {0}): update ccrun")]
    Newer(i64),
    /// It decompresses to an implausible size.
    #[error("decompresses to more than a hundred times its size, which no export does")]
    Endless,
    /// The ledger cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Other processes hold the ledger's lock.
    #[error("cannot be imported: other processes have been writing to the ledger for 30 s")]
    Busy,
}

/// The random id of this ledger's machine.
pub fn machine(connection: &Connection) -> rusqlite::Result<String> {
    connection.query_row("SELECT machine FROM meta", [], |row| row.get(0))
}
