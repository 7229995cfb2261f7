//! `ccrun sessions`: the sessions of this machine, and what became of what they received.

mod view;

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::{Context, Result};
use jiff::Timestamp;
use rusqlite::Connection;
use serde::Serialize;

use super::{complain, print, queue};
use crate::cli;
use crate::log;
use crate::printable::printable;
use crate::setting::Setting;
use crate::state::SessionLock;
use crate::store;
use crate::store::outcomes::{self, Outcome};
use crate::store::sessions::{self, Record};
use crate::store::tally::Counts;
use crate::surroundings::{Places, Surroundings};

/// How many lines of a session's log are shown, the last of them.
const LOG_LINES: usize = 10;

/// How many ids are given where the beginning of one is that of several.
const CANDIDATES: u32 = 5;

/// A session as it is shown.
#[derive(Debug, Serialize)]
struct Session {
    id: String,
    /// The session in whose environment it was launched.
    parent: Option<String>,
    state: State,
    profile: String,
    team: Option<String>,
    program: String,
    project: String,
    branch: Option<String>,
    started: Timestamp,
    ended: Option<Timestamp>,
    /// In records, as are `refused` and `rejected`.
    received: u64,
    /// What its profile does not take.
    refused: u64,
    /// What destinations took in part did not contain.
    rejected: u64,
    /// Batches above the store's cap.
    dropped_batches: u64,
    message: Option<String>,
    destinations: Vec<Destination>,
    /// Where its log is, if it has one.
    log: Option<String>,
    /// The end of that; only where one session is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    log_lines: Option<Vec<String>>,
}

/// Whether a session goes on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    /// It has a collector.
    Running,
    /// Its collector has done its part.
    Ended,
    /// It has no collector, and none has said that it ended. What it left is found by the next session.
    Killed,
}

/// What became of a session's records at one destination.
#[derive(Debug, Serialize)]
struct Destination {
    name: String,
    received: u64,
    delivered: u64,
    /// Rejected, refused for good, above the cap, or purged.
    dropped: u64,
    /// What is not delivered, as in `ccrun queue status`.
    queue: Vec<queue::Entry>,
}

pub(super) fn run(options: &cli::Sessions, surroundings: &Surroundings) -> Result<ExitCode> {
    let (setting, _) = Setting::gather(surroundings)?;
    let connection = store::open_to_read(&setting.places.store()).context("cannot open the store")?;
    match &options.id {
        Some(id) => one(id, options.json, connection.as_ref(), &setting),
        None => list(options, connection.as_ref(), &setting),
    }
}

fn list(options: &cli::Sessions, connection: Option<&Connection>, setting: &Setting) -> Result<ExitCode> {
    let limit = if options.all { u32::MAX } else { options.limit };
    let mut found = match connection {
        Some(connection) => described(connection, sessions::latest(connection, limit.saturating_add(1))?, setting)?,
        None => Vec::new(),
    };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let is_more = found.len() > limit;
    found.truncate(limit);
    if options.json {
        print(&format!("{}\n", serde_json::to_string_pretty(&found)?))?;
    } else if found.is_empty() {
        print("no session yet\n")?;
    } else {
        let more = if is_more { "there are older ones: `--all` shows them\n" } else { "" };
        print(&format!("{}\n{more}", view::table(&found)))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows the one session whose id begins so. All ids are of one length, so that a whole one is never the beginning of
/// another.
fn one(id: &str, json: bool, connection: Option<&Connection>, setting: &Setting) -> Result<ExitCode> {
    let found = connection.map(|connection| sessions::beginning(connection, id, CANDIDATES)).transpose()?;
    let found = found.unwrap_or_default();
    let (Some(connection), [_]) = (connection, found.as_slice()) else {
        complain(&unclear(id, &found));
        return Ok(ExitCode::FAILURE);
    };
    for mut session in described(connection, found, setting)? {
        // The id is the store's, not what was typed.
        session.log_lines = Some(log::last_lines(&setting.places.log(&session.id), LOG_LINES));
        if json {
            print(&format!("{}\n", serde_json::to_string_pretty(&session)?))?;
        } else {
            print(&view::detail(&session))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Says why an id means no session.
fn unclear(id: &str, found: &[Record]) -> String {
    let id = printable(id);
    if found.is_empty() {
        return format!("there is no session `{id}`: `ccrun sessions --all` lists all");
    }
    let ids: Vec<_> = found.iter().map(|record| format!("`{}`", printable(&record.session.id))).collect();
    format!("`{id}` is the beginning of several sessions: {}", ids.join(", "))
}

/// Puts together what is known of sessions.
fn described(connection: &Connection, records: Vec<Record>, setting: &Setting) -> Result<Vec<Session>> {
    let mut queue: BTreeMap<String, Vec<queue::Entry>> = BTreeMap::new();
    for entry in queue::entries(setting)? {
        queue.entry(entry.session.clone()).or_default().push(entry);
    }
    let describe = |record: Record| {
        let outcomes = outcomes::of(connection, &record.session.id)?;
        let destinations = destinations(outcomes, queue.remove(&record.session.id).unwrap_or_default());
        Ok(Session::new(record, destinations, &setting.places))
    };
    records.into_iter().map(describe).collect()
}

/// Joins what was counted with what waits. An older program has counted nothing.
fn destinations(outcomes: Vec<Outcome>, queue: Vec<queue::Entry>) -> Vec<Destination> {
    let mut found: BTreeMap<String, Destination> = BTreeMap::new();
    for Outcome { destination: name, counts } in outcomes {
        let Counts { received, delivered, dropped, .. } = counts;
        found.insert(name.clone(), Destination { name, received, delivered, dropped, queue: Vec::new() });
    }
    for entry in queue {
        let name = entry.destination.clone();
        let unknown = Destination { name: name.clone(), received: 0, delivered: 0, dropped: 0, queue: Vec::new() };
        found.entry(name).or_insert(unknown).queue.push(entry);
    }
    found.into_values().collect()
}

impl Session {
    fn new(record: Record, destinations: Vec<Destination>, places: &Places) -> Self {
        let Record { session, ended_at, received, refused, rejected, dropped, message } = record;
        let state = match ended_at {
            Some(_) => State::Ended,
            None if SessionLock::is_held(&places.lock(&session.id)) => State::Running,
            None => State::Killed,
        };
        let log = places.log(&session.id);
        Self {
            state,
            started: moment(session.started_at),
            ended: ended_at.map(moment),
            received,
            refused,
            rejected,
            dropped_batches: dropped,
            message,
            destinations,
            log: log.exists().then(|| log.display().to_string()),
            log_lines: None,
            id: session.id,
            parent: session.parent,
            profile: session.profile,
            team: session.team,
            program: session.program,
            project: session.project,
            branch: session.branch,
        }
    }
}

/// Of Unix milliseconds.
fn moment(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap_or_default()
}
