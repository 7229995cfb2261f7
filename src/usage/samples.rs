//! Requests as Claude Code 2.1.332 and older versions send them, for tests.

use jiff::Timestamp;
use opentelemetry_proto::tonic::collector::{
    logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest,
};
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, metric::Data,
    number_data_point,
};
use prost::Message;

pub(crate) const SCOPE: &str = "com.anthropic.claude_code";

/// Nine in the morning, UTC.
pub(crate) fn morning() -> Timestamp {
    "2026-11-20T09:00:00Z".parse().unwrap()
}

pub(crate) fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.to_owned()))
}

pub(crate) fn int(key: &str, value: i64) -> KeyValue {
    attribute(key, Value::IntValue(value))
}

pub(crate) fn double(key: &str, value: f64) -> KeyValue {
    attribute(key, Value::DoubleValue(value))
}

pub(crate) fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

/// An event in a Claude Code session, this many milliseconds after nine.
pub(crate) fn event(session: &str, sequence: i64, after: u64, name: &str, own: Vec<KeyValue>) -> LogRecord {
    let time = nanoseconds(after);
    let mut attributes = vec![
        text("session.id", session),
        text("terminal.type", "tmux"),
        text("event.name", name),
        int("event.sequence", sequence),
    ];
    attributes.extend(own);
    LogRecord {
        time_unix_nano: time,
        observed_time_unix_nano: time,
        body: Some(AnyValue { value: Some(Value::StringValue(format!("claude_code.{name}"))) }),
        attributes,
        ..LogRecord::default()
    }
}

/// The attributes of an answered request: input, output, cache read and cache creation tokens, and the cost.
pub(crate) fn api_request(model: &str, tokens: [i64; 4], cost: f64) -> Vec<KeyValue> {
    vec![
        text("model", model),
        int("input_tokens", tokens[0]),
        int("output_tokens", tokens[1]),
        int("cache_read_tokens", tokens[2]),
        int("cache_creation_tokens", tokens[3]),
        int("cache_creation_5m_tokens", 0),
        double("cost_usd", cost),
        int("duration_ms", 50),
        text("query_source", "sdk"),
    ]
}

pub(crate) fn logs(records: Vec<LogRecord>) -> Vec<u8> {
    logs_of(&format!("{SCOPE}.events"), records)
}

pub(crate) fn logs_of(scope: &str, log_records: Vec<LogRecord>) -> Vec<u8> {
    let scope_logs = vec![ScopeLogs { scope: Some(named(scope)), log_records, ..ScopeLogs::default() }];
    let resource_logs = vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }];
    ExportLogsServiceRequest { resource_logs }.encode_to_vec()
}

/// A point in a Claude Code session, with its two times in milliseconds after nine.
pub(crate) fn point(session: &str, times: [u64; 2], value: f64, own: Vec<KeyValue>) -> NumberDataPoint {
    let mut attributes = vec![text("session.id", session), text("terminal.type", "tmux")];
    attributes.extend(own);
    NumberDataPoint {
        attributes,
        start_time_unix_nano: nanoseconds(times[0]),
        time_unix_nano: nanoseconds(times[1]),
        value: Some(number_data_point::Value::AsDouble(value)),
        ..NumberDataPoint::default()
    }
}

pub(crate) fn sum(name: &str, temporality: AggregationTemporality, data_points: Vec<NumberDataPoint>) -> Metric {
    let data = Data::Sum(Sum { data_points, aggregation_temporality: temporality as i32, is_monotonic: true });
    Metric { name: format!("claude_code.{name}"), data: Some(data), ..Metric::default() }
}

pub(crate) fn delta(name: &str, points: Vec<NumberDataPoint>) -> Metric {
    sum(name, AggregationTemporality::Delta, points)
}

/// The four token metrics and the cost metric that match [`api_request`].
pub(crate) fn token_metrics(
    session: &str,
    times: [u64; 2],
    model: &str,
    tokens: [i64; 4],
    cost: f64,
    temporality: AggregationTemporality,
) -> Vec<Metric> {
    let kinds = ["input", "output", "cacheRead", "cacheCreation"];
    let points = kinds.iter().zip(tokens).map(|(kind, tokens)| {
        let tokens = f64::from(i32::try_from(tokens).unwrap());
        point(session, times, tokens, vec![text("model", model), text("type", kind)])
    });
    vec![
        sum("token.usage", temporality, points.collect()),
        sum("cost.usage", temporality, vec![point(session, times, cost, vec![text("model", model)])]),
    ]
}

pub(crate) fn metrics(list: Vec<Metric>) -> Vec<u8> {
    metrics_of(SCOPE, list)
}

pub(crate) fn metrics_of(scope: &str, metrics: Vec<Metric>) -> Vec<u8> {
    let scope_metrics = vec![ScopeMetrics { scope: Some(named(scope)), metrics, ..ScopeMetrics::default() }];
    let resource_metrics = vec![ResourceMetrics { scope_metrics, ..ResourceMetrics::default() }];
    ExportMetricsServiceRequest { resource_metrics }.encode_to_vec()
}

fn named(scope: &str) -> InstrumentationScope {
    InstrumentationScope { name: scope.to_owned(), ..InstrumentationScope::default() }
}

fn nanoseconds(after: u64) -> u64 {
    (u64::try_from(morning().as_millisecond()).unwrap() + after) * 1_000_000
}
