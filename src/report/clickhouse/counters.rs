//! The rows that only metrics contribute to a report, as a `SELECT`: active time, lines, commits and pull requests.

use super::events::{filter, person, time};
use super::schema::{Logs, Metrics, Shape, first, text};
use super::sql::{identifier, literal};
use crate::report::SourceError;
use crate::report::dimension::Dimension;
use crate::report::query::Query;
use crate::usage::Measure;

/// The metrics, with what is left of their names when dots are underscores.
const NAMES: [&str; 4] = ["active_time.total", "lines_of_code.count", "commit.count", "pull_request.count"];

/// What Prometheus' names add.
const SUFFIXES: [&str; 3] = ["", "_total", "_seconds_total"];

/// How long before the range a running total may have been sent last, in milliseconds: as long as `ccrun` keeps a series
/// without changes, by default.
const LOOK_BACK: i64 = 31 * 24 * 60 * 60 * 1000;

/// The largest believable amount, as the ledger has it.
const LARGEST: &str = "1e10";

/// How one attribute of a point is read, and one of its resource.
struct Reading {
    own: Box<dyn Fn(&str) -> String>,
    resource: Box<dyn Fn(&str) -> String>,
}

/// A `SELECT` of one row for each growth of a metric, with the columns of `events::select`. A point adds what lies between
/// `c_from` and `c_value`: a delta as it is, of a running total what it grew by since the point before.
pub(super) fn select(metrics: &Metrics, logs: &Logs, query: &Query, zone: &str) -> Result<String, SourceError> {
    let reading = Reading::of(metrics);
    let key = |index: usize| match query.by.get(index) {
        Some(dimension) => dimension_of(&reading, logs, *dimension, query, zone),
        None => Ok("''".to_owned()),
    };
    let mut conditions = vec!["c_value > c_from".to_owned(), format!("c_value - c_from <= {LARGEST}")];
    conditions.extend(query.range.since.map(|since| format!("c_at >= {since}")));
    conditions.extend(query.range.until.map(|until| format!("c_at < {until}")));
    conditions.extend(filter(&query.filter, |dimension| dimension_of(&reading, logs, dimension, query, zone))?);
    let measures: Vec<_> =
        Measure::ALL.iter().map(|one| format!("{} AS m{}", measure(*one, &reading), one.index())).collect();
    let back = |at: Option<i64>| at.map(|at| at.saturating_sub(LOOK_BACK));
    Ok(format!(
        "SELECT {k1} AS k1, {k2} AS k2, {session} AS c_s, c_at, {measures}, toInt64(0) AS bad FROM ({points}) WHERE \
         {conditions}",
        k1 = key(0)?,
        k2 = key(1)?,
        session = reading.owner(&["session.id"]),
        measures = measures.join(", "),
        points = points(metrics, back(query.range.since), query.range.until),
        conditions = conditions.join(" AND "),
    ))
}

