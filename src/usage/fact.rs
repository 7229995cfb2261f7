//! The facts in a request: what happened, who it belongs to, and how a repetition is recognised. They borrow from the
//! request's bytes.

use super::measure::Measure;

/// The contents of a request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Extract<'a> {
    /// Claude Code's facts. Those of other clients are ignored.
    pub facts: Vec<Fact<'a>>,
    /// Numbers and times that cannot be true and were left out.
    pub refused: u64,
}

/// Identifies a fact: eight bytes of a SHA-256. It is the same for a repetition of a record or point, and for the same
/// request in a transcript.
pub type Identity = i64;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Fact<'a> {
    /// Distinguishes it from all others.
    pub identity: Identity,
    /// The time, in Unix milliseconds.
    pub at: i64,
    /// Who it belongs to.
    pub owner: Owner<'a>,
    /// The prompt it belongs to (`prompt.id`), or empty.
    pub prompt: &'a str,
    /// What happened.
    pub what: What<'a>,
}

/// Who a fact belongs to, as reported by the client. An empty text is unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Owner<'a> {
    /// Claude Code's `session.id`.
    pub session: &'a str,
    /// The person: the first of `enduser.id`, `user.email` and `user.account_uuid`.
    pub person: &'a str,
    /// The installation (`user.id`), which stands for a person if none is named.
    pub installation: &'a str,
    /// `organization.id`
    pub organisation: &'a str,
    /// `team.id`, or else `user.groups`.
    pub team: &'a str,
    /// `app.version`, or else `service.version`.
    pub version: &'a str,
    /// `app.entrypoint`
    pub entrypoint: &'a str,
    /// `terminal.type`
    pub terminal: &'a str,
    /// `anthropic.provider`
    pub provider: &'a str,
    /// `anthropic.plan`
    pub plan: &'a str,
    /// `anthropic.seat_type`
    pub seat: &'a str,
    /// `vcs.repository.name`
    pub repository: &'a str,
    /// `vcs.ref.head.name`
    pub branch: &'a str,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum What<'a> {
    /// A request to the model was answered, or failed for good.
    Request(Box<Request<'a>>),
    /// A tool ran.
    Tool(ToolCall<'a>),
    /// A tool was allowed or refused.
    Decision(Decision<'a>),
    /// The user submitted a prompt.
    Prompt(Prompt<'a>),
    /// Another notable event.
    Moment(Moment<'a>),
    /// A metric counted something. Events may report it as well.
    Counter(Counter<'a>),
    /// A session began, as reported by `session.count` (`start_type`).
    Start(&'a str),
}

/// What a request was for: the keys of sums, apart from the model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Kind<'a> {
    /// `query_source`
    pub source: &'a str,
    pub agent: &'a str,
    pub skill: &'a str,
    pub plugin: &'a str,
    pub mcp: &'a str,
    pub speed: &'a str,
    pub effort: &'a str,
    /// The language of an edit.
    pub language: &'a str,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Outcome {
    /// It was answered.
    #[default]
    Answered = 0,
    /// It failed (`api_error`).
    Failed = 1,
    /// The model refused (`api_refusal`).
    Refused = 2,
    /// All attempts failed (`api_retries_exhausted`).
    Exhausted = 3,
    /// Requests without a row in a transcript: the part of a session's cost that its rows do not explain, in one sum.
    Unseen = 4,
}

/// Where a cost comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Basis {
    /// Claude Code's estimate for this request, as reported by its event.
    #[default]
    Client = 0,
    /// There is no cost: the transcript ends without one.
    None = 1,
    /// A share of the session's cost as reported by the client.
    Shared = 2,
    /// A list of prices that the user gave.
    Priced = 3,
    /// Claude Code's estimate for this request, as reported by an old transcript.
    Row = 4,
}

/// A request to the model. Times are in milliseconds, zero if unknown.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Request<'a> {
    pub model: &'a str,
    pub kind: Kind<'a>,
    pub input: i64,
    pub output: i64,
    pub cache_read: i64,
    /// Tokens written to the cache, for up to an hour.
    pub cache_creation: i64,
    /// The part of them that is kept for an hour.
    pub cache_hour: i64,
    /// Billionths of a US dollar.
    pub cost: i64,
    pub duration: i64,
    pub first_token: i64,
    pub outcome: Outcome,
    /// The HTTP status of a failed request; zero if unknown.
    pub status: i64,
    pub attempts: i64,
    /// Where the cost comes from.
    pub basis: Basis,
    /// Whether its identity is derived from its answer's `request-id`.
    pub is_named: bool,
}

/// A tool's run.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct ToolCall<'a> {
    pub tool: &'a str,
    pub mcp: &'a str,
    pub succeeded: bool,
    /// The kind of error, never its text.
    pub error: &'a str,
    /// Milliseconds.
    pub duration: i64,
    /// Bytes, like the next.
    pub input_size: i64,
    pub output_size: i64,
    /// The commit it made, if the client reports one.
    pub revision: &'a str,
}

/// A decision about a tool's run.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Decision<'a> {
    pub tool: &'a str,
    pub accepted: bool,
    /// Who decided: `user_…` is a person; anything else is a setting, a hook or a mode.
    pub source: &'a str,
    pub mode: &'a str,
}

/// A prompt, without its text.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Prompt<'a> {
    /// In characters.
    pub length: i64,
    pub is_builtin: bool,
    pub command: &'a str,
}

/// Another event, at a point in time.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Moment<'a> {
    /// The event's name.
    pub event: &'a str,
    pub name: &'a str,
    /// Milliseconds.
    pub duration: i64,
    pub succeeded: Option<bool>,
    /// The one relevant number of the event, usually tokens.
    pub number: i64,
}

/// A data point.
#[derive(Clone, Debug, PartialEq)]
pub struct Counter<'a> {
    /// The model, or the tool for a decision about an edit.
    pub name: &'a str,
    /// Whether the name is a tool's.
    pub is_tool: bool,
    /// The kind of use.
    pub kind: Kind<'a>,
    /// The measure that is counted.
    pub measure: Measure,
    /// The amount.
    pub amount: i64,
    /// Whether the amount is a running total of its series, so that only its growth is new.
    pub is_cumulative: bool,
}

/// The tools whose decisions concern edits, as counted by the metric `code_edit_tool.decision`.
const EDIT_TOOLS: [&str; 4] = ["Edit", "MultiEdit", "Write", "NotebookEdit"];

/// Whether a tool edits files.
pub fn edits(tool: &str) -> bool {
    EDIT_TOOLS.contains(&tool)
}

/// The measure for a decision about an edit: a person's, or automatic.
pub fn decided(accepted: bool, source: &str) -> Measure {
    match (source.starts_with("user"), accepted) {
        (true, true) => Measure::EditsAccepted,
        (true, false) => Measure::EditsRejected,
        (false, _) => Measure::EditsAutomatic,
    }
}
