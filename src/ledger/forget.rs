//! Removes facts: those that a person wants forgotten, and those older than the ledger keeps.

use std::collections::{BTreeSet, HashSet};

use rusqlite::Connection;

use super::block::quarter;
use super::family::Family;
use super::row::TABLES;
use super::{DAY, QUARTER, balance, block, gauge, sums, tombstone};

/// What to forget: the facts of a person, a session or a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forget<'a> {
    /// A person.
    Person(&'a str),
    /// A session: Claude Code's or ours.
    Session(&'a str),
    /// A project's absolute directory.
    Project(&'a str),
}

/// The number of removed facts and sums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// Facts.
    pub facts: usize,
    /// Sums of metrics, each of a quarter of an hour.
    pub counters: usize,
}

impl<'a> Forget<'a> {
    /// The name of the person, session or project.
    pub(super) fn name(self) -> &'a str {
        self.parts().2
    }

    fn parts(self) -> (&'static str, &'static str, &'a str) {
        match self {
            Self::Person(name) => ("person", "person = ?1", name),
            Self::Session(name) => ("session", "session = ?1 OR ours = ?1", name),
            Self::Project(name) => ("project", "project = ?1", name),
        }
    }
}

/// Removes facts before a time, in Unix milliseconds, and leaves a tombstone. The connection should have
/// `secure_delete` on, so that no trace of them stays in the file.
pub fn forget(connection: &Connection, what: Forget<'_>, before: i64) -> rusqlite::Result<Forgotten> {
    let (kind, condition, name) = what.parts();
    let condition = condition.replace("?1", "(SELECT id FROM text WHERE text = ?1)");
    connection
        .execute_batch("CREATE TEMP TABLE IF NOT EXISTS forgotten (id INTEGER PRIMARY KEY); DELETE FROM forgotten")?;
    connection.execute(&format!("INSERT INTO forgotten SELECT id FROM context WHERE {condition}"), [name])?;
    tombstone::set(connection, (kind, name), before)?;
    gauge::forget(connection, Some(name).filter(|_| kind == "session"), before)?;
    delete(connection, before)
}

/// Removes the facts and metrics of some contexts before a time, in Unix milliseconds.
pub(super) fn of_contexts(
    connection: &Connection,
    contexts: &HashSet<i64>,
    before: i64,
) -> rusqlite::Result<Forgotten> {
    connection
        .execute_batch("CREATE TEMP TABLE IF NOT EXISTS forgotten (id INTEGER PRIMARY KEY); DELETE FROM forgotten")?;
    let mut insert = connection.prepare("INSERT INTO forgotten VALUES (?1)")?;
    contexts.iter().try_for_each(|context| insert.execute([context]).map(drop))?;
    gauge::forget(connection, None, before)?;
    delete(connection, before)
}

/// Removes all data of the contexts in the table `forgotten`.
fn delete(connection: &Connection, before: i64) -> rusqlite::Result<Forgotten> {
    let (mut forgotten, mut days) = (Forgotten::default(), BTreeSet::new());
    for table in TABLES {
        let found = format!("FROM {} WHERE at < ?1 AND context IN forgotten", table.name);
        let mut select = connection.prepare(&format!("SELECT DISTINCT day {found}"))?;
        for day in select.query_map([before], |row| row.get(0))? {
            days.insert(day?);
        }
        forgotten.facts += connection.execute(&format!("DELETE {found}"), [before])?;
    }
    let contexts: HashSet<i64> =
        connection.prepare("SELECT id FROM forgotten")?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    // A quarter of an hour that the time cuts is removed as a whole.
    let quarter = quarter(before.saturating_add(QUARTER - 1));
    for family in Family::OF_METRICS {
        forgotten.counters += remove(connection, family, &contexts, quarter)?;
    }
    sums::rebuild_days(connection, &days)?;
    clear(connection)?;
    Ok(forgotten)
}

/// Removes facts before that day (days since 1970, UTC), and the records of points that can no longer arrive again.
pub fn prune(connection: &Connection, keep_from: Option<i64>, today: i64) -> rusqlite::Result<usize> {
    // A client drops a point within seconds; a copied log may be read weeks later.
    connection.execute("DELETE FROM seen WHERE day > 0 AND day < ?1", [today - 40])?;
    let Some(day) = keep_from else { return Ok(0) };
    gauge::prune(connection, day * DAY)?;
    let mut removed = 0;
    for table in TABLES {
        removed += connection.execute(&format!("DELETE FROM {} WHERE day < ?1", table.name), [day])?;
    }
    for family in Family::ALL {
        let delete = format!("DELETE FROM {} WHERE id < ?1", family.table());
        let blocks = connection.execute(&delete, [block::first_id(day * (DAY / QUARTER))])?;
        removed += if family.is_of_metrics() { blocks } else { 0 };
    }
    if removed > 0 {
        balance::rebuild(connection)?;
        clear(connection)?;
    }
    Ok(removed)
}

