//! The project and branch of a session, for the ledger.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::collector::plan::SessionPlan;
use crate::ledger::Whereabouts;
use crate::workspace::repository::{checkout, repository_name};

/// How long a branch is assumed to stay checked out. Reading it takes a few system calls, which matters only with
/// thousands of requests per second.
const FRESH: Duration = Duration::from_millis(50);

/// The project, and the branch, which is read regularly.
#[derive(Default)]
pub(super) struct Place {
    project: PathBuf,
    /// Whether the project is the repository, whose branch may change.
    is_checkout: bool,
    known: Whereabouts,
    found: Mutex<Option<(Instant, Vec<u8>)>>,
}

impl Place {
    pub(super) fn of(plan: &SessionPlan) -> Self {
        let project = PathBuf::from(&plan.session.project);
        let is_linked = project.join(".git").is_file();
        let name = project.file_name().map(|name| name.to_string_lossy().into_owned());
        let known = Whereabouts {
            branch: plan.session.branch.clone().unwrap_or_default(),
            repository: repository_name(&project).unwrap_or_default(),
            worktree: name.filter(|_| is_linked).unwrap_or_default(),
            user: plan.workspace.user().unwrap_or_default(),
            persons: plan.workspace.ledger.persons,
        };
        let is_checkout = project.join(".git").symlink_metadata().is_ok();
        Self { project, is_checkout, known, found: Mutex::default() }
    }

    /// As the ledger reads it.
    pub(super) fn of_the_moment(&self) -> Vec<u8> {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, encoded)) = found.as_ref().filter(|(at, _)| at.elapsed() < FRESH) {
            return encoded.clone();
        }
        let mut known = self.known.clone();
        if self.is_checkout {
            known.branch = checkout(&self.project).branch.unwrap_or_default();
        }
        let encoded = known.encode();
        *found = Some((Instant::now(), encoded.clone()));
        encoded
    }
}
