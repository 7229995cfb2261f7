//! Recognises the tables that an OpenTelemetry backend keeps in `ClickHouse`, and says how their columns are read.
//!
//! Three are known: those of the OpenTelemetry Collector's own exporter ("contrib"), `ClickStack`'s, which are the same
//! with more columns or with attributes as JSON, and `SigNoz`'s.

use std::collections::BTreeMap;

use super::sql::{identifier, literal, nested};

/// The statement that finds tables. Only tables on which the user has a grant are listed.
pub(super) const COLUMNS: &str = "SELECT database, table, name, type FROM system.columns \
    WHERE database NOT IN ('system', 'information_schema', 'INFORMATION_SCHEMA') \
    AND name IN ('Timestamp', 'TimestampTime', 'Body', 'ScopeName', 'ServiceName', 'LogAttributes', \
    'ResourceAttributes', 'timestamp', 'ts_bucket_start', 'body', 'scope_name', 'attributes_string', \
    'attributes_number', 'attributes_bool', 'resources_string', 'MetricName', 'Attributes', 'StartTimeUnix', \
    'TimeUnix', 'Value', 'AggregationTemporality', 'metric_name', 'fingerprint', 'temporality', 'unix_milli', \
    'value', 'labels') ORDER BY database, table, name LIMIT 50000 FORMAT TabSeparated";

/// The statement that names the tables that there are, for an error.
pub(super) const TABLES: &str = "SELECT database, name FROM system.tables \
    WHERE database NOT IN ('system', 'information_schema', 'INFORMATION_SCHEMA') \
    ORDER BY database, name LIMIT 30 FORMAT TabSeparated";

/// The statement that names the databases that there are, for an error.
pub(super) const DATABASES: &str = "SELECT name FROM system.databases \
    WHERE name NOT IN ('system', 'information_schema', 'INFORMATION_SCHEMA') \
    ORDER BY name LIMIT 30 FORMAT TabSeparated";

/// The columns of each table, by database and table, with their types.
pub(super) type Tables = BTreeMap<(String, String), BTreeMap<String, String>>;

/// How attributes are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// `Map(String, String)`.
    Maps,
    /// `JSON`.
    Json,
    /// `SigNoz`'s maps of strings, numbers and truths.
    SigNoz,
}

/// How the names of attributes are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// As Claude Code sends them: `session.id`.
    Dots,
    /// As some pipelines rewrite them: `session_id`.
    Underscores,
    /// Either.
    Both,
}

/// A table of events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Logs {
    database: String,
    table: String,
    pub(super) shape: Shape,
    pub(super) style: Style,
    /// The same of attributes of the resource.
    pub(super) resource_style: Style,
    /// Whether it has a column of seconds or of half hours that its order begins with.
    has_coarse_time: bool,
    has_scope: bool,
}

/// A table of sums.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Metrics {
    /// Contrib's, with attributes in maps or in JSON.
    Sums { database: String, table: String, shape: Shape },
    /// `SigNoz`'s samples, and the series that they belong to.
    SigNoz { database: String, samples: String, series: String },
}

/// Why no table of events was chosen.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unrecognised {
    /// There is none.
    None,
    /// There are several, and the URL names no database.
    Several(Vec<String>),
}

/// The table of events, and that of sums if there is one. `database` is what the URL names.
pub(super) fn recognise(tables: &Tables, database: Option<&str>) -> Result<(Logs, Option<Metrics>), Unrecognised> {
    let mut found: Vec<_> =
        tables.iter().filter_map(|(name, columns)| Some((rank(&name.1)?, logs(name, columns)?))).collect();
    found.retain(|(_, logs)| database.is_none_or(|database| database == logs.database));
    let best = found.iter().map(|(rank, _)| *rank).min().ok_or(Unrecognised::None)?;
    found.retain(|(rank, _)| *rank == best);
    let names = found.iter().map(|(_, logs)| logs.shown()).collect::<Vec<_>>();
    let [(_, logs)] = <[_; 1]>::try_from(found).map_err(|_| Unrecognised::Several(names))?;
    let metrics = metrics(tables, &logs);
    Ok((logs, metrics))
}

/// How well a table's name fits: names that the products give come first, and each shard's own table does not count.
fn rank(table: &str) -> Option<u8> {
    match table {
        "distributed_logs_v2" | "otel_logs" => Some(0),
        "logs_v2" => Some(1),
        table if table.starts_with('.') || table.ends_with("_local") => None,
        _ => Some(2),
    }
}

fn logs((database, table): &(String, String), columns: &BTreeMap<String, String>) -> Option<Logs> {
    let has = |name: &str| columns.contains_key(name);
    let (shape, has_coarse_time, has_scope) = if has("attributes_string") && has("timestamp") && has("body") {
        (Shape::SigNoz, has("ts_bucket_start"), has("scope_name"))
    } else if has("LogAttributes") && has("ResourceAttributes") && has("Timestamp") && has("Body") {
        (attributes(columns, "LogAttributes")?, has("TimestampTime"), has("ScopeName"))
    } else {
        return None;
    };
    let (database, table) = (database.clone(), table.clone());
    let (style, resource_style) = (Style::Dots, Style::Dots);
    Some(Logs { database, table, shape, style, resource_style, has_coarse_time, has_scope })
}

