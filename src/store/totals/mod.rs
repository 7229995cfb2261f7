//! Running totals of data for destinations that want cumulative sums.
//!
//! Two cursors read the metrics of a session for such a destination. The first, *fold*, adds deltas to the totals of
//! their series. It moves in the commit that adds them, so that each delta is added exactly once. The second delivers
//! the points that are not deltas, as for any other destination, and never goes beyond the first. From then on a row in
//! `awaited` says that the session waits for a snapshot with its deltas: one of this generation of the totals, or of a
//! later one.
//!
//! Totals belong to a profile's destination, never to a session: all sessions add to the same totals, and each may send
//! all of them.

mod awaited;
mod fold;
mod send;
#[cfg(test)]
mod tests;

use rusqlite::{Connection, OptionalExtension, params};

pub use awaited::{acknowledge, failed};
pub(super) use awaited::{purge, waiting};
pub use fold::{Batch, FoldFloors, Folded, catch_up, count_in, fold, is_behind, next};
pub use send::{Chunk, Wanted, begun, passed, refused, take, without_zero};

/// The maximum number of series of a destination.
pub const MAXIMUM_SERIES: u64 = 20_000;

/// The owner of totals: another endpoint, other credentials or another profile have their own totals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whose {
    /// The destination's fingerprint.
    pub fingerprint: Vec<u8>,
    /// The name of the chosen profile.
    pub profile: String,
    /// The destination's name in the profile.
    pub destination: String,
}

/// The state of a destination's totals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// The row's number.
    pub id: i64,
    /// How often deltas were added.
    pub generation: i64,
    /// The last generation that the destination has in full.
    pub acknowledged: i64,
    /// When all series were last sent and accepted, in Unix milliseconds; 0 if never.
    pub sent_at: i64,
    /// The number of series.
    pub series: u64,
    /// The number of forgotten series: unchanged for too long, or too many.
    pub forgotten: u64,
    /// Whether any session waits for a snapshot.
    pub is_awaited: bool,
}

pub(super) fn create(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(
        "CREATE TABLE totals (
            id INTEGER PRIMARY KEY,
            fingerprint BLOB NOT NULL,
            profile TEXT NOT NULL,
            destination TEXT NOT NULL,
            generation INTEGER NOT NULL DEFAULT 0,
            acknowledged INTEGER NOT NULL DEFAULT 0,
            latest INTEGER NOT NULL DEFAULT 0,         -- the latest time of any point sent, in Unix nanoseconds
            floor INTEGER NOT NULL DEFAULT 0,          -- the same of series that were forgotten
            sent_at INTEGER NOT NULL DEFAULT 0,
            series INTEGER NOT NULL DEFAULT 0,
            forgotten INTEGER NOT NULL DEFAULT 0,
            UNIQUE (fingerprint, profile, destination)
        ) STRICT;
        CREATE TABLE series (
            totals INTEGER NOT NULL,
            place BLOB NOT NULL,
            body BLOB NOT NULL,                        -- a `ResourceMetrics` with the one point
            start INTEGER NOT NULL,                    -- in Unix nanoseconds
            zero_at INTEGER NOT NULL DEFAULT 0,        -- the time of the zero that was sent last, if one was
            begun INTEGER NOT NULL DEFAULT 0,          -- 1 if the destination has its zero, 2 if it goes without
            generation INTEGER NOT NULL,
            changed_at INTEGER NOT NULL,
            refusals INTEGER NOT NULL DEFAULT 0,       -- in a row
            not_before INTEGER NOT NULL DEFAULT 0,
            PRIMARY KEY (totals, place)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX series_changed ON series (totals, changed_at);
        CREATE INDEX series_new ON series (totals, place) WHERE begun = 0;
        CREATE TABLE awaited (
            session TEXT NOT NULL,
            destination TEXT NOT NULL,
            fingerprint BLOB NOT NULL,
            totals INTEGER NOT NULL,
            generation INTEGER NOT NULL,
            points INTEGER NOT NULL,
            since INTEGER NOT NULL,
            attempts INTEGER NOT NULL DEFAULT 0,
            last_error TEXT,
            next_try INTEGER,
            PRIMARY KEY (session, destination, fingerprint, totals)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX awaited_totals ON awaited (totals, generation);
        CREATE TABLE counted (
            id INTEGER PRIMARY KEY,
            session TEXT NOT NULL,
            totals INTEGER NOT NULL,
            identity BLOB NOT NULL,
            UNIQUE (session, totals, identity)
        ) STRICT;",
    )
}

/// The state of the totals, if they exist.
pub fn state(connection: &Connection, whose: &Whose) -> rusqlite::Result<Option<State>> {
    let mut statement = connection.prepare_cached(
        "SELECT id, generation, acknowledged, sent_at, series, forgotten,
            EXISTS (SELECT 1 FROM awaited WHERE awaited.totals = totals.id)
         FROM totals WHERE fingerprint = ?1 AND profile = ?2 AND destination = ?3",
    )?;
    let found = statement.query_row(params![whose.fingerprint, whose.profile, whose.destination], |row| {
        Ok(State {
            id: row.get(0)?,
            generation: row.get(1)?,
            acknowledged: row.get(2)?,
            sent_at: row.get(3)?,
            series: row.get::<_, i64>(4)?.cast_unsigned(),
            forgotten: row.get::<_, i64>(5)?.cast_unsigned(),
            is_awaited: row.get(6)?,
        })
    });
    found.optional()
}

/// Removes rows that were carried over from a damaged store without the totals that they belong to: other totals will
/// get that number.
pub(super) fn settle(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(
        "DELETE FROM series WHERE totals NOT IN (SELECT id FROM totals);
         DELETE FROM awaited WHERE totals NOT IN (SELECT id FROM totals);
         DELETE FROM counted WHERE totals NOT IN (SELECT id FROM totals);
         UPDATE totals SET series = (SELECT count(*) FROM series WHERE series.totals = totals.id);",
    )
}

/// A session is over and all its deltas are in totals: its clients repeat nothing any more.
pub(super) fn release(connection: &Connection, session: &str) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM counted WHERE session = ?1")?.execute([session])?;
    Ok(())
}
