//! Batches that wait, and what each destination still has to be given of them.
//!
//! A batch is there as long as a delivery of it is; both go in one commit.

use rusqlite::blob::ZeroBlob;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::tally::{self, Counts};
use super::{has_table, totals};
use crate::otlp::{self, Signal};

/// How much undelivered data is kept, in bytes; the oldest goes first, counted.
pub const MAXIMUM_WAITING: u64 = 512 << 20;

/// From how many bytes on a body is written into a row that is there, page by page: as a parameter `SQLite` would copy
/// it twice, and what is as large as may be would take a hundred megabytes more.
const LARGE: usize = 1 << 20;

/// A destination of a session, as deliveries remember it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Recipient {
    /// The session that received the data.
    pub session: String,
    /// The destination's name in the session's profile.
    pub destination: String,
    /// Whose data it is: endpoint and header sources, as a keyed fingerprint.
    pub fingerprint: Vec<u8>,
}

/// What waits for a recipient, or was given up.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// For whom.
    pub recipient: Recipient,
    /// How many batches.
    pub batches: u64,
    /// How many bytes.
    pub bytes: u64,
    /// When the oldest was received, or given up, in Unix milliseconds.
    pub since: i64,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
}

pub(super) fn create(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(
        "CREATE TABLE batch (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            session TEXT NOT NULL,
            signal TEXT NOT NULL,
            received_at INTEGER NOT NULL,
            size INTEGER NOT NULL,
            body BLOB NOT NULL
        ) STRICT;
        CREATE TABLE delivery (
            session TEXT NOT NULL,
            destination TEXT NOT NULL,
            fingerprint BLOB NOT NULL,
            turn INTEGER NOT NULL,
            batch INTEGER NOT NULL,
            attempts INTEGER NOT NULL DEFAULT 0,
            last_error TEXT,
            PRIMARY KEY (session, destination, fingerprint, turn, batch)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX delivery_batch ON delivery (batch);
        CREATE TABLE dead_letter (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            session TEXT NOT NULL,
            destination TEXT NOT NULL,
            fingerprint BLOB NOT NULL,
            signal TEXT NOT NULL,
            at INTEGER NOT NULL,
            reason TEXT NOT NULL,
            body BLOB NOT NULL
        ) STRICT;
        CREATE TABLE waiting (only INTEGER PRIMARY KEY CHECK (only = 1), bytes INTEGER NOT NULL) STRICT;
        INSERT INTO waiting VALUES (1, 0);
        CREATE TRIGGER batch_added AFTER INSERT ON batch
            BEGIN UPDATE waiting SET bytes = bytes + new.size; END;
        CREATE TRIGGER batch_gone AFTER DELETE ON batch
            BEGIN UPDATE waiting SET bytes = bytes - old.size; END;",
    )
}

/// Keeps a batch for its recipients. `now` is in Unix milliseconds.
pub fn insert(
    connection: &Connection,
    signal: Signal,
    body: &[u8],
    now: i64,
    recipients: &[Recipient],
) -> rusqlite::Result<()> {
    let Some(first) = recipients.first() else { return Ok(()) };
    let batch = insert_body(connection, &first.session, signal, body, now)?;
    let received = Counts { received: records(signal, body), ..Counts::default() };
    for recipient in recipients {
        insert_delivery(connection, recipient, batch, batch)?;
        tally::add(connection, recipient, signal, received, now)?;
    }
    drop_over_cap(connection, MAXIMUM_WAITING, now)
}

/// Keeps a body that somebody must have a delivery of, and gives its batch's number.
pub(super) fn insert_body(
    connection: &Connection,
    session: &str,
    signal: Signal,
    body: &[u8],
    received_at: i64,
) -> rusqlite::Result<i64> {
    let mut statement = connection
        .prepare_cached("INSERT INTO batch (session, signal, received_at, size, body) VALUES (?1, ?2, ?3, ?4, ?5)")?;
    let size = body.len().cast_signed();
    if body.len() < LARGE {
        statement.execute(params![session, signal.name(), received_at, size, body])?;
        return Ok(connection.last_insert_rowid());
    }
    statement.execute(params![session, signal.name(), received_at, size, ZeroBlob(body.len() as u64)])?;
    let batch = connection.last_insert_rowid();
    connection.blob_open("main", "batch", "body", batch, false)?.write_all_at(body, 0)?;
    Ok(batch)
}

