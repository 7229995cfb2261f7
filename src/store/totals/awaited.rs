//! The recipients that wait for a snapshot, and its outcome for them.

use rusqlite::{Connection, params};

use crate::otlp::Signal;
use crate::store::backlog::Waiting;
use crate::store::counters;
use crate::store::counts::Counts;
use crate::store::failure::{Failure, failure};
use crate::store::recipient::Recipient;

/// Records that a recipient waits for a snapshot of at least this generation, for this many more points.
pub(super) fn add(
    connection: &Connection,
    to: &Recipient,
    totals: i64,
    generation: i64,
    points: u64,
    since: i64,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO awaited (session, destination, fingerprint, totals, generation, points, since)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO UPDATE SET
            generation = excluded.generation, points = points + excluded.points, since = min(since, excluded.since)",
    )?;
    let points = i64::try_from(points).unwrap_or(i64::MAX);
    statement.execute(params![to.session, to.destination, to.fingerprint, totals, generation, points, since])?;
    Ok(())
}

/// The destination has every series as of this generation or later, so the recipients that waited are done. `now` is in
/// Unix milliseconds. `is_full` says that unchanged series were sent too.
pub fn acknowledge(
    connection: &Connection,
    totals: i64,
    generation: i64,
    is_full: bool,
    now: i64,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "UPDATE totals SET acknowledged = max(acknowledged, ?2), sent_at = CASE WHEN ?3 THEN ?4 ELSE sent_at END
         WHERE id = ?1",
    )?;
    statement.execute(params![totals, generation, is_full, now])?;
    let mut statement = connection.prepare_cached(
        "DELETE FROM awaited WHERE totals = ?1 AND generation <= ?2 RETURNING session, destination, fingerprint, points",
    )?;
    let done = statement.query_map(params![totals, generation], recipient_and_points)?;
    for row in done.collect::<rusqlite::Result<Vec<_>>>()? {
        let (to, points) = row;
        counters::add(connection, &to, Signal::Metrics, Counts { delivered: points, ..Counts::default() }, now)?;
    }
    Ok(())
}

/// The destination did not accept the snapshot: records why for the waiting recipients. `now` is in Unix milliseconds.
pub fn failed(connection: &Connection, totals: i64, failure: &Failure, now: i64) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "SELECT session, destination, fingerprint, points FROM awaited WHERE totals = ?1 AND attempts = 0",
    )?;
    let new = statement.query_map([totals], recipient_and_points)?.collect::<rusqlite::Result<Vec<_>>>()?;
    for (to, points) in new {
        counters::add(connection, &to, Signal::Metrics, Counts { held: points, ..Counts::default() }, now)?;
    }
    let mut statement = connection.prepare_cached(
        "UPDATE awaited SET attempts = attempts + 1, last_error = ?2, next_try = ?3 WHERE totals = ?1",
    )?;
    statement.execute(params![totals, failure.reason, failure.next_try])?;
    Ok(())
}

fn recipient_and_points(row: &rusqlite::Row<'_>) -> rusqlite::Result<(Recipient, u64)> {
    let to = Recipient { session: row.get(0)?, destination: row.get(1)?, fingerprint: row.get(2)? };
    Ok((to, row.get::<_, i64>(3)?.cast_unsigned()))
}

/// A recipient no longer waits for a snapshot; its points stay part of the totals. Returns whether it did wait.
pub(in crate::store) fn purge(connection: &Connection, to: &Recipient, now: i64) -> rusqlite::Result<u64> {
    let mut statement = connection.prepare_cached(
        "DELETE FROM awaited WHERE session = ?1 AND destination = ?2 AND fingerprint = ?3
         RETURNING session, destination, fingerprint, points",
    )?;
    let gone = statement.query_map(params![to.session, to.destination, to.fingerprint], recipient_and_points)?;
    let gone = gone.collect::<rusqlite::Result<Vec<_>>>()?;
    for (to, points) in &gone {
        let dropped = Counts { dropped: *points, ..Counts::default() };
        counters::add(connection, to, Signal::Metrics, dropped, now)?;
    }
    Ok(gone.len() as u64)
}

/// The waiting recipients: each counts as one batch.
pub(in crate::store) fn waiting(connection: &Connection) -> rusqlite::Result<Vec<Waiting>> {
    let mut statement =
        connection.prepare("SELECT session, destination, fingerprint, since, last_error, next_try FROM awaited")?;
    let rows = statement.query_map([], |row| {
        let recipient = Recipient { session: row.get(0)?, destination: row.get(1)?, fingerprint: row.get(2)? };
        Ok(Waiting { recipient, batches: 1, bytes: 0, since: row.get(3)?, failure: failure(row, 4)? })
    });
    rows?.collect()
}
