//! The statement for a query, and what is read from its answer.

use super::counters;
use super::events::{self, Family};
use super::schema::{Logs, Metrics};
use super::sql::columns;
use crate::ledger::QUARTER;
use crate::report::SourceError;
use crate::report::column::Column;
use crate::report::query::Query;
use crate::report::remote::store;
use crate::report::table::{Line, Table};
use crate::usage::{Amounts, MEASURES, Measure};

/// The most rows that an answer may have. Each takes half a kilobyte.
pub(super) const MOST_ROWS: usize = 250_000;

/// How many columns stand before the measures, and behind them.
const BEFORE: usize = 3;
const BEHIND: usize = 6;

/// A statement whose answer is one row for each group, and then one for the total.
pub(super) fn statement(
    logs: &Logs,
    metrics: Option<&Metrics>,
    query: &Query,
    zone: &str,
) -> Result<String, SourceError> {
    let mut rows = events::select(logs, query, zone)?;
    if let Some(metrics) = metrics.filter(|_| Family::of(query) == Family::All) {
        rows = format!("{rows} UNION ALL {}", counters::select(metrics, logs, query, zone)?);
    }
    let sums: Vec<_> = (0..MEASURES).map(|index| format!("sum(m{index}) AS s{index}")).collect();
    let sums = format!(
        "{}, uniqExactIf(c_s, c_s != '') AS n_sessions, min(c_at) AS n_first, max(c_at) AS n_last, \
         sum(bad) AS n_refused, count() AS n_rows",
        sums.join(", ")
    );
    let total = "1 AS is_total, '' AS g1, '' AS g2";
    if query.by.is_empty() {
        return Ok(format!("SELECT {total}, {sums}, 1 AS n_groups FROM ({rows}) FORMAT TabSeparated"));
    }
    let grouped = format!(
        "SELECT grouping(k1) AS is_total, k1 AS g1, k2 AS g2, {sums} FROM ({rows}) GROUP BY GROUPING SETS ((k1, k2), ())"
    );
    let shown = shown(query);
    let times = if is_by_time(query) { "g1, " } else { "" };
    // The total comes last: an answer without it is not whole.
    let order = match query.top.and_then(|top| Some((top, weight(query.sort)?))) {
        Some((top, weight)) => format!("is_total, {times}{weight} DESC, g1, g2 LIMIT {top} BY is_total"),
        None => "is_total".to_owned(),
    };
    Ok(format!(
        "SELECT *, countIf(is_total = 0) OVER () AS n_groups FROM ({grouped}) WHERE is_total = 1 OR ({shown}) ORDER BY {order} \
         FORMAT TabSeparated"
    ))
}

/// Which groups are shown, as for the ledger: prompts and the like have no model.
fn shown(query: &Query) -> String {
    let sum = |measure: Measure| format!("s{}", measure.index());
    let any = |measures: &[Measure]| {
        measures.iter().map(|measure| format!("{} != 0", sum(*measure))).collect::<Vec<_>>().join(" OR ")
    };
    if query.by.iter().any(|dimension| dimension.is_of_requests()) {
        use Measure::{CacheCreationTokens, CacheReadTokens, Cost, Errors, InputTokens, OutputTokens, Requests};
        return any(&[Requests, Errors, InputTokens, OutputTokens, CacheReadTokens, CacheCreationTokens, Cost]);
    }
    any(&Measure::ALL)
}

/// The SQL of a column that rows are sorted by. `None` for one that is no sum: its rows are sorted here.
fn weight(sort: Option<&Column>) -> Option<String> {
    let column = sort.or_else(|| Column::all().first())?;
    if column.name == "sessions" {
        return Some("n_sessions".to_owned());
    }
    let sums: Vec<_> = column.measures().iter().map(|measure| format!("s{}", measure.index())).collect();
    (column.is_sum() && !sums.is_empty()).then(|| format!("({})", sums.join(" + ")))
}

/// The total, its first and last time in Unix milliseconds, and how many numbers were refused.
type Total = (Line, Option<(i64, i64)>, i64);

/// Reads the rows of an answer.
#[derive(Debug, Default)]
pub(super) struct Rows {
    lines: Vec<Line>,
    total: Option<Total>,
    groups: usize,
}

impl Rows {
    /// Takes a line of the answer.
    pub(super) fn take(&mut self, line: &str, query: &Query) -> Result<(), String> {
        let columns = columns(line);
        if columns.len() != BEFORE + MEASURES + BEHIND {
            return Err(format!("it has {} columns instead of {}", columns.len(), BEFORE + MEASURES + BEHIND));
        }
        let number = |index: usize| columns[index].parse::<i64>().map_err(|_| "a number is not one".to_owned());
        let mut amounts: Amounts = [0; MEASURES];
        for (index, amount) in amounts.iter_mut().enumerate() {
            *amount = number(BEFORE + index)?;
        }
        let behind = BEFORE + MEASURES;
        let (sessions, groups) = (number(behind)?, number(behind + 5)?);
        self.groups = usize::try_from(groups).unwrap_or_default();
        let mut line = Line { keys: Vec::new(), amounts, sessions };
        if number(0)? != 0 {
            let span = (number(behind + 4)? > 0).then_some((number(behind + 1)?, number(behind + 2)?));
            self.total = Some((line, span, number(behind + 3)?));
            return Ok(());
        }
        let keys = columns[1..BEFORE].iter().take(query.by.len());
        line.keys = keys.map(|key| Some(key.clone()).filter(|key| !key.is_empty())).collect();
        if self.lines.len() >= MOST_ROWS {
            return Err(format!("it has more than {MOST_ROWS} rows: narrow the query, or ask for --top"));
        }
        self.lines.push(line);
        Ok(())
    }

    /// The table that the rows make.
    pub(super) fn finish(self, query: &Query) -> Result<(Table, i64), SourceError> {
        let (total, span, refused) = self.total.ok_or_else(|| store("its answer has no total: it broke off"))?;
        let mut lines = self.lines;
        sort(&mut lines, query);
        let top = query.top.unwrap_or(usize::MAX);
        lines.truncate(top);
        let more = if query.by.is_empty() { 0 } else { self.groups.saturating_sub(lines.len()) };
        let quarter = |at: i64| at.div_euclid(QUARTER) * QUARTER;
        let span = span.map(|(first, last)| (quarter(first), quarter(last) + QUARTER - 1));
        Ok((Table { by: query.by.clone(), lines, more, total, span, ..Table::default() }, refused))
    }
}

/// Whether rows come in order of time.
fn is_by_time(query: &Query) -> bool {
    query.sort.is_none() && query.by.first().is_some_and(|dimension| dimension.is_time())
}

/// Sorts rows as for the ledger: by the requested column, by default the most expensive first; times in order.
fn sort(lines: &mut [Line], query: &Query) {
    let by_time = is_by_time(query);
    let column = query.sort.or_else(|| Column::all().first());
    let weight = |line: &Line| column.map_or(0.0, |column| column.weight(line));
    let tools = |line: &Line| line.amount(Measure::ToolSuccesses).saturating_add(line.amount(Measure::ToolFailures));
    lines.sort_by(|one, other| {
        let times = if by_time { one.keys.first().cmp(&other.keys.first()) } else { std::cmp::Ordering::Equal };
        times
            .then_with(|| weight(other).total_cmp(&weight(one)))
            .then_with(|| other.tokens().cmp(&one.tokens()))
            .then_with(|| tools(other).cmp(&tools(one)))
            .then_with(|| one.keys.cmp(&other.keys))
    });
}
