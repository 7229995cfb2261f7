//! Tests every place where OTLP has attributes, and every content of Claude Code, one by one.
#![expect(clippy::unnecessary_wraps, reason = "messages have it so")]

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint, Metric,
    NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};

use super::*;

/// The value that must not remain anywhere.
const CLEAR: &str = "ada@example.com";

/// The attributes of every message: one that is redacted, and one that is not.
fn both() -> Vec<KeyValue> {
    vec![text("user.email", CLEAR), text("kept", "kept")]
}

fn text(key: &str, value: &str) -> KeyValue {
    KeyValue { key: key.to_owned(), value: string(value), ..KeyValue::default() }
}

fn string(text: &str) -> Option<AnyValue> {
    Some(AnyValue { value: Some(Value::StringValue(text.to_owned())) })
}

fn resource() -> Option<Resource> {
    Some(Resource { attributes: both(), ..Resource::default() })
}

fn scope(name: &str) -> Option<InstrumentationScope> {
    Some(InstrumentationScope { name: name.to_owned(), attributes: both(), ..InstrumentationScope::default() })
}

fn logs(scope_name: &str, log_records: Vec<LogRecord>) -> ExportLogsServiceRequest {
    let scope_logs = vec![ScopeLogs { scope: scope(scope_name), log_records, ..ScopeLogs::default() }];
    let item = ResourceLogs { resource: resource(), scope_logs, ..ResourceLogs::default() };
    ExportLogsServiceRequest { resource_logs: vec![item] }
}

fn spans(scope_name: &str, spans: Vec<Span>) -> ExportTraceServiceRequest {
    let scope_spans = vec![ScopeSpans { scope: scope(scope_name), spans, ..ScopeSpans::default() }];
    let item = ResourceSpans { resource: resource(), scope_spans, ..ResourceSpans::default() };
    ExportTraceServiceRequest { resource_spans: vec![item] }
}

/// A metric of each kind, each with a point and, where possible, an exemplar.
fn metrics() -> ExportMetricsServiceRequest {
    let exemplars = || vec![Exemplar { filtered_attributes: both(), ..Exemplar::default() }];
    let number = || NumberDataPoint { attributes: both(), exemplars: exemplars(), ..NumberDataPoint::default() };
    let histogram = HistogramDataPoint { attributes: both(), exemplars: exemplars(), ..HistogramDataPoint::default() };
    let exponential = ExponentialHistogramDataPoint {
        attributes: both(),
        exemplars: exemplars(),
        ..ExponentialHistogramDataPoint::default()
    };
    let summary = SummaryDataPoint { attributes: both(), ..SummaryDataPoint::default() };
    let data = [
        Data::Gauge(Gauge { data_points: vec![number()] }),
        Data::Sum(Sum { data_points: vec![number()], ..Sum::default() }),
        Data::Histogram(Histogram { data_points: vec![histogram], ..Histogram::default() }),
        Data::ExponentialHistogram(ExponentialHistogram {
            data_points: vec![exponential],
            ..ExponentialHistogram::default()
        }),
        Data::Summary(Summary { data_points: vec![summary] }),
    ];
    let metric = |data| Metric { metadata: both(), data: Some(data), ..Metric::default() };
    let metrics = data.map(metric).to_vec();
    let scope_metrics = vec![ScopeMetrics { scope: scope("any"), metrics, ..ScopeMetrics::default() }];
    let item = ResourceMetrics { resource: resource(), scope_metrics, ..ResourceMetrics::default() };
    ExportMetricsServiceRequest { resource_metrics: vec![item] }
}

fn everything() -> [(Signal, Vec<u8>, usize); 3] {
    let log = LogRecord { attributes: both(), ..LogRecord::default() };
    let span = Span {
        attributes: both(),
        events: vec![Event { attributes: both(), ..Event::default() }],
        links: vec![Link { attributes: both(), ..Link::default() }],
        ..Span::default()
    };
    // Resource and scope, five metrics with metadata and a point each, and four exemplars.
    [
        (Signal::Logs, logs("any", vec![log]).encode_to_vec(), 2 + 1),
        (Signal::Traces, spans("any", vec![span]).encode_to_vec(), 2 + 3),
        (Signal::Metrics, metrics().encode_to_vec(), 2 + 5 + 5 + 4),
    ]
}

fn occurrences(body: &[u8], of: &str) -> usize {
    body.windows(of.len()).filter(|window| *window == of.as_bytes()).count()
}

