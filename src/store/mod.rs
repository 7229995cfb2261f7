//! The store: one `SQLite` file that all collectors of a user share, and the thread in each collector that writes to
//! it.
//!
//! It holds the data about the logs in the [`spool`](crate::spool) that is not in the logs: sessions, the progress of
//! each destination, batches that have left the order, totals, and counts. An acknowledgement never waits for the
//! store. WAL with `synchronous=FULL` syncs at every commit, and one commit carries all waiting writes.

pub mod backlog;
pub mod backoff;
mod brief;
mod columns;
pub mod counters;
pub mod counts;
pub mod cursors;
pub mod damage;
pub mod deliveries;
pub mod failure;
mod file;
#[cfg(test)]
pub(crate) mod fixture;
pub mod intake;
pub mod recipient;
pub mod retention;
pub mod sessions;
pub mod set_aside;
pub mod totals;
pub mod waiting;
mod writer;

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::spool::Disk;

pub use brief::{Turns, write_soon, write_unsynced};
pub use file::check;
pub use writer::{Store, StoreError};

/// How long a read waits for another process's checkpoint. Writers queue on their own lock, and are not affected.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// `SQLite`'s number for a database that gives pages back on request.
const INCREMENTAL: i64 = 2;

/// How large the log grows before it is written back into the database, and how much of its file is kept to be
/// overwritten, in bytes. If a file does not grow, its sync needs no entry in the file system's own log.
const LOG: i64 = 16 << 20;

/// The page cache, in KiB. The pages that a group of usual exports changes fit into it; otherwise pages would be
/// written and read again within one commit.
const CACHE: i64 = 1024;

/// How many prepared statements are kept: all that a session's collector uses repeatedly.
const STATEMENTS: usize = 64;

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
    // Setting it again would write it again.
    if connection.pragma_query_value(None, "auto_vacuum", |row| row.get::<_, i64>(0))? != INCREMENTAL {
        connection.pragma_update(None, "auto_vacuum", INCREMENTAL)?;
    }
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // Checkpoints run between commits (see `writer`), never within a commit that a caller waits for.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "journal_size_limit", LOG)?;
    connection.pragma_update(None, "cache_size", -CACHE)?;
    // A statement's temporary data stays in memory: a temporary file would be outside our directory.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    Ok(connection)
}

/// Adds tables and everything that belongs to them.
type Step = fn(&Connection) -> rusqlite::Result<()>;

/// The content of a database, and its name.
#[derive(Clone, Copy, Debug)]
pub struct Schema {
    /// The name for people.
    pub name: &'static str,
    /// The tables that each minor version adds to the one before it. Older programs run beside newer ones for days. A
    /// step therefore only adds, and an older program may leave the additions empty or unchanged.
    pub steps: &'static [Step],
    /// Tables that are derived from the others, and not carried over from a damaged database.
    pub caches: &'static [&'static str],
    /// Repairs a database that was made from a damaged one: it may lack rows that others refer to. Receives the
    /// location of the logs of sessions, and whether everything could be read.
    pub settle: Settle,
}

/// Makes rows that were carried over consistent.
type Settle = fn(&Connection, &Path, bool) -> rusqlite::Result<()>;

/// The content of the store.
pub const STORE: Schema = Schema { name: "store", steps: &[create_all], caches: &[], settle };

fn create_all(connection: &Connection) -> rusqlite::Result<()> {
    let all = [sessions::create, cursors::create, set_aside::create, backoff::create, counters::create, totals::create];
    all.iter().try_for_each(|create| create(connection))
}

/// Rows that were carried over must not refer to missing ones, and no reader may be at a position that its log never
/// had.
fn settle(connection: &Connection, spool: &Path, _: bool) -> rusqlite::Result<()> {
    let disk = Disk::new(spool);
    cursors::settle(connection, &disk)?;
    sessions::settle(connection, &disk)?;
    totals::settle(connection)
}

/// Creates the tables that a database lacks; called inside a write transaction. A database that a newer program has
/// extended is left as it is.
fn create(connection: &Connection, schema: Schema) -> rusqlite::Result<()> {
    let version = version(connection)?;
    for step in schema.steps.iter().skip(version) {
        step(connection)?;
    }
    if version < schema.steps.len() {
        connection.pragma_update(None, "user_version", schema.steps.len().cast_signed())?;
    }
    Ok(())
}

/// A disk error on a log, as a database error: either makes the piece of work fail.
pub(crate) fn disk_error(error: std::io::Error) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(Box::new(error))
}

/// The number of steps that were applied.
fn version(connection: &Connection) -> rusqlite::Result<usize> {
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    Ok(usize::try_from(version).unwrap_or(0))
}

/// Opens the store for reading; `None` if there is none yet.
pub fn open_to_read(path: &Path) -> rusqlite::Result<Option<Connection>> {
    open_to_read_within(path, BUSY_TIMEOUT)
}

/// The same for a reader that waits for another process only so long.
pub fn open_to_read_within(path: &Path, patience: Duration) -> rusqlite::Result<Option<Connection>> {
    if !path.exists() {
        return Ok(None);
    }
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.busy_timeout(patience)?;
    let version = match version(&connection) {
        // A process was killed before it switched the write-ahead log on, and only a writer can roll its transaction
        // back.
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::ReadOnly) => {
            self::version(&connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?)?;
            self::version(&connection)?
        }
        version => version?,
    };
    Ok((version > 0).then_some(connection))
}

/// An empty store, for reading logs before one exists.
pub fn empty() -> rusqlite::Result<Connection> {
    let connection = Connection::open_in_memory()?;
    create(&connection, STORE)?;
    Ok(connection)
}

fn connect(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // Otherwise SQLite parses some statements again for each new parameter, because it might suit a partial index.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_program_does_not_change_a_newer_store() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store-2.db");
        let store = open(&path).unwrap();
        create(&store, STORE).unwrap();
        let newer = STORE.steps.len() + 1;
        store.pragma_update(None, "user_version", newer.cast_signed()).unwrap();
        create(&store, STORE).unwrap();
        assert_eq!(version(&store).unwrap(), newer);
        assert!(open_to_read(&path).unwrap().is_some());
    }

    #[test]
    fn a_store_with_an_interrupted_commit_can_be_read() {
        let directory = tempfile::tempdir().unwrap();
        let (path, cut_short) = (directory.path().join("store-2.db"), directory.path().join("copy.db"));
        let store = Connection::open(&path).unwrap();
        create(&store, STORE).unwrap();
        // Larger than the cache, so that a part of it is in the file.
        let begun = "PRAGMA cache_size = 1; BEGIN; CREATE TABLE blob (bytes BLOB); INSERT INTO blob VALUES (zeroblob(1000000));";
        store.execute_batch(begun).unwrap();
        let beside = |path: &Path| path.with_file_name(format!("{}-journal", path.file_name().unwrap().display()));
        std::fs::copy(&path, &cut_short).unwrap();
        std::fs::copy(beside(&path), beside(&cut_short)).unwrap();
        let read = open_to_read(&cut_short).unwrap().unwrap();
        assert!(read.prepare("SELECT * FROM cursor").is_ok());
        assert!(read.prepare("SELECT * FROM blob").is_err());
    }
}
