//! Batches that have left the order of the log: parts of a batch that was too large, batches deferred so that others
//! pass, and batches refused permanently, which are kept with the reason.

use std::time::Duration;

use bytes::Bytes;
use rusqlite::blob::ZeroBlob;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::backlog::Waiting;
use super::counts::Counts;
use super::failure::{Failure, failure};
use super::recipient::Recipient;
use crate::otlp::{self, Signal};
use crate::store::counters;

/// How many bytes may be deferred. Beyond that, a refused batch keeps its place and others wait.
pub const MAXIMUM_DEFERRED: u64 = 64 << 20;

/// How much given-up data is kept, in bytes.
const MAXIMUM_DEAD: u64 = 64 << 20;

/// A day, in milliseconds.
const DAY: i64 = 24 * 60 * 60 * 1000;

/// How long given-up data is kept.
const DEAD_FOR: Duration = Duration::from_hours(30 * 24);

/// The size in bytes from which a body is written into an existing row page by page. As a parameter, `SQLite` would
/// copy it twice, and a body of the maximum size would take a hundred megabytes more.
const LARGE: usize = 1 << 20;

/// The place of a batch that has left the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Before everything that is still in the log.
    Ahead,
    /// Behind everything.
    Deferred,
    /// Refused permanently.
    Dead,
}

impl Place {
    fn code(self) -> i64 {
        match self {
            Self::Ahead => 0,
            Self::Deferred => 1,
            Self::Dead => 2,
        }
    }
}

/// A batch that leaves the order.
#[derive(Clone, Debug)]
pub(super) struct Aside<'a> {
    pub(super) signal: Signal,
    pub(super) attempts: u32,
    pub(super) reason: Option<&'a str>,
    /// When it was received, in Unix milliseconds.
    pub(super) received_at: i64,
    pub(super) body: &'a [u8],
}

/// A row, without its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) id: i64,
    pub(super) turn: i64,
    pub(super) signal: Signal,
    pub(super) attempts: u32,
    pub(super) received_at: i64,
    pub(super) size: usize,
}

pub(super) fn create(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(
        "CREATE TABLE set_aside (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            session TEXT NOT NULL,
            destination TEXT NOT NULL,
            fingerprint BLOB NOT NULL,
            signal TEXT NOT NULL,
            place INTEGER NOT NULL,        -- 0: before the log, 1: deferred, 2: refused for good
            turn INTEGER NOT NULL,
            attempts INTEGER NOT NULL,
            last_error TEXT,
            next_try INTEGER,
            received_at INTEGER NOT NULL,
            at INTEGER NOT NULL,           -- when it was given up, in Unix milliseconds
            size INTEGER NOT NULL,
            body BLOB NOT NULL
        ) STRICT;
        CREATE INDEX set_aside_turn ON set_aside (session, destination, fingerprint, place, turn);
        CREATE INDEX set_aside_place ON set_aside (place, size);",
    )
}

/// Sets a batch aside, behind the others in the same place. `now` is in Unix milliseconds.
pub(super) fn put(
    connection: &Connection,
    to: &Recipient,
    place: Place,
    aside: &Aside<'_>,
    now: i64,
) -> rusqlite::Result<i64> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO set_aside (session, destination, fingerprint, signal, place, turn, attempts, last_error,
            received_at, at, size, body) VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?;
    let Aside { signal, attempts, reason, received_at, body } = *aside;
    let (session, destination, fingerprint) = (&to.session, &to.destination, &to.fingerprint);
    let (signal, place, size) = (signal.name(), place.code(), body.len().cast_signed());
    let is_large = body.len() >= LARGE;
    if is_large {
        let body = ZeroBlob(body.len() as u64);
        let row =
            params![session, destination, fingerprint, signal, place, attempts, reason, received_at, now, size, body];
        statement.execute(row)?;
    } else {
        let row =
            params![session, destination, fingerprint, signal, place, attempts, reason, received_at, now, size, body];
        statement.execute(row)?;
    }
    let id = connection.last_insert_rowid();
    if is_large {
        connection.blob_open("main", "set_aside", "body", id, false)?.write_all_at(body, 0)?;
    }
    turn(connection, id, id)?;
    Ok(id)
}

fn turn(connection: &Connection, id: i64, turn: i64) -> rusqlite::Result<()> {
    connection.prepare_cached("UPDATE set_aside SET turn = ?2 WHERE id = ?1")?.execute([id, turn])?;
    Ok(())
}

/// The rows in a place for a recipient, in order.
pub(super) fn rows(connection: &Connection, to: &Recipient, place: Place) -> rusqlite::Result<Vec<Kept>> {
    let mut statement = connection.prepare_cached(
        "SELECT id, turn, signal, attempts, received_at, size FROM set_aside
         WHERE session = ?1 AND destination = ?2 AND fingerprint = ?3 AND place = ?4 ORDER BY turn, id LIMIT 1000",
    )?;
    let rows = statement.query_map(params![to.session, to.destination, to.fingerprint, place.code()], |row| {
        let size = usize::try_from(row.get::<_, i64>(5)?).unwrap_or(0);
        let signal = signal(&row.get::<_, String>(2)?);
        let (id, turn, attempts, received_at) = (row.get(0)?, row.get(1)?, row.get(3)?, row.get(4)?);
        Ok(Kept { id, turn, signal, attempts, received_at, size })
    });
    rows?.collect()
}