fn redacting(drop: &[&str], hash: &[&str]) -> Rules {
    let patterns = |texts: &[&str]| texts.iter().map(|text| Pattern::new(*text)).collect();
    let redact = Redact { drop: patterns(drop), hash: patterns(hash), key: Some(HashKey::of_secret("s")) };
    Rules::new(vec![Pattern::new("*")], Stamp::default(), Withheld::default(), redact)
}

#[test]
fn an_attribute_is_dropped_in_every_place() {
    for (signal, body, places) in everything() {
        assert_eq!(occurrences(&body, CLEAR), places);
        let dropped = rewrite(signal, &body, &redacting(&["user.*"], &["user.email"])).unwrap().body;
        assert_eq!((occurrences(&dropped, CLEAR), occurrences(&dropped, "user.email")), (0, 0));
        assert_eq!(occurrences(&dropped, "kept"), 2 * places);
    }
}

#[test]
fn an_attribute_is_hashed_in_every_place() {
    let hash = HashKey::of_secret("s").hash(CLEAR.as_bytes());
    for (signal, body, places) in everything() {
        let hashed = rewrite(signal, &body, &redacting(&[], &["user.email"])).unwrap().body;
        assert_eq!((occurrences(&hashed, CLEAR), occurrences(&hashed, "user.email")), (0, places));
        assert_eq!(occurrences(&hashed, &hash), places);
    }
}

#[test]
fn without_a_key_attributes_to_hash_are_dropped() {
    let redact = Redact { hash: vec![Pattern::new("user.email")], ..Redact::default() };
    let rules = Rules::new(vec![Pattern::new("*")], Stamp::default(), Withheld::default(), redact);
    for (signal, body, _) in everything() {
        let rewritten = rewrite(signal, &body, &rules).unwrap().body;
        assert_eq!((occurrences(&rewritten, CLEAR), occurrences(&rewritten, "user.email")), (0, 0));
    }
}

#[test]
fn rejections_are_counted_in_records_points_and_spans() {
    let rules =
        Rules::new(vec![Pattern::new("claude-code*")], Stamp::default(), Withheld::default(), Redact::default());
    for ((signal, body, _), count) in everything().into_iter().zip([1, 1, 5]) {
        assert_eq!(rewrite(signal, &body, &rules), Ok(Rewritten { body: Vec::new(), refused: count }), "{signal:?}");
    }
}

const CLAUDE: &str = "com.anthropic.claude_code.events";

/// The remaining keys of a log record if these switches are off.
fn event_keys(scope: &str, name: &str, keys: &[&str], off: &[Switch]) -> Vec<String> {
    let attributes = keys.iter().map(|key| text(key, "content")).collect();
    let record = LogRecord { attributes, body: string(&format!("claude_code.{name}")), ..LogRecord::default() };
    let rules = withholding(off);
    let rewritten = rewrite(Signal::Logs, &logs(scope, vec![record]).encode_to_vec(), &rules).unwrap().body;
    let request = ExportLogsServiceRequest::decode(&*rewritten).unwrap();
    let record = &request.resource_logs[0].scope_logs[0].log_records[0];
    assert!(record.body.is_some());
    record.attributes.iter().map(|attribute| attribute.key.clone()).collect()
}

fn withholding(off: &[Switch]) -> Rules {
    Rules::new(vec![Pattern::new("*")], Stamp::default(), Withheld::of(off), Redact::default())
}

#[test]
fn each_switch_withholds_the_content_of_its_events() {
    let cases: [(Switch, &str, &[&str]); 8] = [
        (Switch::UserPrompts, "user_prompt", &["prompt", "prompt_text"]),
        (Switch::AssistantResponses, "assistant_response", &["response"]),
        (Switch::ToolDetails, "tool_result", &["tool_parameters", "tool_input", "error"]),
        (Switch::ToolDetails, "tool_decision", &["tool_parameters", "tool_input", "error"]),
        (Switch::ToolDetails, "mcp_server_connection", &["server_name", "error"]),
        (Switch::ToolDetails, "api_refusal", &["category"]),
        (Switch::RawApiBodies, "api_request_body", &["body", "body_ref"]),
        (Switch::RawApiBodies, "api_response_body", &["body", "body_ref"]),
    ];
    for (switch, name, content) in cases {
        let keys = [content, &["duration_ms", "model"]].concat();
        assert_eq!(event_keys(CLAUDE, name, &keys, &[switch]), ["duration_ms", "model"], "{name}");
        let others: Vec<_> = Switch::ALL.into_iter().filter(|other| *other != switch).collect();
        assert_eq!(event_keys(CLAUDE, name, &keys, &others), keys, "{name}");
        assert_eq!(event_keys("another.scope", name, &keys, &Switch::ALL), keys, "{name}");
    }
}

