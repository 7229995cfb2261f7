//! The ledger: what Claude Code used, in quarters of an hour.
//!
//! It grows with the hours worked, not with the requests made: single records are added to a quarter's sum, and what
//! tells a repetition is forgotten with its session. A quarter is the finest step by which time zones differ, so that
//! the days of every one of them add up exactly.

use std::collections::HashMap;

use jiff::{Timestamp, tz::TimeZone};
use rusqlite::{Connection, OptionalExtension, Row, named_params};

use crate::usage::report::{Client, Quarter, Query, Report, Rows, Tally};
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
    let mut sums: HashMap<Key<'_>, i64> = HashMap::new();
    for usage in usage {
        let Some(before) = see(connection, session, usage)? else { continue };
        for &(measure, amount) in &usage.amounts {
            *sums.entry(Key::new(usage, measure)).or_default() += amount - before;
        }
    }
    let mut strings = Strings { connection, session, clients: HashMap::new(), names: HashMap::new() };
    for (key, amount) in sums {
        let client = strings.client(key.client)?;
        let name = strings.name(key.name)?;
        connection
            .prepare_cached(
                "INSERT INTO usage (slot, client, source, measure, name, amount) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT DO UPDATE SET amount = amount + excluded.amount",
            )?
            .execute((key.slot, client, source_code(key.source), key.measure.code(), name, amount))?;
        if key.measure == Measure::Requests {
            connection
                .prepare_cached("UPDATE usage_client SET has_requests = 1 WHERE id = ?1 AND has_requests = 0")?
                .execute([client])?;
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
pub fn report(connection: &Connection, query: &Query, zone: &TimeZone) -> rusqlite::Result<Report> {
    let rows = Rows {
        clients: clients(connection)?,
        tallies: tallies(connection, query)?,
        quarters: quarters(connection, query)?,
    };
    Ok(Report::new(&rows, zone))
}

/// One row of the ledger.
#[derive(PartialEq, Eq, Hash)]
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

/// Notes that this came, and says how much of its amount is known already; none if all of it is.
fn see(connection: &Connection, session: &str, usage: &Usage) -> rusqlite::Result<Option<i64>> {
    let amount = usage.amounts.first().map_or(0, |(_, amount)| *amount);
    let before: Option<i64> = connection
        .prepare_cached("SELECT amount FROM usage_seen WHERE session = ?1 AND identity = ?2")?
        .query_row((session, usage.identity), |row| row.get(0))
        .optional()?;
    let known = before.is_some_and(|before| !usage.cumulative || before >= amount);
    if known {
        return Ok(None);
    }
    connection
        .prepare_cached("INSERT OR REPLACE INTO usage_seen (session, identity, amount) VALUES (?1, ?2, ?3)")?
        .execute((session, usage.identity, amount))?;
    Ok(Some(before.unwrap_or_default()))
}

/// The ids that strings have in the ledger, remembered for one insertion.
struct Strings<'a> {
    connection: &'a Connection,
    session: &'a str,
    clients: HashMap<&'a str, i64>,
    names: HashMap<&'a str, i64>,
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

/// Everybody who used something, by the ledger's id.
fn clients(connection: &Connection) -> rusqlite::Result<HashMap<i64, Client>> {
    let mut statement = connection.prepare(
        "SELECT c.id, c.session, c.client, c.has_requests, coalesce(s.profile, ''), s.team, coalesce(s.project, ''), s.branch
         FROM usage_client c LEFT JOIN session s ON s.id = c.session",
    )?;
    let client = |row: &Row<'_>| {
        let client = Client {
            session: row.get(1)?,
            claude_session: row.get(2)?,
            has_requests: row.get(3)?,
            profile: row.get(4)?,
            team: row.get(5)?,
            project: row.get(6)?,
            branch: row.get(7)?,
        };
        Ok((row.get(0)?, client))
    };
    statement.query_map([], client)?.collect()
}

/// What a query selects. Of tokens, cost and edits, which events and metrics both count, only those of one source.
const SELECTED: &str = "
FROM usage u CROSS JOIN usage_client c ON c.id = u.client LEFT JOIN session s ON s.id = c.session
WHERE u.slot >= :since AND u.slot < :until
  AND (:project IS NULL OR s.project = :project OR substr(s.project, 1, length(:project) + 1) = :project || '/')
  AND (:profile IS NULL OR s.profile = :profile)
  AND (:team IS NULL OR s.team = :team)
  AND (:branch IS NULL OR s.branch = :branch)
  AND (:session IS NULL OR c.session = :session OR c.client = :session)
  AND (u.measure NOT IN (2, 3, 4, 5, 6, 11, 12) OR (u.source = 0) = c.has_requests)
";

fn tallies(connection: &Connection, query: &Query) -> rusqlite::Result<Vec<Tally>> {
    let columns = "SELECT u.measure, CAST(total(u.amount) AS INTEGER), u.client,
                          (SELECT n.name FROM usage_name n WHERE n.id = u.name)";
    select(connection, query, columns, "GROUP BY u.client, u.measure, u.name", |measure, amount, row| {
        Ok(Tally { client: row.get(2)?, name: row.get(3)?, measure, amount })
    })
}

fn quarters(connection: &Connection, query: &Query) -> rusqlite::Result<Vec<Quarter>> {
    let columns = "SELECT u.measure, CAST(total(u.amount) AS INTEGER), u.slot";
    select(connection, query, columns, "GROUP BY u.slot, u.measure", |measure, amount, row| {
        let at = Timestamp::from_millisecond(row.get::<_, i64>(2)?.saturating_mul(SLOT)).unwrap_or(Timestamp::MAX);
        Ok(Quarter { at, measure, amount })
    })
}

/// Rows whose first two columns are measure and amount. Measures that a newer version wrote are left out.
fn select<T>(
    connection: &Connection,
    query: &Query,
    columns: &str,
    group: &str,
    make: impl Fn(Measure, i64, &Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    let mut statement = connection.prepare(&format!("{columns}{SELECTED}{group}"))?;
    let mut rows = statement.query(named_params! {
        ":since": query.since.map_or(i64::MIN, |since| since.as_millisecond().div_euclid(SLOT)),
        ":until": query.until.map_or(i64::MAX, |until| (until.as_millisecond() + SLOT - 1).div_euclid(SLOT)),
        ":project": query.project,
        ":profile": query.profile,
        ":team": query.team,
        ":branch": query.branch,
        ":session": query.session,
    })?;
    let mut selected = Vec::new();
    while let Some(row) = rows.next()? {
        if let Some(measure) = Measure::from_code(row.get(0)?) {
            selected.push(make(measure, row.get(1)?, row)?);
        }
    }
    Ok(selected)
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
