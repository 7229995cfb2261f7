//! Defines which parts of Claude Code's telemetry are content, and which switch of `[content]` allows each.
//!
//! Claude Code withholds content itself, unless its environment says otherwise. That environment may come from
//! settings that override ours. So content without a switch is always removed here. The placeholders that the client
//! writes in place of withheld content stay.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::shape::Kind;

/// The switches of `[content]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// The user's prompts.
    UserPrompts,
    /// The model's answers.
    AssistantResponses,
    /// A tool's input and errors.
    ToolDetails,
    /// A tool's output.
    ToolContent,
    /// Complete requests and answers of the model's API.
    RawApiBodies,
}

impl Switch {
    /// All of them, in the order of the profile.
    pub const ALL: [Self; 5] =
        [Self::UserPrompts, Self::AssistantResponses, Self::ToolDetails, Self::ToolContent, Self::RawApiBodies];
}

/// The attributes that a switch allows in certain messages. If several switches apply to an attribute, it needs all of
/// them.
struct Row {
    switch: Switch,
    /// The kind of message; [`Kind::Other`] means any.
    kind: Kind,
    /// Names without `claude_code.`; empty means any name. The name of a tool's span event may start with the tool.
    names: &'static [&'static str],
    /// Keys; empty means all.
    attributes: &'static [&'static str],
}

const fn row(switch: Switch, kind: Kind, names: &'static [&'static str], attributes: &'static [&'static str]) -> Row {
    Row { switch, kind, names, attributes }
}

/// A pseudo-attribute for the message of a span's status, which is not an attribute.
const STATUS_MESSAGE: &str = "(status message)";

/// The content of Claude Code 2.1.329, including that of its detailed tracing. Keys with only one meaning are content
/// anywhere, because event names change between versions. `error` and similar keys are content only in some events.
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
        // Written content is input, but has the same key as read content, which is output.
        row(ToolDetails, SpanEvent, &["Write tool.output"], &["content"]),
        row(ToolContent, SpanEvent, &["tool.output"], &[]),
        row(ToolContent, Span, &["llm_request", "tool", "tool.execution"], &["new_context"]),
        row(RawApiBodies, Event, &["api_request_body", "api_response_body"], &["body", "body_ref"]),
    ]
};

/// The placeholder for content that the client itself withholds.
pub(super) const PLACEHOLDER: &[u8] = b"<REDACTED>";

/// The prefix of Claude Code's events, spans and metrics.
pub(super) const PREFIX: &[u8] = b"claude_code.";

/// The content that no switch allows.
#[derive(Clone, Debug, Default)]
pub struct Withheld {
    rows: Vec<&'static Row>,
    /// All of their keys, in the order of [`by_length`].
    keys: Vec<&'static [u8]>,
    /// The first bytes and lengths of the keys. They quickly rule out most attributes.
    forms: Forms,
}

/// The first bytes and lengths that occur among several keys.
#[derive(Clone, Copy, Debug, Default)]
struct Forms {
    /// A bit for each first byte, modulo 64.
    begins: u64,
    /// A bit for each length, modulo 64.
    lengths: u64,
}

impl Forms {
    fn of(keys: &[&[u8]]) -> Self {
        keys.iter().fold(Self::default(), |forms, key| {
            let own = Self::of_key(key);
            Self { begins: forms.begins | own.begins, lengths: forms.lengths | own.lengths }
        })
    }

    fn of_key(key: &[u8]) -> Self {
        let bit = |number: usize| 1 << (number % 64);
        Self { begins: bit(key.first().copied().unwrap_or_default().into()), lengths: bit(key.len()) }
    }

    /// Whether a key may be among them.
    fn may_have(self, key: &[u8]) -> bool {
        let own = Self::of_key(key);
        self.begins & own.begins != 0 && self.lengths & own.lengths != 0
    }
}

impl std::fmt::Debug for Row {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:?} {:?} {:?} {:?}", self.switch, self.kind, self.names, self.attributes)
    }
}

impl Withheld {
    /// The content that is withheld if these switches are off.
    pub fn of(off: &[Switch]) -> Self {
        let rows: Vec<_> = ROWS.iter().filter(|row| off.contains(&row.switch)).collect();
        let mut keys: Vec<_> = rows.iter().flat_map(|row| row.attributes).map(|key| key.as_bytes()).collect();
        keys.sort_unstable_by(|key, other| by_length(key, other));
        keys.dedup();
        let forms = Forms::of(&keys);
        Self { rows, keys, forms }
    }

    /// Whether everything is allowed.
    pub(super) fn is_nothing(&self) -> bool {
        self.rows.is_empty()
    }

    /// The content to withhold from a message with these names, all of which count.
    pub(super) fn from<'a>(&'a self, kind: Kind, names: &'a [Cow<'a, [u8]>]) -> Unwanted<'a> {
        let mut unwanted = Unwanted { withheld: Some(self), kind, names, all: false };
        unwanted.all = self.rows.iter().any(|row| row.attributes.is_empty() && unwanted.is_of(row));
        unwanted
    }
}

/// An order that rarely compares keys byte by byte.
fn by_length(key: &[u8], other: &[u8]) -> Ordering {
    key.len().cmp(&other.len()).then_with(|| key.cmp(other))
}

/// The content to withhold from one message.
#[derive(Clone, Copy)]
pub(super) struct Unwanted<'a> {
    withheld: Option<&'a Withheld>,
    kind: Kind,
    names: &'a [Cow<'a, [u8]>],
    /// Whether all of its attributes are withheld.
    all: bool,
}

impl Unwanted<'_> {
    /// Withholds nothing.
    pub(super) const NOTHING: Unwanted<'static> =
        Unwanted { withheld: None, kind: Kind::Other, names: &[], all: false };

    /// Whether an attribute with this key is withheld.
    pub(super) fn has(&self, key: &[u8]) -> bool {
        let Some(Withheld { rows, keys, forms }) = self.withheld else { return false };
        let has = |row: &Row| row.attributes.iter().any(|known| known.as_bytes() == key);
        self.all
            || forms.may_have(key)
                && keys.binary_search_by(|known| by_length(known, key)).is_ok()
                && rows.iter().any(|row| has(row) && self.is_of(row))
    }

    /// Whether the message of a span's status is withheld.
    pub(super) fn has_status_message(&self) -> bool {
        self.kind == Kind::Span && self.has(STATUS_MESSAGE.as_bytes())
    }

    /// Whether the body of a log record is withheld. Claude Code writes the event's name there. A body that is not a
    /// name could be anything.
    pub(super) fn has_body(&self, body: Option<&[u8]>) -> bool {
        let name = body.and_then(|body| body.strip_prefix(PREFIX));
        let is_name = |name: &[u8]| name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(byte));
        let is_held_back = self.withheld.is_some_and(|withheld| !withheld.is_nothing());
        self.kind == Kind::Event && is_held_back && !name.is_some_and(is_name)
    }

    /// Whether a row applies to the message.
    fn is_of(&self, row: &Row) -> bool {
        let is_one = |name: &[u8]| row.names.iter().any(|known| known.as_bytes() == name);
        let is_named = || self.names.iter().any(|name| is_one(name.strip_prefix(PREFIX).unwrap_or(name)));
        row.kind == Kind::Other || row.kind == self.kind && (row.names.is_empty() || is_named())
    }
}
