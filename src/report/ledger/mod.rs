//! Reads this machine's ledger.
//!
//! Sums are added up here, because SQL's GROUP BY over the same rows takes 2.5 to 9 times as long. Quarters of an hour
//! that the range cuts are read from single facts. So are values that only single facts have.

mod automation;
mod contexts;
mod details;
mod group;
mod label;
mod lasting;
mod present;
mod reader;
mod reconcile;
mod rows;
mod scan;
mod steps;

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeSet, HashMap};

use jiff::tz::TimeZone;
use rusqlite::{Connection, OptionalExtension};

use super::dimension::{Dimension, Place};
use super::query::{Query, Range};
use super::table::{Coverage, Line, Table};
use super::{Details, Source, SourceError, Story, StoryOf};
use crate::ledger::{Quick, Wins, by_metrics, is_forgotten};
use crate::usage::{Basis, Measure};
use contexts::{Contexts, Late, expression};
use group::{Groups, Keys};
use label::label;
use reader::Names;
use scan::{Scan, Way};

pub use lasting::{Lasting, LastingSessions, LastingSum};
pub use present::{Here, Present};
use steps::prompt;
pub use steps::session;

/// The ledger as of one moment.
pub struct LedgerSource<'a> {
    connection: &'a Connection,
    wins: HashMap<i64, Wins, Quick>,
}

impl<'a> LedgerSource<'a> {
    /// Opens the ledger as a snapshot. Later writes by other processes are not visible.
    pub fn new(connection: &'a Connection) -> Result<Self, SourceError> {
        connection.execute_batch("BEGIN")?;
        Ok(Self { connection, wins: by_metrics(connection)? })
    }
}

impl Drop for LedgerSource<'_> {
    fn drop(&mut self) {
        // Nothing was written, so an error does not matter.
        drop(self.connection.execute_batch("COMMIT"));
    }
}

impl Source for LedgerSource<'_> {
    fn answers(&self, queries: &[Query]) -> Result<Vec<Table>, SourceError> {
        let Some(first) = queries.first() else { return Ok(Vec::new()) };
        let is_alike = |query: &Query| query.filter == first.filter && query.zone == first.zone;
        if !queries.iter().all(is_alike) {
            return queries.iter().map(|query| self.answer(query)).collect();
        }
        queries.iter().try_for_each(go_together)?;
        let asked = self.scan(queries, first)?;
        queries.iter().zip(asked).map(|(query, (way, groups))| self.table(query, &way, &groups)).collect()
    }

    fn details(&self, query: &Query) -> Result<Details, SourceError> {
        Ok(details::read(self.connection, query)?)
    }

    fn values(&self, dimension: Dimension) -> Result<Vec<String>, SourceError> {
        let select = match dimension.place() {
            Place::Context(automation::AUTOMATION) => return Ok(["no", "yes"].map(str::to_owned).to_vec()),
            Place::Context(column) => format!("SELECT DISTINCT {} FROM context", expression(column)),
            Place::Kind(column) => format!("SELECT DISTINCT {column} FROM kind"),
            Place::Model | Place::Tool | Place::Server => {
                let query = Query { by: vec![dimension], ..Query::new(TimeZone::UTC) };
                let lines = self.answer(&query)?.lines.into_iter();
                let mut values: Vec<_> = lines.filter_map(|mut line| line.keys.pop()?).collect();
                values.sort_unstable();
                return Ok(values);
            }
            Place::Time | Place::Prompt | Place::Status => return Ok(Vec::new()),
        };
        let mut statement = self.connection.prepare(&select)?;
        let keys = statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<i64>>>()?;
        let mut values = Vec::new();
        for key in keys {
            values.extend(label(self.connection, dimension, key)?);
        }
        values.sort_unstable();
        Ok(values)
    }

    fn stories(&self, of: StoryOf, prefix: &str) -> Result<Vec<Story>, SourceError> {
        Ok(match of {
            StoryOf::Session => session(self.connection, prefix)?,
            StoryOf::Prompt => prompt(self.connection, prefix)?,
        })
    }
}

