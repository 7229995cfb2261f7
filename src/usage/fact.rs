//! What the ledger is made of: a piece of usage, who used it, and how it is recognised when it comes again.

use jiff::Timestamp;

/// What a request holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extract {
    /// Spans, data points or log records, whoever sent them.
    pub items: u64,
    /// What Claude Code says it used; nothing of other clients.
    pub usage: Vec<Usage>,
}

/// Where a piece of usage was read. Events and metrics count the same tokens and cost, so both are kept apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// A log record of Claude Code's.
    Event,
    /// A data point of Claude Code's.
    Metric,
}

/// What is counted. The numbers are what the ledger stores: they are never given to anything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Measure {
    /// Answered requests to the model. Only events count them.
    Requests = 1,
    /// Tokens sent, those read from or written to the cache excepted.
    InputTokens = 2,
    /// Tokens of answers.
    OutputTokens = 3,
    /// Tokens read from the cache.
    CacheReadTokens = 4,
    /// Tokens written to the cache.
    CacheCreationTokens = 5,
    /// Claude Code's own estimate, in billionths of a US dollar: integers add up exactly and in any order.
    Cost = 6,
    /// Requests that failed (`api_error`).
    Errors = 7,
    /// Prompts that the user submitted.
    Prompts = 8,
    /// Tool calls that succeeded.
    ToolSuccesses = 9,
    /// Tool calls that failed.
    ToolFailures = 10,
    /// Edits that were accepted, by the user or by a rule.
    EditsAccepted = 11,
    /// Edits that were rejected, by the user or by a rule.
    EditsRejected = 12,
    /// Milliseconds in which the user typed or read.
    ActiveUser = 13,
    /// Milliseconds in which Claude Code worked.
    ActiveCli = 14,
    /// Lines of code added.
    LinesAdded = 15,
    /// Lines of code removed.
    LinesRemoved = 16,
    /// Commits made.
    Commits = 17,
    /// Pull requests opened.
    PullRequests = 18,
    /// Sessions that Claude Code started, by its own count. It makes a session known that has done nothing else.
    SessionStarts = 19,
}

impl Measure {
    const ALL: [Self; 19] = [
        Self::Requests,
        Self::InputTokens,
        Self::OutputTokens,
        Self::CacheReadTokens,
        Self::CacheCreationTokens,
        Self::Cost,
        Self::Errors,
        Self::Prompts,
        Self::ToolSuccesses,
        Self::ToolFailures,
        Self::EditsAccepted,
        Self::EditsRejected,
        Self::ActiveUser,
        Self::ActiveCli,
        Self::LinesAdded,
        Self::LinesRemoved,
        Self::Commits,
        Self::PullRequests,
        Self::SessionStarts,
    ];

    /// The number that stands for it in the ledger.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The measure of that number; none for one that a newer version wrote.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|measure| measure.code() == code)
    }

    /// Whether events and metrics both count it, so that only one of them may be added.
    pub fn has_two_sources(self) -> bool {
        matches!(
            self,
            Self::InputTokens
                | Self::OutputTokens
                | Self::CacheReadTokens
                | Self::CacheCreationTokens
                | Self::Cost
                | Self::EditsAccepted
                | Self::EditsRejected
        )
    }
}

/// What tells one record or point of a session from all others: when and in which order it came, and eight bytes
/// of a SHA-256.
pub type Identity = [u8; 16];

/// What one log record or one data point says was used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// The same for a repetition of the same record or point; of a cumulative series, the same for all its points.
    pub identity: Identity,
    /// Whether a record or a point said it.
    pub source: Source,
    /// Claude Code's `session.id`; empty where `[cardinality] session_id` keeps it back.
    pub client: String,
    /// The model, or the tool for tool calls and edits; empty where there is none.
    pub name: String,
    /// When, to the millisecond.
    pub at: Timestamp,
    /// What was used, each positive.
    pub amounts: Vec<(Measure, i64)>,
    /// The amount is a running total of its series, so that only what it grew by is new.
    pub cumulative: bool,
}

impl Usage {
    /// The first of the amounts, which is the only one of a series.
    pub fn amount(&self) -> i64 {
        self.amounts.first().map_or(0, |(_, amount)| *amount)
    }
}
