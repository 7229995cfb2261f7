//! `ccrun doctor`: why nothing arrives, in words, with what to do about it.
//!
//! A [`Check`] looks at one thing and gives what it found. Checks change nothing, none waits for another, and all are
//! given up on when the [`Subject`]'s time is over. What they say is for the terminal of whoever asks and may name
//! anything but a secret's value where it can be helped: [`Mask`] sees to what cannot, and to what is only their own
//! business, before anything is printed.

mod clock;
mod credentials;
mod destination;
mod environment;
mod examine;
mod gateway;
pub mod live;
mod machine;
mod mask;
mod names;
mod profile;
mod program;
mod render;
mod settings;
mod store;
mod subject;

use serde::Serialize;

pub use destination::MARK;
pub use examine::{Reported, examine};
pub use mask::Mask;
pub use render::{as_json, as_text, masked};
pub use subject::Subject;

/// All checks, in the order in which they are told of.
pub fn checks() -> impl Iterator<Item = &'static Check> {
    let groups = [
        program::CHECKS,
        profile::CHECKS,
        credentials::CHECKS,
        settings::CHECKS,
        gateway::CHECKS,
        environment::CHECKS,
        destination::CHECKS,
        store::CHECKS,
        machine::CHECKS,
        clock::CHECKS,
    ];
    groups.into_iter().flatten()
}

/// One thing that is looked at.
#[derive(Debug)]
pub struct Check {
    /// Its name for programs, the same in every version: `GROUP.WHAT`.
    pub id: &'static str,
    /// Where it is told of.
    pub group: Group,
    /// Looks, and says what it found: nothing where there is nothing to look at. One that waits for something waits no
    /// longer than the subject's patience.
    pub look: fn(&Subject) -> Vec<Finding>,
}

/// What belongs together, in the order in which data meets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Group {
    /// The program that would be launched.
    Program,
    /// The profile that applies.
    Profile,
    /// What its headers are taken from.
    Credentials,
    /// What Claude Code's own settings make of it.
    Settings,
    /// What the environment makes of it.
    Environment,
    /// Where its telemetry goes.
    Destination,
    /// What waits on this machine.
    Store,
    /// The machine itself.
    Machine,
    /// The whole way, tried.
    Live,
}

impl Group {
    /// What stands above its findings.
    fn title(self) -> &'static str {
        match self {
            Self::Program => "program",
            Self::Profile => "profile",
            Self::Credentials => "credentials",
            Self::Settings => "Claude Code's settings",
            Self::Environment => "environment",
            Self::Destination => "destination",
            Self::Store => "store",
            Self::Machine => "machine",
            Self::Live => "the whole way",
        }
    }
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// As it should be as far as can be seen from here: somebody has to look elsewhere, where the finding says.
    Sent,
    /// Telemetry arrives, but something will hurt or surprise.
    Warning,
    /// Telemetry does not arrive, or not whole.
    Failed,
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// What is so, in a line that names the cause: what, and where.
    pub summary: String,
    /// What else is worth knowing, a line each: the backend's own words, a file's line.
    pub details: Vec<String>,
    /// What to do about it; nothing where nothing needs doing.
    pub fix: Option<String>,
}

impl Finding {
    /// As it should be.
    pub fn ok(summary: impl Into<String>) -> Self {
        Self { level: Level::Ok, summary: summary.into(), details: Vec::new(), fix: None }
    }

    /// As it should be as far as can be seen from here.
    pub fn sent(summary: impl Into<String>) -> Self {
        Self { level: Level::Sent, ..Self::ok(summary) }
    }

    /// Something will hurt or surprise.
    pub fn warning(summary: impl Into<String>) -> Self {
        Self { level: Level::Warning, ..Self::ok(summary) }
    }

    /// Telemetry does not arrive, or not whole.
    pub fn failed(summary: impl Into<String>) -> Self {
        Self { level: Level::Failed, ..Self::ok(summary) }
    }

    /// With one more line.
    #[must_use]
    pub fn detail(mut self, line: impl Into<String>) -> Self {
        self.details.push(line.into());
        self
    }

    /// With what to do about it.
    #[must_use]
    pub fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }
}
