//! The profile that the command line and the environment select for a verb.

use crate::cli;
use crate::profile::{Faults, Selection};
use crate::system::process_environment::ProcessEnvironment;
use crate::workspace::Workspace;

/// The selection: from options, else from `CCRUN_PROFILE`.
pub(super) fn selection(launch: cli::Launch, process: &ProcessEnvironment) -> Selection {
    let cli::Launch { mut profiles, variables, resource, env, .. } = launch;
    if profiles.is_empty() {
        profiles.extend(process.text("CCRUN_PROFILE").map(str::to_owned));
    }
    Selection { profiles, variables, resource, env, directory: Some(process.directory.clone()) }
}

/// Whether an invalid profile itself says that nothing may start without it.
pub(super) fn requires(error: &anyhow::Error, selection: &Selection, process: &ProcessEnvironment) -> bool {
    error.is::<Faults>() && Workspace::requires(process, selection)
}