/// The signal of that name. The store holds no other names.
fn signal(name: &str) -> Signal {
    Signal::from_name(name).unwrap_or(Signal::Logs)
}

/// The number of records in a body, for counting: a body that cannot be read was never acknowledged.
pub(super) fn records(signal: Signal, body: &[u8]) -> u64 {
    otlp::count(signal, body).unwrap_or(0)
}

/// A body, if it still exists.
pub(super) fn body(connection: &Connection, id: i64) -> rusqlite::Result<Option<Bytes>> {
    let mut statement = connection.prepare_cached("SELECT body FROM set_aside WHERE id = ?1")?;
    statement.query_row([id], |row| Ok(Bytes::from(row.get::<_, Vec<u8>>(0)?))).optional()
}

/// Removes a row; returns false if it is gone.
pub(super) fn remove(connection: &Connection, id: i64) -> rusqlite::Result<bool> {
    Ok(connection.prepare_cached("DELETE FROM set_aside WHERE id = ?1")?.execute([id])? > 0)
}

/// Removes every row that was received before a time, in Unix milliseconds, and whose session and body `is_chosen`
/// selects. Returns the number of rows. The connection should have `secure_delete` on.
pub fn erase(
    connection: &Connection,
    before: i64,
    mut is_chosen: impl FnMut(&str, &[u8]) -> bool,
) -> rusqlite::Result<usize> {
    let mut select = connection.prepare("SELECT id, session, body FROM set_aside WHERE received_at < ?1")?;
    let mut rows = select.query([before])?;
    let mut chosen = Vec::new();
    while let Some(row) = rows.next()? {
        let (session, body) = (row.get_ref(1)?, row.get_ref(2)?);
        if is_chosen(session.as_str()?, body.as_blob()?) {
            chosen.push(row.get(0)?);
        }
    }
    for id in &chosen {
        remove(connection, *id)?;
    }
    Ok(chosen.len())
}

/// Records that a batch was tried and not accepted; returns false if it is gone.
pub(super) fn failed(connection: &Connection, id: i64, failure: &Failure) -> rusqlite::Result<bool> {
    let mut statement = connection
        .prepare_cached("UPDATE set_aside SET attempts = attempts + 1, last_error = ?2, next_try = ?3 WHERE id = ?1")?;
    Ok(statement.execute(params![id, failure.reason, failure.next_try])? > 0)
}

/// Puts a batch behind everything.
pub(super) fn defer(connection: &Connection, id: i64) -> rusqlite::Result<()> {
    let mut statement = connection
        .prepare_cached("UPDATE set_aside SET place = 1, turn = 1 + (SELECT max(turn) FROM set_aside) WHERE id = ?1")?;
    statement.execute([id])?;
    Ok(())
}

/// Gives a batch up permanently, with the reason; returns false if it is gone. It gets a new number, so that a batch
/// that is refused while others are revived is not revived with them. `now` is in Unix milliseconds.
pub(super) fn bury(connection: &Connection, id: i64, reason: &str, now: i64) -> rusqlite::Result<bool> {
    let mut statement = connection.prepare_cached(
        "UPDATE set_aside SET place = 2, last_error = ?2, next_try = NULL, at = ?3, id = 1 + (SELECT max(id) FROM set_aside)
             WHERE id = ?1",
    )?;
    Ok(statement.execute(params![id, reason, now])? > 0)
}

