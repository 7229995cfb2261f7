//! `ccrun sessions`: lists the sessions of this machine and what was delivered.

mod view;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::process::ExitCode;

use anyhow::{Context, Result};
use jiff::Timestamp;
use rusqlite::Connection;
use serde::Serialize;

use super::{complain, print, print_json, queue};
use crate::spool::Source;
use crate::state::{Places, SessionLock, log};
use crate::store::counters::{self, Outcome};
use crate::store::counts::Counts;
use crate::store::intake;
use crate::store::sessions::{self, Record};
use crate::system::process_environment::ProcessEnvironment;
use crate::terminal;
use crate::terminal::printable::printable;
use crate::workspace::Workspace;
use crate::{cli, store};

/// How many lines of a session's log are shown.
const LOG_LINES: usize = 10;

/// How many ids are listed if a prefix is ambiguous.
const CANDIDATES: u32 = 5;

/// A session as it is shown.
#[derive(Debug, Serialize)]
struct Session {
    id: String,
    /// The session that this one was launched in.
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
    /// Records that the profile does not accept.
    refused: u64,
    /// Records that destinations rejected in partial successes.
    rejected: u64,
    /// Batches that exceeded the store's cap.
    dropped_batches: u64,
    message: Option<String>,
    destinations: Vec<Destination>,
    /// The path of its log, if there is one.
    log: Option<String>,
    /// The last lines of the log, only if a single session is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    log_lines: Option<Vec<String>>,
}

/// Whether a session is running.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    /// It has a collector.
    Running,
    /// Its collector has finished.
    Ended,
    /// Its collector is gone and did not finish. The next session delivers what it left.
    Killed,
}

/// What became of a session's records at one destination.
#[derive(Debug, Serialize)]
struct Destination {
    name: String,
    received: u64,
    delivered: u64,
    /// Records that were rejected, exceeded the cap, or were purged.
    dropped: u64,
    /// What is undelivered, as in `ccrun queue status`.
    queue: Vec<queue::Entry>,
}

pub(super) fn run(options: &cli::Sessions, process: &ProcessEnvironment) -> Result<ExitCode> {
    let (workspace, _) = Workspace::gather(process)?;
    let connection = store::open_to_read(&workspace.places.store()).context("cannot open the store")?;
    let connection = connection.map_or_else(store::empty, Ok)?;
    match &options.id {
        Some(id) => one(id, options.json, &connection, &workspace),
        None => list(options, &connection, &workspace),
    }
}

fn list(options: &cli::Sessions, connection: &Connection, workspace: &Workspace) -> Result<ExitCode> {
    let limit = if options.all { u32::MAX } else { options.limit };
    let records = with_unknown(connection, sessions::latest(connection, limit.saturating_add(1))?, "", workspace)?;
    let mut found = described(connection, records, workspace)?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let is_more = found.len() > limit;
    found.truncate(limit);
    if options.json {
        print_json(&found)?;
    } else if found.is_empty() {
        print("no session yet\n")?;
    } else {
        let more = if is_more { "older sessions are not shown: use `--all`\n" } else { "" };
        print(&format!("{}{more}", view::table(&found, terminal::width(&io::stdout()))))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows the one session whose id starts with `id`. All ids have the same length, so a whole id is never a prefix of
/// another.
fn one(id: &str, json: bool, connection: &Connection, workspace: &Workspace) -> Result<ExitCode> {
    let found = with_unknown(connection, sessions::beginning(connection, id, CANDIDATES)?, id, workspace)?;
    if found.len() != 1 {
        complain(&unclear(id, &found));
        return Ok(ExitCode::FAILURE);
    }
    for mut session in described(connection, found, workspace)? {
        // Use the store's id, not what was typed.
        session.log_lines = Some(log::last_lines(&workspace.places.log(&session.id), LOG_LINES));
        if json {
            print_json(&session)?;
        } else {
            print(&view::detail(&session, terminal::width(&io::stdout())))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// These sessions and those with a matching id that the store does not know yet, newest first.
fn with_unknown(
    connection: &Connection,
    mut records: Vec<Record>,
    prefix: &str,
    workspace: &Workspace,
) -> Result<Vec<Record>> {
    let unknown = intake::unknown(connection, &Source::live(&workspace.places.spool()))?;
    records.extend(unknown.into_iter().filter(|record| record.session.id.starts_with(prefix)));
    records.sort_by_key(|record| std::cmp::Reverse(record.session.started_at));
    Ok(records)
}

/// Explains why an id matches no single session.
fn unclear(id: &str, found: &[Record]) -> String {
    let id = printable(id);
    if found.is_empty() {
        return format!("there is no session `{id}`: `ccrun sessions --all` lists all");
    }
    let ids: Vec<_> = found.iter().map(|record| format!("`{}`", printable(&record.session.id))).collect();
    format!("`{id}` matches several sessions: {}", ids.join(", "))
}

/// Collects what is known of sessions.
fn described(connection: &Connection, records: Vec<Record>, workspace: &Workspace) -> Result<Vec<Session>> {
    let mut queue: BTreeMap<String, Vec<queue::Entry>> = BTreeMap::new();
    for entry in queue::entries(workspace)? {
        queue.entry(entry.session.clone()).or_default().push(entry);
    }
    let source = Source::live(&workspace.places.spool());
    let describe = |mut record: Record| {
        let mut outcomes = counters::of(connection, &record.session.id)?;
        if let Some((row, uncounted)) = intake::uncounted(connection, &source, &record.session.id)? {
            record.received += uncounted.received;
            record.refused += uncounted.refused;
            uncounted.add_to(&row, &mut outcomes);
        }
        let destinations = destinations(outcomes, queue.remove(&record.session.id).unwrap_or_default());
        Ok(Session::new(record, destinations, &workspace.places))
    };
    records.into_iter().map(describe).collect()
}

/// Combines counts with what waits. Older versions of `ccrun` have counted nothing.
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
        // Reports that nothing was received, unless something has arrived since.
        let missed = || fs::read_to_string(places.silence(&session.id)).ok().filter(|_| received == 0);
        let message = message.or_else(missed);
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

/// Converts Unix milliseconds.
fn moment(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap_or_default()
}
