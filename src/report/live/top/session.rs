//! A running session: as it is found, and as a row.

use crate::report::Line;

/// What a session does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// It waits for its user's answer.
    Waiting,
    /// It works.
    Busy,
    /// It has nothing to do.
    Idle,
    /// It runs. Claude Code does not say more, as with `-p`.
    #[default]
    Running,
}

impl State {
    /// All of them, in the order of a reader's interest.
    pub const ALL: [Self; 4] = [Self::Waiting, Self::Busy, Self::Idle, Self::Running];

    /// The state by Claude Code's name for it.
    pub fn of(status: &str) -> Self {
        match status {
            "waiting" => Self::Waiting,
            "busy" => Self::Busy,
            "idle" => Self::Idle,
            _ => Self::Running,
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Busy => "busy",
            Self::Idle => "idle",
            Self::Running => "running",
        }
    }
}

/// A running session, as Claude Code's files and collectors show it. An empty text is unknown, and so is a time of zero.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The process; `None` if Claude Code has no file about it.
    pub pid: Option<i32>,
    /// Claude Code's `session.id`.
    pub claude_session: String,
    /// The session of `ccrun` that records it.
    pub session: String,
    /// The project's directory.
    pub project: String,
    /// The session's name, or the program that was launched.
    pub name: String,
    /// Claude Code's version.
    pub version: String,
    /// What it does.
    pub state: State,
    /// What it waits for.
    pub waiting_for: String,
    /// When that began, in Unix milliseconds.
    pub since: i64,
    /// When the session began, in Unix milliseconds.
    pub started_at: i64,
}

/// A running session with what it used.
#[derive(Clone, Debug, Default)]
pub struct Row {
    /// How it is found.
    pub found: Found,
    /// What it used.
    pub line: Line,
    /// Whether anything is known of what it used.
    pub is_counted: bool,
    /// The cost of the last hour, in billionths of a US dollar.
    pub hour: i64,
    /// The tokens of each minute of the last hour.
    pub minutes: Vec<i64>,
    /// The model of the conversation.
    pub model: String,
    /// The tokens in the last request of the conversation.
    pub context: Option<i64>,
    /// How many subagents run, and how many have finished.
    pub agents: (usize, usize),
    /// How many batches wait for destinations.
    pub waiting: u64,
}

impl Row {
    /// Tells it from others, also after `/clear`.
    pub fn key(&self) -> String {
        match self.found.pid {
            Some(pid) => pid.to_string(),
            None => format!("{} {}", self.found.session, self.found.claude_session),
        }
    }
}

/// What waits for a destination.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// The session of `ccrun` that received it.
    pub session: String,
    /// The destination's name.
    pub destination: String,
    /// How many batches.
    pub batches: u64,
    /// Why it is not delivered. Contains foreign text.
    pub why: String,
}
