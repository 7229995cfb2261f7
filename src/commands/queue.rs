//! `ccrun queue`: what is not delivered yet.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use comfy_table::{Table, presets};
use jiff::Timestamp;
use serde::Serialize;
use tokio::time::{sleep, timeout};

use super::{complain, print};
use crate::cli::QueueCommand;
use crate::collector::{deliver_leftovers, owner};
use crate::credential::{Answers, Occasion, Vault};
use crate::forward::Backoff;
use crate::helper;
use crate::printable::printable;
use crate::setting::Setting;
use crate::state::{self, SessionLock};
use crate::store::batches::{self, Waiting};
use crate::store::{self, Store, StoreError, sessions};
use crate::surroundings::Surroundings;

/// How long `flush` goes on.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn run(command: &QueueCommand, surroundings: &Surroundings) -> Result<ExitCode> {
    let (setting, _) = Setting::gather(surroundings)?;
    match command {
        QueueCommand::Status { json } => status(&setting, *json),
        QueueCommand::Flush => flush(&setting),
    }
}

/// What waits for one destination of one session.
#[derive(Serialize)]
struct Entry {
    profile: String,
    destination: String,
    session: String,
    state: State,
    batches: u64,
    bytes: u64,
    since: Timestamp,
    last_error: Option<String>,
}

/// Who delivers it.
#[derive(Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    /// The session's own collector.
    Running,
    /// The next session, or `queue flush`.
    Ended,
    /// Nobody: its profile or destination has changed or gone since.
    Orphaned,
    /// Nobody: the destination refused it for good.
    Refused,
}

fn entries(setting: &Setting) -> Result<Vec<Entry>> {
    let Some(connection) = store::open_to_read(&setting.places.store()).context("cannot open the store")? else {
        return Ok(Vec::new());
    };
    let entry = |waiting: Waiting, given_up: bool| {
        let session = sessions::find(&connection, &waiting.recipient.session)?;
        let running = SessionLock::is_held(&setting.places.lock(&waiting.recipient.session));
        let owned = || session.as_ref().and_then(|session| owner(setting, session, &waiting.recipient)).is_some();
        let state = match (given_up, running) {
            (true, _) => State::Refused,
            (false, true) => State::Running,
            (false, false) if owned() => State::Ended,
            (false, false) => State::Orphaned,
        };
        Ok(Entry {
            state,
            profile: session.map(|session| session.profile).unwrap_or_default(),
            destination: waiting.recipient.destination,
            session: waiting.recipient.session,
            batches: waiting.batches,
            bytes: waiting.bytes,
            since: Timestamp::from_millisecond(waiting.since).unwrap_or_default(),
            last_error: waiting.last_error,
        })
    };
    let waiting = batches::waiting(&connection)?.into_iter().map(|waiting| entry(waiting, false));
    waiting.chain(batches::given_up(&connection)?.into_iter().map(|refused| entry(refused, true))).collect()
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

fn table(entries: &[Entry]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["PROFILE", "DESTINATION", "SESSION", "BATCHES", "SINCE", "WHY"]);
    for entry in entries {
        let why = match (entry.state, entry.last_error.as_deref()) {
            (State::Orphaned, _) => "its profile or destination has changed since".to_owned(),
            (State::Refused, error) => format!("refused for good: {}", error.unwrap_or_default()),
            (_, Some(error)) => error.to_owned(),
            (_, None) => "not tried yet".to_owned(),
        };
        table.add_row([
            printable(&entry.profile),
            printable(&entry.destination),
            printable(&entry.session),
            entry.batches.to_string(),
            entry.since.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M").to_string(),
            printable(&why),
        ]);
    }
    table
}

/// Delivers what ended sessions left; sessions that run deliver their own.
fn flush(setting: &Setting) -> Result<ExitCode> {
    if !setting.places.store().exists() {
        print("nothing waits\n")?;
        return Ok(ExitCode::SUCCESS);
    }
    state::prepare(&setting.places)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(async {
        let store = Store::start(&setting.places.store(), |aside| {
            complain(&format!("the store was no database any more; it was set aside as `{}`", aside.display()));
        })?;
        let vault = Vault::new(setting.clone(), Answers::default());
        match timeout(PATIENCE, deliver_all(setting, &vault, &store)).await {
            Ok(delivered) => delivered.map_err(anyhow::Error::from),
            // What is left is said below.
            Err(_) => Ok(()),
        }
    });
    runtime.shutdown_background();
    helper::end_all();
    result?;
    let waiting = entries(setting)?.into_iter().filter(|entry| entry.state != State::Refused);
    let (running, left): (Vec<_>, Vec<_>) = waiting.partition(|entry| entry.state == State::Running);
    if !left.is_empty() {
        complain("not everything could be delivered");
        print(&format!("{}\n", table(&left)))?;
        return Ok(ExitCode::FAILURE);
    }
    match running.iter().map(|entry| entry.batches).sum() {
        0 => print("everything is delivered\n")?,
        1 => print("1 batch is left to sessions that run\n")?,
        batches => print(&format!("{batches} batches are left to sessions that run\n"))?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn deliver_all(setting: &Setting, vault: &Vault, store: &Store) -> Result<(), StoreError> {
    let mut backoff = Backoff::default();
    while deliver_leftovers(setting, vault, Occasion::Flush, store).await? {
        sleep(backoff.after_failure(None)).await;
    }
    Ok(())
}