/// Notes that a batch is for a recipient. Deliveries are made in the order of their turns, which at first are the
/// numbers of their batches.
pub(super) fn insert_delivery(connection: &Connection, to: &Recipient, turn: i64, batch: i64) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO delivery (session, destination, fingerprint, turn, batch) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    statement.execute(params![to.session, to.destination, to.fingerprint, turn, batch])?;
    Ok(())
}

/// How many records a body holds, for the tally alone: one that cannot be read was never acknowledged.
pub(super) fn records(signal: Signal, body: &[u8]) -> u64 {
    otlp::count(signal, body).unwrap_or(0)
}

/// Drops the oldest batches above the cap, and counts them.
pub(super) fn drop_over_cap(connection: &Connection, cap: u64, now: i64) -> rusqlite::Result<()> {
    let mut bytes = connection.prepare_cached("SELECT bytes FROM waiting")?;
    while bytes.query_row([], |row| row.get::<_, i64>(0))?.cast_unsigned() > cap {
        let oldest: i64 = connection.query_row("SELECT min(id) FROM batch", [], |row| row.get(0))?;
        connection.execute(
            "UPDATE session SET dropped = dropped + 1 WHERE id = (SELECT session FROM batch WHERE id = ?1)",
            [oldest],
        )?;
        for recipient in recipients_of(connection, oldest)? {
            forget(connection, &recipient, oldest, now)?;
        }
        // One that nobody was to have has no delivery to go with.
        connection.execute("DELETE FROM batch WHERE id = ?1", [oldest])?;
    }
    Ok(())
}

fn recipients_of(connection: &Connection, batch: i64) -> rusqlite::Result<Vec<Recipient>> {
    let mut statement =
        connection.prepare_cached("SELECT session, destination, fingerprint FROM delivery WHERE batch = ?1")?;
    statement.query_map([batch], |row| recipient(row, 0))?.collect()
}

fn recipient(row: &Row<'_>, first: usize) -> rusqlite::Result<Recipient> {
    Ok(Recipient { session: row.get(first)?, destination: row.get(first + 1)?, fingerprint: row.get(first + 2)? })
}

/// A batch's signal and body, if it is still there.
pub(super) fn body(connection: &Connection, batch: i64) -> rusqlite::Result<Option<(Signal, Vec<u8>)>> {
    let mut statement = connection.prepare_cached("SELECT signal, body FROM batch WHERE id = ?1")?;
    let found = statement.query_row([batch], |row| Ok((signal(&row.get::<_, String>(0)?), row.get(1)?)));
    found.optional()
}

/// The signal of that name. The store holds no other.
pub(super) fn signal(name: &str) -> Signal {
    Signal::from_name(name).unwrap_or(Signal::Logs)
}

/// The recipient is not to have it any more, and its records count as dropped.
pub(super) fn forget(connection: &Connection, to: &Recipient, batch: i64, now: i64) -> rusqlite::Result<()> {
    if let Some((signal, body)) = body(connection, batch)? {
        let dropped = Counts { dropped: records(signal, &body), ..Counts::default() };
        tally::add(connection, to, signal, dropped, now)?;
    }
    remove(connection, to, batch)
}

/// The delivery goes, and with the last one the batch.
pub(super) fn remove(connection: &Connection, to: &Recipient, batch: i64) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "DELETE FROM delivery WHERE session = ?1 AND destination = ?2 AND fingerprint = ?3 AND batch = ?4",
    )?;
    statement.execute(params![to.session, to.destination, to.fingerprint, batch])?;
    let mut statement = connection.prepare_cached(
        "DELETE FROM batch WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM delivery WHERE delivery.batch = batch.id)",
    )?;
    statement.execute([batch])?;
    Ok(())
}

