//! Cursors: how far each destination has progressed in its part of a session's log.
//!
//! A cursor moves in the commit that records the outcome of the entries that it passes, and only from the position that
//! its reader saw.

use rusqlite::{Connection, OptionalExtension, params};

use super::columns::position;
use super::disk_error;
use super::failure::{Failure, failure};
use super::recipient::Recipient;
use crate::otlp::Signal;
use crate::spool::{Disk, File, Files, Position, name, segments};

/// What a cursor reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stream {
    /// The frames of a signal. For a destination that gets totals, the metrics that are not deltas.
    Of(Signal),
    /// The deltas of metrics, which are added to totals.
    Fold,
}

/// The progress of a reader.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// Everything before this position is dealt with.
    pub position: Position,
    /// Entries that end at or before this position were tried and not accepted.
    pub tried: Position,
    /// How often they were tried.
    pub attempts: u32,
    /// Why they were not accepted the last time.
    pub failure: Option<Failure>,
}

impl Stream {
    fn name(self) -> &'static str {
        match self {
            Self::Of(signal) => signal.name(),
            Self::Fold => "fold",
        }
    }
}

pub(super) fn create(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(
        "CREATE TABLE cursor (
            session TEXT NOT NULL,
            destination TEXT NOT NULL,
            fingerprint BLOB NOT NULL,
            stream TEXT NOT NULL,
            worker INTEGER NOT NULL,
            number INTEGER NOT NULL,
            offset INTEGER NOT NULL,
            tried_worker INTEGER NOT NULL DEFAULT 0,
            tried_number INTEGER NOT NULL DEFAULT 0,
            tried_offset INTEGER NOT NULL DEFAULT 0,
            attempts INTEGER NOT NULL DEFAULT 0,
            last_error TEXT,
            next_try INTEGER,                          -- in Unix milliseconds, if the destination's back-off does not say it
            PRIMARY KEY (session, destination, fingerprint, stream)
        ) STRICT, WITHOUT ROWID;",
    )
}

/// A reader's position; the start if it never moved.
pub fn find(connection: &Connection, to: &Recipient, stream: Stream) -> rusqlite::Result<Cursor> {
    let mut statement = connection.prepare_cached(
        "SELECT worker, number, offset, tried_worker, tried_number, tried_offset, attempts, last_error, next_try
         FROM cursor          WHERE session = ?1 AND destination = ?2 AND fingerprint = ?3 AND stream = ?4",
    )?;
    let found = statement.query_row(params![to.session, to.destination, to.fingerprint, stream.name()], |row| {
        Ok(Cursor {
            position: position(row, 0)?,
            tried: position(row, 3)?,
            attempts: row.get(6)?,
            failure: failure(row, 7)?,
        })
    });
    Ok(found.optional()?.unwrap_or_default())
}

/// Moves a cursor, unless another process has moved it: returns false if it is already beyond `from`. A cursor that is
/// missing from the store, because the store is new, is assumed to be where the caller says.
pub fn advance(
    connection: &Connection,
    to: &Recipient,
    stream: Stream,
    from: Position,
    end: Position,
) -> rusqlite::Result<bool> {
    let cursor = find(connection, to, stream)?;
    if cursor.position > from {
        return Ok(false);
    }
    let is_tried = cursor.tried > end;
    let attempts = if is_tried { cursor.attempts } else { 0 };
    let cursor = Cursor { position: end, attempts, failure: cursor.failure.filter(|_| is_tried), ..cursor };
    put(connection, to, stream, &cursor)?;
    Ok(true)
}

/// Records that entries between a cursor and `end` were tried and not accepted. Does nothing if the cursor has moved.
pub fn failed(
    connection: &Connection,
    to: &Recipient,
    stream: Stream,
    from: Position,
    end: Position,
    failure: &Failure,
) -> rusqlite::Result<()> {
    let cursor = find(connection, to, stream)?;
    if cursor.position > from {
        return Ok(());
    }
    let failure = Some(failure.clone());
    let (tried, attempts) = (cursor.tried.max(end), cursor.attempts.saturating_add(1));
    put(connection, to, stream, &Cursor { position: cursor.position.max(from), tried, attempts, failure })
}

