//! `ccrun queue`: what is not delivered yet.

mod flush;
mod mend;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use comfy_table::{Table, presets};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::{ask, complain, print, profile, refuse_inside_claude, run};
use crate::cli::QueueCommand;
use crate::collector::owner;
use crate::forward::not_before;
use crate::printable::printable;
use crate::setting::Setting;
use crate::state::SessionLock;
use crate::store::batches::{self, Recipient, Waiting};
use crate::store::{self, Store, backoff, dead, sessions};
use crate::surroundings::Surroundings;

pub(super) fn run(command: QueueCommand, surroundings: &Surroundings) -> Result<ExitCode> {
    let (setting, _) = Setting::gather(surroundings)?;
    match command {
        QueueCommand::Status { json } => status(&setting, json),
        QueueCommand::Flush(options) => flush::flush(options, &setting, surroundings),
        QueueCommand::Retry => mend::retry(&setting),
        QueueCommand::Purge(options) => mend::purge(&options, &setting, surroundings),
    }
}

/// What waits for one destination of one session.
#[derive(Debug, Serialize)]
pub(super) struct Entry {
    profile: String,
    pub(super) destination: String,
    pub(super) session: String,
    pub(super) state: State,
    pub(super) batches: u64,
    bytes: u64,
    pub(super) since: Timestamp,
    last_error: Option<String>,
    /// When its destination may be tried again, where that is not now.
    pub(super) next_try: Option<Timestamp>,
    #[serde(skip)]
    recipient: Recipient,
}

/// Who delivers it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// The session's own collector.
    Running,
    /// The next session, or `queue flush`.
    Ended,
    /// Nobody: its profile or destination has changed or gone since.
    Orphaned,
    /// Nobody: the destination refused it for good.
    Refused,
}

/// What waits, and what was refused for good, by session and destination.
pub(super) fn entries(setting: &Setting) -> Result<Vec<Entry>> {
    let Some(connection) = store::open_to_read(&setting.places.store()).context("cannot open the store")? else {
        return Ok(Vec::new());
    };
    let troubles = backoff::all(&connection)?;
    let now = Timestamp::now().as_millisecond();
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
        let trouble = troubles.get(&waiting.recipient.fingerprint).filter(|_| state.is_delivered());
        Ok(Entry {
            state,
            profile: session.map(|session| session.profile).unwrap_or_default(),
            destination: waiting.recipient.destination.clone(),
            session: waiting.recipient.session.clone(),
            batches: waiting.batches,
            bytes: waiting.bytes,
            since: Timestamp::from_millisecond(waiting.since).unwrap_or_default(),
            last_error: waiting.last_error,
            next_try: trouble
                .and_then(|trouble| not_before(*trouble, now))
                .and_then(|moment| Timestamp::from_millisecond(moment).ok()),
            recipient: waiting.recipient,
        })
    };
    let waiting = batches::waiting(&connection)?.into_iter().map(|waiting| entry(waiting, false));
    waiting.chain(dead::given_up(&connection)?.into_iter().map(|refused| entry(refused, true))).collect()
}

impl Entry {
    /// Why it is not delivered. Foreign text is in it.
    pub(super) fn why(&self) -> String {
        match (self.state, self.last_error.as_deref()) {
            (State::Orphaned, _) => "its profile or destination has changed since".to_owned(),
            (State::Refused, error) => format!("refused for good: {}", error.unwrap_or_default()),
            (_, Some(error)) => error.to_owned(),
            (_, None) => "not tried yet".to_owned(),
        }
    }
}

impl State {
    /// Whether anybody delivers what is in this state.
    fn is_delivered(self) -> bool {
        matches!(self, Self::Running | Self::Ended)
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