impl LedgerSource<'_> {
    /// Reads what queries ask for. They share the filter and the zone of the first.
    fn scan(&self, queries: &[Query], first: &Query) -> rusqlite::Result<Vec<(Way, Groups)>> {
        let contexts = Contexts::new(self.connection, queries)?;
        let mut asked: Vec<_> = queries.iter().map(|query| (Way::of(query), Groups::new(query, &contexts))).collect();
        let late = Late::new(&contexts, &first.filter);
        let names = Names::read(self.connection, first.zone.clone())?;
        Scan { connection: self.connection, contexts, late, names, wins: &self.wins }.run(&mut asked)?;
        Ok(asked)
    }

    /// The cost in a range, in billionths of a US dollar: of everything, and of one of Claude Code's sessions. Sums
    /// alone are read if the range begins with a quarter of an hour and has no end.
    pub fn spent(&self, range: Range, session: &str) -> rusqlite::Result<[i64; 2]> {
        let query = Query { by: vec![Dimension::Session], range, ..Query::new(TimeZone::UTC) };
        let mut find = self.connection.prepare("SELECT id FROM text WHERE text = ?1")?;
        let session: Option<i64> = find.query_row([session], |row| row.get(0)).optional()?;
        let mut spent = [0_i64; 2];
        for (_, groups) in self.scan(std::slice::from_ref(&query), &query)? {
            let rows = groups.rows();
            for row in 0..rows.len() {
                let cost = rows.line(row).amount(Measure::Cost);
                spent[0] = spent[0].saturating_add(cost);
                if session == Some(rows.keys(row)[0]) {
                    spent[1] = spent[1].saturating_add(cost);
                }
            }
        }
        Ok(spent)
    }

    /// How many of these Claude Code sessions are in the ledger, or `None` if the set is empty. Sessions that the user
    /// deleted do not count as missing.
    pub fn coverage(&self, sessions: &BTreeSet<String>) -> Result<Option<Coverage>, SourceError> {
        let mut find = self.connection.prepare("SELECT 1 FROM text WHERE text = ?1")?;
        let mut coverage = Coverage { known: 0, all: 0 };
        for session in sessions {
            let is_known = find.exists([session])?;
            if is_known || !is_forgotten(self.connection, session)? {
                coverage.known += usize::from(is_known);
                coverage.all += 1;
            }
        }
        Ok(Some(coverage).filter(|coverage| coverage.all > 0))
    }

    /// The current value of each dimension, as the ledger has it.
    pub fn present(&self, here: &Here) -> Result<Present, SourceError> {
        Ok(Present::find(self.connection, here)?)
    }

    fn table(&self, query: &Query, way: &Way, groups: &Groups) -> Result<Table, SourceError> {
        let total = groups.total();
        let mut notes = notes(query, &total, groups.by_metrics(), groups.has_counters() && way.cuts);
        notes.extend(refused(self.connection, query)?);
        notes.extend(without_cost(self.connection, query)?);
        let (lines, more) = sorted(groups, query);
        let lines =
            lines.into_iter().map(|(keys, line)| self.named(query, keys, line)).collect::<rusqlite::Result<_>>()?;
        Ok(Table { by: query.by.clone(), lines, more, total, span: groups.span(), notes, coverage: None })
    }

    fn named(&self, query: &Query, keys: Keys, mut line: Line) -> rusqlite::Result<Line> {
        for (dimension, key) in query.by.iter().zip(keys) {
            line.keys.push(label(self.connection, *dimension, key)?);
        }
        Ok(line)
    }
}

/// Rejects queries that combine both: a tool run records neither the model that asked for it nor how a request ended.
fn go_together(query: &Query) -> Result<(), SourceError> {
    let named = || query.by.iter().copied().chain(query.filter.iter().map(|condition| condition.dimension));
    match (named().find(|dimension| dimension.is_of_tools()), named().find(|dimension| dimension.is_of_requests())) {
        (Some(tool), Some(other)) => Err(SourceError::Apart(tool.name(), other.name())),
        _ => Ok(()),
    }
}

