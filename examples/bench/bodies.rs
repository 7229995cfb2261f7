//! Requests as Claude Code sends them: events with their usual attributes, and metrics.

use anyhow::{Context, ensure};
use ccrun::otlp::{Signal, protobuf_to_json};
use clap::ValueEnum;
use jiff::Timestamp;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point;
use opentelemetry_proto::tonic::metrics::v1::{Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;

/// The time between two records, in nanoseconds. It suits the load of the benchmarks, which is thousands of times that
/// of a session.
const APART: u64 = 50_000;

/// The largest request in JSON, in bytes.
const LIMIT: usize = 64 << 20;

/// The encoding of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// OTLP/HTTP in protobuf
    Protobuf,
    /// OTLP/HTTP in JSON
    Json,
    /// OTLP/gRPC
    Grpc,
}

/// The size of a request, as in protobuf.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Size {
    /// One event, 0.7 KB
    Small,
    /// What an active session sends every few seconds, 10.8 KB
    Usual,
    /// What a session sends that exports API bodies, 1.2 MB
    Large,
}

impl Size {
    fn records(self) -> usize {
        match self {
            Self::Small => 1,
            Self::Usual => 18,
            Self::Large => 2000,
        }
    }
}

/// A template for any number of different requests. Each record or point has its own time.
#[derive(Clone)]
pub(crate) struct Template {
    /// The signal of the requests.
    pub(crate) signal: Signal,
    /// The number of log records or points in a request.
    pub(crate) records: usize,
    bytes: Vec<u8>,
    /// The positions of the records' times in the body.
    times: Vec<usize>,
    format: Format,
    /// The time of the first record, in nanoseconds since 1970.
    base: u64,
}

impl Template {
    /// Requests with events of Claude Code.
    pub(crate) fn events(size: Size, format: Format) -> anyhow::Result<Self> {
        let base = now();
        let records = size.records();
        let message = logs((0..records).map(|number| event(number, base)).collect());
        Self::new(Signal::Logs, records, &message.encode_to_vec(), format, base)
    }

    /// A request with Claude Code's metrics of one interval.
    pub(crate) fn metrics(format: Format) -> anyhow::Result<Self> {
        let base = now();
        let (message, records) = counted(base);
        Self::new(Signal::Metrics, records, &message.encode_to_vec(), format, base)
    }

    fn new(signal: Signal, records: usize, message: &[u8], format: Format, base: u64) -> anyhow::Result<Self> {
        let (bytes, mark) = match format {
            Format::Json => (protobuf_to_json(signal, message, LIMIT)?, base.to_string().into_bytes()),
            _ => (message.to_vec(), base.to_le_bytes().to_vec()),
        };
        let times = bytes.windows(mark.len()).enumerate().filter(|(_, window)| *window == mark);
        let times: Vec<_> = times.map(|(at, _)| at).collect();
        ensure!(times.len() == records, "{} of {records} records have their time", times.len());
        Ok(Self { signal, records, bytes, times, format, base })
    }

    /// The size of each request, in bytes.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The request with this number. It shares no record with other requests.
    pub(crate) fn number(&self, number: u64) -> anyhow::Result<Vec<u8>> {
        let mut bytes = self.bytes.clone();
        let first = self.base + number * self.records as u64 * APART;
        for (record, at) in (0..).zip(&self.times) {
            let time = first + record * APART;
            match self.format {
                Format::Json => put(&mut bytes, *at, time.to_string().as_bytes())?,
                _ => put(&mut bytes, *at, &time.to_le_bytes())?,
            }
        }
        Ok(bytes)
    }
}

fn put(bytes: &mut [u8], at: usize, what: &[u8]) -> anyhow::Result<()> {
    bytes.get_mut(at..at + what.len()).context("no room for a time")?.copy_from_slice(what);
    Ok(())
}

/// Now, in nanoseconds since 1970.
fn now() -> u64 {
    u64::try_from(Timestamp::now().as_nanosecond()).unwrap_or_default()
}

fn logs(log_records: Vec<LogRecord>) -> ExportLogsServiceRequest {
    let scope = Some(scope("com.anthropic.claude_code.events"));
    let scope_logs = vec![ScopeLogs { scope, log_records, ..ScopeLogs::default() }];
    ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs { resource: Some(resource()), scope_logs, ..ResourceLogs::default() }],
    }
}

