//! What a line of a transcript tells of usage.

mod content;
mod value;
mod wire;

use std::borrow::Cow;
use std::sync::LazyLock;

use jiff::Timestamp;
use memchr::memmem;

use wire::Wire;

/// A row that tells of usage. Texts borrow from the line where they hold no escape.
#[derive(Clone, Debug, PartialEq)]
pub enum Row<'a> {
    /// A block of an answer of the model's, or that there was none.
    Answer(Box<Answer<'a>>),
    /// What the user, or Claude Code in their place, sent.
    Prompted(Box<Prompted<'a>>),
    /// What the session cost so far.
    Cost(CostState<'a>),
    /// What asks the model, by the id that answers refer to.
    Source(Source<'a>),
    /// Something happened to what waits for Claude to be done.
    Queued {
        /// Unix milliseconds.
        at: i64,
        /// The length in UTF-16 units of a prompt that was given to Claude while it worked.
        length: Option<i64>,
    },
}

/// Where a row was written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Place<'a> {
    /// Unix milliseconds.
    pub at: i64,
    /// The session of the file that it stands in.
    pub session: Cow<'a, str>,
    /// The working directory.
    pub directory: Cow<'a, str>,
    /// The branch; empty where there is none.
    pub branch: Cow<'a, str>,
    /// Claude Code's version.
    pub version: Cow<'a, str>,
    /// How Claude Code was started.
    pub entrypoint: Cow<'a, str>,
    /// Whether a subagent's.
    pub is_sidechain: bool,
}

/// A block of an answer. Each block of one answer repeats what the answer used.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer<'a> {
    /// Where and when.
    pub place: Place<'a>,
    /// The session that asked, where the row is a copy of it: a fork's are.
    pub copied_from: Option<Cow<'a, str>>,
    /// The `request-id` of the answer, which gateways may leave out.
    pub request: Cow<'a, str>,
    /// The row's own id.
    pub id: Cow<'a, str>,
    /// The id of the message.
    pub message: Cow<'a, str>,
    /// What [`Source`] has.
    pub reference: Cow<'a, str>,
    /// The model.
    pub model: Cow<'a, str>,
    /// Input, output, read from the cache, written to it, and what of that is for an hour.
    pub tokens: [i64; 5],
    /// Billionths of a US dollar, where an old version says it.
    pub cost: Option<i64>,
    /// The HTTP status of a request that failed for good, zero where unknown.
    pub failed: Option<i64>,
    /// The subagent's type.
    pub agent: Cow<'a, str>,
    /// How hard the model tries.
    pub effort: Cow<'a, str>,
    /// `standard` or another.
    pub speed: Cow<'a, str>,
    /// The runs of tools that it asks for.
    pub tools: Vec<ToolUse<'a>>,
}

/// A run of a tool that the model asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ToolUse<'a> {
    /// Its id.
    pub id: Cow<'a, str>,
    /// The tool's name.
    pub tool: Cow<'a, str>,
}

/// A row of the user's side: a prompt, or what tools gave.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prompted<'a> {
    /// Where and when.
    pub place: Place<'a>,
    /// Whether the row says that it is a copy.
    pub is_copy: bool,
    /// The prompt that it belongs to.
    pub prompt: Cow<'a, str>,
    /// The length of a prompt's text in UTF-16 units, as the client counts; none where the row is no prompt.
    pub length: Option<i64>,
    /// How runs of tools ended.
    pub results: Vec<ToolResult<'a>>,
    /// Whether they were allowed, and by what: `accept` or `reject`, and its source.
    pub decision: Option<(Cow<'a, str>, Cow<'a, str>)>,
}

/// How a run of a tool ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ToolResult<'a> {
    /// The run's id.
    pub id: Cow<'a, str>,
    /// Whether it failed.
    pub failed: bool,
}

/// What a session cost up to here, all that it resumed included.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CostState<'a> {
    /// When the client began to count, in Unix milliseconds; zero where unknown. A fork goes on in its parent's count.
    pub started: i64,
    /// Whether the price of a model is guessed.
    pub is_guessed: bool,
    /// By model.
    pub models: Vec<(Cow<'a, str>, ModelCost)>,
}

/// What one model cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ModelCost {
    /// As in [`Answer`].
    pub tokens: [i64; 5],
    /// Billionths of a US dollar.
    pub cost: i64,
}

/// What asks the model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Source<'a> {
    /// What answers refer to.
    pub id: Cow<'a, str>,
    /// As events' `query_source`.
    pub name: Cow<'a, str>,
}

/// A row that is none: cut, or of other types than Claude Code writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Faulty;

/// Reads a line. Nothing for the many that tell nothing of usage.
pub fn row(line: &[u8]) -> Result<Option<Row<'_>>, Faulty> {
    if !may_tell(line) {
        return Ok(None);
    }
    let wire: Wire<'_> = serde_json::from_slice(line).map_err(|_| Faulty)?;
    wire.row()
}

/// How many blocks of a message are looked at, and how many models a session may have.
const MOST: usize = 1000;

/// How far into a line its beginning reaches, where Claude Code writes what kind it is of.
const BEGINNING: usize = 200;

/// What a line names whose kind does not stand at its beginning.
static KINDS: LazyLock<[memmem::Finder<'static>; 4]> =
    LazyLock::new(|| ["\"assistant\"", "\"user\"", "\"cost-state\"", "\"api-request\""].map(memmem::Finder::new));

/// A key at the beginning of lines that have no usage.
static ATTACHMENT: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new("\"attachment\":"));

/// Looks at the bytes alone: reading JSON takes ten times as long, and nearly all of it is of no use.
fn may_tell(line: &[u8]) -> bool {
    if line.starts_with(b"{\"type\":\"") {
        let kind = &line[9..];
        let kinds: [&[u8]; 5] = [b"cost-state\"", b"api-request\"", b"assistant\"", b"user\"", b"queue-operation\""];
        return kinds.iter().any(|name| kind.starts_with(name));
    }
    let beginning = &line[..line.len().min(BEGINNING)];
    if ATTACHMENT.find(beginning).is_some() || beginning.iter().all(u8::is_ascii_whitespace) {
        return false;
    }
    // Others may write their JSON in another order and with spaces.
    KINDS.iter().any(|kind| kind.find(line).is_some())
}

/// The earliest time that is believed, in Unix milliseconds: 2020, before there was a Claude Code.
const EARLIEST: i64 = 1_577_836_800_000;

/// A row's time in Unix milliseconds.
fn time(text: &str) -> Result<i64, Faulty> {
    let at = text.parse::<Timestamp>().map_err(|_| Faulty)?.as_millisecond();
    if at >= EARLIEST { Ok(at) } else { Err(Faulty) }
}

#[cfg(test)]
mod tests;
