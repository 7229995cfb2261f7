//! Facts from Claude Code's events, which are log records.

use super::attributes::{Attributes, BILLION, time};
use super::fact::{Basis, Decision, Extract, Fact, Identity, Kind, Moment, Outcome, Prompt, Request, ToolCall, What};
use super::identity::{identity, of_request, of_tool};
use super::owner::owner;
use super::view::{Record, records};

/// The attributes with the tool's name. Older versions use `tool`.
const TOOL: [&str; 2] = ["tool_name", "tool"];

/// Adds the facts in a request's log records. `received` is in Unix milliseconds.
pub(super) fn extract<'a>(request: &'a [u8], received: i64, most: usize, extract: &mut Extract<'a>) {
    for (record, resource) in records(request) {
        if extract.facts.len() >= most {
            return;
        }
        let record = Record::new(record);
        let Some(event) = event_name(&record) else { continue };
        if let Some(what) = what(event, &record.attributes) {
            let at = at(&record, received);
            let attributes = &record.attributes;
            let identity = identity_of(&record, event, Some(&what));
            let prompt = attributes.text(&["prompt.id"]);
            extract.facts.push(Fact { identity, at, owner: owner(attributes, &resource), prompt, what });
        }
        extract.refused += record.attributes.refused();
    }
}

/// The time of the record, or else the time when it was observed, or else the time when it was received.
pub(super) fn at(record: &Record<'_>, received: i64) -> i64 {
    for nanoseconds in [record.time, record.observed_time] {
        match time(nanoseconds, received) {
            Ok(Some(at)) => return at,
            Ok(None) => {}
            Err(()) => record.attributes.refuse(),
        }
    }
    received
}

/// The event's name without its prefix. Depending on the version, it is in an attribute, the body or the record.
pub(super) fn event_name<'a>(record: &Record<'a>) -> Option<&'a str> {
    let body = || record.body?.text();
    let own = [record.attributes.text(&["event.name"]), record.event_name];
    let name = own.into_iter().find(|name| !name.is_empty()).or_else(body)?;
    Some(name.strip_prefix("claude_code.").unwrap_or(name))
}

/// The fact that an event reports, or `None` for the many events without useful facts.
pub(super) fn what<'a>(event: &'a str, attributes: &Attributes<'a>) -> Option<What<'a>> {
    let failed = |outcome| Some(What::Request(Box::new(request(attributes, outcome))));
    match event {
        "api_request" => failed(Outcome::Answered),
        "api_error" => failed(Outcome::Failed),
        "api_refusal" => failed(Outcome::Refused),
        "api_retries_exhausted" => failed(Outcome::Exhausted),
        "tool_result" => Some(What::Tool(tool_call(attributes))),
        "tool_decision" => decision(attributes).map(What::Decision),
        "user_prompt" => Some(What::Prompt(prompt(attributes))),
        _ => moment(event, attributes).map(What::Moment),
    }
}

fn request<'a>(attributes: &Attributes<'a>, outcome: Outcome) -> Request<'a> {
    let amount = |name| attributes.amount(&[name], 1.0);
    let cache_hour = amount("cache_creation_1h_tokens");
    Request {
        model: attributes.text(&["model"]),
        kind: kind(attributes),
        input: amount("input_tokens"),
        output: amount("output_tokens"),
        cache_read: amount("cache_read_tokens"),
        cache_creation: amount("cache_creation_tokens").max(cache_hour),
        cache_hour,
        cost: attributes.amount(&["cost_usd"], BILLION),
        duration: amount("duration_ms"),
        first_token: amount("ttft_ms"),
        outcome,
        status: amount("status_code").min(999),
        attempts: attributes.amount(&["attempt", "attempts"], 1.0),
        basis: Basis::Client,
        is_named: !attributes.text(&["request_id"]).is_empty() && outcome == Outcome::Answered,
    }
}

/// The names in a record or point, apart from its model.
pub(super) fn kind<'a>(attributes: &Attributes<'a>) -> Kind<'a> {
    let text = |name| attributes.text(&[name]);
    Kind {
        source: text("query_source"),
        agent: text("agent.name"),
        skill: text("skill.name"),
        plugin: text("plugin.name"),
        mcp: text("mcp_server.name"),
        speed: text("speed"),
        effort: text("effort"),
        language: text("language"),
    }
}

