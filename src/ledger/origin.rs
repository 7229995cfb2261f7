//! The origin of a batch of facts.

/// The origin of facts: this machine's data about the session that exports them. An empty text is unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin<'a> {
    /// Our session's id; empty if the session is not ours.
    pub session: &'a str,
    /// Claude's session, for a transcript; empty for telemetry.
    pub transcript: &'a str,
    /// The profile's name.
    pub profile: &'a str,
    /// The profile's team, if the client names no team.
    pub team: &'a str,
    /// The project's absolute directory.
    pub project: &'a str,
    /// The repository's name, if the client names no repository.
    pub repository: &'a str,
    /// The current branch, if the client names no branch.
    pub branch: &'a str,
    /// The linked worktree's name.
    pub worktree: &'a str,
    /// The operating system's user, if the client names no person.
    pub user: &'a str,
    /// The machine's random id; empty for this ledger's own machine.
    pub machine: &'a str,
    /// Whether persons are kept (`[ledger] persons`).
    pub persons: bool,
}

impl<'a> Origin<'a> {
    /// The session to which new texts are charged.
    pub(super) fn brings(&self) -> &'a str {
        if self.session.is_empty() { self.transcript } else { self.session }
    }

    /// Whether it is a transcript.
    pub(super) fn is_import(&self) -> bool {
        !self.transcript.is_empty()
    }
}
