//! `ccrun statusline`: a line for Claude Code's screen. On any error it exits with 0 and prints what it knows,
//! because Claude Code shows nothing of a command that fails.

mod input;
mod other;

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use jiff::civil::date;
use jiff::tz::TimeZone;
use jiff::{Unit, Zoned};

use crate::budget::Watched;
use crate::claude::status_line::{Reading, replaced};
use crate::cli;
use crate::ledger::{Gauge, LEDGER, gauge, keep_gauge};
use crate::profile::Field;
use crate::report::ledger::LedgerSource;
use crate::report::status_line::{Known, Look, status_line};
use crate::report::{Range, Standing};
use crate::state::Places;
use crate::store;
use crate::system::process_environment::ProcessEnvironment;
use crate::workspace::Workspace;
use crate::workspace::repository::checkout;
use other::Other;

/// Tells a `ccrun statusline` that another one runs it, and prints its own line.
const NESTED: &str = "CCRUN_STATUSLINE";

/// How long to wait for another process that holds the ledger back.
const PATIENCE: Duration = Duration::from_millis(50);

pub(super) fn run(options: &cli::Statusline, process: &ProcessEnvironment) -> ExitCode {
    let json = input::read();
    let reading = Reading::of(&json);
    let mut other = command(options, &reading, process).and_then(|command| Other::start(&command, json));
    if process.variables.contains_key(std::ffi::OsStr::new(NESTED)) {
        print(&other.take().map(Other::lines).unwrap_or_default());
        return ExitCode::SUCCESS;
    }
    let format = options.format.clone().unwrap_or_default();
    let zone = TimeZone::system();
    let now = process.started_at.to_zoned(zone.clone());
    let ledger = options.ledger.clone().or_else(|| Some(Workspace::gather(process).ok()?.0.places.ledger()));
    let watched = options.budgets.as_ref().filter(|_| format.has(Field::Budget)).and_then(|word| Watched::read(word));
    let has_spend = watched.is_some() || format.has(Field::Today);
    let seen = ledger.as_ref().and_then(|ledger| seen(ledger, &reading, watched, has_spend, &now));
    let Seen { before, spent, mut budgets } = seen.unwrap_or_default();
    let day = i64::from(now.date().since((Unit::Day, date(1970, 1, 1))).map_or(0, |since| since.get_days()));
    let after = Gauge::after(before.as_ref(), &reading, now.timestamp().as_millisecond(), day);
    // The ledger learns of an answer a moment later.
    let unknown = (after.spent() - spent[1]).max(0);
    for standing in &mut budgets {
        standing.add(unknown);
    }
    let directory = reading.directory.as_deref().unwrap_or(&process.directory);
    let known = Known {
        today: Some(spent[0].saturating_add(unknown)),
        branch: format.has(Field::Branch).then(|| checkout(directory).branch).flatten(),
        budgets,
    };
    let width = process.text("COLUMNS").and_then(|columns| columns.parse().ok());
    let look = Look { colour: process.variable("NO_COLOR").is_none(), width, zone };
    let own = status_line(&format, &reading, &known, &look);
    print(&(other.map(Other::lines).unwrap_or_default() + &own));
    if let Some(ledger) = ledger.filter(|_| !before.is_some_and(|before| before.is_as(&after))) {
        keep(&ledger, &reading, &after);
    }
    ExitCode::SUCCESS
}

/// The command of the line that Claude Code would show without this one.
fn command(options: &cli::Statusline, reading: &Reading, process: &ProcessEnvironment) -> Option<String> {
    let replaced = || {
        let places = Places::find(process).ok()?;
        replaced(options.replaced.as_ref()?, &places.claude, reading.project.as_deref())
    };
    options.with.clone().or_else(replaced)
}

/// What the ledger knows.
#[derive(Default)]
struct Seen {
    /// The session's gauge so far.
    before: Option<Gauge>,
    /// Today's cost of everything and of the session, in billionths of a US dollar.
    spent: [i64; 2],
    /// The budgets, and the spend that the ledger knows.
    budgets: Vec<Standing>,
}

/// Reads the ledger, if it is there and can be read.
fn seen(ledger: &Path, reading: &Reading, watched: Option<Watched>, has_spend: bool, now: &Zoned) -> Option<Seen> {
    let connection = store::open_to_read_within(ledger, PATIENCE).ok()??;
    let source = LedgerSource::new(&connection).ok()?;
    let before = gauge(&connection, &reading.session).unwrap_or_default();
    let midnight = now.start_of_day().ok().map(|midnight| midnight.timestamp().as_millisecond());
    let range = Range { since: midnight, until: None };
    let spent = has_spend.then(|| source.spent(range, &reading.session).ok()).flatten();
    let standings = |watched: Watched| watched.standings(&source, &reading.session, now).ok();
    let budgets = watched.and_then(standings).unwrap_or_default();
    Some(Seen { before, spent: spent.unwrap_or_default(), budgets })
}

/// Keeps what only this JSON has. Without a ledger there is no place for it.
fn keep(ledger: &Path, reading: &Reading, after: &Gauge) {
    if !reading.session.is_empty() && ledger.exists() {
        // If the ledger is busy, the next reading replaces this one.
        drop(store::write_unsynced(ledger, LEDGER, |connection| keep_gauge(connection, &reading.session, after)));
    }
}

fn print(text: &str) {
    let mut stdout = io::stdout().lock();
    drop(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()));
}