/// One of the four most frequent events in an active session.
fn event(number: usize, time_unix_nano: u64) -> LogRecord {
    let (name, own) = match number % 4 {
        1 => (
            "api_request",
            vec![
                text("model", "claude-opus-4-5-20251101"),
                double("cost_usd", 0.018_734_5),
                int("duration_ms", 4_318),
                int("ttft_ms", 911),
                int("input_tokens", 1_203),
                int("output_tokens", 417),
                int("cache_read_tokens", 50_021),
                int("cache_creation_tokens", 4_007),
                text("query_source", "repl_main_thread"),
            ],
        ),
        0 => ("tool_decision", vec![text("tool_name", "Edit"), text("decision", "accept"), text("source", "config")]),
        2 => (
            "tool_result",
            vec![
                text("tool_name", "Bash"),
                text("success", "true"),
                int("duration_ms", 731),
                int("tool_result_size_bytes", 2_044),
            ],
        ),
        _ => ("user_prompt", vec![int("prompt_length", 214)]),
    };
    let common = [
        text("session.id", "0b0f6c4e-57d2-4b1e-9a51-3f8a0d2c7e11"),
        text("user.id", "5f1c0a9b7e3d2c4f6a8b0d1e3f5a7c9b1d3e5f7a9c1b3d5e7f9a1c3b5d7e9f1a"),
        text("user.account_uuid", "c1a7b3d9-2e4f-4a6b-8c0d-1e3f5a7b9c1d"),
        text("organization.id", "8e2d4c6b-0a1f-4e3d-9c5b-7a8f6e4d2c0b"),
        text("terminal.type", "vscode"),
        text("prompt.id", "3d5e7f9a-1c3b-4d7e-9f1a-2b4c6d8e0f1a"),
        text("event.name", name),
        text("event.timestamp", "2026-11-21T14:15:27.318Z"),
        int("event.sequence", 100 + number as u64),
    ];
    LogRecord {
        time_unix_nano,
        // One nanosecond more. Otherwise both would match the marker for the time.
        observed_time_unix_nano: time_unix_nano + 1,
        body: Some(string(&format!("claude_code.{name}"))),
        attributes: common.into_iter().chain(own).collect(),
        ..LogRecord::default()
    }
}

fn counted(time_unix_nano: u64) -> (ExportMetricsServiceRequest, usize) {
    let tokens = ["input", "output", "cacheRead", "cacheCreation"].map(|kind| vec![text("type", kind)]);
    let sums = [
        ("claude_code.token.usage", "tokens", tokens.to_vec()),
        ("claude_code.cost.usage", "USD", vec![vec![]]),
        ("claude_code.active_time.total", "s", vec![vec![text("type", "user")], vec![text("type", "cli")]]),
        ("claude_code.lines_of_code.count", "", vec![vec![text("type", "added")], vec![text("type", "removed")]]),
    ];
    let points = sums.iter().map(|(.., points)| points.len()).sum();
    let metrics = sums.into_iter().map(|(name, unit, points)| {
        let data_points = points.into_iter().map(|own| point(own, time_unix_nano)).collect();
        // AGGREGATION_TEMPORALITY_DELTA
        let sum = Sum { data_points, aggregation_temporality: 1, is_monotonic: true };
        Metric { name: name.to_owned(), unit: unit.to_owned(), data: Some(Data::Sum(sum)), ..Metric::default() }
    });
    let scope = Some(scope("com.anthropic.claude_code"));
    let scope_metrics = vec![ScopeMetrics { scope, metrics: metrics.collect(), ..ScopeMetrics::default() }];
    let resource = ResourceMetrics { resource: Some(resource()), scope_metrics, ..ResourceMetrics::default() };
    (ExportMetricsServiceRequest { resource_metrics: vec![resource] }, points)
}

fn point(own: Vec<KeyValue>, time_unix_nano: u64) -> NumberDataPoint {
    let common = [
        text("session.id", "0b0f6c4e-57d2-4b1e-9a51-3f8a0d2c7e11"),
        text("user.id", "5f1c0a9b7e3d2c4f6a8b0d1e3f5a7c9b1d3e5f7a9c1b3d5e7f9a1c3b5d7e9f1a"),
        text("organization.id", "8e2d4c6b-0a1f-4e3d-9c5b-7a8f6e4d2c0b"),
        text("terminal.type", "vscode"),
        text("model", "claude-opus-4-5-20251101"),
        text("query_source", "main"),
    ];
    NumberDataPoint {
        attributes: common.into_iter().chain(own).collect(),
        start_time_unix_nano: time_unix_nano - 10_000_000_000,
        time_unix_nano,
        value: Some(number_data_point::Value::AsDouble(1203.0)),
        ..NumberDataPoint::default()
    }
}

fn resource() -> Resource {
    let attributes = [
        ("service.name", "claude-code"),
        ("service.version", "2.1.329"),
        ("os.type", "linux"),
        ("os.version", "6.18.44"),
        ("host.arch", "amd64"),
    ];
    Resource { attributes: attributes.map(|(key, value)| text(key, value)).into(), ..Resource::default() }
}

fn scope(name: &str) -> InstrumentationScope {
    InstrumentationScope { name: name.to_owned(), version: "2.1.329".to_owned(), ..InstrumentationScope::default() }
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, string(value))
}

fn int(key: &str, value: u64) -> KeyValue {
    attribute(key, AnyValue { value: Some(Value::IntValue(value.cast_signed())) })
}

fn double(key: &str, value: f64) -> KeyValue {
    attribute(key, AnyValue { value: Some(Value::DoubleValue(value)) })
}

fn attribute(key: &str, value: AnyValue) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(value), ..KeyValue::default() }
}

fn string(text: &str) -> AnyValue {
    AnyValue { value: Some(Value::StringValue(text.to_owned())) }
}
