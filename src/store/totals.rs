//! Running totals of what destinations that want cumulative sums were received for.
//!
//! A batch for such a destination waits like any other, until it is folded: in one commit its deltas are added to the
//! totals of their series and the batch goes, or what of it is no delta takes its place. So whatever happens each delta
//! is in exactly one of the two. What is left, and any other batch without deltas, is noted in `sifted`, and goes the
//! way of all others. From then on a row in `awaited` says that its session waits for a snapshot with what it
//! brought: one of this generation of the totals, or of a later one.
//!
//! Totals belong to a profile's destination, never to a session: all sessions add to the same, and each may send all.

mod awaited;
mod fold;
mod send;
#[cfg(test)]
mod tests;

use rusqlite::{Connection, OptionalExtension, params};

pub use awaited::{acknowledge, failed};
pub(super) use awaited::{count, purge};
pub use fold::{Batch, Folded, body, count_in, fold, next, sifted};
pub use send::{Chunk, Wanted, begun, passed, refused, take, without_zero};

/// The most series of a destination.
pub const MAXIMUM_SERIES: u64 = 20_000;

/// Whose totals: with another endpoint, other credentials or another profile they are others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whose {
    /// The destination's.
    pub fingerprint: Vec<u8>,
    /// The name of the profile that was chosen.
    pub profile: String,
    /// The destination's name in it.
    pub destination: String,
}

/// How it stands with a destination's totals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// The row's number.
    pub id: i64,
    /// How often anything was added.
    pub generation: i64,
    /// The last generation that the destination has whole.
    pub acknowledged: i64,
    /// When all series were last sent and taken, in Unix milliseconds; 0 if never.
    pub sent_at: i64,
    /// How many series there are.
    pub series: u64,
    /// How many were forgotten: unchanged for too long, or too many.
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
            PRIMARY KEY (session, destination, fingerprint, totals)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX awaited_totals ON awaited (totals, generation);
        CREATE TABLE sifted (batch INTEGER PRIMARY KEY) STRICT;
        CREATE TRIGGER sifted_gone AFTER DELETE ON batch BEGIN DELETE FROM sifted WHERE batch = old.id; END;
        CREATE TABLE counted (
            id INTEGER PRIMARY KEY,
            session TEXT NOT NULL,
            totals INTEGER NOT NULL,
            identity BLOB NOT NULL,
            UNIQUE (session, totals, identity)
        ) STRICT;",
    )
}

/// How it stands with somebody's totals, if there are any yet.
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

/// A session is over: its clients repeat nothing any more, once all that it left is folded.
pub fn release(connection: &Connection, session: &str) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "DELETE FROM counted WHERE session = ?1 AND NOT EXISTS (SELECT 1 FROM delivery WHERE session = ?1)",
    )?;
    statement.execute([session])?;
    Ok(())
}
