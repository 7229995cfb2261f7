//! Rows of a table from the results of queries.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::super::column::Column;
use super::super::dimension::Dimension;
use super::super::query::Query;
use super::super::table::{Line, Table};
use super::answer::Series;
use super::bucket::{Windows, time};
use super::expression::{METRIC, is_of_starts, label};
use super::metric::{METRICS, SESSIONS, measure};
use crate::usage::{MEASURES, Measure};

/// Adds results up into rows.
#[derive(Debug)]
pub(super) struct Rows<'a> {
    query: &'a Query,
    found: BTreeMap<Vec<Option<String>>, Sums>,
    total: Sums,
    span: Option<(i64, i64)>,
    refused: usize,
}

/// The largest amount that can be true, in units of the ledger: a billion dollars.
const LARGEST: f64 = 1e18;

/// Sums of amounts. They are whole numbers only at the end, because a server's numbers are not.
#[derive(Clone, Debug)]
struct Sums {
    amounts: [f64; MEASURES],
    sessions: f64,
}

impl Default for Sums {
    fn default() -> Self {
        Self { amounts: [0.0; MEASURES], sessions: 0.0 }
    }
}

impl Sums {
    fn line(&self, keys: Vec<Option<String>>) -> Line {
        let mut line = Line { keys, sessions: whole(self.sessions), ..Line::default() };
        for (amount, sum) in line.amounts.iter_mut().zip(self.amounts) {
            *amount = whole(sum);
        }
        line
    }
}

/// The nearest whole number.
#[expect(clippy::cast_possible_truncation, reason = "a number beyond the range becomes the nearest in it")]
fn whole(number: f64) -> i64 {
    number.round() as i64
}

/// Whether a row is shown, as in a report of the ledger. Time and commits have neither a model nor a tool.
fn shows(by: &[Dimension], line: &Line) -> bool {
    let of_requests = by.iter().any(|dimension| dimension.is_of_requests());
    let is_of_no_tool = by.iter().zip(&line.keys).any(|(dimension, key)| dimension.is_of_tools() && key.is_none());
    let is_of_no_request = line.tokens() == 0 && line.amount(Measure::Cost) == 0;
    !(by.is_empty() || line.is_empty() || is_of_no_tool || of_requests && is_of_no_request)
}

impl<'a> Rows<'a> {
    pub(super) fn new(query: &'a Query) -> Self {
        Self { query, found: BTreeMap::new(), total: Sums::default(), span: None, refused: 0 }
    }

    /// Adds the growth of a series in each of the windows that it has a value for.
    pub(super) fn add(&mut self, series: &Series, windows: Windows) {
        let index = series.metric.get(METRIC).and_then(|index| index.parse::<usize>().ok());
        let Some(metric) = index.and_then(|index| METRICS.get(index)) else { return };
        let kind = |place: usize| {
            let held = metric.kinds.get(place).and_then(|kind| series.metric.get(*kind));
            held.map(String::as_str).unwrap_or_default()
        };
        let measure = measure(metric.name, kind(0), kind(1));
        let is_sessions = index == Some(SESSIONS);
        if measure.is_none() && !is_sessions {
            return;
        }
        // The start of a session lacks what only requests have. It counts in total, and in no row.
        let is_in_total_alone = is_sessions && !self.query.by.iter().all(|dimension| is_of_starts(*dimension));
        for (at, value) in &series.values {
            // The times of a result are its windows' ends.
            let start = whole(at * 1000.0) + 1 - windows.length;
            let amount = value.parse::<f64>().map(|value| value * metric.scale);
            let Some(amount) = amount.ok().filter(|amount| (0.0..LARGEST).contains(amount)) else {
                self.refused += 1;
                continue;
            };
            let Some(keys) = self.keys(series, start) else { continue };
            let add = |sums: &mut Sums| match measure {
                Some(measure) => sums.amounts[measure.index()] += amount,
                None => sums.sessions += amount,
            };
            add(&mut self.total);
            if !is_in_total_alone {
                add(self.found.entry(keys).or_default());
            }
            let (first, last) = self.span.unwrap_or((start, start));
            self.span = Some((first.min(start), last.max(start + windows.length)));
        }
    }

    /// The values of the dimensions, or `None` if the filter does not let them pass.
    fn keys(&self, series: &Series, start: i64) -> Option<Vec<Option<String>>> {
        let value = |dimension: Dimension| {
            let held = || series.metric.get(&label(dimension)).filter(|value| !value.is_empty()).cloned();
            if dimension.is_time() { time(dimension, start, &self.query.zone) } else { held() }
        };
        let passes = self.query.filter.iter().all(|condition| {
            let value = value(condition.dimension);
            let same = self.query.filter.iter().filter(|other| other.dimension == condition.dimension);
            same.into_iter().any(|other| other.matches(value.as_deref()))
        });
        passes.then(|| self.query.by.iter().map(|dimension| value(*dimension)).collect())
    }

    /// The table, with rows in the order that the query asks for.
    pub(super) fn table(self, mut notes: Vec<String>) -> Table {
        if self.refused > 0 {
            notes.push(format!("{} numbers that cannot be true were left out", self.refused));
        }
        let by = self.query.by.clone();
        let mut total = self.total.line(Vec::new());
        let mut lines: Vec<Line> = self.found.iter().map(|(keys, sums)| sums.line(keys.clone())).collect();
        lines.retain(|line| shows(&by, line));
        if by.contains(&Dimension::Session) {
            // Each process of a session that is resumed counts as a start.
            for line in &mut lines {
                line.sessions = 1;
            }
            let place = by.iter().position(|dimension| *dimension == Dimension::Session).unwrap_or_default();
            let mut sessions: Vec<_> = lines.iter().map(|line| &line.keys[place]).collect();
            sessions.sort_unstable();
            sessions.dedup();
            total.sessions = i64::try_from(sessions.len()).unwrap_or(i64::MAX);
        }
        let by_time = self.query.sort.is_none() && by.first().is_some_and(|dimension| dimension.is_time());
        let column = self.query.sort.or(Column::all().first());
        let weight = |line: &Line| column.map_or(0.0, |column| column.weight(line));
        lines.sort_by(|one, other| {
            let time = if by_time { one.keys.first().cmp(&other.keys.first()) } else { Ordering::Equal };
            let weights = || weight(other).total_cmp(&weight(one));
            time.then_with(weights)
                .then_with(|| other.tokens().cmp(&one.tokens()))
                .then_with(|| one.keys.cmp(&other.keys))
        });
        let more = self.query.top.map_or(0, |top| lines.len().saturating_sub(top));
        lines.truncate(lines.len() - more);
        Table { by, lines, more, total, span: self.span, notes, coverage: None }
    }
}
