//! Usage from Claude Code's events, which are log records.

use jiff::Timestamp;

use super::attributes::{Attributes, BILLION, identity, timestamp};
use super::fact::{Identity, Measure, Source, Usage};
use super::view::{Record, records};

/// The tools whose decisions the metric `code_edit_tool.decision` counts, too.
const EDIT_TOOLS: [&str; 4] = ["Edit", "MultiEdit", "Write", "NotebookEdit"];

/// Where the tool's name stands: older versions say `tool`.
const TOOL: [&str; 2] = ["tool_name", "tool"];

/// What the log records of a request say was used.
pub(super) fn usage(request: &[u8], received: Timestamp) -> impl Iterator<Item = Usage> {
    records(request).filter_map(move |record| of_record(&Record::new(record), received))
}

fn of_record(record: &Record<'_>, received: Timestamp) -> Option<Usage> {
    let event = event_name(record)?;
    let (name, amounts) = used(event, &record.attributes)?;
    Some(Usage {
        identity: identity_of(record, event),
        source: Source::Event,
        client: record.attributes.short_text(&["session.id"]),
        name,
        at: timestamp(record.time).or_else(|| timestamp(record.observed_time)).unwrap_or(received),
        amounts,
        cumulative: false,
    })
}

/// The event's name without its prefix: versions differ in whether it stands in an attribute, the body or the record.
fn event_name<'a>(record: &Record<'a>) -> Option<&'a str> {
    let body = || record.body?.text();
    let own = Some(record.event_name).filter(|name| !name.is_empty());
    let name = record.attributes.text(&["event.name"]).or(own).or_else(body)?;
    Some(name.strip_prefix("claude_code.").unwrap_or(name))
}

/// What an event counts, and the model or tool it counts for. Nothing for the many events that count nothing.
fn used(event: &str, attributes: &Attributes<'_>) -> Option<(String, Vec<(Measure, i64)>)> {
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

fn request(attributes: &Attributes<'_>) -> Vec<(Measure, i64)> {
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
fn identity_of(record: &Record<'_>, event: &str) -> Identity {
    let (attributes, time) = (&record.attributes, record.time);
    match (attributes.text(&["session.id"]), attributes.is_there("event.sequence")) {
        (Some(session), true) => {
            let sequence = attributes.amount(&["event.sequence"], 1.0);
            let (number, at) = (sequence.to_le_bytes(), time.to_le_bytes());
            identity(time, sequence, &[b"event", session.as_bytes(), &number, event.as_bytes(), &at])
        }
        _ => identity(time, 0, &[b"record", record.raw]),
    }
}
