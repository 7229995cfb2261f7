//! What of Claude Code's telemetry is content, and which switch of `[content]` lets it out.
//!
//! Claude Code keeps content back itself, unless its environment says otherwise; and its environment may come from
//! settings that beat ours. So what no switch lets out is taken out here, whatever the client was told. What the client
//! writes in place of a content that it keeps back stays.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::shape::Kind;

/// The switches of `[content]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// What the user typed.
    UserPrompts,
    /// What the model answered.
    AssistantResponses,
    /// A tool's input, and what went wrong with it.
    ToolDetails,
    /// A tool's output.
    ToolContent,
    /// Whole requests and answers of the model's API.
    RawApiBodies,
}

impl Switch {
    /// All of them, in the order of the profile.
    pub const ALL: [Self; 5] =
        [Self::UserPrompts, Self::AssistantResponses, Self::ToolDetails, Self::ToolContent, Self::RawApiBodies];
}

/// What a switch lets out: attributes of these messages. An attribute that several switches let out needs them all.
struct Row {
    switch: Switch,
    /// Where; [`Kind::Other`] means anywhere.
    kind: Kind,
    /// Names without `claude_code.`; none means whatever the name. That of a tool's span event may begin with the tool.
    names: &'static [&'static str],
    /// Keys; none means all.
    attributes: &'static [&'static str],
}

const fn row(switch: Switch, kind: Kind, names: &'static [&'static str], attributes: &'static [&'static str]) -> Row {
    Row { switch, kind, names, attributes }
}

/// Stands among the attributes of a span for the message of its status, which is none.
const STATUS_MESSAGE: &str = "(status message)";

/// Of Claude Code 2.1.329, with what only its detailed tracing writes. Keys that mean nothing else are content anywhere,
/// for names of events change between versions; `error` and the like are content of some events alone.
const ROWS: &[Row] = {
    use Kind::{Event, Other as Anywhere, Span, SpanEvent};
    use Switch::{AssistantResponses, RawApiBodies, ToolContent, ToolDetails, UserPrompts};
    &[
        row(UserPrompts, Anywhere, &[], &["prompt", "prompt_text", "user_prompt"]),
        row(UserPrompts, Anywhere, &[], &["system_prompt", "system_prompt_preview", "system_reminders"]),
        row(UserPrompts, Anywhere, &[], &["user_system_prompt"]),
        row(UserPrompts, Span, &["interaction", "llm_request"], &["new_context"]),
        row(AssistantResponses, Event, &["assistant_response"], &["response"]),
        row(AssistantResponses, Anywhere, &[], &["response.model_output"]),
        row(
            ToolDetails,
            Anywhere,
            &[],
            &["tool_parameters", "tool_input", "full_command", "bash_command", "file_path"],
        ),
        row(ToolDetails, Anywhere, &[], &["mcp_args", "hook_definitions", "hook_matcher", "classifier_category"]),
        row(ToolDetails, Event, &["tool_result", "tool_decision"], &["error"]),
        row(ToolDetails, Event, &["tool_result"], &["vcs.ref.head.revision", "vcs.ref.head.name", "vcs.ref.head.type"]),
        row(ToolDetails, Event, &["mcp_server_connection"], &["server_name", "error"]),
        row(ToolDetails, Event, &["api_refusal"], &["category"]),
        row(ToolDetails, Event, &["tool"], &["tool"]),
        row(ToolDetails, Span, &["tool"], &["skill_name", "subagent_type"]),
        row(ToolDetails, Span, &["tool", "tool.execution", "mcp.rpc"], &["error", STATUS_MESSAGE]),
        row(ToolDetails, SpanEvent, &["exception"], &["exception.message", "exception.stacktrace"]),
        row(ToolDetails, SpanEvent, &["tool.output"], &["diff"]),
        // What is written is input, and goes by the key of what is read, which is output.
        row(ToolDetails, SpanEvent, &["Write tool.output"], &["content"]),
        row(ToolContent, SpanEvent, &["tool.output"], &[]),
        row(ToolContent, Span, &["llm_request", "tool", "tool.execution"], &["new_context"]),
        row(RawApiBodies, Event, &["api_request_body", "api_response_body"], &["body", "body_ref"]),
    ]
};

