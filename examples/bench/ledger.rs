//! A ledger of any size, as years of work would make it.

use std::path::PathBuf;

use anyhow::Context;
use ccrun::profile::Selection;
use ccrun::store::sessions::{self, Session};
use ccrun::store::{self, Store, ledger};
use ccrun::usage::{Measure, Source, Usage};
use jiff::{SignedDuration, Timestamp};
use rusqlite::Connection;

/// Fills a ledger with sessions of an hour each over two years, and prints how many rows it has then
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Made if it is not there
    store: PathBuf,
    /// How many rows the ledger gets, at least
    rows: u64,
}

/// How many quarters of an hour a session lasts.
const QUARTERS: u64 = 4;

/// How many rows a session brings: in each quarter two models with six measures each, three tools, and the prompts.
const ROWS: u64 = QUARTERS * (2 * 6 + 3 + 1);

/// How many sessions go into one commit.
const GROUP: u64 = 500;

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    // Whoever starts a store makes its tables with its first commit.
    let store = Store::start(&options.store, |_| {})?;
    tokio::runtime::Builder::new_current_thread().build()?.block_on(store.commit(|_| Ok(())))?;
    drop(store);
    let connection = store::open(&options.store)?;
    connection.pragma_update(None, "wal_autocheckpoint", 1000)?;
    let count = options.rows.div_ceil(ROWS);
    let years = SignedDuration::from_hours(2 * 365 * 24);
    let begin = Timestamp::now() - years;
    let apart = years / i32::try_from(count)?;
    for first in (0..count).step_by(usize::try_from(GROUP)?) {
        connection.execute_batch("BEGIN IMMEDIATE")?;
        for number in first..(first + GROUP).min(count) {
            add(&connection, number, begin + apart * i32::try_from(number)?)?;
        }
        connection.execute_batch("COMMIT")?;
    }
    let rows: i64 = connection.query_row("SELECT count(*) FROM usage", [], |row| row.get(0)).context("no ledger")?;
    super::say(format_args!("{rows}"))
}

fn add(connection: &Connection, number: u64, at: Timestamp) -> anyhow::Result<()> {
    let id = format!("{number:016x}");
    let session = Session {
        id: id.clone(),
        parent: None,
        profile: "local".to_owned(),
        team: Some(format!("team-{}", number % 5)),
        program: "claude".to_owned(),
        project: format!("project-{}", number % 40),
        branch: Some(format!("branch-{}", number % 300)),
        started_at: at.as_millisecond(),
        selection: Selection::default(),
    };
    sessions::insert(connection, &session)?;
    let usage: Vec<_> = (0..QUARTERS).flat_map(|quarter| used(number, quarter, at)).collect();
    ledger::insert(connection, &id, &usage)?;
    ledger::settle(connection, &id)?;
    sessions::end(connection, &id, at.as_millisecond() + 3_600_000)?;
    Ok(())
}

/// What a session used in one of its quarters.
fn used(session: u64, quarter: u64, begin: Timestamp) -> impl Iterator<Item = Usage> {
    let at = begin + SignedDuration::from_mins(15) * i32::try_from(quarter).unwrap_or_default();
    let request = [
        (Measure::Requests, 1),
        (Measure::InputTokens, 1_203),
        (Measure::OutputTokens, 417),
        (Measure::CacheReadTokens, 50_021),
        (Measure::CacheCreationTokens, 4_007),
        (Measure::Cost, 18_734_500),
    ];
    let models = ["claude-opus-4-5", "claude-haiku-4-5"].map(|model| (model, request.to_vec()));
    let tools = ["Bash", "Edit", "Read"].map(|tool| (tool, vec![(Measure::ToolSuccesses, 1)]));
    let prompts = ("", vec![(Measure::Prompts, 1)]);
    models.into_iter().chain(tools).chain([prompts]).zip(0..).map(move |((name, amounts), number)| Usage {
        identity: (u128::from(session) << 64 | u128::from(quarter) << 32 | number).to_le_bytes(),
        source: Source::Event,
        client: format!("client-{session}"),
        name: name.to_owned(),
        at,
        amounts,
        cumulative: false,
    })
}