/// The points of a range with their growth, each once.
fn points(metrics: &Metrics, since: Option<i64>, until: Option<i64>) -> String {
    let names = names();
    match metrics {
        Metrics::Sums { database, table, shape } => {
            let at = "toUnixTimestamp64Milli(toDateTime64(TimeUnix, 3))";
            let mut conditions = vec![format!("MetricName IN ({names})")];
            conditions.extend(since.map(|at| format!("TimeUnix >= fromUnixTimestamp64Milli({at})")));
            conditions.extend(until.map(|at| format!("TimeUnix < fromUnixTimestamp64Milli({at})")));
            let (own, resource) = match shape {
                Shape::Json => ("toJSONString(Attributes)", "toJSONString(ResourceAttributes)"),
                _ => ("toString(Attributes)", "toString(ResourceAttributes)"),
            };
            // Per series with its resource: two processes may have the same attributes.
            let series = format!("MetricName, {resource}, {own}, StartTimeUnix");
            // Times may be whole seconds, in which a total still only grows.
            format!(
                "SELECT c_name, c_at, c_time, Attributes, ResourceAttributes, c_value, if(c_is_total, c_before, 0) AS \
                 c_from FROM (SELECT replaceAll(MetricName, '.', '_') AS c_name, {at} AS c_at, TimeUnix AS c_time, \
                 Attributes, ResourceAttributes, Value AS c_value, toInt32(AggregationTemporality) = 2 AS c_is_total, \
                 lagInFrame(Value, 1, 0) OVER (PARTITION BY {series} ORDER BY TimeUnix, Value ROWS BETWEEN UNBOUNDED \
                 PRECEDING AND CURRENT ROW) AS c_before FROM (SELECT * FROM {database}.{table} WHERE {conditions} LIMIT 1 BY \
                 sipHash64({series}, TimeUnix, Value)))",
                database = identifier(database),
                table = identifier(table),
                conditions = conditions.join(" AND "),
            )
        }
        Metrics::SigNoz { database, samples, series } => {
            let (database, samples, series) = (identifier(database), identifier(samples), identifier(series));
            let mut conditions = vec![format!("metric_name IN ({names})")];
            conditions.extend(since.map(|at| format!("unix_milli >= {at}")));
            conditions.extend(until.map(|at| format!("unix_milli < {at}")));
            format!(
                "SELECT c_name, c_at, c_time, c_labels, c_value, if(c_is_total AND c_value >= c_before, c_before, 0) AS \
                 c_from FROM (SELECT replaceAll(metric_name, '.', '_') AS c_name, unix_milli AS \
                 c_at, fromUnixTimestamp64Milli(unix_milli, 'UTC') AS c_time, value AS c_value, c_labels, \
                 temporality = 'Cumulative' AS c_is_total, lagInFrame(value, 1, 0) OVER (PARTITION BY metric_name, \
                 fingerprint ORDER BY unix_milli ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS c_before FROM \
                 (SELECT metric_name, temporality, fingerprint, unix_milli, value FROM {database}.{samples} WHERE \
                 {conditions} LIMIT 1 BY sipHash64(metric_name, fingerprint, unix_milli, value)) AS points GLOBAL ANY \
                 LEFT JOIN (SELECT fingerprint, any(labels) AS c_labels FROM {database}.{series} WHERE metric_name IN \
                 ({names}) GROUP BY fingerprint) AS series USING (fingerprint))",
                conditions = conditions.join(" AND "),
            )
        }
    }
}

/// The names of the metrics, as Claude Code, Prometheus and pipelines between write them, as a list of literals.
fn names() -> String {
    let dotted = NAMES.map(|name| format!("claude_code.{name}"));
    let underscored = dotted.clone().map(|name| name.replace('.', "_"));
    let with_suffix = |name: &String| SUFFIXES.map(|suffix| literal(&format!("{name}{suffix}")));
    let all: Vec<_> = dotted.iter().chain(&underscored).flat_map(with_suffix).collect();
    all.join(", ")
}

impl Reading {
    fn of(metrics: &Metrics) -> Self {
        match metrics {
            Metrics::Sums { shape, .. } => {
                let of = |column: &'static str, shape: Shape| -> Box<dyn Fn(&str) -> String> {
                    Box::new(move |name| either(name, |name| of_column(shape, column, name)))
                };
                Self { own: of("Attributes", *shape), resource: of("ResourceAttributes", *shape) }
            }
            Metrics::SigNoz { .. } => {
                // Attributes of the resource and of the point are labels alike.
                let label = |name: &str| either(name, |name| format!("JSONExtractString(c_labels, {})", literal(name)));
                let resource = |name: &str| {
                    either(name, |name| {
                        format!("JSONExtractString(c_labels, {})", literal(&format!("resource_{name}")))
                    })
                };
                Self { own: Box::new(label), resource: Box::new(resource) }
            }
        }
    }

    fn own(&self, name: &str) -> String {
        (self.own)(name)
    }

    /// The first of some attributes that is not empty, of the point or else of its resource.
    fn owner(&self, names: &[&str]) -> String {
        let own = names.iter().map(|name| (self.own)(name));
        let resource = names.iter().map(|name| (self.resource)(name));
        first(own.chain(resource).collect::<Vec<_>>().into_iter())
    }
}