fn tool_call<'a>(attributes: &Attributes<'a>) -> ToolCall<'a> {
    let tool = attributes.text(&TOOL);
    ToolCall {
        tool,
        mcp: mcp_server(tool, attributes),
        succeeded: attributes.truth(&["success"]) != Some(false),
        error: attributes.text(&["error_type"]),
        duration: attributes.amount(&["duration_ms"], 1.0),
        input_size: attributes.amount(&["tool_input_size_bytes"], 1.0),
        output_size: attributes.amount(&["tool_result_size_bytes"], 1.0),
        revision: attributes.text(&["vcs.ref.head.revision"]),
    }
}

/// The server that a tool belongs to: its own attribute, or else the middle of `mcp__SERVER__TOOL`.
fn mcp_server<'a>(tool: &'a str, attributes: &Attributes<'a>) -> &'a str {
    let named = attributes.text(&["mcp_server.name", "mcp_server_name"]);
    if !named.is_empty() {
        return named;
    }
    tool.strip_prefix("mcp__").and_then(|rest| rest.split_once("__")).map_or("", |(server, _)| server)
}

/// The decision, or `None` if it is neither accepted nor rejected and therefore unknown.
fn decision<'a>(attributes: &Attributes<'a>) -> Option<Decision<'a>> {
    let accepted = accepted(attributes.text(&["decision", "decision_type"]))?;
    Some(Decision {
        tool: attributes.text(&TOOL),
        accepted,
        source: attributes.text(&["source", "decision_source"]),
        mode: attributes.text(&["permission_mode"]),
    })
}

/// Whether a decision accepts.
pub(super) fn accepted(decision: &str) -> Option<bool> {
    match decision {
        "accept" => Some(true),
        "reject" => Some(false),
        _ => None,
    }
}

fn prompt<'a>(attributes: &Attributes<'a>) -> Prompt<'a> {
    let is_builtin = attributes.text(&["command_source"]) == "builtin";
    // A command that is not built in may have any name.
    let command = if is_builtin { attributes.text(&["command_name"]) } else { "" };
    Prompt { length: attributes.amount(&["prompt_length"], 1.0), is_builtin, command }
}

fn moment<'a>(event: &'a str, attributes: &Attributes<'a>) -> Option<Moment<'a>> {
    let (name, number): (&[&str], &[&str]) = match event {
        "compaction" => (&["trigger"], &["pre_tokens", "tokens_before", "pre_compact_tokens"]),
        "subagent_completed" => (&["agent_type", "agent.name", "subagent_type"], &["total_tokens"]),
        "skill_activated" => (&["skill.name", "skill_name"], &[]),
        "mcp_server_connection" => (&["status"], &[]),
        "permission_mode_changed" => (&["to_mode", "new_mode", "mode"], &[]),
        "hook_execution_complete" => (&["hook_event", "hook_event_name"], &["num_hooks"]),
        _ => return None,
    };
    Some(Moment {
        event,
        name: attributes.text(name),
        duration: attributes.amount(&["duration_ms", "total_duration_ms"], 1.0),
        succeeded: attributes.truth(&["success"]),
        number: attributes.amount(number, 1.0),
    })
}

/// Distinguishes a record from all others. A request is identified by its `request_id`, and a tool's run by its prompt
/// and its `tool_use_id`; transcripts have these ids, too. Some gateways number tool uses from the start for each
/// prompt. Other records are identified by `event.sequence` within their session, or else by their whole content.
pub(super) fn identity_of(record: &Record<'_>, event: &str, what: Option<&What<'_>>) -> Identity {
    let attributes = &record.attributes;
    let (request_id, tool_id) = (attributes.text(&["request_id"]), attributes.text(&["tool_use_id"]));
    let known = match what {
        Some(What::Request(request)) if request.outcome == Outcome::Answered && !request_id.is_empty() => {
            Some(of_request(request_id))
        }
        Some(What::Tool(_) | What::Decision(_)) if !tool_id.is_empty() => {
            Some(of_tool(attributes.text(&["prompt.id", "session.id"]), tool_id))
        }
        _ => None,
    };
    known.unwrap_or_else(|| match (attributes.text(&["session.id"]), attributes.is_there("event.sequence")) {
        (session, true) if !session.is_empty() => {
            let number = attributes.amount(&["event.sequence"], 1.0).to_le_bytes();
            let at = record.time.to_le_bytes();
            identity(&[b"event", session.as_bytes(), &number, event.as_bytes(), &at])
        }
        _ => identity(&[b"record", record.raw]),
    })
}