/// Forgets all that waits for a recipient, and gives how many batches that were. `now` is in Unix milliseconds.
pub fn purge(connection: &Connection, to: &Recipient, now: i64) -> rusqlite::Result<u64> {
    let mut statement = connection
        .prepare_cached("SELECT batch FROM delivery WHERE session = ?1 AND destination = ?2 AND fingerprint = ?3")?;
    let found = statement.query_map(params![to.session, to.destination, to.fingerprint], |row| row.get(0))?;
    let found: Vec<i64> = found.collect::<rusqlite::Result<_>>()?;
    for batch in &found {
        forget(connection, to, *batch, now)?;
    }
    Ok(found.len() as u64 + totals::purge(connection, to, now)?)
}

/// Everything that waits, by recipient, the oldest first. Whoever waits for a snapshot of totals has one batch more.
pub fn waiting(connection: &Connection) -> rusqlite::Result<Vec<Waiting>> {
    let totals = if has_table(connection, "awaited")? {
        "UNION ALL SELECT session, destination, fingerprint, 0 AS size, since, last_error FROM awaited"
    } else {
        ""
    };
    let mut statement = connection.prepare(&format!(
        "SELECT session, destination, fingerprint, count(*), sum(size), min(since), max(last_error) FROM
            (SELECT delivery.session, destination, fingerprint, size, received_at AS since, last_error
             FROM delivery JOIN batch ON batch.id = delivery.batch {totals})
         GROUP BY session, destination, fingerprint ORDER BY min(since)",
    ))?;
    statement.query_map([], waiting_row)?.collect()
}

/// How many batches wait for anybody.
pub fn count(connection: &Connection) -> rusqlite::Result<u64> {
    let deliveries: u64 =
        connection.query_row("SELECT count(*) FROM delivery", [], |row| row.get(0).map(i64::cast_unsigned))?;
    Ok(deliveries + totals::count(connection)?)
}

pub(super) fn waiting_row(row: &Row<'_>) -> rusqlite::Result<Waiting> {
    Ok(Waiting {
        recipient: recipient(row, 0)?,
        batches: row.get::<_, i64>(3)?.cast_unsigned(),
        bytes: row.get::<_, i64>(4)?.cast_unsigned(),
        since: row.get(5)?,
        last_error: row.get(6)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::deliveries::tests::{logs, recipient, store};

    #[test]
    fn the_oldest_go_above_the_cap_and_are_counted() {
        let connection = store();
        let (one, two) = (recipient("one"), recipient("two"));
        for number in 0..3 {
            insert(&connection, Signal::Logs, &logs(number, 2), 7, &[one.clone(), two.clone()]).unwrap();
        }
        let bytes = waiting(&connection).unwrap()[0].bytes;
        drop_over_cap(&connection, bytes - 1, 9).unwrap();
        assert_eq!(waiting(&connection).unwrap().iter().map(|waiting| waiting.batches).collect::<Vec<_>>(), [2, 2]);
        let told = tally::claim(&connection, &one).unwrap();
        assert_eq!(told[0].counts, Counts { received: 12, dropped: 4, ..Counts::default() });
    }

    #[test]
    fn what_is_purged_is_gone_for_its_recipient_alone() {
        let connection = store();
        let (one, two) = (recipient("one"), recipient("two"));
        insert(&connection, Signal::Logs, &logs(0, 1), 7, &[one.clone(), two.clone()]).unwrap();
        assert_eq!(purge(&connection, &one, 9).unwrap(), 1);
        assert_eq!(count(&connection).unwrap(), 1);
        assert_eq!(purge(&connection, &two, 9).unwrap(), 1);
        assert_eq!(connection.query_row("SELECT count(*) FROM batch", [], |row| row.get::<_, i64>(0)).unwrap(), 0);
    }
}
