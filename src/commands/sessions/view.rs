//! Sessions as text for people.

use std::path::Path;

use super::super::queue::{self, minute, next_try};
use super::{Destination, Session, State};
use crate::state::Places;
use crate::terminal::fit::wrapped;
use crate::terminal::printable::{printable, visible};
use crate::terminal::table::{Column, Table};

/// Below so many columns ids are shown by their beginning, which is enough to ask for one.
const WHOLE_IDS: usize = 110;

/// How much of an id that is.
const SHORT_ID: usize = 8;

/// A row for each session, in lines of at most `width` characters.
pub(super) fn table(sessions: &[Session], width: Option<usize>) -> String {
    let mut table = Table::new([
        Column::word("SESSION"),
        Column::word("STATE"),
        Column::name("PROFILE").rank(3),
        Column::name("PROGRAM").rank(5),
        Column::name("PROJECT"),
        Column::word("STARTED").rank(1),
        Column::number("RECEIVED").rank(4),
        Column::number("DELIVERED").rank(2),
        Column::prose("NOTES"),
    ]);
    let id_length = if width.is_none_or(|width| width >= WHOLE_IDS) { usize::MAX } else { SHORT_ID };
    for session in sessions {
        table.push([
            printable(&session.id).chars().take(id_length).collect(),
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
    table.text(width)
}

/// Everything known about one session, in lines of at most `width` characters.
pub(super) fn detail(session: &Session, width: Option<usize>) -> String {
    let mut table = Table::new([Column::word(""), Column::prose("")]);
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
        table.push([name.to_owned(), value]);
    }
    let mut parts = table.lines(width);
    if !session.destinations.is_empty() {
        parts.push(String::new());
        parts.extend(destinations(&session.destinations).lines(width));
    }
    let lines = session.log_lines.as_deref().unwrap_or_default();
    if !lines.is_empty() {
        parts.extend([String::new(), "Last lines of its log:".to_owned()]);
        let width = width.map_or(usize::MAX, |width| width.saturating_sub(2));
        parts.extend(lines.iter().flat_map(|line| wrapped(&visible(line), width)).map(|line| format!("  {line}")));
    }
    parts.join("\n") + "\n"
}

fn destinations(destinations: &[Destination]) -> Table {
    let mut table = Table::new([
        Column::name("DESTINATION"),
        Column::number("RECEIVED").rank(4),
        Column::number("DELIVERED").rank(1),
        Column::number("DROPPED").rank(3),
        Column::number("BATCHES LEFT"),
        Column::word("SINCE").rank(5),
        Column::word("NEXT TRY").rank(2),
        Column::prose("WHY"),
    ]);
    for destination in destinations {
        let Destination { name, received, delivered, dropped, queue } = destination;
        let counts = [printable(name), received.to_string(), delivered.to_string(), dropped.to_string()];
        let mut left = queue.iter().map(|entry| {
            let next = next_try(entry).unwrap_or_default();
            [entry.batches.to_string(), minute(entry.since), next, printable(&entry.why())]
        });
        let nothing = || ["0".to_owned(), String::new(), String::new(), String::new()];
        table.push(counts.into_iter().chain(left.next().unwrap_or_else(nothing)));
        for more in left {
            table.push([(); 4].map(|()| String::new()).into_iter().chain(more));
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

/// How many records each destination has. If there is only one, its name is left out.
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

/// Notes on a session besides its numbers.
fn notes(session: &Session) -> Vec<String> {
    let parent = session.parent.as_deref().map(|parent| format!("inside {}", printable(parent)));
    let left = session.destinations.iter().flat_map(|destination| &destination.queue).map(left);
    parent.into_iter().chain(left).chain(own_notes(session)).collect()
}

/// What is left for a destination, and why.
fn left(entry: &queue::Entry) -> String {
    let batches = if entry.batches == 1 { "1 batch".to_owned() } else { format!("{} batches", entry.batches) };
    let next = next_try(entry).map(|next| format!("; the next attempt is {next}")).unwrap_or_default();
    format!("{batches} left for {} ({}{next})", printable(&entry.destination), printable(&entry.why()))
}

/// What was not kept, and other notes.
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
        notes.push(format!("batches dropped at the queue's size limit: {dropped_batches}"));
    }
    notes
}

fn records(count: u64) -> String {
    if count == 1 { "1 record".to_owned() } else { format!("{count} records") }
}
