//! Reads the ledger in one pass.
//!
//! The rows are sums already. Adding them up here costs one scan without sorting and serves all groups at once, days of
//! any time zone too; SQL's GROUP BY over the same joins took more than twice as long for two of the groups.

use std::collections::HashMap;

use jiff::Timestamp;
use rusqlite::{Connection, Row, named_params};

use super::SLOT;
use crate::usage::Measure;
use crate::usage::report::{Client, Quarter, Query, Rows, Tally};

/// What the query selects.
pub(super) fn rows(connection: &Connection, query: &Query) -> rusqlite::Result<Rows> {
    let clients = clients(connection, query)?;
    let (mut tallies, mut quarters) = (Sums::new(), Sums::new());
    let mut statement = connection
        .prepare("SELECT slot, client, source, measure, name, amount FROM usage WHERE slot >= ?1 AND slot < ?2")?;
    let mut rows = statement.query(slots(query))?;
    while let Some(row) = rows.next()? {
        let (slot, client, amount): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(5)?);
        let (Some(who), Some(measure)) = (clients.get(&client), Measure::from_code(row.get(3)?)) else { continue };
        if counts(who, row.get(2)?, measure) {
            add(&mut tallies, (client, row.get(4)?, measure), amount);
            add(&mut quarters, (slot, measure), amount);
        }
    }
    let names = names(connection)?;
    let tally = |((client, name, measure), amount)| {
        let name = names.get(&name).cloned().unwrap_or_default();
        Tally { client, name, measure, amount }
    };
    let quarter = |((slot, measure), amount)| {
        let at = Timestamp::from_millisecond(i64::saturating_mul(slot, SLOT)).unwrap_or_default();
        Quarter { at, measure, amount }
    };
    let tallies = tallies.into_iter().map(tally).collect();
    let quarters = quarters.into_iter().map(quarter).collect();
    Ok(Rows { clients, tallies, quarters })
}

type Sums<K> = HashMap<K, i64>;

fn add<K: std::hash::Hash + Eq>(sums: &mut Sums<K>, key: K, amount: i64) {
    let sum = sums.entry(key).or_default();
    *sum = sum.saturating_add(amount);
}

/// Of tokens, cost and edits, which events and metrics both count, only one source counts: the events if any request
/// came as one, else the metrics.
fn counts(client: &Client, source: u8, measure: Measure) -> bool {
    !measure.has_two_sources() || (source == 0) == client.has_requests
}

/// The first quarter of an hour that is asked for, and the first after it that is not.
fn slots(query: &Query) -> (i64, i64) {
    let since = query.since.map_or(i64::MIN, |since| since.as_millisecond().div_euclid(SLOT));
    let until = query.until.map_or(i64::MAX, |until| (until.as_millisecond() + SLOT - 1).div_euclid(SLOT));
    (since, until)
}

fn clients(connection: &Connection, query: &Query) -> rusqlite::Result<HashMap<i64, Client>> {
    let mut statement = connection.prepare(
        "SELECT c.id, c.session, c.client, c.has_requests, c.has_metrics,
                coalesce(s.profile, ''), s.team, coalesce(s.project, ''), s.branch
         FROM usage_client c LEFT JOIN session s ON s.id = c.session
         WHERE (:project IS NULL OR s.project = :project OR substr(s.project, 1, length(:project) + 1) = :project || '/')
           AND (:profile IS NULL OR s.profile = :profile)
           AND (:team IS NULL OR s.team = :team)
           AND (:branch IS NULL OR s.branch = :branch)
           AND (:session IS NULL OR c.session = :session OR c.client = :session)",
    )?;
    let parameters = named_params! {
        ":project": query.project.as_ref().map(|project| project.trim_end_matches('/')),
        ":profile": query.profile,
        ":team": query.team,
        ":branch": query.branch,
        ":session": query.session,
    };
    statement.query_map(parameters, |row| Ok((row.get(0)?, client(row)?)))?.collect()
}

fn client(row: &Row<'_>) -> rusqlite::Result<Client> {
    Ok(Client {
        session: row.get(1)?,
        claude_session: row.get(2)?,
        has_requests: row.get(3)?,
        has_metrics: row.get(4)?,
        profile: row.get(5)?,
        team: row.get(6)?,
        project: row.get(7)?,
        branch: row.get(8)?,
    })
}

fn names(connection: &Connection) -> rusqlite::Result<HashMap<i64, String>> {
    let mut statement = connection.prepare("SELECT id, name FROM usage_name")?;
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}
