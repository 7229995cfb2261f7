//! `ccrun budget`: shows how budgets stand, and lifts them for a while.

use std::process::ExitCode;

use anyhow::{Context, Result};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};
use rusqlite::Connection;
use serde_json::json;

use super::selection::selection;
use super::{colour, complain, gather, print, print_json, profile, refuse_inside_claude};
use crate::budget::{self, Lifts, Standing};
use crate::cli::{self, BudgetCommand, BudgetLift, Which};
use crate::profile::{Faults, Profile};
use crate::report::render::{self, Look};
use crate::state::Places;
use crate::system::process_environment::ProcessEnvironment;
use crate::terminal;
use crate::terminal::printable::visible;
use crate::workspace::{Config, Workspace};
use crate::{ledger, store};

/// How to set a budget, if none applies.
const HOW: &str = "\
Write one in a profile, or in config.toml for all of them:
  [budget]
  daily = 20       # US dollars; weekly and monthly as well
  stop = true      # let no work begin beyond 100 %
";

pub(super) fn run(options: cli::Budget, process: &ProcessEnvironment) -> Result<ExitCode> {
    match options.command {
        Some(BudgetCommand::Lift(lift)) => self::lift(lift, process),
        None => show(options.which, options.json, process),
    }
}

/// The profile of a selection, or the exit code after its faults were printed. Nothing is fetched or run.
fn resolved(
    which: Which,
    (workspace, config): (&Workspace, &Config),
    process: &ProcessEnvironment,
) -> Result<Profile, ExitCode> {
    match workspace.outline(&selection(which.into(), process), config) {
        Ok((resolved, ignored)) => {
            if let Some(ignored) = ignored {
                complain(&visible(&ignored.to_string()));
            }
            Ok(resolved.profile)
        }
        Err(faults) => Err(profile::invalid(&faults, process)),
    }
}

fn show(which: Which, is_json: bool, process: &ProcessEnvironment) -> Result<ExitCode> {
    let (workspace, config) = gather(process)?;
    let profile = match resolved(which, (&workspace, &config), process) {
        Ok(profile) => profile,
        Err(code) => return Ok(code),
    };
    let now = process.started_at.to_zoned(TimeZone::system());
    let standings = if profile.budgets.is_empty() {
        Vec::new()
    } else {
        standings(&ledger(&workspace.places)?, &profile, &workspace, &now, process)?
    };
    let stdout = std::io::stdout();
    let look = Look {
        width: terminal::width(&stdout),
        colour: colour(&stdout, process),
        home: workspace.places.home.clone(),
        zone: now.time_zone().clone(),
    };
    if is_json {
        print_json(&json!({ "profile": profile.name, "budgets": render::budgets_json(&standings, &look) }))?;
    } else if standings.is_empty() {
        print(&visible(&format!("no budget applies with the profile `{}`", profile.name)))?;
        print(&format!("\n{HOW}"))?;
    } else {
        print(&render::budgets(&standings, &look))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The ledger with the latest usage. An empty one is read like any other.
fn ledger(places: &Places) -> Result<Connection> {
    // The latest usage is still in the sessions' logs.
    match ledger::fold_tails(places) {
        Ok(missing) if missing.is_empty() => {}
        Ok(_) => complain("the latest usage of some sessions is missing"),
        Err(error) => complain(&format!("the latest usage of running sessions is missing: {error}")),
    }
    Ok(store::open_to_read(&places.ledger())?.map_or_else(ledger::empty, Ok)?)
}

/// How the budgets of a profile stand now, in this directory.
fn standings(
    connection: &Connection,
    profile: &Profile,
    workspace: &Workspace,
    now: &Zoned,
    process: &ProcessEnvironment,
) -> Result<Vec<Standing>> {
    let here = budget::of_launch(profile, workspace, process);
    let lifted = Lifts::new(&workspace.places).until(&profile.name, now.timestamp());
    budget::standings(connection, &profile.budgets, &here, lifted, now).context("cannot read the ledger")
}

fn lift(options: BudgetLift, process: &ProcessEnvironment) -> Result<ExitCode> {
    if let Some(refused) = refuse_inside_claude("budget lift", process) {
        return Ok(refused);
    }
    let (workspace, config) = gather(process)?;
    let profile = match resolved(options.which, (&workspace, &config), process) {
        Ok(profile) => profile,
        Err(code) => return Ok(code),
    };
    let (lifts, name) = (Lifts::new(&workspace.places), &profile.name);
    let said = if options.duration.is_zero() {
        let is_ended = lifts.end(name).context("cannot end the lift")?;
        let said = if is_ended { "are no longer lifted" } else { "were not lifted" };
        format!("the budgets of the profile `{name}` {said}")
    } else if profile.budgets.is_empty() {
        complain(&visible(&format!("no budget applies with the profile `{name}`")));
        return Ok(ExitCode::FAILURE);
    } else {
        let until = end(process.started_at, options.duration)?;
        lifts.lift(name, until).context("cannot lift the budgets")?;
        let until = until.to_zoned(TimeZone::system()).strftime("%a %Y-%m-%d %H:%M");
        format!("the budgets of the profile `{name}` are lifted until {until}")
    };
    print(&(visible(&said) + "\n"))?;
    Ok(ExitCode::SUCCESS)
}

fn end(now: Timestamp, duration: std::time::Duration) -> Result<Timestamp> {
    Ok(now.checked_add(SignedDuration::try_from(duration)?)?)
}

/// The budgets for the overview of a report. A profile that is invalid has none, and a line says so.
pub(super) fn of_report(
    connection: &Connection,
    which: Which,
    (workspace, config): (&Workspace, &Config),
    now: &Zoned,
    process: &ProcessEnvironment,
) -> Result<Vec<Standing>> {
    let outline = workspace.outline(&selection(which.into(), process), config);
    let told =
        |error: &Faults| complain(&visible(&format!("budgets are not shown, since the profile is invalid: {error}")));
    let Ok((resolved, _)) = outline.inspect_err(told) else { return Ok(Vec::new()) };
    standings(connection, &resolved.profile, workspace, now, process)
}
