//! `ccrun doctor`: why nothing arrives, in words, with what to do about it.
//!
//! A [`Check`] looks at one thing and gives what it found. Checks change nothing, and none waits for another.

use crate::profile::{Config, Faults, Resolved};
use crate::setting::Setting;
use crate::surroundings::Surroundings;

/// What is looked at.
#[derive(Debug)]
pub struct Subject<'a> {
    /// The process's surroundings, as a launch here would find them.
    pub surroundings: &'a Surroundings,
    /// Where things are kept, and what values are taken from.
    pub setting: &'a Setting,
    /// What `config.toml` says.
    pub config: &'a Config,
    /// What a launch would use, with nothing fetched for it; or why it would use nothing.
    pub profile: &'a Result<Resolved, Faults>,
}

/// One thing that is looked at.
pub struct Check {
    /// Its name for programs, the same in every version: `GROUP.WHAT`.
    pub id: &'static str,
    /// Where it is told of.
    pub group: Group,
    /// Looks, and says what it found: nothing where there is nothing to look at.
    pub look: fn(&Subject<'_>) -> Vec<Finding>,
}

/// What belongs together, in the order in which data meets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// As it should be.
    Ok,
    /// Telemetry arrives, but something will hurt or surprise.
    Warning,
    /// Telemetry does not arrive, or not whole.
    Failed,
}

/// What a check found. No text in it holds a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
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
