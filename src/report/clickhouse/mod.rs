//! Reads a report from `ClickHouse`, over its HTTP interface: the tables of the OpenTelemetry Collector's exporter, of
//! `ClickStack` and of `SigNoz`.
//!
//! The engine does the work: a query is one statement, whose answer is read line by line. Events count requests, tokens,
//! cost, prompts, edits and tools; tables of metrics add what only metrics know.

mod answer;
mod counters;
mod details;
mod events;
mod fault;
mod schema;
mod sql;
mod steps;

use bytes::Bytes;
use hyper::Method;
use jiff::tz::TimeZone;

use self::answer::{MOST_ROWS, Rows};
use self::fault::Parties;
use self::schema::{Logs, Metrics, Style, Unrecognised};
use self::sql::{columns, literal};
use super::dimension::Dimension;
use super::query::Query;
use super::remote::{Ask, Server, store};
use super::table::Table;
use super::{Details, Source, SourceError, Story, StoryOf};
use crate::profile::TeamStore;
use crate::terminal::printable::printable;
use crate::usage::Measure;

/// The longest line of an answer, in bytes. A row has two keys and thirty numbers.
const LONGEST_LINE: usize = 1 << 20;

/// How many values are listed if a filter matches nothing.
const VALUES: usize = 1000;

/// A `ClickHouse` server with tables that were recognised.
#[derive(Debug)]
pub struct ClickHouseSource {
    server: Server,
    user: Option<String>,
    logs: Logs,
    metrics: Option<Metrics>,
}

/// How a query's settings are sent, from the safest on. A user whose profile forbids changing settings gets none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Settings {
    /// Reading alone, limits, and an end with the connection.
    All,
    /// None: the user's own profile decides.
    None,
}

impl ClickHouseSource {
    /// Opens the source: finds its tables, and how they name attributes.
    pub fn open(server: Server, of: &TeamStore) -> Result<Self, SourceError> {
        let asking = Asking { server: &server, user: of.user.as_deref(), database: of.address.database.as_deref() };
        let tables = asking.tables()?;
        let database = of.address.database.as_deref();
        let (mut logs, metrics) = match schema::recognise(&tables, database) {
            Ok(found) => found,
            Err(Unrecognised::Several(names)) => {
                return Err(store(format!(
                    "{} has several tables of events: add the database to the URL, as \
                     clickhouse://HOST/DATABASE: {}",
                    server.place(),
                    printable(&names.join(", "))
                )));
            }
            Err(Unrecognised::None) => return Err(asking.unrecognised(database)?),
        };
        let asking = Asking { database: Some(logs.database()), ..asking };
        (logs.style, logs.resource_style) = asking.styles(&logs)?;
        Ok(Self { user: of.user.clone(), logs, metrics, server })
    }

    fn asking(&self) -> Asking<'_> {
        Asking { server: &self.server, user: self.user.as_deref(), database: Some(self.logs.database()) }
    }

    fn table(&self, query: &Query) -> Result<Table, SourceError> {
        go_together(query)?;
        let (zone, zone_note) = zone(&query.zone);
        let statement = answer::statement(&self.logs, self.metrics.as_ref(), query, &zone)?;
        let mut rows = Rows::default();
        self.asking().lines(&statement, &mut |line| rows.take(line, query))?;
        let (mut table, refused) = rows.finish(query)?;
        if table.total.amount(Measure::Cost) > 0 {
            table.notes.push("cost is Claude Code's own estimate, at list or managed prices".to_owned());
        }
        if refused > 0 {
            table.notes.push(format!("{refused} numbers that cannot be true were left out"));
        }
        if self.metrics.is_none() {
            table.notes.push(format!(
                "active time, lines, commits and pull requests are not known: beside {} there is no table of metrics",
                printable(&self.logs.shown())
            ));
        }
        table.notes.extend(zone_note);
        table.notes.push(format!("read from {} at {}", printable(&self.logs.shown()), self.server.place()));
        Ok(table)
    }
}

impl Source for ClickHouseSource {
    fn answers(&self, queries: &[Query]) -> Result<Vec<Table>, SourceError> {
        queries.iter().map(|query| self.table(query)).collect()
    }

    fn details(&self, query: &Query) -> Result<Details, SourceError> {
        details::read(&self.asking(), &self.logs, query, &zone(&query.zone).0)
    }

