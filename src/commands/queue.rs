//! `ccrun queue`: what is not delivered yet.

mod flush;
mod mend;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use comfy_table::{Table, presets};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{ask, complain, print, profile, refuse_inside_claude, run};
use crate::cli::QueueCommand;
use crate::printable::printable;
use crate::setting::Setting;
use crate::store::Store;
use crate::surroundings::Surroundings;

pub(super) use crate::backlog::{Entry, State, entries};

pub(super) fn run(command: QueueCommand, surroundings: &Surroundings) -> Result<ExitCode> {
    let (setting, _) = Setting::gather(surroundings)?;
    match command {
        QueueCommand::Status { json } => status(&setting, json),
        QueueCommand::Flush(options) => flush::flush(options, &setting, surroundings),
        QueueCommand::Retry => mend::retry(&setting),
        QueueCommand::Purge(options) => mend::purge(&options, &setting, surroundings),
    }
}

fn status(setting: &Setting, json: bool) -> Result<ExitCode> {
    let entries = entries(setting)?;
    if json {
        print(&format!("{}\n", serde_json::to_string_pretty(&entries)?))?;
    } else if entries.is_empty() {
        print("nothing waits\n")?;
    } else {
        print(&format!("{}\n", table(&entries)))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn table<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header([
        "PROFILE",
        "DESTINATION",
        "SESSION",
        "BATCHES",
        "SINCE",
        "NEXT TRY",
        "WHY",
    ]);
    for entry in entries {
        table.add_row([
            printable(&entry.profile),
            printable(&entry.destination),
            printable(&entry.session),
            entry.batches.to_string(),
            minute(entry.since),
            entry.next_try.map_or_else(String::new, second),
            printable(&entry.why()),
        ]);
    }
    table
}

/// A moment here, to the minute.
pub(super) fn minute(moment: Timestamp) -> String {
    moment.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M").to_string()
}

/// A moment of today, here, to the second.
pub(super) fn second(moment: Timestamp) -> String {
    moment.to_zoned(TimeZone::system()).strftime("%H:%M:%S").to_string()
}

/// Starts the store's thread.
fn start(setting: &Setting) -> Result<Store> {
    let set_aside = |aside: &Path| {
        complain(&format!("the store was no database any more; it was set aside as `{}`", aside.display()));
    };
    Store::start(&setting.places.store(), set_aside).context("cannot start the store's thread")
}
