//! The store: one `SQLite` file that all collectors of a user share, and the thread of each that writes to it.
//!
//! A batch, its deliveries and its ledger rows commit together. What was acknowledged is on disk: WAL with
//! `synchronous=FULL` syncs at every commit, and a commit carries all that waits for one.

pub mod backoff;
pub mod batches;
pub mod dead;
pub mod deliveries;
pub mod ledger;
pub mod outcomes;
pub mod sessions;
pub mod tally;
pub mod totals;
mod writer;

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

pub use writer::{Store, StoreError};

/// How long a read waits for another process's checkpoint. Writers queue on a lock of their own and do not meet it.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// `SQLite`'s number for a database that gives pages back when it is told to.
const INCREMENTAL: i64 = 2;

/// How large the log grows before it is written back into the database, and how much of its file is kept to be written
/// over, in bytes: a sync of what does not grow spares the file system an entry in its own log.
const LOG: i64 = 16 << 20;

/// The page cache, in KiB: what a group of usual exports changes fits, or else pages are written and read again within
/// one commit.
const CACHE: i64 = 1024;

/// How many prepared statements are kept: all that a session's collector needs again and again.
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
    // Said again, it would be written again.
    if connection.pragma_query_value(None, "auto_vacuum", |row| row.get::<_, i64>(0))? != INCREMENTAL {
        connection.pragma_update(None, "auto_vacuum", INCREMENTAL)?;
    }
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // Checkpoints come between commits, see `writer`, never within one that somebody waits for.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "journal_size_limit", LOG)?;
    connection.pragma_update(None, "cache_size", -CACHE)?;
    // What a statement needs for a while stays in memory: a file of its own would be outside of our directory.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    Ok(connection)
}

/// Adds a table, with what goes with it.
type Step = fn(&Connection) -> rusqlite::Result<()>;

/// What each minor version adds to the one before it. Older programs go on for days beside newer ones, so a step only
/// adds, and what it adds may be empty, or stay as it is, as far as an older program is concerned.
const STEPS: [&[Step]; 4] = [
    &[sessions::create, batches::create, ledger::create],
    &[backoff::create, tally::create],
    &[outcomes::create],
    &[totals::create],
];

/// Creates the tables that a store lacks; called inside a write transaction. A store that a newer program has added to
/// is left as it is.
fn create(connection: &Connection) -> rusqlite::Result<()> {
    let version = version(connection)?;
    for step in STEPS.iter().skip(version).flat_map(|step| step.iter()) {
        step(connection)?;
    }
    if version < STEPS.len() {
        connection.pragma_update(None, "user_version", STEPS.len().cast_signed())?;
    }
    Ok(())
}

/// How many of the steps were taken.
fn version(connection: &Connection) -> rusqlite::Result<usize> {
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    Ok(usize::try_from(version).unwrap_or(0))
}

/// Whether there is a table of that name: not in a store that no newer program has opened to write yet.
fn has_table(connection: &Connection, name: &str) -> rusqlite::Result<bool> {
    connection.prepare_cached("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1")?.exists([name])
}

/// Opens the store to read from; `None` where there is none yet.
pub fn open_to_read(path: &Path) -> rusqlite::Result<Option<Connection>> {
    if !path.exists() {
        return Ok(None);
    }
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    Ok((version(&connection)? > 0).then_some(connection))
}

fn connect(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp::Signal;
    use crate::store::batches::Recipient;
    use crate::store::deliveries::{Which, next};

    /// The schema as the first version made it.
    fn old(path: &Path) -> Connection {
        let connection = open(path).unwrap();
        STEPS[0].iter().for_each(|step| step(&connection).unwrap());
        connection.pragma_update(None, "user_version", 1).unwrap();
        connection
    }

    fn recipient() -> [Recipient; 1] {
        [Recipient { session: "s".to_owned(), destination: "d".to_owned(), fingerprint: vec![1] }]
    }

    /// Keeps a batch as the first version did.
    fn keep(connection: &Connection) {
        connection
            .execute_batch(
                "INSERT INTO batch (session, signal, received_at, size, body) VALUES ('s', 'logs', 7, 1, x'00');
                 INSERT INTO delivery (session, destination, fingerprint, turn, batch)
                 SELECT 's', 'd', x'01', max(id), max(id) FROM batch;",
            )
            .unwrap();
    }

    #[test]
    fn a_newer_program_adds_to_an_older_store_and_the_older_one_goes_on() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store-1.db");
        let older = old(&path);
        keep(&older);
        assert!(backoff::all(&open_to_read(&path).unwrap().unwrap()).unwrap().is_empty(), "it may be looked at first");

        let newer = open(&path).unwrap();
        for _ in 0..2 {
            create(&newer).unwrap();
        }
        assert_eq!(version(&newer).unwrap(), STEPS.len());
        keep(&older);
        let found = next(&newer, &recipient(), Which::in_turn(1000, 10)).unwrap().unwrap();
        assert_eq!(found.parts.len(), 2);
        batches::insert(&newer, Signal::Logs, &[], 8, &recipient()).unwrap();
        let waits: i64 = older.query_row("SELECT count(*) FROM delivery", [], |row| row.get(0)).unwrap();
        assert_eq!(waits, 3);
    }

    #[test]
    fn an_older_program_leaves_a_newer_store_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store-1.db");
        let store = open(&path).unwrap();
        create(&store).unwrap();
        store.pragma_update(None, "user_version", STEPS.len().cast_signed() + 1).unwrap();
        create(&store).unwrap();
        assert_eq!(version(&store).unwrap(), STEPS.len() + 1);
        batches::insert(&store, Signal::Logs, &[], 8, &recipient()).unwrap();
        assert!(open_to_read(&path).unwrap().is_some());
    }
}
