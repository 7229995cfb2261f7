//! What the launcher tells the collector, over a pipe: nothing of it in an argument or the environment.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::credential::Answers;
use crate::process::Process;
use crate::profile::Profile;
use crate::setting::Setting;
use crate::store::sessions::Session;
use crate::trust::Seal;

/// Everything that a session's collector needs to know.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// Who reads it.
    pub role: Role,
    /// The session.
    pub session: Session,
    /// Its profile, resolved.
    pub profile: Profile,
    /// What a request must bring.
    pub token: Token,
    /// The process that becomes the program, or stays as its parent.
    pub launched: Process,
    /// Whether it stays, and says itself which process is the program and when that has ended.
    pub stays: bool,
    /// The `--settings` file, where the program is Claude Code.
    pub settings: Option<PathBuf>,
    /// Where things are kept, and what else decides what profiles mean.
    pub setting: Setting,
    /// What the user's commands gave before the program started.
    pub answers: Answers,
    /// What of a project's files the profile depends on.
    pub seal: Seal,
}

/// Which of a collector's two processes a plan is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// The one that the launcher starts.
    Keeper,
    /// One that a keeper executes, where forking it would not do.
    Worker,
}

/// A session's token; its Debug shows nothing.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Token(pub String);

impl std::fmt::Debug for Token {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Token(…)")
    }
}
