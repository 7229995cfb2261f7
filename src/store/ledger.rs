//! The ledger: what Claude Code used, in quarters of an hour.
//!
//! It grows with the hours worked, not with the requests made: single records are added to a quarter's sum, and what
//! tells a repetition is forgotten with its session. A quarter is the finest step by which time zones differ, so that
//! the days of every one of them add up exactly.

mod read;

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use rusqlite::{Connection, OptionalExtension};

use crate::usage::report::{Query, Report};
use crate::usage::{Measure, Source, Usage};

/// The length of a quarter of an hour, in milliseconds.
const SLOT: i64 = 15 * 60 * 1000;

/// How many distinct strings a session may bring, its Claude sessions included. A thousand is plenty for models and
/// tools, and bounds what a client gone wild can write.
const MOST_STRINGS: i64 = 1000;

/// What stands for all strings beyond [`MOST_STRINGS`].
const OTHER: &str = "(other)";

const SCHEMA: &str = "
CREATE TABLE usage_client (
    id           INTEGER PRIMARY KEY,
    session      TEXT NOT NULL,              -- ours
    client       TEXT NOT NULL,              -- Claude Code's session.id
    has_requests INTEGER NOT NULL DEFAULT 0, -- 1: its events count its tokens, not its metrics
    has_metrics  INTEGER NOT NULL DEFAULT 0,
    UNIQUE (session, client)
);
CREATE TABLE usage_name (                    -- models and tools
    id      INTEGER PRIMARY KEY,
    session TEXT NOT NULL,
    name    TEXT NOT NULL,
    UNIQUE (session, name)
);
CREATE TABLE usage (
    slot    INTEGER NOT NULL,                -- quarters of an hour since 1970, UTC
    client  INTEGER NOT NULL,
    source  INTEGER NOT NULL,                -- 0: event, 1: metric
    measure INTEGER NOT NULL,
    name    INTEGER NOT NULL,
    amount  INTEGER NOT NULL,
    PRIMARY KEY (slot, client, source, measure, name)
) WITHOUT ROWID;
CREATE TABLE usage_seen (
    session  TEXT NOT NULL,
    identity BLOB NOT NULL,
    amount   INTEGER NOT NULL,               -- of a cumulative series, the largest so far
    PRIMARY KEY (session, identity)
) WITHOUT ROWID;
";

/// Makes the ledger's tables: part of the schema's major version 1.
pub fn create(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(SCHEMA)
}

/// Adds what a session of ours used. What it was told before, it leaves alone.
///
/// Runs in the caller's transaction, so that a batch and what it says commit together.
pub fn insert(connection: &Connection, session: &str, usage: &[Usage]) -> rusqlite::Result<()> {
    let mut sums: BTreeMap<Key<'_>, i64> = BTreeMap::new();
    let mut note = connection
        .prepare_cached("INSERT OR IGNORE INTO usage_seen (session, identity, amount) VALUES (?1, ?2, ?3)")?;
    for usage in usage {
        let is_new = note.execute((session, usage.identity, usage.amount()))? > 0;
        let Some(before) = (if is_new { Some(0) } else { grown(connection, session, usage)? }) else { continue };
        for &(measure, amount) in &usage.amounts {
            let sum = sums.entry(Key::new(usage, measure)).or_default();
            *sum = sum.saturating_add(amount - before);
        }
    }
    let mut strings = Strings { connection, session, clients: BTreeMap::new(), names: BTreeMap::new() };
    let mut add = connection.prepare_cached(
        "INSERT INTO usage (slot, client, source, measure, name, amount) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT DO UPDATE SET amount = min(amount + excluded.amount, 9223372036854775807)",
    )?;
    for (key, amount) in sums {
        let client = strings.client(key.client)?;
        let name = strings.name(key.name)?;
        add.execute((key.slot, client, source_code(key.source), key.measure.code(), name, amount))?;
        if key.measure == Measure::Requests {
            mark(connection, client, "UPDATE usage_client SET has_requests = 1 WHERE id = ?1 AND has_requests = 0")?;
        }
        if key.source == Source::Metric {
            mark(connection, client, "UPDATE usage_client SET has_metrics = 1 WHERE id = ?1 AND has_metrics = 0")?;
        }
    }
    Ok(())
}