/// What stands in place of a content that the client keeps back itself.
pub(super) const PLACEHOLDER: &[u8] = b"<REDACTED>";

/// The prefix of Claude Code's events, spans and metrics.
const PREFIX: &[u8] = b"claude_code.";

/// What no switch lets out.
#[derive(Clone, Debug, Default)]
pub struct Withheld {
    rows: Vec<&'static Row>,
    /// All their keys, in the order of [`by_length`]: most attributes have none of them, and that is soon told.
    keys: Vec<&'static [u8]>,
}

impl std::fmt::Debug for Row {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:?} {:?} {:?} {:?}", self.switch, self.kind, self.names, self.attributes)
    }
}

impl Withheld {
    /// What these switches would let out, being off.
    pub fn of(off: &[Switch]) -> Self {
        let rows: Vec<_> = ROWS.iter().filter(|row| off.contains(&row.switch)).collect();
        let mut keys: Vec<_> = rows.iter().flat_map(|row| row.attributes).map(|key| key.as_bytes()).collect();
        keys.sort_unstable_by(|key, other| by_length(key, other));
        keys.dedup();
        Self { rows, keys }
    }

    /// Whether everything is let out.
    pub(super) fn is_nothing(&self) -> bool {
        self.rows.is_empty()
    }

    /// What is withheld of a message that goes by these names, all of which count.
    pub(super) fn from<'a>(&'a self, kind: Kind, names: &'a [Cow<'a, [u8]>]) -> Unwanted<'a> {
        let mut unwanted = Unwanted { withheld: Some(self), kind, names, all: false };
        unwanted.all = self.rows.iter().any(|row| row.attributes.is_empty() && unwanted.is_of(row));
        unwanted
    }
}

/// An order in which few keys are compared byte by byte.
fn by_length(key: &[u8], other: &[u8]) -> Ordering {
    key.len().cmp(&other.len()).then_with(|| key.cmp(other))
}

/// What is withheld of one message.
#[derive(Clone, Copy)]
pub(super) struct Unwanted<'a> {
    withheld: Option<&'a Withheld>,
    kind: Kind,
    names: &'a [Cow<'a, [u8]>],
    /// All of its attributes are.
    all: bool,
}

impl Unwanted<'_> {
    /// Nothing at all.
    pub(super) const NOTHING: Unwanted<'static> =
        Unwanted { withheld: None, kind: Kind::Other, names: &[], all: false };

    /// Whether an attribute of that key is content that nobody let out.
    pub(super) fn has(&self, key: &[u8]) -> bool {
        let Some(Withheld { rows, keys }) = self.withheld else { return false };
        let has = |row: &Row| row.attributes.iter().any(|known| known.as_bytes() == key);
        self.all
            || keys.binary_search_by(|known| by_length(known, key)).is_ok()
                && rows.iter().any(|row| has(row) && self.is_of(row))
    }

    /// Whether the message of a span's status is.
    pub(super) fn has_status_message(&self) -> bool {
        self.kind == Kind::Span && self.has(STATUS_MESSAGE.as_bytes())
    }

    /// Whether the body of a log record is: Claude Code writes the event's name there, and what is no name may be
    /// anything.
    pub(super) fn has_body(&self, body: Option<&[u8]>) -> bool {
        let name = body.and_then(|body| body.strip_prefix(PREFIX));
        let is_name = |name: &[u8]| name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(byte));
        let is_held_back = self.withheld.is_some_and(|withheld| !withheld.is_nothing());
        self.kind == Kind::Event && is_held_back && !name.is_some_and(is_name)
    }

    /// Whether a row is about the message.
    fn is_of(&self, row: &Row) -> bool {
        let is_one = |name: &[u8]| row.names.iter().any(|known| known.as_bytes() == name);
        let is_named = || self.names.iter().any(|name| is_one(name.strip_prefix(PREFIX).unwrap_or(name)));
        row.kind == Kind::Other || row.kind == self.kind && (row.names.is_empty() || is_named())
    }
}
