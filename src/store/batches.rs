//! Batches that wait, what each destination still has to be given of them, and what was given up.
//!
//! A batch is there as long as a delivery of it is; both go in one commit.

use std::time::Duration;

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::otlp::Signal;

/// How much undelivered data is kept, in bytes; the oldest goes first, counted.
pub const MAXIMUM_WAITING: u64 = 512 << 20;

/// How much given-up data is kept, in bytes.
const MAXIMUM_DEAD: u64 = 64 << 20;

/// How long given-up data is kept.
const DEAD_FOR: Duration = Duration::from_hours(30 * 24);

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

/// A batch on its way to a recipient.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The batch's number.
    pub batch: i64,
    /// What it carries.
    pub signal: Signal,
    /// The request, protobuf.
    pub body: Bytes,
}

/// What waits for a recipient.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// For whom.
    pub recipient: Recipient,
    /// How many batches.
    pub batches: u64,
    /// How many bytes.
    pub bytes: u64,
    /// When the oldest was received, in Unix milliseconds.
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
    let mut statement = connection
        .prepare_cached("INSERT INTO batch (session, signal, received_at, size, body) VALUES (?1, ?2, ?3, ?4, ?5)")?;
    statement.execute(params![first.session, signal.name(), now, body.len().cast_signed(), body])?;
    let batch = connection.last_insert_rowid();
    let mut statement = connection.prepare_cached(
        "INSERT INTO delivery (session, destination, fingerprint, turn, batch) VALUES (?1, ?2, ?3, ?4, ?4)",
    )?;
    for Recipient { session, destination, fingerprint } in recipients {
        statement.execute(params![session, destination, fingerprint, batch])?;
    }
    drop_over_cap(connection, MAXIMUM_WAITING)
}

/// Drops the oldest batches above the cap, and counts them.
fn drop_over_cap(connection: &Connection, cap: u64) -> rusqlite::Result<()> {
    let mut bytes = connection.prepare_cached("SELECT bytes FROM waiting")?;
    while bytes.query_row([], |row| row.get::<_, i64>(0))?.cast_unsigned() > cap {
        let oldest: i64 = connection.query_row("SELECT min(id) FROM batch", [], |row| row.get(0))?;
        connection.execute(
            "UPDATE session SET dropped = dropped + 1 WHERE id = (SELECT session FROM batch WHERE id = ?1)",
            [oldest],
        )?;
        connection.execute("DELETE FROM delivery WHERE batch = ?1", [oldest])?;
        connection.execute("DELETE FROM batch WHERE id = ?1", [oldest])?;
    }
    Ok(())
}

/// The batch whose turn it is.
pub fn next(connection: &Connection, recipient: &Recipient) -> rusqlite::Result<Option<Delivery>> {
    let mut statement = connection.prepare_cached(
        "SELECT batch.id, signal, body FROM delivery JOIN batch ON batch.id = delivery.batch
         WHERE delivery.session = ?1 AND destination = ?2 AND fingerprint = ?3 ORDER BY turn, batch LIMIT 1",
    )?;
    let Recipient { session, destination, fingerprint } = recipient;
    let found = statement.query_row(params![session, destination, fingerprint], |row| {
        let signal: String = row.get(1)?;
        Ok(Delivery {
            batch: row.get(0)?,
            signal: Signal::from_name(&signal).unwrap_or(Signal::Logs),
            body: Bytes::from(row.get::<_, Vec<u8>>(2)?),
        })
    });
    found.optional()
}

/// The recipient has it: the delivery goes, and with the last one the batch.
pub fn delivered(connection: &Connection, recipient: &Recipient, batch: i64) -> rusqlite::Result<()> {
    let Recipient { session, destination, fingerprint } = recipient;
    let mut statement = connection.prepare_cached(
        "DELETE FROM delivery WHERE session = ?1 AND destination = ?2 AND fingerprint = ?3 AND batch = ?4",
    )?;
    statement.execute(params![session, destination, fingerprint, batch])?;
    let mut statement = connection.prepare_cached(
        "DELETE FROM batch WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM delivery WHERE delivery.batch = batch.id)",
    )?;
    statement.execute([batch])?;
    Ok(())
}