fn attributes(columns: &BTreeMap<String, String>, name: &str) -> Option<Shape> {
    let kind = columns.get(name)?;
    if kind.starts_with("JSON") || kind.starts_with("Object(") {
        return Some(Shape::Json);
    }
    kind.starts_with("Map(").then_some(Shape::Maps)
}

/// The table of sums beside a table of events.
fn metrics(tables: &Tables, logs: &Logs) -> Option<Metrics> {
    if logs.shape == Shape::SigNoz {
        let pairs = [("distributed_samples_v4", "distributed_time_series_v4"), ("samples_v4", "time_series_v4")];
        return pairs.into_iter().find_map(|(samples, series)| {
            let has = |database: &str, table: &str| tables.contains_key(&(database.to_owned(), table.to_owned()));
            let databases = tables.keys().map(|(database, _)| database);
            let database = databases.into_iter().find(|database| has(database, samples) && has(database, series))?;
            let (database, samples, series) = (database.clone(), samples.to_owned(), series.to_owned());
            Some(Metrics::SigNoz { database, samples, series })
        });
    }
    let of_sums = |(name, columns): (&(String, String), &BTreeMap<String, String>)| {
        let wanted = ["MetricName", "Attributes", "StartTimeUnix", "TimeUnix", "Value", "AggregationTemporality"];
        let is_sums = name.0 == logs.database && wanted.iter().all(|column| columns.contains_key(*column));
        let shape = attributes(columns, "Attributes").filter(|_| is_sums)?;
        let rank = if name.1 == "otel_metrics_sum" { 0 } else { rank(&name.1)?.max(1) };
        Some((rank, Metrics::Sums { database: name.0.clone(), table: name.1.clone(), shape }))
    };
    tables.iter().filter_map(of_sums).min_by_key(|(rank, _)| *rank).map(|(_, metrics)| metrics)
}

impl Logs {
    /// Its name for people.
    pub(super) fn shown(&self) -> String {
        format!("{}.{}", self.database, self.table)
    }

    /// Its name in a statement.
    pub(super) fn from(&self) -> String {
        format!("{}.{}", identifier(&self.database), identifier(&self.table))
    }

    /// The database that it is in.
    pub(super) fn database(&self) -> &str {
        &self.database
    }

    /// The text of the first of some attributes of an event that is not empty; else empty.
    pub(super) fn own(&self, names: &[&str]) -> String {
        let column = if self.shape == Shape::SigNoz { "attributes_string" } else { "LogAttributes" };
        first(written(self.style, names).iter().map(|name| text(self.shape, column, name)))
    }

    /// The same of the event or else of its resource.
    pub(super) fn owner(&self, names: &[&str]) -> String {
        first([self.own(names), self.resource(names)].into_iter())
    }

    /// The same of its resource.
    pub(super) fn resource(&self, names: &[&str]) -> String {
        let column = if self.shape == Shape::SigNoz { "resources_string" } else { "ResourceAttributes" };
        first(written(self.resource_style, names).iter().map(|name| text(self.shape, column, name)))
    }

    /// A number, which may be stored as a string; zero if there is none.
    pub(super) fn number(&self, names: &[&str]) -> String {
        let of_text = format!("toFloat64OrZero({})", self.own(names));
        if self.shape != Shape::SigNoz {
            return of_text;
        }
        let of_numbers = |name: &String| text(Shape::SigNoz, "attributes_number", name);
        written(self.style, names).iter().rev().fold(of_text, |otherwise, name| {
            format!("if(has(attributes_number.keys, {}), {}, {otherwise})", literal(name), of_numbers(name))
        })
    }

    /// Whether a truth, which may be stored as a string, is there and false.
    pub(super) fn is_false(&self, name: &str) -> String {
        let of_text = format!("lower({}) = 'false'", self.own(&[name]));
        if self.shape != Shape::SigNoz {
            return of_text;
        }
        let truth = text(Shape::SigNoz, "attributes_bool", name);
        format!("if(has(attributes_bool.keys, {}), NOT {truth}, {of_text})", literal(name))
    }

    /// Whether an attribute is there, as text or as a number.
    pub(super) fn sequence(&self) -> String {
        match self.shape {
            Shape::SigNoz => format!(
                "if({0} != 0, toString({0}), {1})",
                self.number(&["event.sequence"]),
                self.own(&["event.sequence"])
            ),
            _ => self.own(&["event.sequence"]),
        }
    }