    fn values(&self, dimension: Dimension) -> Result<Vec<String>, SourceError> {
        if dimension.is_time() || matches!(dimension, Dimension::Prompt | Dimension::Status) {
            return Ok(Vec::new());
        }
        let query = Query { by: vec![dimension], ..Query::new(TimeZone::UTC) };
        let rows = events::select(&self.logs, &query, "'UTC'")?;
        let statement = format!(
            "SELECT k1 FROM ({rows}) WHERE k1 != '' GROUP BY k1 ORDER BY count() DESC, k1 LIMIT {VALUES} FORMAT \
             TabSeparated"
        );
        let mut values = Vec::new();
        self.asking().lines(&statement, &mut |line| {
            values.extend(columns(line).into_iter().next());
            Ok(())
        })?;
        values.sort_unstable();
        Ok(values)
    }

    fn knows(&self, dimension: Dimension) -> bool {
        events::knows(dimension)
    }

    fn stories(&self, of: StoryOf, prefix: &str) -> Result<Vec<Story>, SourceError> {
        steps::read(&self.asking(), &self.logs, of, prefix)
    }
}

/// Rejects queries that combine tools and requests, as the ledger does.
fn go_together(query: &Query) -> Result<(), SourceError> {
    let named = || query.by.iter().copied().chain(query.filter.iter().map(|condition| condition.dimension));
    match (named().find(|dimension| dimension.is_of_tools()), named().find(|dimension| dimension.is_of_requests())) {
        (Some(tool), Some(other)) => Err(SourceError::Apart(tool.name(), other.name())),
        _ => Ok(()),
    }
}

/// The time zone as a literal, by its IANA name. One without a name stands for its present offset, in whole hours.
fn zone(zone: &TimeZone) -> (String, Option<String>) {
    if let Some(name) = zone.iana_name() {
        return (literal(name), None);
    }
    let offset = zone.to_fixed_offset().unwrap_or(jiff::tz::Offset::UTC);
    let hours = offset.seconds() / 3600;
    // The signs of these names are the other way round.
    let name = if hours == 0 { "UTC".to_owned() } else { format!("Etc/GMT{:+}", -hours) };
    (literal(&name), Some(format!("the time zone of this machine has no name: days are those of {name}")))
}

/// Sends statements.
#[derive(Clone, Copy)]
struct Asking<'a> {
    server: &'a Server,
    user: Option<&'a str>,
    database: Option<&'a str>,
}

