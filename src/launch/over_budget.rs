//! A launch that would do one piece of work and exit does not start over a budget that stops.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::Result;
use jiff::tz::TimeZone;

use super::Program;
use crate::budget::{self, Lifts};
use crate::profile::Profile;
use crate::system::process_environment::ProcessEnvironment;
use crate::usage::STAND_IN;
use crate::workspace::Workspace;
use crate::{claude, store};

/// How long the launch waits for the ledger. What is not known by then stops nothing.
const PATIENCE: Duration = Duration::from_millis(50);

/// The launch is over a budget that stops.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct OverBudget(String);

impl OverBudget {
    /// The exit code of such a launch.
    pub const EXIT_CODE: u8 = 3;
}

/// Fails if the program is Claude Code that prints an answer and exits, and the spend is over a budget that stops. In
/// other sessions, hooks say so. A test by `ccrun doctor` with a stand-in for the model costs nothing.
pub(super) fn check(
    program: &Program,
    profile: &Profile,
    workspace: &Workspace,
    process: &ProcessEnvironment,
) -> Result<(), OverBudget> {
    let may_stop = program.is_claude && !program.is_wrapped && profile.budgets.iter().any(|budget| budget.stop);
    if !may_stop || !claude::prints(&program.arguments) || profile.resource.contains_key(STAND_IN) {
        return Ok(());
    }
    reason(profile.clone(), workspace.clone(), process.clone()).map_or(Ok(()), |reason| Err(OverBudget(reason)))
}

/// Why no work may begin, as far as it is known in time. The thread that reads is left behind if a disk hangs.
fn reason(profile: Profile, workspace: Workspace, process: ProcessEnvironment) -> Option<String> {
    let (sender, receiver) = mpsc::sync_channel(1);
    let read = move || drop(sender.send(read(&profile, &workspace, &process).ok().flatten()));
    thread::Builder::new().spawn(read).ok()?;
    receiver.recv_timeout(PATIENCE).ok()?
}

fn read(profile: &Profile, workspace: &Workspace, process: &ProcessEnvironment) -> Result<Option<String>> {
    let Some(connection) = store::open_to_read(&workspace.places.ledger())? else { return Ok(None) };
    let now = process.started_at.to_zoned(TimeZone::system());
    let here = budget::of_launch(profile, workspace, process);
    let lifted = Lifts::new(&workspace.places).until(&profile.name, now.timestamp());
    let standings = budget::standings(&connection, &profile.budgets, &here, lifted, &now)?;
    Ok(budget::stop(&standings, now.time_zone()))
}
