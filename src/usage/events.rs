//! Usage from Claude Code's events, which are log records.

use jiff::Timestamp;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use prost::Message;

use super::attributes::{Attributes, BILLION, identity, is_claude_code, timestamp};
use super::fact::{Extract, Identity, Measure, Source, Usage};

/// The tools whose decisions the metric `code_edit_tool.decision` counts, too.
const EDIT_TOOLS: [&str; 4] = ["Edit", "MultiEdit", "Write", "NotebookEdit"];

/// Where the tool's name stands: older versions say `tool`.
const TOOL: [&str; 2] = ["tool_name", "tool"];

pub(super) fn extract(request: &ExportLogsServiceRequest, received: Timestamp) -> Extract {
    let mut extract = Extract::default();
    for scope in request.resource_logs.iter().flat_map(|resource| &resource.scope_logs) {
        extract.items += scope.log_records.len() as u64;
        if is_claude_code(scope.scope.as_ref()) {
            extract.usage.extend(scope.log_records.iter().filter_map(|record| usage(record, received)));
        }
    }
    extract
}

fn usage(record: &LogRecord, received: Timestamp) -> Option<Usage> {
    let attributes = Attributes(&record.attributes);
    let event = event_name(record)?;
    let (name, amounts) = used(event, attributes)?;
    Some(Usage {
        identity: record_identity(record, event),
        source: Source::Event,
        client: attributes.short_text(&["session.id"]),
        name,
        at: timestamp(record.time_unix_nano).or_else(|| timestamp(record.observed_time_unix_nano)).unwrap_or(received),
        amounts,
        cumulative: false,
    })
}

/// The event's name without its prefix: versions differ in whether it stands in an attribute, the body or the record.
fn event_name(record: &LogRecord) -> Option<&str> {
    let body = match record.body.as_ref().and_then(|body| body.value.as_ref()) {
        Some(Value::StringValue(text)) => Some(text.as_str()),
        _ => None,
    };
    let own = Some(record.event_name.as_str()).filter(|name| !name.is_empty());
    let name = Attributes(&record.attributes).text(&["event.name"]).or(own).or(body)?;
    Some(name.strip_prefix("claude_code.").unwrap_or(name))
}

/// What an event counts, and the model or tool it counts for. Nothing for the many events that count nothing.
fn used(event: &str, attributes: Attributes<'_>) -> Option<(String, Vec<(Measure, i64)>)> {
    let model = || attributes.short_text(&["model"]);
    let tool = || attributes.short_text(&TOOL);
    match event {
        "api_request" => Some((model(), request(attributes))),
        "api_error" => Some((model(), vec![(Measure::Errors, 1)])),
        "user_prompt" => Some((String::new(), vec![(Measure::Prompts, 1)])),
        "tool_result" => {
            let failed = attributes.truth(&["success"]) == Some(false);
            Some((tool(), vec![(if failed { Measure::ToolFailures } else { Measure::ToolSuccesses }, 1)]))
        }
        "tool_decision" if EDIT_TOOLS.contains(&tool().as_str()) => {
            Some((tool(), vec![(decision(attributes.text(&["decision", "decision_type"])?)?, 1)]))
        }
        _ => None,
    }
}

fn request(attributes: Attributes<'_>) -> Vec<(Measure, i64)> {
    let mut amounts = vec![
        (Measure::Requests, 1),
        (Measure::InputTokens, attributes.amount(&["input_tokens"], 1.0)),
        (Measure::OutputTokens, attributes.amount(&["output_tokens"], 1.0)),
        (Measure::CacheReadTokens, attributes.amount(&["cache_read_tokens"], 1.0)),
        (Measure::CacheCreationTokens, attributes.amount(&["cache_creation_tokens"], 1.0)),
        (Measure::Cost, attributes.amount(&["cost_usd"], BILLION)),
    ];
    amounts.retain(|(_, amount)| *amount > 0);
    amounts
}

/// Accepted or rejected; anything else is no decision that we know.
pub(super) fn decision(decision: &str) -> Option<Measure> {
    match decision {
        "accept" => Some(Measure::EditsAccepted),
        "reject" => Some(Measure::EditsRejected),
        _ => None,
    }
}

/// `event.sequence` counts within a session; without either, only the whole record tells.
fn record_identity(record: &LogRecord, event: &str) -> Identity {
    let (attributes, time) = (Attributes(&record.attributes), record.time_unix_nano);
    match (attributes.text(&["session.id"]), attributes.is_there("event.sequence")) {
        (Some(session), true) => {
            let sequence = attributes.amount(&["event.sequence"], 1.0);
            let (number, at) = (sequence.to_le_bytes(), time.to_le_bytes());
            identity(time, sequence, &[b"event", session.as_bytes(), &number, event.as_bytes(), &at])
        }
        _ => identity(time, 0, &[b"record", &record.encode_to_vec()]),
    }
}