#[test]
fn attributes_that_only_look_like_content_stay() {
    // An error of a model request is not a tool's error, and a survey's answer is not a model's answer.
    assert_eq!(event_keys(CLAUDE, "api_error", &["error"], &Switch::ALL), ["error"]);
    assert_eq!(event_keys(CLAUDE, "feedback_survey", &["response"], &Switch::ALL), ["response"]);
    let kept_back = LogRecord { attributes: vec![text("prompt", "<REDACTED>")], ..LogRecord::default() };
    let body = logs(CLAUDE, vec![kept_back]).encode_to_vec();
    assert_eq!(occurrences(&rewrite(Signal::Logs, &body, &withholding(&Switch::ALL)).unwrap().body, "prompt"), 1);
}

#[test]
fn a_body_other_than_the_events_name_is_content() {
    for (said, is_kept) in [("claude_code.user_prompt", true), ("what is it?", false), ("claude_code.say hi", false)] {
        let record = LogRecord { body: string(said), ..LogRecord::default() };
        let body = logs(CLAUDE, vec![record]).encode_to_vec();
        let rewritten = rewrite(Signal::Logs, &body, &withholding(&[Switch::UserPrompts])).unwrap().body;
        assert_eq!(occurrences(&rewritten, said) == 1, is_kept, "{said}");
        assert_eq!(rewrite(Signal::Logs, &body, &withholding(&[])).unwrap().body, body, "{said}");
    }
}

#[test]
fn content_is_recognised_by_the_service_name_alone() {
    let mut request =
        logs("another.scope", vec![LogRecord { attributes: vec![text("prompt", "x")], ..LogRecord::default() }]);
    let service = request.resource_logs[0].resource.as_mut().unwrap();
    service.attributes.push(text("service.name", "claude-code"));
    let rewritten = rewrite(Signal::Logs, &request.encode_to_vec(), &withholding(&Switch::ALL)).unwrap().body;
    assert_eq!(occurrences(&rewritten, "prompt"), 0);
}

#[test]
fn content_in_spans_their_events_and_status_is_withheld() {
    let said = |key: &str| text(key, "content");
    let output = Event { name: "tool.output".to_owned(), attributes: vec![said("output")], ..Event::default() };
    let status = Some(Status { message: "no such file: content".to_owned(), code: 2 });
    let span = Span {
        name: "claude_code.tool".to_owned(),
        attributes: vec![said("full_command"), said("file_path"), said("new_context"), text("tool_name", "Bash")],
        events: vec![output],
        status,
        ..Span::default()
    };
    let interaction =
        Span { name: "claude_code.interaction".to_owned(), attributes: vec![said("user_prompt")], ..Span::default() };
    let body = spans("com.anthropic.claude_code.tracing", vec![span, interaction]).encode_to_vec();
    let left =
        |off: &[Switch]| occurrences(&rewrite(Signal::Traces, &body, &withholding(off)).unwrap().body, "content");
    assert_eq!(left(&[]), 6);
    assert_eq!(left(&[Switch::ToolDetails]), 3);
    assert_eq!(left(&[Switch::ToolContent]), 4);
    assert_eq!(left(&[Switch::UserPrompts]), 5);
    assert_eq!(left(&Switch::ALL), 0);
    let rewritten = rewrite(Signal::Traces, &body, &withholding(&Switch::ALL)).unwrap().body;
    let request = ExportTraceServiceRequest::decode(&*rewritten).unwrap();
    assert_eq!(request.resource_spans[0].scope_spans[0].spans[0].status.as_ref().unwrap().code, 2);
}

/// The content of both tools has the same key. Read content is output, and written content is input.
#[test]
fn a_files_content_is_input_or_output_depending_on_the_tool() {
    let left = |tool: &str, off: &[Switch]| {
        let output =
            Event { name: "tool.output".to_owned(), attributes: vec![text("content", CLEAR)], ..Event::default() };
        let attributes = vec![text("tool_name", tool)];
        let span = Span { name: "claude_code.tool".to_owned(), attributes, events: vec![output], ..Span::default() };
        let body = spans("com.anthropic.claude_code.tracing", vec![span]).encode_to_vec();
        occurrences(&rewrite(Signal::Traces, &body, &withholding(off)).unwrap().body, "content") == 1
    };
    assert!(left("Read", &[]) && left("Write", &[]));
    assert!(left("Read", &[Switch::ToolDetails]) && !left("Write", &[Switch::ToolDetails]));
    assert!(!left("Read", &[Switch::ToolContent]) && !left("Write", &[Switch::ToolContent]));
}