    /// The body, which names the event.
    pub(super) fn body(&self) -> &'static str {
        if self.shape == Shape::SigNoz { "body" } else { "Body" }
    }

    /// The time, as a `DateTime64` in UTC.
    pub(super) fn time(&self) -> &'static str {
        if self.shape == Shape::SigNoz { "fromUnixTimestamp64Nano(toInt64(timestamp), 'UTC')" } else { "Timestamp" }
    }

    /// The time, in Unix milliseconds.
    pub(super) fn milliseconds(&self) -> &'static str {
        if self.shape == Shape::SigNoz {
            "toInt64(intDiv(timestamp, 1000000))"
        } else {
            "toUnixTimestamp64Milli(toDateTime64(Timestamp, 3))"
        }
    }

    /// Conditions on the time, in Unix milliseconds, that use the table's order.
    pub(super) fn within(&self, since: Option<i64>, until: Option<i64>) -> Vec<String> {
        let mut conditions = Vec::new();
        for (at, is_start) in [(since, true), (until, false)].into_iter().filter_map(|(at, start)| Some((at?, start))) {
            let sign = if is_start { ">=" } else { "<" };
            let seconds = at.div_euclid(1000);
            if self.shape == Shape::SigNoz {
                conditions.push(format!("timestamp {sign} {}", at.max(0).saturating_mul(1_000_000)));
                if self.has_coarse_time {
                    // Buckets are half hours, named by their start.
                    let first = seconds.saturating_sub(1800).max(0);
                    let bucket = if is_start { format!(">= {first}") } else { format!("<= {}", seconds.max(0)) };
                    conditions.push(format!("ts_bucket_start {bucket}"));
                }
            } else {
                conditions.push(format!("Timestamp {sign} fromUnixTimestamp64Milli({at})"));
                if self.has_coarse_time {
                    let sign = if is_start { ">=" } else { "<=" };
                    conditions.push(format!("TimestampTime {sign} toDateTime({})", seconds.clamp(0, LAST_SECOND)));
                }
            }
        }
        conditions
    }

    /// Conditions that leave only Claude Code's events, without what `ccrun doctor` sends.
    pub(super) fn of_claude(&self) -> Vec<String> {
        let mut conditions = Vec::new();
        if self.has_scope {
            let scope = if self.shape == Shape::SigNoz { "scope_name" } else { "ScopeName" };
            conditions.push(format!("(startsWith({scope}, 'com.anthropic.claude_code') OR {scope} = '')"));
        }
        conditions.push(format!("{} = ''", self.resource(&[crate::usage::STAND_IN])));
        conditions
    }

    /// A statement that counts names with dots and with underscores among a few events: those of their own attributes, and
    /// those of their resources'.
    pub(super) fn probe(&self) -> String {
        let with = |style| Self { style, resource_style: style, ..self.clone() };
        let own = |style| format!("{} != ''", with(style).own(&["session.id"]));
        let resource = |style| format!("{} != ''", with(style).resource(&["service.name"]));
        let (dots, underscores) = (Style::Dots, Style::Underscores);
        format!(
            "SELECT countIf(dots), countIf(underscores), countIf(r_dots), countIf(r_underscores) FROM (SELECT {} AS dots, \
             {} AS underscores, {} AS r_dots, {} AS r_underscores FROM {} WHERE startsWith({}, 'claude_code.') OR {} IN \
             ({PROBED}) LIMIT 1000) FORMAT TabSeparated",
            own(dots),
            own(underscores),
            resource(dots),
            resource(underscores),
            self.from(),
            self.body(),
            with(Style::Both).own(&["event.name"]),
        )
    }
}

/// Names of events that a table has if its bodies name none.
const PROBED: &str = "'api_request', 'user_prompt', 'tool_result', 'claude_code.api_request', 'claude_code.user_prompt', \
    'claude_code.tool_result'";

/// The names of attributes as they are written in a style.
fn written(style: Style, names: &[&str]) -> Vec<String> {
    let each = |name: &&str| {
        let underscored = name.replace('.', "_");
        match style {
            Style::Dots => vec![(*name).to_owned()],
            Style::Underscores => vec![underscored],
            Style::Both if underscored == **name => vec![underscored],
            Style::Both => vec![(*name).to_owned(), underscored],
        }
    };
    names.iter().flat_map(each).collect()
}

/// The last second that a `DateTime` can hold.
const LAST_SECOND: i64 = 4_294_967_295;

/// An attribute's text; empty if there is none.
pub(super) fn text(shape: Shape, column: &str, name: &str) -> String {
    match shape {
        // Several times as fast as looking the key up in the map, since keys are of low cardinality.
        Shape::Maps | Shape::SigNoz => format!("{column}.values[indexOf({column}.keys, {})]", literal(name)),
        Shape::Json => format!("ifNull(CAST({column}.{}, 'Nullable(String)'), '')", nested(name)),
    }
}

/// The first of some texts that is not empty.
pub(super) fn first(texts: impl DoubleEndedIterator<Item = String>) -> String {
    let mut texts = texts.rev();
    let last = texts.next().unwrap_or_else(|| "''".to_owned());
    texts.fold(last, |otherwise, text| format!("if({text} != '', {text}, {otherwise})"))
}
