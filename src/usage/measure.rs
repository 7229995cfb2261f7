//! The measures that are counted.

/// An amount that the ledger adds up. Each is a column of its sums, named by [`Measure::column`], in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Measure {
    /// Answered requests to the model. Only events count them.
    Requests,
    /// Requests that failed for good.
    Errors,
    /// Prompts that the user submitted, except built-in commands.
    Prompts,
    /// Tokens sent, except those read from or written to the cache.
    InputTokens,
    /// Tokens of answers.
    OutputTokens,
    /// Tokens read from the cache.
    CacheReadTokens,
    /// Tokens written to the cache.
    CacheCreationTokens,
    /// Tokens written to the cache that are kept for an hour.
    CacheHourTokens,
    /// Claude Code's own estimate, in billionths of a US dollar: integers add up exactly and in any order.
    Cost,
    /// Milliseconds that requests took.
    RequestTime,
    /// Milliseconds to the first token of answers.
    FirstTokenTime,
    /// Answers whose time to the first token is known.
    FirstTokens,
    /// Milliseconds in which the user typed or read.
    ActiveUser,
    /// Milliseconds in which Claude Code worked.
    ActiveCli,
    /// Lines of code added.
    LinesAdded,
    /// Lines of code removed.
    LinesRemoved,
    /// Commit commands.
    Commits,
    /// Pull requests opened.
    PullRequests,
    /// Edits that a person was asked about and accepted.
    EditsAccepted,
    /// Edits that a person was asked about and rejected.
    EditsRejected,
    /// Edits that a setting, a hook or a mode decided, without asking.
    EditsAutomatic,
    /// Tool calls that succeeded.
    ToolSuccesses,
    /// Tool calls that failed.
    ToolFailures,
    /// Milliseconds that tool calls took.
    ToolTime,
}

/// The number of measures.
pub const MEASURES: usize = Measure::ALL.len();

/// An amount of each measure.
pub type Amounts = [i64; MEASURES];

impl Measure {
    /// All of them, in the order of the columns.
    pub const ALL: [Self; 24] = [
        Self::Requests,
        Self::Errors,
        Self::Prompts,
        Self::InputTokens,
        Self::OutputTokens,
        Self::CacheReadTokens,
        Self::CacheCreationTokens,
        Self::CacheHourTokens,
        Self::Cost,
        Self::RequestTime,
        Self::FirstTokenTime,
        Self::FirstTokens,
        Self::ActiveUser,
        Self::ActiveCli,
        Self::LinesAdded,
        Self::LinesRemoved,
        Self::Commits,
        Self::PullRequests,
        Self::EditsAccepted,
        Self::EditsRejected,
        Self::EditsAutomatic,
        Self::ToolSuccesses,
        Self::ToolFailures,
        Self::ToolTime,
    ];

    /// Those that both events and metrics count. Only one of the two may be added.
    pub const TWICE: [Self; 8] = [
        Self::InputTokens,
        Self::OutputTokens,
        Self::CacheReadTokens,
        Self::CacheCreationTokens,
        Self::Cost,
        Self::EditsAccepted,
        Self::EditsRejected,
        Self::EditsAutomatic,
    ];

    /// Its place among [`Amounts`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Its place in `TWICE`, if it is there.
    pub fn twice(self) -> Option<usize> {
        Self::TWICE.iter().position(|measure| *measure == self)
    }

    /// Its column in the ledger.
    pub const fn column(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Errors => "errors",
            Self::Prompts => "prompts",
            Self::InputTokens => "input",
            Self::OutputTokens => "output",
            Self::CacheReadTokens => "cache_read",
            Self::CacheCreationTokens => "cache_creation",
            Self::CacheHourTokens => "cache_hour",
            Self::Cost => "cost",
            Self::RequestTime => "request_time",
            Self::FirstTokenTime => "first_token_time",
            Self::FirstTokens => "first_tokens",
            Self::ActiveUser => "active_user",
            Self::ActiveCli => "active_cli",
            Self::LinesAdded => "lines_added",
            Self::LinesRemoved => "lines_removed",
            Self::Commits => "commits",
            Self::PullRequests => "pull_requests",
            Self::EditsAccepted => "edits_accepted",
            Self::EditsRejected => "edits_rejected",
            Self::EditsAutomatic => "edits_automatic",
            Self::ToolSuccesses => "tool_successes",
            Self::ToolFailures => "tool_failures",
            Self::ToolTime => "tool_time",
        }
    }
}
