//! Reads the sums of a range, and single facts for the parts of the range that are not whole quarters of an hour.

use std::collections::HashMap;

use rusqlite::{Connection, params_from_iter};

use super::contexts::{Contexts, Late, SESSION};
use super::group::{From, Groups};
use super::label::status_key;
use super::reader::{Names, Scanned};
use crate::ledger::block::{self, Told};
use crate::ledger::columns::request;
use crate::ledger::{
    CONTEXT, DAY, DECISION, Family, PROMPT, QUARTER, Quick, REQUEST, Row, SUBMISSION, TOOL, Table, WIDEST, Wins, shares,
};
use crate::report::dimension::Place;
use crate::report::query::{Query, Range};
use crate::usage::{MEASURES, Measure};

/// The whole quarters of an hour in a range, and the remainders before and after.
#[derive(Debug, PartialEq, Eq)]
struct Parts {
    /// From the first, up to but not including the second.
    whole: (i64, i64),
    /// Milliseconds since 1970, from the first, up to but not including the second.
    edges: Vec<(i64, i64)>,
}

fn parts(range: Range) -> Parts {
    let first = range.since.map_or(i64::MIN, after);
    let last = range.until.map_or(i64::MAX, |until| until.div_euclid(QUARTER));
    if first > last {
        // Both ends are in the same quarter.
        let edges = vec![(range.since.unwrap_or(i64::MIN), range.until.unwrap_or(i64::MAX))];
        return Parts { whole: (0, 0), edges };
    }
    let before = range.since.map(|since| (since, first * QUARTER));
    let after = range.until.map(|until| (last * QUARTER, until));
    let edges = before.into_iter().chain(after).filter(|(from, to)| from < to).collect();
    Parts { whole: (first, last), edges }
}

/// The first quarter of an hour that begins at or after a time.
fn after(at: i64) -> i64 {
    at.div_euclid(QUARTER) + i64::from(at.rem_euclid(QUARTER) > 0)
}

/// How a query is answered.
pub(super) struct Way {
    family: Family,
    /// The quarters of an hour to read sums for. Empty if only facts have the requested values.
    whole: (i64, i64),
    /// The ranges to read from single facts, in milliseconds.
    edges: Vec<(i64, i64)>,
    /// Whether requests are grouped by how they ended. Sums do not record that for failed requests.
    by_status: bool,
    /// The quarters of an hour to read metrics for.
    metrics: (i64, i64),
    /// Whether the range begins or ends within a quarter of an hour.
    pub(super) cuts: bool,
}

impl Way {
    pub(super) fn of(query: &Query) -> Self {
        let places = || query.by.iter().chain(query.filter.iter().map(|condition| &condition.dimension));
        let is_there = |place: Place| places().any(|dimension| dimension.place() == place);
        let of_tools = places().any(|dimension| dimension.is_of_tools());
        let by_prompt = is_there(Place::Prompt);
        let family = match (of_tools, by_prompt) {
            (true, _) => Family::Tool,
            (_, true) => Family::Prompt,
            _ => Family::Model,
        };
        let Parts { mut whole, mut edges } = parts(query.range);
        let cuts = !edges.is_empty();
        if of_tools && by_prompt {
            whole = (0, 0);
            edges = vec![(query.range.since.unwrap_or(i64::MIN), query.range.until.unwrap_or(i64::MAX))];
        }
        // Metrics are counted by quarter. The quarter in which the range ends is included, because later data rarely
        // exists yet. The quarter in which the range begins is not.
        let metrics = (query.range.since.map_or(i64::MIN, after), query.range.until.map_or(i64::MAX, after));
        Self { family, whole, edges, by_status: is_there(Place::Status), metrics, cuts }
    }

    /// The quarters of an hour to read for a family's sums.
    fn range(&self, family: Family) -> (i64, i64) {
        let of_tools = self.family == Family::Tool;
        match family {
            Family::ToolTwin if of_tools => self.metrics,
            Family::Counter | Family::Twin if !of_tools => self.metrics,
            family if family == self.family => self.whole,
            _ => (0, 0),
        }
    }
}

/// Reads everything for queries that share one filter.
pub(super) struct Scan<'a> {
    pub(super) connection: &'a Connection,
    pub(super) contexts: Contexts<'a>,
    pub(super) late: Late,
    pub(super) names: Names,
    pub(super) wins: &'a HashMap<i64, Wins, Quick>,
}