/// Forgets what only told the repetitions of a session's exports. To be called once it has ended, when none can come.
pub fn settle(connection: &Connection, session: &str) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM usage_seen WHERE session = ?1")?.execute([session])?;
    Ok(())
}

/// What was used, as far as the query asks for it, in the days of that time zone.
///
/// It reads three tables: while others write, the caller's transaction is what makes them one moment's.
pub fn report(connection: &Connection, query: &Query, zone: &TimeZone) -> rusqlite::Result<Report> {
    Ok(Report::new(&read::rows(connection, query)?, zone))
}

/// One row of the ledger.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Key<'a> {
    slot: i64,
    client: &'a str,
    source: Source,
    measure: Measure,
    name: &'a str,
}

impl<'a> Key<'a> {
    fn new(usage: &'a Usage, measure: Measure) -> Self {
        let slot = usage.at.as_millisecond().div_euclid(SLOT);
        Self { slot, client: &usage.client, source: usage.source, measure, name: &usage.name }
    }
}

/// How much of an amount is known already that came before; none if all of it is.
fn grown(connection: &Connection, session: &str, usage: &Usage) -> rusqlite::Result<Option<i64>> {
    if !usage.cumulative {
        return Ok(None);
    }
    let amount = usage.amount();
    let before: i64 = connection
        .prepare_cached("SELECT amount FROM usage_seen WHERE session = ?1 AND identity = ?2")?
        .query_row((session, usage.identity), |row| row.get(0))?;
    if before >= amount {
        return Ok(None);
    }
    connection.prepare_cached("UPDATE usage_seen SET amount = ?3 WHERE session = ?1 AND identity = ?2")?.execute((
        session,
        usage.identity,
        amount,
    ))?;
    Ok(Some(before))
}

fn mark(connection: &Connection, client: i64, update: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(update)?.execute([client])?;
    Ok(())
}

/// The ids that strings have in the ledger, remembered for one insertion.
struct Strings<'a> {
    connection: &'a Connection,
    session: &'a str,
    clients: BTreeMap<&'a str, i64>,
    names: BTreeMap<&'a str, i64>,
}

impl<'a> Strings<'a> {
    fn client(&mut self, client: &'a str) -> rusqlite::Result<i64> {
        if let Some(id) = self.clients.get(client) {
            return Ok(*id);
        }
        let id = self.look_up(
            client,
            "SELECT id FROM usage_client WHERE session = ?1 AND client = ?2",
            "INSERT INTO usage_client (session, client) VALUES (?1, ?2)",
        )?;
        self.clients.insert(client, id);
        Ok(id)
    }

    fn name(&mut self, name: &'a str) -> rusqlite::Result<i64> {
        if let Some(id) = self.names.get(name) {
            return Ok(*id);
        }
        let id = self.look_up(
            name,
            "SELECT id FROM usage_name WHERE session = ?1 AND name = ?2",
            "INSERT INTO usage_name (session, name) VALUES (?1, ?2)",
        )?;
        self.names.insert(name, id);
        Ok(id)
    }

    fn look_up(&self, text: &str, select: &str, insert: &str) -> rusqlite::Result<i64> {
        let find =
            |text| self.connection.prepare_cached(select)?.query_row((self.session, text), |row| row.get(0)).optional();
        if let Some(id) = find(text)? {
            return Ok(id);
        }
        let text = if self.is_full()? { OTHER } else { text };
        if let Some(id) = find(text)? {
            return Ok(id);
        }
        self.connection.prepare_cached(insert)?.execute((self.session, text))?;
        Ok(self.connection.last_insert_rowid())
    }

    fn is_full(&self) -> rusqlite::Result<bool> {
        let count: i64 = self
            .connection
            .prepare_cached(
                "SELECT (SELECT count(*) FROM usage_client WHERE session = ?1)
                      + (SELECT count(*) FROM usage_name WHERE session = ?1)",
            )?
            .query_row([self.session], |row| row.get(0))?;
        Ok(count >= MOST_STRINGS)
    }
}

fn source_code(source: Source) -> u8 {
    match source {
        Source::Event => 0,
        Source::Metric => 1,
    }
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