/// Replaces a batch with its halves; returns false if it is gone.
pub(super) fn replace(
    connection: &Connection,
    to: &Recipient,
    row: (i64, i64),
    halves: &[Aside<'_>],
    now: i64,
) -> rusqlite::Result<bool> {
    let (id, turn) = row;
    let place = connection
        .prepare_cached("SELECT place FROM set_aside WHERE id = ?1")?
        .query_row([id], |row| row.get::<_, i64>(0))
        .optional()?;
    let Some(place) = place.filter(|place| *place != Place::Dead.code()) else { return Ok(false) };
    remove(connection, id)?;
    let place = if place == 0 { Place::Ahead } else { Place::Deferred };
    for half in halves {
        let id = put(connection, to, place, half, now)?;
        self::turn(connection, id, turn)?;
    }
    Ok(true)
}

/// The number of bytes in all sessions that are set aside and may still be delivered.
pub fn bytes(connection: &Connection) -> rusqlite::Result<u64> {
    let mut statement = connection.prepare_cached("SELECT coalesce(sum(size), 0) FROM set_aside WHERE place < 2")?;
    statement.query_row([], |row| row.get::<_, i64>(0).map(i64::cast_unsigned))
}

/// The batches that are set aside and may still be delivered, by recipient.
pub(super) fn waiting(connection: &Connection) -> rusqlite::Result<Vec<Waiting>> {
    grouped(connection, "received_at", "place < 2")
}

/// The batches that were given up, by recipient. The last error is the reason of the latest one.
pub fn given_up(connection: &Connection) -> rusqlite::Result<Vec<Waiting>> {
    grouped(connection, "at", "place = 2")
}

fn grouped(connection: &Connection, since: &str, which: &str) -> rusqlite::Result<Vec<Waiting>> {
    // With a single `max`, a bare column comes from the row that has it (SQLite, *Bare columns in an aggregate query*).
    let mut statement = connection.prepare(&format!(
        "SELECT session, destination, fingerprint, count(*), sum(size), first, last_error, next_try, max(id) FROM
            (SELECT *, min({since}) OVER (PARTITION BY session, destination, fingerprint) AS first
             FROM set_aside WHERE {which})
         GROUP BY session, destination, fingerprint ORDER BY first"
    ))?;
    statement.query_map([], waiting_row)?.collect()
}

fn waiting_row(row: &Row<'_>) -> rusqlite::Result<Waiting> {
    Ok(Waiting {
        recipient: Recipient { session: row.get(0)?, destination: row.get(1)?, fingerprint: row.get(2)? },
        batches: row.get::<_, i64>(3)?.cast_unsigned(),
        bytes: row.get::<_, i64>(4)?.cast_unsigned(),
        since: row.get(5)?,
        failure: failure(row, 6)?,
    })
}

/// Removes batches that were given up too long ago, or that exceed the limit. The clock shows `now`. Ages are judged by
/// another time, which does not change when the clock is set. Both are in Unix milliseconds.
pub fn prune(connection: &Connection, now: i64, judged: i64) -> rusqlite::Result<()> {
    // A batch that was given up when the clock was ahead would be kept until the clock reaches that time.
    connection
        .prepare_cached("UPDATE set_aside SET at = ?1 WHERE place = 2 AND at > ?2")?
        .execute([now, now.saturating_add(DAY)])?;
    let oldest = judged.saturating_sub(i64::try_from(DEAD_FOR.as_millis()).unwrap_or(i64::MAX));
    connection.prepare_cached("DELETE FROM set_aside WHERE place = 2 AND at < ?1")?.execute([oldest])?;
    let mut over = connection.prepare_cached(
        "DELETE FROM set_aside WHERE id IN (
            SELECT id FROM (SELECT id, sum(size) OVER (ORDER BY at DESC, id DESC) AS newer FROM set_aside WHERE place = 2)
            WHERE newer > ?1)",
    )?;
    over.execute([MAXIMUM_DEAD.cast_signed()])?;
    Ok(())
}

/// Requeues the oldest dead letter whose number is at most `newest`, and returns its number; `None` once none is left.
/// `now` is in Unix milliseconds.
pub fn revive(connection: &Connection, newest: i64, now: i64) -> rusqlite::Result<Option<i64>> {
    let mut statement = connection.prepare_cached(
        "SELECT id, session, destination, fingerprint, signal FROM set_aside
         WHERE place = 2 AND id <= ?1 ORDER BY id LIMIT 1",
    )?;
    let found = statement.query_row([newest], |row| {
        let to = Recipient { session: row.get(1)?, destination: row.get(2)?, fingerprint: row.get(3)? };
        Ok((row.get::<_, i64>(0)?, to, signal(&row.get::<_, String>(4)?)))
    });
    let Some((id, to, signal)) = found.optional()? else { return Ok(None) };
    let mut statement = connection.prepare_cached(
        "UPDATE set_aside SET place = 0, turn = id, attempts = 0, last_error = NULL, next_try = NULL WHERE id = ?1",
    )?;
    statement.execute([id])?;
    // They were counted as dropped.
    let received = body(connection, id)?.map_or(0, |body| records(signal, &body));
    counters::add(connection, &to, signal, Counts { received, ..Counts::default() }, now)?;
    Ok(Some(id))
}

/// The number of the newest dead letter; 0 if there is none.
pub fn newest(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("SELECT coalesce(max(id), 0) FROM set_aside WHERE place = 2", [], |row| row.get(0))
}

/// Removes a recipient's dead letters, and returns their number.
pub fn purge_dead(connection: &Connection, of: &Recipient) -> rusqlite::Result<u64> {
    let mut statement = connection.prepare_cached(
        "DELETE FROM set_aside WHERE session = ?1 AND destination = ?2 AND fingerprint = ?3 AND place = 2",
    )?;
    Ok(statement.execute(params![of.session, of.destination, of.fingerprint])? as u64)
}

/// Removes the batches that are set aside for a recipient and might be delivered, counts them as dropped, and returns
/// their number.
pub(super) fn purge(connection: &Connection, to: &Recipient, now: i64) -> rusqlite::Result<u64> {
    let mut gone = 0;
    for place in [Place::Ahead, Place::Deferred] {
        loop {
            let rows = rows(connection, to, place)?;
            if rows.is_empty() {
                break;
            }
            for row in rows {
                let dropped = body(connection, row.id)?.map_or(0, |body| records(row.signal, &body));
                counters::add(connection, to, row.signal, Counts { dropped, ..Counts::default() }, now)?;
                remove(connection, row.id)?;
                gone += 1;
            }
        }
    }
    Ok(gone)
}