/// Removes the sums of these contexts before a quarter of an hour, and returns their number.
fn remove(connection: &Connection, family: Family, contexts: &HashSet<i64>, before: i64) -> rusqlite::Result<usize> {
    let (mut removed, mut changed) = (0, Vec::new());
    sums::blocks(connection, family, |id, blob| {
        if contexts.contains(&block::context(id)) {
            let first = block::first_quarter(id);
            let (kept, count) = block::retain(blob, |entry| first + entry.quarter >= before);
            if count > 0 {
                removed += count;
                changed.push((id, kept));
            }
        }
        Ok(())
    })?;
    for (id, kept) in changed {
        if kept.is_empty() {
            connection.execute(&format!("DELETE FROM {} WHERE id = ?1", family.table()), [id])?;
        } else {
            let update = format!("UPDATE {} SET amounts = ?2 WHERE id = ?1", family.table());
            connection.execute(&update, (id, kept))?;
        }
    }
    Ok(removed)
}

/// Removes rows to which no fact and no metric refers any longer.
fn clear(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(
        "CREATE TEMP TABLE IF NOT EXISTS counted (context INTEGER PRIMARY KEY);
         CREATE TEMP TABLE IF NOT EXISTS named (id INTEGER PRIMARY KEY);
         DELETE FROM counted; DELETE FROM named",
    )?;
    let mut counted = HashSet::new();
    for family in Family::OF_METRICS {
        sums::blocks(connection, family, |_, blob| {
            block::each(blob, |entry, _| _ = counted.insert(entry.name));
            Ok(())
        })?;
        let select = format!("INSERT OR IGNORE INTO counted SELECT id & ?1 FROM {}", family.table());
        connection.execute(&select, [block::CONTEXT])?;
    }
    for name in counted {
        connection.execute("INSERT INTO named VALUES (?1)", [name])?;
    }
    connection.execute_batch(
        "DELETE FROM prompt WHERE id NOT IN (
             SELECT prompt FROM request UNION SELECT prompt FROM tool_call UNION SELECT prompt FROM decision
             UNION SELECT prompt FROM submission UNION SELECT prompt FROM moment);
         DELETE FROM context WHERE id NOT IN (
             SELECT context FROM counted UNION SELECT context FROM request
             UNION SELECT context FROM tool_call UNION SELECT context FROM decision
             UNION SELECT context FROM submission UNION SELECT context FROM moment);
         DELETE FROM start WHERE session NOT IN (SELECT session FROM context);
         DELETE FROM transcript WHERE session NOT IN (SELECT session FROM context);
         DELETE FROM cost_state WHERE session NOT IN (SELECT session FROM context);
         DELETE FROM copied WHERE session NOT IN (SELECT session FROM context);",
    )?;
    let texts = named();
    connection
        .execute_batch(&format!("DELETE FROM text WHERE id NOT IN ({texts}); DELETE FROM counted; DELETE FROM named"))
}

/// A statement that selects the ids of all texts that are referred to.
pub(super) fn named() -> String {
    let mut parts = Vec::new();
    let mut of = |table: &str, columns: &[&str]| {
        parts.extend(columns.iter().map(|column| format!("SELECT {column} FROM {table}")));
    };
    of("context", &super::CONTEXTS);
    of("kind", &super::KINDS);
    of("request", &["model"]);
    of("tool_call", &["tool", "mcp", "error", "revision"]);
    of("decision", &["tool", "source", "mode"]);
    of("submission", &["command"]);
    of("moment", &["event", "name"]);
    of("named", &["id"]);
    of("start", &["type"]);
    of("transcript", &["session", "parent"]);
    of("cost_state", &["model"]);
    of("copied", &["model"]);
    of("gauge", &["session"]);
    of("gauge_cause", &["cause"]);
    // The machine's own id always stays.
    parts.push("SELECT id FROM text, meta WHERE text.text = meta.machine".to_owned());
    parts.join(" UNION ")
}
