//! `ccrun queue`: manages undelivered telemetry.

mod flush;
mod requeue;

use std::io;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{complain, print, print_json, profile, refuse_inside_claude, repair};
use crate::cli::QueueCommand;
use crate::ledger::LEDGER;
use crate::store::damage::Replaced;
use crate::store::{STORE, Schema, Store};
use crate::system::process_environment::ProcessEnvironment;
use crate::terminal;
use crate::terminal::moment::until;
use crate::terminal::printable::printable;
use crate::terminal::table::{Column, Table};
use crate::workspace::Workspace;

pub(super) use crate::collector::backlog::{Entry, State, entries};

pub(super) fn run(command: QueueCommand, process: &ProcessEnvironment) -> Result<ExitCode> {
    let (workspace, config) = Workspace::gather(process)?;
    match command {
        QueueCommand::Status { json } => status(&workspace, json),
        QueueCommand::Flush(options) => flush::flush(options, &workspace, &config, process),
        QueueCommand::Retry => requeue::retry(&workspace, process),
        QueueCommand::Purge(options) => requeue::purge(&options, &workspace, process),
    }
}

fn status(workspace: &Workspace, json: bool) -> Result<ExitCode> {
    let entries = entries(workspace)?;
    if json {
        print_json(&entries)?;
    } else if entries.is_empty() {
        print("nothing waits\n")?;
    } else {
        print(&table(&entries).text(terminal::width(&io::stdout())))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn table<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Table {
    let mut table = Table::new([
        Column::name("PROFILE").rank(3),
        Column::name("DESTINATION"),
        Column::word("SESSION").rank(4),
        Column::number("BATCHES"),
        Column::word("SINCE").rank(2),
        Column::word("NEXT TRY").rank(1),
        Column::prose("WHY"),
    ]);
    for entry in entries {
        table.push([
            printable(&entry.profile),
            printable(&entry.destination),
            printable(&entry.session),
            entry.batches.to_string(),
            minute(entry.since),
            next_try(entry).unwrap_or_default(),
            printable(&entry.why()),
        ]);
    }
    table
}

/// A local time, to the minute.
pub(super) fn minute(moment: Timestamp) -> String {
    moment.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M").to_string()
}

/// How long it is until the next attempt, where that is known.
pub(super) fn next_try(entry: &Entry) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "the moment at which it is read")]
    entry.next_try.map(|moment| until(moment, Timestamp::now()))
}

/// Whether anything was ever stored.
fn is_anything_kept(workspace: &Workspace) -> bool {
    workspace.places.store().exists() || workspace.places.spool().exists()
}

/// Starts the store's thread.
fn start(workspace: &Workspace) -> Result<Store> {
    open(&workspace.places.store(), STORE)
}

/// Starts the ledger's thread.
fn start_ledger(workspace: &Workspace) -> Result<Store> {
    open(&workspace.places.ledger(), LEDGER)
}

fn open(path: &Path, schema: Schema) -> Result<Store> {
    let tell = |replaced: &Replaced| complain(&replaced.line());
    Store::start(path, schema, tell).context("cannot start a thread")
}