/// Sorts rows by the requested column, by default the most expensive first; days and other times come in order. Ties
/// are broken by tokens, then by tool runs, then by the order of first appearance. Returns at most as many rows as
/// requested, and how many more there are.
fn sorted(groups: &Groups, query: &Query) -> (Vec<(Keys, Line)>, usize) {
    let rows = groups.rows();
    let by_time = query.sort.is_none() && query.by.first().is_some_and(|dimension| dimension.is_time());
    let column = query.sort.or(super::column::Column::all().first());
    let rank = |row| {
        let line = rows.line(row);
        let weight = column.map_or(0.0, |column| column.weight(&line));
        groups.shows(&line).then(|| (if by_time { rows.keys(row)[0] } else { 0 }, weight, row))
    };
    let rest = |row| {
        let line = rows.line(row);
        let [succeeded, failed] = [Measure::ToolSuccesses, Measure::ToolFailures].map(|measure| line.amount(measure));
        (Reverse((line.tokens(), succeeded.saturating_add(failed))), rows.keys(row))
    };
    let compare = |(time, weight, row): &Rank, (other_time, other_weight, other): &Rank| -> Ordering {
        time.cmp(other_time).then_with(|| other_weight.total_cmp(weight)).then_with(|| rest(*row).cmp(&rest(*other)))
    };
    let mut ranks: Vec<Rank> = (0..rows.len()).filter_map(rank).collect();
    let more = query.top.map_or(0, |top| ranks.len().saturating_sub(top));
    if more > 0 {
        let top = ranks.len() - more;
        ranks.select_nth_unstable_by(top, compare);
        ranks.truncate(top);
    }
    ranks.sort_unstable_by(compare);
    (ranks.into_iter().map(|(_, _, row)| (rows.keys(row), rows.line(row))).collect(), more)
}

/// The sort key of a row: time, weight, and the row's number.
type Rank = (i64, f64, usize);

/// Notes that a reader needs to interpret the numbers.
fn notes(query: &Query, total: &Line, by_metrics: usize, cuts_counters: bool) -> Vec<String> {
    let mut notes = Vec::new();
    if total.amount(Measure::Cost) > 0 {
        notes.push("cost is Claude Code's own estimate, at list or managed prices".to_owned());
    }
    match by_metrics {
        0 => {}
        count => notes.push(format!(
            "metrics tell more than events of {count} {}: their numbers are taken from metrics, which count no requests",
            if count == 1 { "session" } else { "sessions" }
        )),
    }
    if by_metrics > 0 && query.by.iter().any(|dimension| dimension.place() == Place::Prompt) {
        notes.push("metrics do not say which prompt they belong to".to_owned());
    }
    if cuts_counters {
        notes.push("active time, lines, commits and pull requests are counted by quarters of an hour".to_owned());
    }
    notes
}

/// A note on numbers that cannot be true.
fn refused(connection: &Connection, query: &Query) -> rusqlite::Result<Option<String>> {
    let day = |moment: Option<i64>, other| moment.map_or(other, |moment| moment.div_euclid(crate::ledger::DAY));
    let count: i64 = connection.query_row(
        "SELECT coalesce(sum(count), 0) FROM refused WHERE day BETWEEN ?1 AND ?2",
        (day(query.range.since, i64::MIN), day(query.range.until, i64::MAX)),
        |row| row.get(0),
    )?;
    Ok((count > 0).then(|| format!("{count} numbers or times that cannot be true were left out")))
}

/// Notes on imported requests without a cost, and on requests with a price that the user gave.
fn without_cost(connection: &Connection, query: &Query) -> rusqlite::Result<Vec<String>> {
    let mut notes = Vec::new();
    let range = (query.range.since.unwrap_or(i64::MIN), query.range.until.unwrap_or(i64::MAX));
    for (basis, is_none) in [(Basis::None, true), (Basis::Priced, false)] {
        let count: i64 = connection
            .prepare_cached(
                "SELECT count(*) FROM request WHERE (basis = 1 OR basis = 3) AND basis = ?1 AND at >= ?2 AND at < ?3",
            )?
            .query_row((basis as i64, range.0, range.1), |row| row.get(0))?;
        match (count, is_none) {
            (0, _) => {}
            (count, true) => notes.push(format!(
                "{count} imported {} no cost, since the session ended without one: see `ccrun import --prices`",
                if count == 1 { "request has" } else { "requests have" }
            )),
            (count, false) => notes.push(format!(
                "the cost of {count} imported {} is by the list of prices that was given",
                if count == 1 { "request" } else { "requests" }
            )),
        }
    }
    Ok(notes)
}

#[cfg(test)]
pub(crate) mod tests;
