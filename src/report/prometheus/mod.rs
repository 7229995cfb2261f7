//! Reads a report from Prometheus, or from what speaks its HTTP API, such as `VictoriaMetrics` and Mimir.
//!
//! A query becomes one expression over all metrics, which the server evaluates for each day, or hour, of the range. Days
//! are those of the reader. So the answer is as large as the report, however many series there are, and a counter that
//! started again is noticed. Metrics have no requests, errors, prompts and tool runs, unless `ccrun metrics` was scraped.

mod answer;
mod bucket;
mod expression;
mod metric;
mod rows;

use jiff::{Timestamp, ToSpan};

use super::dimension::Dimension;
use super::query::Query;
use super::remote::{Server, store};
use super::table::Table;
use super::{Details, Source, SourceError, Story, StoryOf};
use crate::usage::Measure;
use bucket::windows;
use metric::Known;
use rows::Rows;

/// The series of Claude Code, and those of `ccrun metrics` that have more.
const SELECTOR: &str =
    r#"{__name__=~"claude_code[._].+|ccrun[._](requests|request_errors|prompts|tool_calls)([._]total)?"}"#;

/// How far back names are looked for, in hours: 400 days, as in a report without a range.
const NAMES: i64 = 400 * 24;

/// A Prometheus server.
#[derive(Debug)]
pub struct PrometheusSource {
    server: Server,
    known: Known,
    now: Timestamp,
}

impl PrometheusSource {
    /// Opens the source: asks which metrics and labels there are.
    pub fn open(server: Server, now: Timestamp) -> Result<Self, SourceError> {
        let since = now.checked_sub(NAMES.hours()).unwrap_or(Timestamp::UNIX_EPOCH).as_millisecond();
        let names = answer::names(&server, "label/__name__/values", SELECTOR, since)?;
        let labels = answer::names(&server, "labels", SELECTOR, since)?;
        let known = Known::new(&names, labels);
        if known.names.is_empty() {
            return Err(store(format!(
                "{} has no metrics of Claude Code, whose names begin with claude_code: check that it is the server that \
                 the metrics go to",
                server.place()
            )));
        }
        Ok(Self { server, known, now })
    }

    fn table(&self, query: &Query) -> Result<Table, SourceError> {
        let named = || query.by.iter().copied().chain(query.filter.iter().map(|condition| condition.dimension));
        if let Some(unknown) = named().find(|dimension| !self.known.knows(*dimension)) {
            return Err(SourceError::Unknown(unknown.name(), format!("it has {}", self.known.dimensions())));
        }
        let is_hourly = named().any(|dimension| dimension == Dimension::Hour);
        let now = query.asked_at.unwrap_or(self.now);
        let all = windows(query.range, &query.zone, now, is_hourly).ok_or_else(|| {
            store(format!("the range has too many {}: shorten it", if is_hourly { "hours" } else { "days" }))
        })?;
        let mut by: Vec<Dimension> = named().filter(|dimension| !dimension.is_time()).collect();
        by.sort_unstable();
        by.dedup();
        let (mut rows, mut notes) = (Rows::new(query), Vec::new());
        for windows in all {
            let asked = expression::usage(&self.known, &by, windows.length);
            let (found, warnings) = answer::values(&self.server, &asked, windows)?;
            for series in &found {
                rows.add(series, windows);
            }
            notes.extend(warnings.into_iter().map(|warning| format!("{} warns: {warning}", self.server.place())));
        }
        notes.sort_unstable();
        notes.dedup();
        let mut table = rows.table(notes);
        self.note(&mut table);
        Ok(table)
    }

    /// Says what metrics do not know.
    fn note(&self, table: &mut Table) {
        if table.total.is_empty() {
            return;
        }
        if table.total.amount(Measure::Cost) > 0 {
            table.notes.push("cost is Claude Code's own estimate, at list or managed prices".to_owned());
        }
        if !self.known.has("ccrun_requests") {
            let missing = "requests, errors, prompts and tool runs are in Claude Code's events, not in its metrics";
            table.notes.push(missing.to_owned());
        }
    }
}

impl Source for PrometheusSource {
    fn answers(&self, queries: &[Query]) -> Result<Vec<Table>, SourceError> {
        queries.iter().map(|query| self.table(query)).collect()
    }

    fn details(&self, _query: &Query) -> Result<Details, SourceError> {
        Ok(Details::default())
    }

    fn values(&self, dimension: Dimension) -> Result<Vec<String>, SourceError> {
        if !self.known.knows(dimension) {
            return Ok(Vec::new());
        }
        let query = Query { by: vec![dimension], ..Query::new(jiff::tz::TimeZone::UTC) };
        let lines = self.table(&query)?.lines.into_iter();
        Ok(lines.filter_map(|mut line| line.keys.pop()?).collect())
    }

    fn knows(&self, dimension: Dimension) -> bool {
        self.known.knows(dimension)
    }

    fn stories(&self, of: StoryOf, _prefix: &str) -> Result<Vec<Story>, SourceError> {
        let name = of.name();
        Err(store(format!(
            "a {name}, step by step, needs single events, and Prometheus has sums: use a store of events"
        )))
    }
}