fn put(connection: &Connection, to: &Recipient, stream: Stream, cursor: &Cursor) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT OR REPLACE INTO cursor (session, destination, fingerprint, stream, worker, number, offset, tried_worker,
            tried_number, tried_offset, attempts, last_error, next_try)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    )?;
    let (at, tried) = (cursor.position, cursor.tried);
    statement.execute(params![
        to.session,
        to.destination,
        to.fingerprint,
        stream.name(),
        at.worker,
        at.number,
        at.offset.cast_signed(),
        tried.worker,
        tried.number,
        tried.offset.cast_signed(),
        cursor.attempts,
        cursor.failure.as_ref().map(|failure| &failure.reason),
        cursor.failure.as_ref().and_then(|failure| failure.next_try)
    ])?;
    Ok(())
}

/// Removes cursors that were carried over from a damaged store and point beyond the end of their log: entries before
/// such a position would never be delivered. Without a cursor, a log is read from its beginning.
pub(super) fn settle(connection: &Connection, disk: &Disk) -> rusqlite::Result<()> {
    remove_beyond_end(connection, disk, "cursor")
}

/// Removes the rows of a table whose position, in the columns `worker`, `number` and `offset`, lies beyond the end of
/// the log of their `session`. Rows stay whose session has no log.
pub(crate) fn remove_beyond_end(connection: &Connection, disk: &Disk, table: &'static str) -> rusqlite::Result<()> {
    let sessions: Vec<String> = connection
        .prepare(&format!("SELECT DISTINCT session FROM {table}"))?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let mut remove = connection.prepare(&format!(
        "DELETE FROM {table} WHERE session = ?1 AND (worker < 0 OR number < 0 OR offset < 0
            OR (worker, number, offset) > (?2, ?3, ?4))"
    ))?;
    for session in sessions {
        let Some((worker, number, length)) = end(disk, &session)? else { continue };
        remove.execute(params![session, worker, number, length])?;
    }
    Ok(())
}

/// The last segment of a session's log and its length; `None` if there is no log.
pub(super) fn end(disk: &Disk, session: &str) -> rusqlite::Result<Option<(u32, u32, i64)>> {
    let Some((worker, number)) = segments(disk, session).map_err(disk_error)?.last().copied() else { return Ok(None) };
    let file = disk.open(session, &name(worker, number)).map_err(disk_error)?;
    let length = File::length(&file).map_err(disk_error)?;
    Ok(Some((worker, number, i64::try_from(length).unwrap_or(i64::MAX))))
}

/// Removes the cursors of a session whose log is gone.
pub(super) fn forget(connection: &Connection, session: &str) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM cursor WHERE session = ?1")?.execute([session])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_moves_only_from_its_expected_position() {
        let store = Connection::open_in_memory().unwrap();
        create(&store).unwrap();
        let to = Recipient { session: "s".to_owned(), destination: "d".to_owned(), fingerprint: vec![1] };
        let stream = Stream::Of(Signal::Logs);
        let at = |offset| Position { worker: 1, number: 1, offset };
        assert_eq!(find(&store, &to, stream).unwrap(), Cursor::default());
        let failure = Failure { reason: "503".to_owned(), next_try: Some(7) };
        failed(&store, &to, stream, at(10), at(30), &failure).unwrap();
        let held = find(&store, &to, stream).unwrap();
        assert_eq!(
            (held.position, held.tried, held.attempts, held.failure.as_ref()),
            (at(10), at(30), 1, Some(&failure))
        );
        assert!(advance(&store, &to, stream, at(10), at(20)).unwrap());
        assert_eq!(find(&store, &to, stream).unwrap().attempts, 1, "a part of it was taken");
        assert!(!advance(&store, &to, stream, at(10), at(20)).unwrap());
        assert!(advance(&store, &to, stream, at(20), at(30)).unwrap());
        assert_eq!(find(&store, &to, stream).unwrap(), Cursor { position: at(30), tried: at(30), ..Cursor::default() });
        failed(&store, &to, stream, at(20), at(40), &failure).unwrap();
        assert_eq!(find(&store, &to, stream).unwrap().attempts, 0, "it has moved");
        assert_eq!(find(&store, &to, Stream::Fold).unwrap(), Cursor::default());
    }
}
