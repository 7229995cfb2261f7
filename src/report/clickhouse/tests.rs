//! Statements and answers, without a server.

use jiff::tz::TimeZone;

use super::answer::{Rows, statement};
use super::schema::{Logs, Metrics, Shape, Style, Tables, Unrecognised, recognise};
use crate::report::dimension::Dimension;
use crate::report::query::{Query, Range};
use crate::report::{Column, SourceError};
use crate::usage::{MEASURES, Measure};

/// A database, a table in it, and its columns, each with its type.
type Described<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)]);

/// Tables that are described so.
fn tables(tables: &[Described<'_>]) -> Tables {
    let columns = |columns: &[(&str, &str)]| {
        columns.iter().map(|(name, kind)| ((*name).to_owned(), (*kind).to_owned())).collect()
    };
    tables.iter().map(|(database, table, of)| (((*database).to_owned(), (*table).to_owned()), columns(of))).collect()
}

const MAP: &str = "Map(LowCardinality(String), String)";
const CONTRIB: &[(&str, &str)] =
    &[("Timestamp", "DateTime64(9)"), ("Body", "String"), ("LogAttributes", MAP), ("ResourceAttributes", MAP)];
const JSON: &[(&str, &str)] = &[
    ("Timestamp", "DateTime64(9)"),
    ("TimestampTime", "DateTime"),
    ("Body", "String"),
    ("LogAttributes", "JSON(max_dynamic_paths=256)"),
    ("ResourceAttributes", "JSON"),
];
const SUMS: &[(&str, &str)] = &[
    ("MetricName", "String"),
    ("Attributes", MAP),
    ("StartTimeUnix", "DateTime64(9)"),
    ("TimeUnix", "DateTime64(9)"),
    ("Value", "Float64"),
    ("AggregationTemporality", "Int32"),
];
const SIGNOZ: &[(&str, &str)] = &[
    ("timestamp", "UInt64"),
    ("ts_bucket_start", "UInt64"),
    ("body", "String"),
    ("scope_name", "String"),
    ("attributes_string", MAP),
];
const SAMPLES: &[(&str, &str)] = &[("fingerprint", "UInt64")];

fn contrib() -> Logs {
    recognise(&tables(&[("otel", "otel_logs", CONTRIB)]), None).unwrap().0
}

fn signoz() -> Logs {
    recognise(&tables(&[("signoz_logs", "logs_v2", SIGNOZ)]), None).unwrap().0
}

fn query(by: &[Dimension], filter: &[&str]) -> Query {
    let filter = filter.iter().map(|condition| condition.parse().unwrap()).collect();
    Query { by: by.to_vec(), filter, ..Query::new(TimeZone::UTC) }
}

fn sql(logs: &Logs, query: &Query) -> String {
    statement(logs, None, query, "'UTC'").unwrap()
}

#[test]
fn schemas_are_recognised_by_their_columns() {
    let found = |of: &[Described<'_>], database| {
        recognise(&tables(of), database).map(|(logs, metrics)| (logs.shown(), logs.shape, metrics.is_some()))
    };
    let contrib = [("otel", "otel_logs", CONTRIB), ("otel", "otel_metrics_sum", SUMS)];
    assert_eq!(found(&contrib, None), Ok(("otel.otel_logs".to_owned(), Shape::Maps, true)));
    assert_eq!(found(&contrib, Some("other")), Err(Unrecognised::None));
    assert_eq!(found(&contrib[1..], None), Err(Unrecognised::None));
    let json = [("default", "otel_logs", JSON), ("default", "spans", SAMPLES)];
    assert_eq!(found(&json, None), Ok(("default.otel_logs".to_owned(), Shape::Json, false)));
    let signoz = [
        ("signoz_logs", "logs_v2", SIGNOZ),
        ("signoz_logs", "distributed_logs_v2", SIGNOZ),
        ("signoz_metrics", "distributed_samples_v4", SAMPLES),
        ("signoz_metrics", "distributed_time_series_v4", SAMPLES),
    ];
    let expected = Ok(("signoz_logs.distributed_logs_v2".to_owned(), Shape::SigNoz, true));
    assert_eq!(found(&signoz, Some("signoz_logs")), expected);
    // A name of one's own is fine, a shard's table is not asked, and two tables need a database.
    let own = [("a", "claude_logs", CONTRIB), ("a", "claude_logs_local", CONTRIB)];
    assert_eq!(found(&own, None), Ok(("a.claude_logs".to_owned(), Shape::Maps, false)));
    let two = [("a", "otel_logs", CONTRIB), ("b", "otel_logs", CONTRIB)];
    let names = ["a.otel_logs", "b.otel_logs"].map(str::to_owned).to_vec();
    assert_eq!(found(&two, None), Err(Unrecognised::Several(names)));
    assert_eq!(found(&two, Some("b")).unwrap().0, "b.otel_logs");
}

#[test]
fn attributes_are_read_as_each_schema_has_them() {
    let contrib = contrib();
    assert_eq!(contrib.own(&["a.b"]), "LogAttributes.values[indexOf(LogAttributes.keys, 'a.b')]");
    let with = |style| {
        let mut logs = contrib.clone();
        logs.style = style;
        logs
    };
    let underscored = with(Style::Underscores);
    assert_eq!(underscored.own(&["a.b"]), "LogAttributes.values[indexOf(LogAttributes.keys, 'a_b')]");
    let both = with(Style::Both).own(&["a.b"]);
    assert!(both.starts_with("if(") && both.contains("'a.b'") && both.contains("'a_b'"), "{both}");
    let json = recognise(&tables(&[("d", "otel_logs", JSON)]), None).unwrap().0;
    assert_eq!(json.own(&["a.b"]), "ifNull(CAST(LogAttributes.`a`.`b`, 'Nullable(String)'), '')");
    let number = signoz().number(&["cost_usd"]);
    assert!(number.starts_with("if(has(attributes_number.keys, 'cost_usd'), attributes_number.values["), "{number}");
    assert!(number.contains("toFloat64OrZero(attributes_string.values["), "strings may be numbers: {number}");
}

#[test]
fn a_range_uses_the_order_of_the_table() {
    let range = Range { since: Some(1_764_000_000_500), until: Some(1_764_003_600_000) };
    let sql = sql(&signoz(), &Query { range, ..query(&[], &[]) });
    assert!(sql.contains("timestamp >= 1764000000500000000 AND ts_bucket_start >= 1763998200"), "{sql}");
    assert!(sql.contains("timestamp < 1764003600000000000 AND ts_bucket_start <= 1764003600"), "{sql}");
}

#[test]
fn foreign_text_of_a_filter_stays_in_its_literal() {
    let sql = sql(&contrib(), &query(&[Dimension::Day], &["team=a'b\\", "branch~main"]));
    assert!(sql.contains(r"= 'a\'b\\'") && sql.contains("'main') > 0"), "{sql}");
}

#[test]
fn only_sums_and_sessions_are_cut_by_the_engine() {
    let of = |sort: &str, by: Dimension| {
        let column: &'static Column = sort.parse().unwrap();
        sql(&contrib(), &Query { top: Some(3), sort: Some(column), ..query(&[by], &[]) })
    };
    assert!(of("tokens", Dimension::Person).contains("(s3 + s4 + s5 + s6) DESC, g1, g2 LIMIT 3 BY is_total"));
    assert!(of("sessions", Dimension::Person).contains("n_sessions DESC"));
    assert!(!of("cache", Dimension::Person).contains("LIMIT 3"), "a share is sorted here");
    let days = sql(&contrib(), &Query { top: Some(3), ..query(&[Dimension::Day], &[]) });
    assert!(days.contains("ORDER BY is_total, g1, (s8) DESC"), "days come in order: {days}");
}

#[test]
fn a_tools_runs_are_asked_without_metrics() {
    let metrics = Metrics::Sums { database: "otel".to_owned(), table: "sums".to_owned(), shape: Shape::Maps };
    let with = |by| statement(&contrib(), Some(&metrics), &query(&[by], &[]), "'UTC'").unwrap();
    assert!(with(Dimension::Day).contains("lagInFrame(Value, 1, 0) OVER (PARTITION BY MetricName"));
    assert!(!with(Dimension::Tool).contains("lagInFrame"));
    let unknown = statement(&contrib(), None, &query(&[Dimension::Machine], &[]), "'UTC'");
    assert!(matches!(unknown, Err(SourceError::Unknown("machine", _))));
}

/// A line of an answer.
fn line(is_total: u8, keys: [&str; 2], cost: i64, groups: i64) -> String {
    let mut measures = [0; MEASURES];
    measures[Measure::Cost.index()] = cost;
    let measures = measures.map(|amount: i64| amount.to_string()).join("\t");
    format!("{is_total}\t{}\t{}\t{measures}\t1\t1764000000000\t1764000900000\t0\t5\t{groups}", keys[0], keys[1])
}

#[test]
fn rows_are_sorted_and_the_rest_is_counted() {
    let query = Query { top: Some(2), ..query(&[Dimension::Person], &[]) };
    let mut rows = Rows::default();
    for (person, cost) in [("ada", 1), ("", 3), ("grace", 2)] {
        rows.take(&line(0, [person, ""], cost, 3), &query).unwrap();
    }
    rows.take(&line(1, ["", ""], 6, 3), &query).unwrap();
    let (table, refused) = rows.finish(&query).unwrap();
    let keys: Vec<_> = table.lines.iter().map(|line| line.keys[0].as_deref()).collect();
    assert_eq!((keys, table.more, refused), (vec![None, Some("grace")], 1, 0));
    assert_eq!((table.total.amount(Measure::Cost), table.span), (6, Some((1_764_000_000_000, 1_764_001_799_999))));
}

#[test]
fn an_answer_that_is_not_whole_is_refused() {
    let query = query(&[Dimension::Person], &[]);
    assert!(Rows::default().take("1\t2", &query).is_err());
    assert!(Rows::default().take(&line(0, ["a", ""], 1, 1).replace("\t1\t", "\tx\t"), &query).is_err());
    assert!(Rows::default().finish(&query).is_err());
}
