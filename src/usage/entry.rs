//! Claude Code's events for the live views: every event, with the values that fit on a line. They come from requests
//! that were just received, or from facts.

use super::attributes::Attributes;
use super::events::{at, event_name, identity_of, what};
use super::fact::{Identity, Outcome, What};
use super::view::{Record, records};

/// The attributes that hold content. They are present only if the profile allows it.
const CONTENT: [&str; 5] = ["prompt", "response", "tool_input", "tool_parameters", "error"];

/// The placeholder for content that the client does not send.
const REDACTED: &str = "<REDACTED>";

/// An event. An empty text is unknown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Entry {
    /// Distinguishes it from all other events of the same name. It is the same for a repetition, and for the fact in
    /// the ledger.
    pub identity: Identity,
    /// The time, in Unix milliseconds.
    pub at: i64,
    /// Claude Code's `session.id`.
    pub session: String,
    /// The client's name for it, without its prefix.
    pub event: String,
    /// The model.
    pub model: String,
    /// The tool.
    pub tool: String,
    /// What a request is for, as `repl_main_thread` (its `query_source`).
    pub source: String,
    /// The id of the subagent that it belongs to. Only what was just received has it.
    pub agent: String,
    /// Its subject: an agent, a skill, a command, or the cause of a compaction.
    pub subject: String,
    /// Tokens sent, except cache; `None` if it is not a request.
    pub input: Option<i64>,
    /// Tokens read from the cache.
    pub cache_read: Option<i64>,
    /// Tokens written to the cache.
    pub cache_creation: Option<i64>,
    /// Tokens of the answer.
    pub output: Option<i64>,
    /// Billionths of a US dollar.
    pub cost: Option<i64>,
    /// Milliseconds.
    pub duration: Option<i64>,
    /// Whether it succeeded. For a decision, whether it accepts.
    pub success: Option<bool>,
    /// The content, cut to 256 bytes.
    pub content: String,
}

/// The events in a validated request of log records. `received` is in Unix milliseconds.
pub fn entries(request: &[u8], received: i64) -> impl Iterator<Item = Entry> {
    records(request).filter_map(move |(record, resource)| {
        let record = Record::new(record);
        let event = event_name(&record)?;
        let what = what(event, &record.attributes);
        let attributes = &record.attributes;
        let mut session = attributes.text(&["session.id"]);
        if session.is_empty() {
            session = resource.text(&["session.id"]);
        }
        let entry = Entry {
            identity: identity_of(&record, event, what.as_ref()),
            at: at(&record, received),
            session: session.to_owned(),
            event: event.to_owned(),
            model: attributes.text(&["model"]).to_owned(),
            tool: attributes.text(&["tool_name", "tool"]).to_owned(),
            agent: attributes.text(&["agent_id"]).to_owned(),
            success: attributes.truth(&["success"]),
            content: content(attributes).to_owned(),
            ..Entry::default()
        };
        Some(with(entry, what, attributes))
    })
}

/// Adds the values of an event of a known kind.
fn with(mut entry: Entry, what: Option<What<'_>>, attributes: &Attributes<'_>) -> Entry {
    let known = |number: i64| Some(number).filter(|number| *number > 0);
    match what {
        Some(What::Request(request)) => {
            entry.success = Some(request.outcome == Outcome::Answered);
            entry.duration = known(request.duration);
            if request.outcome == Outcome::Answered {
                entry.input = Some(request.input);
                entry.cache_read = Some(request.cache_read);
                entry.cache_creation = Some(request.cache_creation);
                entry.output = Some(request.output);
                entry.cost = Some(request.cost);
            }
            request.kind.source.clone_into(&mut entry.source);
            request.kind.agent.clone_into(&mut entry.subject);
        }
        Some(What::Tool(call)) => {
            entry.success = Some(call.succeeded);
            entry.duration = known(call.duration);
            call.error.clone_into(&mut entry.subject);
        }
        Some(What::Decision(decision)) => {
            entry.success = Some(decision.accepted);
            decision.source.clone_into(&mut entry.subject);
        }
        Some(What::Prompt(prompt)) => prompt.command.clone_into(&mut entry.subject),
        Some(What::Moment(moment)) => {
            entry.duration = known(moment.duration);
            moment.name.clone_into(&mut entry.subject);
        }
        Some(What::Counter(_) | What::Start(_)) => {}
        None => entry.duration = known(attributes.amount(&["duration_ms"], 1.0)),
    }
    entry
}

fn content<'a>(attributes: &Attributes<'a>) -> &'a str {
    let found = CONTENT.iter().map(|name| attributes.text(&[name]));
    found.into_iter().find(|text| !text.is_empty() && *text != REDACTED).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp::Signal;
    use crate::usage::extract;
    use crate::usage::samples::{api_request, event, logs, morning, text};

    #[test]
    fn every_event_is_found_by_the_id_of_its_fact() {
        let prompt = vec![text("prompt", "<REDACTED>"), text("prompt_length", "12")];
        let body = logs(vec![
            event("s", 1, 1, "user_prompt", prompt),
            event("s", 2, 2, "api_request", api_request("claude-opus-5-5", [101, 12, 10_000, 1000], 0.5)),
            event("s", 3, 3, "tool_result", vec![text("tool_name", "Bash"), text("success", "false")]),
            event("s", 4, 4, "assistant_response", vec![text("response", "an answer")]),
        ]);
        let received = morning().as_millisecond();
        let entries: Vec<_> = entries(&body, received).collect();
        let told: Vec<_> =
            entries.iter().map(|entry| (entry.event.as_str(), entry.success, entry.content.as_str())).collect();
        let expected = [
            ("user_prompt", None, ""),
            ("api_request", Some(true), ""),
            ("tool_result", Some(false), ""),
            ("assistant_response", None, "an answer"),
        ];
        assert_eq!(told, expected);
        let request = &entries[1];
        assert_eq!((request.input, request.output, request.cost), (Some(101), Some(12), Some(500_000_000)));
        assert_eq!((request.cache_read, request.cache_creation), (Some(10_000), Some(1000)));
        let facts: Vec<_> = extract(Signal::Logs, &body, received).facts.iter().map(|fact| fact.identity).collect();
        assert_eq!(entries[..3].iter().map(|entry| entry.identity).collect::<Vec<_>>(), facts);
    }
}
