//! Sessions as a person reads them.

use std::path::Path;

use comfy_table::{Table, presets};

use super::super::queue::{self, minute, second};
use super::{Destination, Session, State};
use crate::printable::{printable, visible};
use crate::surroundings::Places;

/// A line for each session.
pub(super) fn table(sessions: &[Session]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header([
        "SESSION",
        "STATE",
        "PROFILE",
        "PROGRAM",
        "PROJECT",
        "STARTED",
        "RECEIVED",
        "DELIVERED",
        "NOTES",
    ]);
    for session in sessions {
        table.add_row([
            printable(&session.id),
            session.state.name().to_owned(),
            printable(&session.profile),
            printable(&session.program),
            project(session),
            minute(session.started),
            session.received.to_string(),
            delivered(&session.destinations),
            notes(session).join("; "),
        ]);
    }
    table
}

/// All that is known of one session.
pub(super) fn detail(session: &Session) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    let ended = session.ended.map(|ended| format!(", {}", minute(ended))).unwrap_or_default();
    let branch = session.branch.as_deref().map(|branch| format!(" ({})", printable(branch))).unwrap_or_default();
    let mut rows = vec![
        ("session", printable(&session.id)),
        ("state", format!("{}{ended}", session.state.name())),
        ("profile", printable(&session.profile)),
        ("program", printable(&session.program)),
        ("project", project(session) + &branch),
        ("started", minute(session.started)),
        ("received", records(session.received)),
    ];
    rows.extend(session.parent.as_deref().map(|parent| ("inside", printable(parent))));
    rows.extend(session.team.as_deref().map(|team| ("team", printable(team))));
    rows.extend(own_notes(session).into_iter().map(|note| ("note", note)));
    rows.extend(session.log.as_deref().map(|log| ("log", visible(log))));
    for (name, value) in rows {
        table.add_row([name.to_owned(), value]);
    }
    let mut parts = vec![table.to_string()];
    if !session.destinations.is_empty() {
        parts.push(String::new());
        parts.push(destinations(&session.destinations).to_string());
    }
    let lines = session.log_lines.as_deref().unwrap_or_default();
    if !lines.is_empty() {
        parts.extend([String::new(), "The end of its log:".to_owned()]);
        parts.extend(lines.iter().map(|line| format!("  {}", visible(line))));
    }
    parts.join("\n") + "\n"
}

fn destinations(destinations: &[Destination]) -> Table {
    let mut table = Table::new();
    let header = ["DESTINATION", "RECEIVED", "DELIVERED", "DROPPED", "BATCHES LEFT", "SINCE", "NEXT TRY", "WHY"];
    table.load_style(presets::NOTHING).set_header(header);
    for destination in destinations {
        let Destination { name, received, delivered, dropped, queue } = destination;
        let counts = [printable(name), received.to_string(), delivered.to_string(), dropped.to_string()];
        let mut left = queue.iter().map(|entry| {
            let next = entry.next_try.map_or_else(String::new, second);
            [entry.batches.to_string(), minute(entry.since), next, printable(&entry.why())]
        });
        let nothing = || ["0".to_owned(), String::new(), String::new(), String::new()];
        table.add_row(counts.into_iter().chain(left.next().unwrap_or_else(nothing)));
        for more in left {
            table.add_row([(); 4].map(|()| String::new()).into_iter().chain(more));
        }
    }
    table
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Ended => "ended",
            Self::Killed => "killed",
        }
    }
}

fn project(session: &Session) -> String {
    printable(&Places::shortened(Path::new(&session.project)))
}

/// How many records each destination has: whose they are goes without saying where there is one.
fn delivered(destinations: &[Destination]) -> String {
    match destinations {
        [] => "-".to_owned(),
        [only] => only.delivered.to_string(),
        several => {
            let each: Vec<_> =
                several.iter().map(|one| format!("{} {}", printable(&one.name), one.delivered)).collect();
            each.join(", ")
        }
    }
}

/// What is to be known of a session besides its numbers.
fn notes(session: &Session) -> Vec<String> {
    let parent = session.parent.as_deref().map(|parent| format!("inside {}", printable(parent)));
    let left = session.destinations.iter().flat_map(|destination| &destination.queue).map(left);
    parent.into_iter().chain(left).chain(own_notes(session)).collect()
}

/// What is left for a destination, and why.
fn left(entry: &queue::Entry) -> String {
    let batches = if entry.batches == 1 { "1 batch".to_owned() } else { format!("{} batches", entry.batches) };
    let next = entry.next_try.map(|next| format!(", next try {}", second(next))).unwrap_or_default();
    format!("{batches} left for {} ({}{next})", printable(&entry.destination), printable(&entry.why()))
}

/// What was not kept, and what else a session has to say.
fn own_notes(session: &Session) -> Vec<String> {
    let Session { refused, rejected, dropped_batches, message, .. } = session;
    let message = message.as_deref().map(printable);
    let mut notes = Vec::new();
    if *refused > 0 {
        notes.push(format!("{} refused by the profile", records(*refused)));
    }
    match (rejected, message) {
        (0, Some(message)) => notes.push(message),
        (0, None) => {}
        (_, Some(message)) => notes.push(format!("{} rejected: {message}", records(*rejected))),
        (_, None) => notes.push(format!("{} rejected", records(*rejected))),
    }
    if *dropped_batches > 0 {
        notes.push(format!("batches dropped because too much waited: {dropped_batches}"));
    }
    notes
}

fn records(count: u64) -> String {
    if count == 1 { "1 record".to_owned() } else { format!("{count} records") }
}