/// An attribute's text. The column comes from a subquery, in which the parts of a map have no names.
fn of_column(shape: Shape, column: &str, name: &str) -> String {
    match shape {
        Shape::Json => text(shape, column, name),
        Shape::Maps | Shape::SigNoz => format!("{column}[{}]", literal(name)),
    }
}

/// An attribute whose name has dots or underscores.
fn either(name: &str, text: impl Fn(&str) -> String) -> String {
    let underscored = name.replace('.', "_");
    if underscored == name {
        return text(name);
    }
    first([text(name), text(&underscored)].into_iter())
}

/// The amount of a measure that a growth has.
fn measure(measure: Measure, reading: &Reading) -> String {
    let is = |name: &str, kind: Option<&str>| {
        let kind = kind.map(|kind| format!(" AND {} = {}", reading.own("type"), literal(kind)));
        format!("startsWith(c_name, 'claude_code_{name}'){}", kind.unwrap_or_default())
    };
    let (condition, scale) = match measure {
        Measure::ActiveUser => (is("active_time", Some("user")), 1000),
        Measure::ActiveCli => (is("active_time", Some("cli")), 1000),
        Measure::LinesAdded => (is("lines_of_code", Some("added")), 1),
        Measure::LinesRemoved => (is("lines_of_code", Some("removed")), 1),
        Measure::Commits => (is("commit", None), 1),
        Measure::PullRequests => (is("pull_request", None), 1),
        _ => return "toInt64(0)".to_owned(),
    };
    // Rounded before the difference, so that the parts of a total add up to it.
    let whole = |number: &str| format!("floor({number} * {scale} + 0.5)");
    format!("if({condition}, toInt64({} - {}), 0)", whole("c_value"), whole("c_from"))
}

/// The value of a dimension. Lines have a model and the like; a prompt and a status no metric has.
fn dimension_of(
    reading: &Reading,
    logs: &Logs,
    dimension: Dimension,
    query: &Query,
    zone: &str,
) -> Result<String, SourceError> {
    let of_lines = |name: &str| format!("if(startsWith(c_name, 'claude_code_lines'), {}, '')", reading.own(name));
    Ok(match dimension {
        _ if dimension.is_time() => time(dimension, "c_time", zone),
        Dimension::Session => reading.owner(&["session.id"]),
        Dimension::Repository => reading.owner(&["vcs.repository.name"]),
        Dimension::Branch => reading.owner(&["vcs.ref.head.name"]),
        Dimension::Provider => reading.owner(&["anthropic.provider"]),
        Dimension::Team => first([reading.owner(&["team.id"]), reading.owner(&["user.groups"])].into_iter()),
        Dimension::Person => {
            let names = ["enduser.id", "user.email", "user.account_uuid"];
            person(&reading.owner(&names), &reading.owner(&["user.id"]))
        }
        Dimension::Organisation => reading.owner(&["organization.id"]),
        Dimension::Profile => reading.owner(&["ccrun.profile"]),
        Dimension::Entrypoint => reading.owner(&["app.entrypoint"]),
        Dimension::Version => reading.owner(&["app.version", "service.version"]),
        Dimension::Terminal => reading.owner(&["terminal.type"]),
        Dimension::Model => of_lines("model"),
        Dimension::Agent => of_lines("agent.name"),
        Dimension::Skill => of_lines("skill.name"),
        Dimension::Source => of_lines("query_source"),
        Dimension::Effort => of_lines("effort"),
        Dimension::Automation => {
            let of_events = super::events::dimension_of(logs, dimension, query.range, zone)?;
            of_events.replace("c_s GLOBAL", &format!("{} GLOBAL", reading.owner(&["session.id"])))
        }
        Dimension::Prompt | Dimension::Status | Dimension::Tool | Dimension::Mcp => "''".to_owned(),
        other => return super::events::dimension_of(logs, other, query.range, zone),
    })
}
