//! Finds the sessions that are automation: no person sits at them.

use std::collections::HashSet;

use rusqlite::Connection;

use crate::ledger::{DAY, Family, QUARTER, Quick, block};
use crate::report::dimension::Dimension;
use crate::report::query::Query;

/// The column of a context that is computed here.
pub(super) const AUTOMATION: &str = "automation";

/// Its keys.
pub(super) const NO: i64 = 1;
pub(super) const YES: i64 = 2;

/// How far beyond the range requests of its sessions are looked at, in quarters of an hour.
const AROUND: i64 = DAY / QUARTER;

/// The sessions whose entrypoint begins with `sdk-`, or of which a request has the `query_source` `sdk`. Requests are
/// looked at in the range of the queries and a day around it. Empty if no query asks for it.
pub(super) fn automated(connection: &Connection, queries: &[Query]) -> rusqlite::Result<HashSet<i64, Quick>> {
    let is_asked = |query: &Query| {
        let of_filter = query.filter.iter().map(|condition| condition.dimension);
        query.by.iter().copied().chain(of_filter).any(|dimension| dimension == Dimension::Automation)
    };
    if !queries.iter().any(is_asked) {
        return Ok(HashSet::default());
    }
    let mut sessions = by_entrypoint(connection)?;
    let kinds = kinds(connection)?;
    if kinds.is_empty() {
        return Ok(sessions);
    }
    let since = queries.iter().map(|query| query.range.since.map_or(i64::MIN, block::quarter)).min();
    let until = queries.iter().map(|query| query.range.until.map_or(i64::MAX, block::quarter)).max();
    let range = (
        block::first_id(since.unwrap_or(i64::MIN).saturating_sub(AROUND)),
        block::end_id(until.unwrap_or(i64::MAX).saturating_add(AROUND)),
    );
    let mut session = connection.prepare("SELECT session FROM context WHERE id = ?1")?;
    for context in contexts(connection, range, &kinds)? {
        sessions.insert(session.query_row([context], |row| row.get(0))?);
    }
    Ok(sessions)
}

fn by_entrypoint(connection: &Connection) -> rusqlite::Result<HashSet<i64, Quick>> {
    // `.` follows `-`, so that the index of texts is used.
    let mut find = connection.prepare(
        "SELECT DISTINCT session FROM context
         WHERE entrypoint IN (SELECT id FROM text WHERE text >= 'sdk-' AND text < 'sdk.')",
    )?;
    find.query_map([], |row| row.get(0))?.collect()
}

/// The kinds of requests that automation makes.
fn kinds(connection: &Connection) -> rusqlite::Result<HashSet<i64, Quick>> {
    let mut find = connection.prepare("SELECT k.id FROM kind k JOIN text t ON t.id = k.source WHERE t.text = 'sdk'")?;
    find.query_map([], |row| row.get(0))?.collect()
}

/// The contexts that have a sum of one of these kinds in a range of blocks.
fn contexts(
    connection: &Connection,
    range: (i64, i64),
    kinds: &HashSet<i64, Quick>,
) -> rusqlite::Result<HashSet<i64, Quick>> {
    let mut contexts = HashSet::default();
    for family in [Family::Model, Family::Twin] {
        let select = format!("SELECT id, amounts FROM {} WHERE id >= ?1 AND id < ?2", family.table());
        let mut statement = connection.prepare_cached(&select)?;
        let mut rows = statement.query(range)?;
        while let Some(row) = rows.next()? {
            let context = block::context(row.get(0)?);
            if contexts.contains(&context) {
                continue;
            }
            let mut has_kind = false;
            block::each(row.get_ref(1)?.as_blob()?, |entry, _| has_kind |= kinds.contains(&entry.kind));
            if has_kind {
                contexts.insert(context);
            }
        }
    }
    Ok(contexts)
}
