//! One session or one prompt, step by step.

use super::table::Line;

/// What a story is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoryOf {
    /// One of Claude Code's sessions.
    Session,
    /// One prompt.
    Prompt,
}

impl StoryOf {
    /// Its name, which is also that of its dimension.
    pub fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Prompt => "prompt",
        }
    }
}

/// The events of a session, or those that a prompt caused.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Story {
    /// Claude Code's `session.id`.
    pub session: String,
    /// The prompt's id, for the story of one prompt.
    pub prompt: Option<String>,
    /// Other facts about the session, each as a name and a value.
    pub about: Vec<(&'static str, String)>,
    /// The steps, in order of time.
    pub steps: Vec<Step>,
    /// The total of its events.
    pub total: Line,
    /// The cost of a session according to each source.
    pub sources: Sources,
    /// The differences between the sources, each as a name, a colon and an explanation.
    pub differences: Vec<String>,
}

/// The cost of a session according to each source, in billionths of a US dollar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// Events.
    pub events: i64,
    /// Metrics.
    pub metrics: i64,
    /// The transcript, for requests without events.
    pub transcript: i64,
    /// The client's total at the end, without the copied part of a fork; `None` if it is unknown.
    pub client: Option<i64>,
    /// The client's running total in its status line, when that was last shown; `None` if it was not.
    pub status_line: Option<i64>,
}

/// One step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Step {
    /// The time, in Unix milliseconds.
    pub at: i64,
    /// `prompt`, `request`, `tool`, `decision`, or the name of another event.
    pub what: String,
    /// The model, the tool, or another subject.
    pub name: Option<String>,
    /// How it ended, or the decision and who made it.
    pub outcome: Option<String>,
    /// The prompt it belongs to.
    pub prompt: Option<String>,
    /// Milliseconds.
    pub duration: Option<i64>,
    /// All tokens of a request.
    pub tokens: i64,
    /// Billionths of a US dollar.
    pub cost: i64,
}