impl Scan<'_> {
    pub(super) fn run(&mut self, asked: &mut [(Way, Groups)]) -> rusqlite::Result<()> {
        for (way, _) in asked.iter_mut().filter(|(way, _)| way.by_status) {
            // Only facts record whether usage was imported as one sum.
            let mut sums = self.connection.prepare("SELECT 1 FROM request WHERE outcome != 0 AND outcome = 4")?;
            if sums.exists([])? {
                let (first, last) = std::mem::take(&mut way.whole);
                way.edges.push((first.saturating_mul(QUARTER), last.saturating_mul(QUARTER)));
                way.by_status = false;
            }
        }
        for family in Family::ALL {
            let is_lost = matches!(family, Family::Twin | Family::ToolTwin) && self.wins.is_empty();
            let mut reading: Vec<_> = asked
                .iter_mut()
                .map(|(way, groups)| Reading { range: way.range(family), by_status: way.by_status, groups })
                .filter(|reading| reading.range.0 < reading.range.1 && !is_lost)
                .collect();
            if !reading.is_empty() {
                self.blocks(family, &mut reading)?;
            }
        }
        for (way, groups) in asked {
            for edge in &way.edges {
                self.facts(way.family, *edge, Which::All, groups)?;
            }
            if way.by_status {
                let (first, last) = way.whole;
                let range = (first.saturating_mul(QUARTER), last.saturating_mul(QUARTER));
                self.facts(way.family, range, Which::Failed, groups)?;
            }
        }
        Ok(())
    }

    fn blocks(&mut self, family: Family, readings: &mut [Reading<'_>]) -> rusqlite::Result<()> {
        let first = readings.iter().map(|reading| reading.range.0).min().unwrap_or_default();
        let last = readings.iter().map(|reading| reading.range.1).max().unwrap_or_default();
        let select = format!("SELECT id, amounts FROM {} WHERE id >= ?1 AND id < ?2", family.table());
        let mut statement = self.connection.prepare_cached(&select)?;
        let mut rows = statement.query((block::first_id(first), block::end_id(last)))?;
        let from = match family {
            Family::Counter => From::Counters,
            Family::Twin | Family::ToolTwin => From::Twins,
            _ => From::Events,
        };
        let mut counted = [(0, 0); MEASURES];
        while let Some(row) = rows.next()? {
            let id: i64 = row.get(0)?;
            let begin = block::first_quarter(id);
            let Some(context) = self.contexts.get(block::context(id))? else { continue };
            let wins = self.wins.get(&context[SESSION]);
            if from == From::Twins && wins.is_none() {
                continue;
            }
            for reading in readings.iter_mut() {
                reading.groups.begin(context);
            }
            let (late, names, connection) = (&mut self.late, &mut self.names, self.connection);
            let mut failed = None;
            let blob = row.get_ref(1)?;
            block::each(blob.as_blob()?, |entry, told| {
                let block::Entry { quarter, name, kind, prompt } = entry;
                let is_answered = from == From::Events && told.first().is_some_and(|(index, _)| *index == REQUESTS);
                let status = if is_answered { status_key(0, 0) } else { 0 };
                let row = Scanned { quarter: begin + quarter, name, kind, prompt, status };
                match late.lets(connection, &row, names) {
                    Ok(true) => {}
                    Ok(false) => return,
                    Err(error) => return failed = Some(error),
                }
                let bits = wins.map_or(0, |wins| bits(wins, family, name));
                let Some(told) = counts(from, bits, told, &mut counted) else { return };
                for reading in readings.iter_mut() {
                    if (reading.range.0..reading.range.1).contains(&row.quarter) {
                        reading.add(from, &row, told, names);
                    }
                }
            });
            if let Some(error) = failed {
                return Err(error);
            }
        }
        Ok(())
    }

    /// Reads single facts of a range, in milliseconds.
    fn facts(
        &mut self,
        family: Family,
        (from, to): (i64, i64),
        which: Which,
        groups: &mut Groups,
    ) -> rusqlite::Result<()> {
        let (tables, condition): (&[&Table], _) = match (which, family) {
            (Which::Failed, _) => (&[&REQUEST], " AND outcome != 0 AND outcome = 1"),
            (_, Family::Tool) => (&[&TOOL, &DECISION], ""),
            _ => (&[&REQUEST, &TOOL, &DECISION, &SUBMISSION], ""),
        };
        for table in tables {
            let select = format!(
                "SELECT {} FROM {} WHERE day >= ?1 AND day <= ?2 AND at >= ?3 AND at < ?4{condition}",
                table.columns.join(", "),
                table.name
            );
            let mut statement = self.connection.prepare_cached(&select)?;
            let days = (from.div_euclid(DAY), to.div_euclid(DAY));
            let mut rows = statement.query(params_from_iter([days.0, days.1, from, to]))?;
            while let Some(found) = rows.next()? {
                let mut row: Row = [0; WIDEST];
                for (index, value) in row.iter_mut().enumerate().take(table.columns.len()) {
                    *value = found.get(index)?;
                }
                self.fact(table, &row, family, groups)?;
            }
        }
        Ok(())
    }

    /// Adds one fact.
    fn fact(&mut self, table: &Table, row: &Row, family: Family, groups: &mut Groups) -> rusqlite::Result<()> {
        let mut found = None;
        shares(table, row, |key, amounts| {
            if key.family == family {
                let mut told = [(0, 0); MEASURES];
                let some = amounts.iter().filter(|(_, amount)| *amount != 0);
                let count = some.zip(&mut told).map(|((measure, amount), to)| *to = (measure.index(), *amount)).count();
                found = Some((key, told, count));
            }
        });
        let Some((key, told, count)) = found else { return Ok(()) };
        let status = if *table == REQUEST { status_key(row[request::OUTCOME], row[request::STATUS]) } else { 0 };
        let scanned = Scanned { quarter: key.quarter, name: key.name, kind: key.kind, prompt: row[PROMPT], status };
        let Some(context) = self.contexts.get(row[CONTEXT])? else { return Ok(()) };
        if !self.late.lets(self.connection, &scanned, &mut self.names)? {
            return Ok(());
        }
        let bits = self.wins.get(&context[SESSION]).map_or(0, |wins| bits(wins, family, key.name));
        if let Some(told) = counts(From::Events, bits, &told[..count], &mut [(0, 0); MEASURES]) {
            groups.begin(context);
            groups.add(From::Events, &scanned, told, &mut self.names);
        }
        Ok(())
    }
}