/// The recipient can never take it: kept apart, with the reason. `now` is in Unix milliseconds.
pub fn give_up(
    connection: &Connection,
    recipient: &Recipient,
    delivery: &Delivery,
    reason: &str,
    now: i64,
) -> rusqlite::Result<()> {
    let Recipient { session, destination, fingerprint } = recipient;
    let mut statement = connection.prepare_cached(
        "INSERT INTO dead_letter (session, destination, fingerprint, signal, at, reason, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    let signal = delivery.signal.name();
    statement.execute(params![session, destination, fingerprint, signal, now, reason, &delivery.body[..]])?;
    delivered(connection, recipient, delivery.batch)?;
    prune_dead(connection, now)
}

fn prune_dead(connection: &Connection, now: i64) -> rusqlite::Result<()> {
    let oldest = now.saturating_sub(i64::try_from(DEAD_FOR.as_millis()).unwrap_or(i64::MAX));
    connection.prepare_cached("DELETE FROM dead_letter WHERE at < ?1")?.execute([oldest])?;
    let mut over = connection.prepare_cached(
        "DELETE FROM dead_letter WHERE id IN (
            SELECT id FROM (SELECT id, sum(length(body)) OVER (ORDER BY id DESC) AS newer FROM dead_letter)
            WHERE newer > ?1)",
    )?;
    over.execute([MAXIMUM_DEAD.cast_signed()])?;
    Ok(())
}

/// The recipient did not take it this time: it stays, with the reason, and if the recipient answered at all it goes
/// behind the others, for one that is refused must not hold up those that pass.
pub fn held(
    connection: &Connection,
    recipient: &Recipient,
    batch: i64,
    reason: &str,
    behind: bool,
) -> rusqlite::Result<()> {
    let Recipient { session, destination, fingerprint } = recipient;
    let mut statement = connection.prepare_cached(
        "UPDATE delivery SET attempts = attempts + 1, last_error = ?5, turn = CASE WHEN ?6 THEN 1 + (
            SELECT max(turn) FROM delivery WHERE session = ?1 AND destination = ?2 AND fingerprint = ?3
         ) ELSE turn END
         WHERE session = ?1 AND destination = ?2 AND fingerprint = ?3 AND batch = ?4",
    )?;
    statement.execute(params![session, destination, fingerprint, batch, reason, behind])?;
    Ok(())
}

/// Everything that waits, by recipient, the oldest first.
pub fn waiting(connection: &Connection) -> rusqlite::Result<Vec<Waiting>> {
    let mut statement = connection.prepare(
        "SELECT delivery.session, destination, fingerprint, count(*), sum(size), min(received_at), max(last_error)
         FROM delivery JOIN batch ON batch.id = delivery.batch
         GROUP BY delivery.session, destination, fingerprint ORDER BY min(received_at)",
    )?;
    statement.query_map([], waiting_row)?.collect()
}

/// What was given up, by recipient, in the same form: the reason of the latest is the last error.
pub fn given_up(connection: &Connection) -> rusqlite::Result<Vec<Waiting>> {
    let mut statement = connection.prepare(
        "SELECT session, destination, fingerprint, count(*), sum(length(body)), min(at), reason, max(id)
         FROM dead_letter GROUP BY session, destination, fingerprint ORDER BY min(at)",
    )?;
    statement.query_map([], waiting_row)?.collect()
}

fn waiting_row(row: &Row<'_>) -> rusqlite::Result<Waiting> {
    Ok(Waiting {
        recipient: Recipient { session: row.get(0)?, destination: row.get(1)?, fingerprint: row.get(2)? },
        batches: row.get::<_, i64>(3)?.cast_unsigned(),
        bytes: row.get::<_, i64>(4)?.cast_unsigned(),
        since: row.get(5)?,
        last_error: row.get(6)?,
    })
}
