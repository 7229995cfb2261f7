//! The store: one `SQLite` file that all collectors of a user share, and the thread of each that writes to it.
//!
//! A batch, its deliveries and its ledger rows commit together. What was acknowledged is on disk: WAL with
//! `synchronous=FULL` syncs at every commit, and a commit carries all that waits for one.

pub mod batches;
pub mod ledger;
pub mod sessions;
mod writer;

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

pub use writer::{Store, StoreError};

/// How long a read waits for another process's checkpoint. Writers queue on a lock of their own and do not meet it.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Opens the store, creating what is missing.
pub fn open(path: &Path) -> rusqlite::Result<Connection> {
    // SQLite gives its other files the mode of this one.
    let created = OpenOptions::new().create(true).append(true).mode(0o600).open(path);
    if let Err(error) = created {
        let code = match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => rusqlite::ffi::SQLITE_FULL,
            _ => rusqlite::ffi::SQLITE_CANTOPEN,
        };
        return Err(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), Some(error.to_string())));
    }
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // Checkpoints come between commits, see `writer`, never within one that somebody waits for.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "cache_size", -512)?;
    Ok(connection)
}

/// Creates the tables of a store that has none yet; called inside a write transaction.
fn create(connection: &Connection) -> rusqlite::Result<()> {
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if version == 0 {
        sessions::create(connection)?;
        batches::create(connection)?;
        ledger::create(connection)?;
        connection.pragma_update(None, "user_version", 1)?;
    }
    Ok(())
}

/// Opens the store to read from; `None` where there is none yet.
pub fn open_to_read(path: &Path) -> rusqlite::Result<Option<Connection>> {
    if !path.exists() {
        return Ok(None);
    }
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    Ok((version > 0).then_some(connection))
}

fn connect(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

#[cfg(test)]
mod crash_tests;
