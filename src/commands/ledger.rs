//! `ccrun ledger forget`.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use jiff::tz::TimeZone;

use super::{complain, print, refuse_inside_claude};
use crate::cli::{LedgerCommand, LedgerForget};
use crate::ledger::{Forget, LEDGER, fold_tails, forget, forget_undelivered};
use crate::report::range::{End, moment};
use crate::state::Places;
use crate::store::{self, write_soon};
use crate::system::process_environment::ProcessEnvironment;
use crate::terminal::printable::printable;
use crate::terminal::prompt;
use crate::workspace::Workspace;
use crate::workspace::repository::checkout;

/// How long to wait for other writers of the ledger.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn run(command: LedgerCommand, process: &ProcessEnvironment) -> Result<ExitCode> {
    let options = match command {
        LedgerCommand::Forget(options) => options,
        LedgerCommand::Export(options) => return super::machines::export(&options, process),
        LedgerCommand::Import(options) => return super::machines::import(&options, process),
        LedgerCommand::Sync(options) => return super::machines::sync(&options, process),
    };
    if let Some(refused) = refuse_inside_claude("ledger forget", process) {
        return Ok(refused);
    }
    let now = process.started_at.to_zoned(TimeZone::system());
    let before = options.before.as_ref().map(|text| moment(text, End::Since, &now)).transpose();
    let before = match before {
        Ok(before) => before.unwrap_or_else(|| now.timestamp().as_millisecond()),
        Err(fault) => {
            complain(&format!("--before: {fault}"));
            return Ok(ExitCode::from(2));
        }
    };
    let project = options.project.as_ref().map(|directory| root(&process.directory.join(directory)));
    let (what, shown) = match (&options.person, &options.session, &project) {
        (Some(person), ..) => (Forget::Person(person), format!("person `{}`", printable(person))),
        (_, Some(session), _) => (Forget::Session(session), format!("session `{}`", printable(session))),
        (_, _, Some(project)) => (Forget::Project(project), format!("project `{}`", printable(project))),
        // Clap requires one of them.
        _ => return Ok(ExitCode::from(2)),
    };
    delete(&options, what, &shown, before, &Workspace::gather(process)?.0.places)
}

/// The project of a directory, as sessions record it.
fn root(directory: &Path) -> String {
    let directory = directory.canonicalize().unwrap_or_else(|_| directory.to_owned());
    checkout(&directory).root.to_string_lossy().into_owned()
}

fn delete(options: &LedgerForget, what: Forget<'_>, shown: &str, before: i64, places: &Places) -> Result<ExitCode> {
    let path = places.ledger();
    if !path.exists() && !places.spool().exists() {
        print("nothing to delete: there is no ledger yet\n")?;
        return Ok(ExitCode::SUCCESS);
    }
    if !options.yes && !prompt::ask(&format!("Delete the usage of {shown} for good? [y/N] "))? {
        complain("nothing was deleted");
        return Ok(ExitCode::FAILURE);
    }
    // What is not in the ledger yet is counted among what was deleted.
    drop(fold_tails(places));
    let done = write_soon(&path, LEDGER, PATIENCE, |connection| {
        // What is deleted is overwritten, in the file and in its log.
        connection.pragma_update(None, "secure_delete", true)?;
        forget(connection, what, before).map(Some)
    });
    let forgotten = done.context("nothing was deleted")?.context("nothing was deleted: others write to the ledger")?;
    empty_log(&path)?;
    let count = forgotten.facts + forgotten.counters;
    print(&format!("deleted {count} {} of {shown}\n", if count == 1 { "record" } else { "records" }))?;
    let done = forget_undelivered(places, what, before, PATIENCE).context("cannot delete undelivered telemetry")?;
    if places.store().exists() {
        empty_log(&places.store())?;
    }
    if done.requests > 0 {
        let exports = if done.requests == 1 { "export" } else { "exports" };
        print(&format!("deleted {} undelivered {exports}\n", done.requests))?;
    }
    if done.running.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    let sessions: Vec<_> = done.running.iter().map(|session| printable(session)).collect();
    complain(&format!(
        "undelivered telemetry of running sessions stays ({}): run the command again after they have ended",
        sessions.join(", ")
    ));
    Ok(ExitCode::FAILURE)
}

/// Writes the log back, which still has what was deleted. If a reader holds that up, the next collector does it.
fn empty_log(path: &Path) -> Result<()> {
    Ok(store::open(path)?.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?)
}