impl Asking<'_> {
    /// Sends a statement, and hands over the lines of its answer.
    fn lines(&self, statement: &str, take: &mut dyn FnMut(&str) -> Result<(), String>) -> Result<(), SourceError> {
        match self.try_lines(statement, Settings::All, take)? {
            Err(refusal) if fault::is_of_settings(&refusal) => {
                let again = self.try_lines(statement, Settings::None, take)?;
                again.map_err(|refusal| self.fault(&refusal))
            }
            other => other.map_err(|refusal| self.fault(&refusal)),
        }
    }

    fn try_lines(
        &self,
        statement: &str,
        settings: Settings,
        take: &mut dyn FnMut(&str) -> Result<(), String>,
    ) -> Result<Result<(), super::remote::Refusal>, SourceError> {
        let path = format!("/?{}", self.settings(settings));
        let body = Bytes::from(statement.to_owned());
        let ask = Ask { method: Method::POST, path: &path, body, form: false, engine: "ClickHouse" };
        let mut pending = Vec::new();
        let answered = self.server.ask(&ask, &mut |piece| {
            for part in piece.split_inclusive(|byte| *byte == b'\n') {
                if pending.len() + part.len() > LONGEST_LINE {
                    return Err(self.garbled("a line is longer than a mebibyte"));
                }
                pending.extend_from_slice(part);
                if pending.ends_with(b"\n") {
                    pending.pop();
                    self.line(&pending, take)?;
                    pending.clear();
                }
            }
            Ok(())
        })?;
        if answered.is_ok() && !pending.is_empty() {
            self.line(&pending, take)?;
        }
        Ok(answered)
    }

    fn line(&self, line: &[u8], take: &mut dyn FnMut(&str) -> Result<(), String>) -> Result<(), SourceError> {
        let line = String::from_utf8_lossy(line);
        // An error after the first rows comes in the middle of an answer.
        if let Some(code) = fault::code_of_text(&line) {
            return Err(fault::of_code(code, &line, &self.parties()));
        }
        take(&line).map_err(|reason| self.garbled(&reason))
    }

    /// The query string with the settings of a statement.
    fn settings(&self, settings: Settings) -> String {
        if settings == Settings::None {
            return String::new();
        }
        // A second less than we wait, so that the server can still say why.
        let seconds = self.server.timeout().as_secs().saturating_sub(1).max(1);
        format!(
            "readonly=2&cancel_http_readonly_queries_on_client_close=1&max_execution_time={seconds}&\
             max_result_rows={}&result_overflow_mode=throw",
            MOST_ROWS + 2
        )
    }

    fn parties(&self) -> Parties<'_> {
        Parties { place: self.server.place(), user: self.user, database: self.database }
    }

    fn fault(&self, refusal: &super::remote::Refusal) -> SourceError {
        fault::fault(refusal, &self.parties())
    }

    fn garbled(&self, reason: &str) -> SourceError {
        store(format!(
            "{} answered with something that is no answer of ClickHouse's to the query: {reason}",
            self.server.place()
        ))
    }

    /// The tables with columns that are known.
    fn tables(&self) -> Result<schema::Tables, SourceError> {
        let mut tables = schema::Tables::new();
        self.lines(schema::COLUMNS, &mut |line| {
            let [database, table, name, kind] =
                <[String; 4]>::try_from(columns(line)).map_err(|_| "a column has not four fields".to_owned())?;
            tables.entry((database, table)).or_default().insert(name, kind);
            Ok(())
        })?;
        Ok(tables)
    }

    /// How a table names attributes, and those of resources.
    fn styles(&self, logs: &Logs) -> Result<(Style, Style), SourceError> {
        let mut counts = Vec::new();
        self.lines(&logs.probe(), &mut |line| {
            let number = |text: &String| text.parse::<u64>().map_err(|_| "a number is not one".to_owned());
            counts = columns(line).iter().map(number).collect::<Result<_, _>>()?;
            Ok(())
        })?;
        let style = |of: &[u64]| match of {
            [_, 0] => Some(Style::Dots),
            [0, _] => Some(Style::Underscores),
            [_, _] => Some(Style::Both),
            _ => None,
        };
        let (own, of_resource) = counts.split_at(counts.len() / 2);
        style(own).zip(style(of_resource)).ok_or_else(|| self.garbled("counts of names are missing"))
    }

    /// The error for a server without a table of events: names what there is.
    fn unrecognised(&self, database: Option<&str>) -> Result<SourceError, SourceError> {
        let place = self.server.place();
        let databases = self.names(schema::DATABASES)?;
        if let Some(database) = database
            && !databases.contains(&database.to_owned())
        {
            let (shown, there) = (printable(database), listed(&databases));
            return Ok(store(format!("{place} shows {} no database `{shown}`: {there}", self.who())));
        }
        let tables = self.names(schema::TABLES)?;
        let prefix = database.map(|database| format!("{database}."));
        let tables: Vec<_> =
            tables.into_iter().filter(|name| prefix.as_ref().is_none_or(|prefix| name.starts_with(prefix))).collect();
        let grant = format!("GRANT SELECT ON {}.* TO {}", database.unwrap_or("otel"), self.user.unwrap_or("default"));
        Ok(store(if tables.is_empty() {
            format!("{place} shows {} no table: an administrator gives access with `{}`", self.who(), printable(&grant))
        } else {
            format!(
                "{place} has no table of events that ccrun knows. It knows those of SigNoz, of ClickStack and of the \
                 OpenTelemetry Collector's clickhouse exporter, where the user may read them; seen by {}: {}",
                self.who(),
                listed(&tables)
            )
        }))
    }

    fn who(&self) -> String {
        format!("the user `{}`", printable(self.user.unwrap_or("default")))
    }

    /// Names, with dots between their columns.
    fn names(&self, statement: &str) -> Result<Vec<String>, SourceError> {
        let mut names = Vec::new();
        self.lines(statement, &mut |line| {
            names.push(columns(line).join("."));
            Ok(())
        })?;
        Ok(names)
    }
}

/// At most ten names.
fn listed(names: &[String]) -> String {
    let shown: Vec<_> = names.iter().take(10).map(|name| printable(name)).collect();
    let more = if names.len() > shown.len() { " …" } else { "" };
    if shown.is_empty() { "there is none".to_owned() } else { format!("there are {}{more}", shown.join(", ")) }
}

#[cfg(test)]
mod tests;
