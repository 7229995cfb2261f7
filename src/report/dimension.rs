//! The dimensions that usage can be broken down by.

use std::str::FromStr;

/// A dimension of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the table below says what each is")]
pub enum Dimension {
    Hour,
    Day,
    Week,
    Month,
    Weekday,
    Session,
    Prompt,
    Project,
    Repository,
    Branch,
    Worktree,
    Model,
    Provider,
    Team,
    Person,
    Organisation,
    Profile,
    Machine,
    Tool,
    Mcp,
    Agent,
    Skill,
    Source,
    Effort,
    Entrypoint,
    Version,
    Terminal,
    Status,
    Automation,
}

/// Where a dimension's value is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the time.
    Time,
    /// In this column of a context.
    Context(&'static str),
    /// It is the model.
    Model,
    /// In this column of a kind.
    Kind(&'static str),
    /// It is the tool.
    Tool,
    /// It is the tool's server.
    Server,
    /// It is the prompt, which only single facts have.
    Prompt,
    /// It is how a request ended, which only single facts have.
    Status,
}

use Dimension as D;
use Place as P;

/// All dimensions: the name, where the value is stored, and a description.
const TABLE: [(Dimension, &str, Place, &str); 29] = [
    (D::Hour, "hour", P::Time, "hours, as 2026-11-29T13"),
    (D::Day, "day", P::Time, "days, as 2026-11-29"),
    (D::Week, "week", P::Time, "ISO weeks, as 2026-W48"),
    (D::Month, "month", P::Time, "months, as 2026-11"),
    (D::Weekday, "weekday", P::Time, "days of the week, 1 for Monday to 7"),
    (D::Session, "session", P::Context("session"), "Claude Code's sessions"),
    (D::Prompt, "prompt", P::Prompt, "prompts, by their ids"),
    (D::Project, "project", P::Context("project"), "projects' directories"),
    (D::Repository, "repository", P::Context("repository"), "repositories"),
    (D::Branch, "branch", P::Context("branch"), "branches, as they were at the time"),
    (D::Worktree, "worktree", P::Context("worktree"), "linked worktrees"),
    (D::Model, "model", P::Model, "models"),
    (D::Provider, "provider", P::Context("provider"), "who serves the model"),
    (D::Team, "team", P::Context("team"), "teams"),
    (D::Person, "person", P::Context("person"), "persons"),
    (D::Organisation, "organisation", P::Context("organisation"), "organisations"),
    (D::Profile, "profile", P::Context("profile"), "profiles"),
    (D::Machine, "machine", P::Context("machine"), "machines, by random ids"),
    (D::Tool, "tool", P::Tool, "tools"),
    (D::Mcp, "mcp", P::Server, "MCP servers"),
    (D::Agent, "agent", P::Kind("agent"), "subagents"),
    (D::Skill, "skill", P::Kind("skill"), "skills"),
    (D::Source, "source", P::Kind("source"), "what in Claude Code asked the model"),
    (D::Effort, "effort", P::Kind("effort"), "efforts"),
    (D::Entrypoint, "entrypoint", P::Context("entrypoint"), "how Claude Code was started"),
    (D::Version, "version", P::Context("version"), "versions of Claude Code"),
    (D::Terminal, "terminal", P::Context("terminal"), "terminals"),
    (D::Status, "status", P::Status, "how requests ended"),
    (D::Automation, "automation", P::Context("automation"), "whether sessions are automation, without a person"),
];

impl Dimension {
    /// All of them, in listing order.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.into_iter().map(|(dimension, ..)| dimension)
    }

    fn line(self) -> (Self, &'static str, Place, &'static str) {
        TABLE[self as usize]
    }

    /// Its name on the command line and in JSON.
    pub fn name(self) -> &'static str {
        self.line().1
    }

    /// A short description.
    pub fn about(self) -> &'static str {
        self.line().3
    }

    pub(super) fn place(self) -> Place {
        self.line().2
    }

    /// Whether its values are ordered by time.
    pub fn is_time(self) -> bool {
        self.place() == Place::Time
    }

    /// Whether it is the same for all that a session does at a time.
    pub fn is_of_sessions(self) -> bool {
        matches!(self.place(), Place::Context(_))
    }

    /// Whether tool runs have it and requests do not.
    pub(super) fn is_of_tools(self) -> bool {
        matches!(self.place(), Place::Tool | Place::Server)
    }

    /// Whether requests have it and tool runs do not.
    pub(super) fn is_of_requests(self) -> bool {
        matches!(self.place(), Place::Model | Place::Kind(_) | Place::Status)
    }
}

impl FromStr for Dimension {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = TABLE.into_iter().find(|(_, name, ..)| *name == text);
        found.map(|(dimension, ..)| dimension).ok_or_else(|| {
            let names: Vec<_> = TABLE.iter().map(|(_, name, ..)| *name).collect();
            format!("there is no dimension `{text}`: there are {}", names.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_the_order_of_the_dimensions() {
        for (index, (dimension, name, ..)) in TABLE.into_iter().enumerate() {
            assert_eq!((dimension as usize, dimension.name()), (index, name));
            assert_eq!(name.parse(), Ok(dimension));
        }
    }
}
