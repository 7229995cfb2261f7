//! Whose spend counts for a launch or a session.

use std::path::Path;

use crate::profile::Profile;
use crate::report::ledger::Here;
use crate::store::sessions::Session;
use crate::system::process_environment::ProcessEnvironment;
use crate::workspace::Workspace;
use crate::workspace::repository;

/// The resource attribute that names the person.
const PERSON: &str = "enduser.id";

/// What is known in a directory, before a session begins.
pub fn of_launch(profile: &Profile, workspace: &Workspace, process: &ProcessEnvironment) -> Here {
    let named = |variable| process.variable(variable).map(Path::new);
    let checkout = repository::checkout_by(&process.directory, named("GIT_DIR"), named("GIT_WORK_TREE"));
    Here {
        project: Some(checkout.root.to_string_lossy().into_owned()),
        branch: checkout.branch,
        team: profile.team.clone(),
        profile: Some(profile.name.clone()),
        ..of(profile, workspace)
    }
}

/// What is known in a session. Its branch is the one at its start. `claude_session` is Claude Code's id, if it is known.
pub fn of_session(session: &Session, claude_session: Option<&str>, profile: &Profile, workspace: &Workspace) -> Here {
    Here {
        session: Some(session.id.clone()),
        claude_session: claude_session.map(str::to_owned),
        project: Some(session.project.clone()),
        branch: session.branch.clone(),
        team: session.team.clone(),
        profile: Some(session.profile.clone()),
        ..of(profile, workspace)
    }
}

fn of(profile: &Profile, workspace: &Workspace) -> Here {
    let redact = &profile.redact;
    let is_redacted = redact.drop.contains(PERSON) || redact.hash.contains(PERSON);
    Here {
        person: profile.resource.get(PERSON).filter(|_| !is_redacted).cloned(),
        user: workspace.user(),
        has_persons: workspace.ledger.persons,
        ..Here::default()
    }
}
