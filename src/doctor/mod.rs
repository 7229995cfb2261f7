//! `ccrun doctor`: explains why telemetry does not arrive, and how to fix it.
//!
//! A [`Check`] examines one thing and returns its findings. Checks change nothing and do not wait for one another. All
//! are abandoned when the [`Subject`]'s time is over. Findings are for the user's own terminal and may name anything
//! except the value of a secret. [`Mask`] removes secrets that slip in, and private data, before anything is printed.

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
mod wiring;

use serde::Serialize;

pub use destination::MARK;
pub use examine::{Reported, examine};
pub use mask::Mask;
pub use render::{as_json, as_text, masked};
pub use subject::Subject;

/// All checks, in the order in which they are shown.
pub fn checks() -> impl Iterator<Item = &'static Check> {
    let groups = [
        program::CHECKS,
        profile::CHECKS,
        credentials::CHECKS,
        settings::CHECKS,
        gateway::CHECKS,
        wiring::CHECKS,
        environment::CHECKS,
        destination::CHECKS,
        store::CHECKS,
        machine::CHECKS,
        clock::CHECKS,
    ];
    groups.into_iter().flatten()
}

/// A check of one thing.
#[derive(Debug)]
pub struct Check {
    /// Its name for programs, stable across versions: `GROUP.WHAT`.
    pub id: &'static str,
    /// The group that it is shown in.
    pub group: Group,
    /// Runs the check and returns its findings; none if it does not apply. A check that waits for something waits no
    /// longer than the subject's patience.
    pub look: fn(&Subject) -> Vec<Finding>,
}

/// Groups of checks, in the order in which data passes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Group {
    /// The program that would be launched.
    Program,
    /// The profile that applies.
    Profile,
    /// The sources of its headers.
    Credentials,
    /// How Claude Code's own settings affect it.
    Settings,
    /// What is wired into settings of others.
    Wiring,
    /// How the environment affects it.
    Environment,
    /// Where its telemetry goes.
    Destination,
    /// What waits on this machine.
    Store,
    /// The machine itself.
    Machine,
    /// The end-to-end test.
    Live,
}

impl Group {
    /// The heading of its findings.
    fn title(self) -> &'static str {
        match self {
            Self::Program => "program",
            Self::Profile => "profile",
            Self::Credentials => "credentials",
            Self::Settings => "Claude Code's settings",
            Self::Wiring => "wiring",
            Self::Environment => "environment",
            Self::Destination => "destination",
            Self::Store => "store",
            Self::Machine => "machine",
            Self::Live => "end to end",
        }
    }
}

/// The severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// As it should be, as far as this machine can tell: the finding says where to verify it.
    Sent,
    /// Telemetry arrives, but something may fail or surprise later.
    Warning,
    /// Telemetry does not arrive, or only in part.
    Failed,
}

/// The result of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// One line that names the cause and the place.
    pub summary: String,
    /// Further details, one per line: the backend's own message, a line of a file.
    pub details: Vec<String>,
    /// How to fix it, if there is anything to fix.
    pub fix: Option<String>,
}

impl Finding {
    /// As it should be.
    pub fn ok(summary: impl Into<String>) -> Self {
        Self { level: Level::Ok, summary: summary.into(), details: Vec::new(), fix: None }
    }

    /// As it should be, as far as this machine can tell.
    pub fn sent(summary: impl Into<String>) -> Self {
        Self { level: Level::Sent, ..Self::ok(summary) }
    }

    /// Something may fail or surprise later.
    pub fn warning(summary: impl Into<String>) -> Self {
        Self { level: Level::Warning, ..Self::ok(summary) }
    }

    /// Telemetry does not arrive, or only in part.
    pub fn failed(summary: impl Into<String>) -> Self {
        Self { level: Level::Failed, ..Self::ok(summary) }
    }

    /// Adds a line.
    #[must_use]
    pub fn detail(mut self, line: impl Into<String>) -> Self {
        self.details.push(line.into());
        self
    }

    /// Adds the fix.
    #[must_use]
    pub fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }
}
