//! A ledger of eight weeks of a team of twelve that does not exist.
//!
//! The same seed makes the same team. People have their own hours, models and habits; some are away, one comes, one
//! leaves, and one has a broken setup. Automation runs at night.

mod dice;
mod people;
mod session;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context;
use ccrun::ledger::{LEDGER, Origin, insert};
use ccrun::store::{self, Store};
use ccrun::usage::Extract;
use jiff::ToSpan;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use rusqlite::Connection;

use dice::Dice;
use people::{AUTOMATION, PEOPLE, Person};
use session::Session;

/// Invents eight weeks of a team of twelve, and prints how many facts a second were taken in
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Made if it is not there
    ledger: PathBuf,
    /// A day in the last of the eight weeks; by default in the week before this one. Times are UTC
    #[arg(long)]
    last: Option<Date>,
    /// Another seed makes another team
    #[arg(long, default_value_t = 12)]
    seed: u64,
}

/// How many weeks there are.
const WEEKS: i64 = 8;

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let last = options.last.unwrap_or_else(|| jiff::Zoned::now().date().saturating_sub(1.week()));
    let since_monday = i64::from(last.weekday().to_monday_zero_offset());
    let first = last.saturating_sub(since_monday.days()).saturating_sub((WEEKS - 1).weeks());
    // The first commit creates the tables.
    let made = Store::start(&options.ledger, LEDGER, |_| {})?;
    tokio::runtime::Builder::new_current_thread().build()?.block_on(made.commit(|_| Ok(())))?;
    drop(made);
    let ledger = store::open(&options.ledger)?;
    let (started, mut facts, mut number) = (Instant::now(), 0, 0);
    let mut dice = Dice::new(options.seed);
    for day in 0..WEEKS * 7 {
        ledger.execute_batch("BEGIN IMMEDIATE")?;
        for person in PEOPLE.iter().chain([&AUTOMATION]) {
            for _ in 0..person.sessions(day, &mut dice) {
                number += 1;
                facts += add(&ledger, person, first.saturating_add(day.days()), day, number, &mut dice)?;
            }
        }
        ledger.execute_batch("COMMIT")?;
    }
    let seconds = started.elapsed().as_secs_f64();
    ledger.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    let bytes = std::fs::metadata(&options.ledger)?.len();
    let requests: i64 = ledger.query_row("SELECT count(*) FROM request", [], |row| row.get(0))?;
    #[expect(clippy::cast_precision_loss, reason = "what is shown has few digits")]
    let (a_second, each) = (facts as f64 / seconds, bytes as f64 / facts as f64);
    super::say(format_args!(
        "{requests} requests, {facts} facts, {number} sessions, {a_second:.0} facts/s, {each:.0} bytes a fact"
    ))
}

/// Adds a session, and returns how many facts it has.
fn add(
    ledger: &Connection,
    person: &'static Person,
    date: Date,
    day: i64,
    number: u64,
    dice: &mut Dice,
) -> anyhow::Result<u64> {
    let (hour, minute) = person.start(dice);
    let start = date.at(hour, minute, 0, 0).to_zoned(TimeZone::UTC).context("no such time")?;
    let session = Session::new(person, day, number, start.timestamp().as_millisecond(), dice);
    let facts = session.facts(dice);
    let origin = Origin {
        session: &session.ours,
        profile: "team",
        project: &session.project,
        machine: person.machine,
        persons: true,
        ..Origin::default()
    };
    Ok(insert(ledger, &origin, &[Extract { facts, refused: 0 }])?)
}
