//! The launcher's instructions to the collector, sent over a pipe. Nothing of them is in arguments or the environment.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::claude::hooks::{Caller, Event};
use crate::credential::Answers;
use crate::profile::Profile;
use crate::secret::Secret;
use crate::store::sessions::Session;
use crate::system::process::Process;
use crate::workspace::Workspace;
use crate::workspace::trust::TrustedDigest;

/// Everything that a session's collector needs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SessionPlan {
    /// The process that reads it.
    pub role: Role,
    /// The number of the worker, counted by its keeper from 1. Each worker writes its own segments.
    pub worker: u32,
    /// The session.
    pub session: Session,
    /// Its profile, resolved.
    pub profile: Profile,
    /// The token that requests must contain.
    pub token: Secret,
    /// The process that becomes the program, or stays as its parent.
    pub launched: Process,
    /// Whether it stays, and reports which process is the program and when that has exited.
    pub stays: bool,
    /// The `--settings` file, if the program is Claude Code.
    pub settings: Option<PathBuf>,
    /// The hook by which budgets speak, if one applies and the program has it.
    pub hook: Option<Hook>,
    /// The directories, and everything else that determines what profiles mean.
    pub workspace: Workspace,
    /// The answers of interactive commands.
    pub answers: Answers,
    /// The digest of the project files that the profile depends on.
    pub trusted_digest: TrustedDigest,
}

/// The hook by which budgets speak in a session.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Hook {
    /// The token that its requests must contain.
    pub token: Secret,
    /// Who asks.
    pub caller: Caller,
    /// Whether the program shows messages, and not only its last answer.
    pub is_shown: bool,
    /// The events for which the user's settings have hooks of the same type.
    pub shared: Vec<Event>,
}

/// The collector process that a plan is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// The process that the launcher starts.
    Keeper,
    /// A worker that the keeper executes because forking does not work.
    Worker,
}