/// The facts to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    All,
    /// Requests that failed for good.
    Failed,
}

/// A query that reads sums.
struct Reading<'a> {
    range: (i64, i64),
    by_status: bool,
    groups: &'a mut Groups,
}

/// The places of answered and failed requests.
const REQUESTS: usize = Measure::Requests.index();
const ERRORS: usize = Measure::Errors.index();

impl Reading<'_> {
    fn add(&mut self, from: From, row: &Scanned, told: Told<'_>, names: &mut Names) {
        if !self.by_status || told.iter().all(|(index, _)| *index != ERRORS) {
            return self.groups.add(from, row, told, names);
        }
        let without: Vec<_> = told.iter().copied().filter(|(index, _)| *index != ERRORS).collect();
        if !without.is_empty() {
            self.groups.add(from, row, &without, names);
        }
    }
}

/// The measures for which metrics report more than events, for a model or tool.
pub(super) fn bits(wins: &Wins, family: Family, name: i64) -> i64 {
    let of_tools = matches!(family, Family::Tool | Family::ToolTwin);
    wins.iter().find(|(of, _)| *of == (of_tools, name)).map_or(0, |(_, bits)| *bits)
}

/// The amounts that count, or `None` if there are none. `bits` are the measures for which metrics report more.
pub(super) fn counts<'a>(
    from: From,
    bits: i64,
    told: Told<'a>,
    kept: &'a mut [(usize, i64); MEASURES],
) -> Option<Told<'a>> {
    if from == From::Counters || from == From::Events && bits == 0 {
        return Some(told);
    }
    let is_won = |index: usize| Measure::ALL[index].twice().is_some_and(|twice| bits & 1 << twice != 0);
    let those = told.iter().filter(|(index, _)| is_won(*index) == (from == From::Twins));
    let count = those.zip(kept.iter_mut()).map(|(told, to)| *to = *told).count();
    // Events still prove that their session was active, even if metrics report more.
    (count > 0 || from == From::Events).then(|| &kept[..count])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_split_into_whole_quarters_and_the_rest() {
        let range = |since, until| parts(Range { since, until });
        assert_eq!(range(None, None), Parts { whole: (i64::MIN, i64::MAX), edges: vec![] });
        assert_eq!(range(Some(QUARTER), Some(3 * QUARTER)), Parts { whole: (1, 3), edges: vec![] });
        assert_eq!(
            range(Some(1), Some(3 * QUARTER + 7)),
            Parts { whole: (1, 3), edges: vec![(1, QUARTER), (3 * QUARTER, 3 * QUARTER + 7)] }
        );
        assert_eq!(range(Some(5), Some(9)), Parts { whole: (0, 0), edges: vec![(5, 9)] });
    }
}
