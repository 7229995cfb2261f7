//! Reports what is undelivered, for which destination, since when and why.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{Finding, Subject, size};
use crate::collector::backlog;
use crate::collector::backlog::{Entry, State};
use crate::state::SessionLock;
use crate::store::{self, retention, sessions};
use crate::terminal::printable::printable;

/// From this many bytes on, the loss of the oldest data is announced: four fifths of the maximum.
const NEARLY_FULL: u64 = retention::MAXIMUM / 5 * 4;

/// The batches that wait for one reason.
struct Backlog<'a> {
    batches: u64,
    bytes: u64,
    since: Timestamp,
    next_try: Option<Timestamp>,
    sessions: BTreeSet<&'a str>,
}

/// What waits and will be delivered.
pub(super) fn waiting(subject: &Subject) -> Vec<Finding> {
    let entries = entries(subject);
    let waits = |entry: &&Entry| matches!(entry.state, State::Running | State::Ended);
    let mut findings = Vec::new();
    let (held, fresh): (Vec<_>, Vec<_>) = entries.iter().filter(waits).partition(|entry| entry.last_error.is_some());
    for ((destination, why), backlog) in by_reason(held) {
        let summary = format!("for `{destination}` {}: {why}", backlog.words("waits"));
        let finding = Finding::warning(summary).fix("once that is fixed, run `ccrun queue flush`");
        let again = backlog.next_try.map(|moment| format!("the next try is at {}", local(moment, "%H:%M:%S")));
        findings.push(again.into_iter().fold(finding, Finding::detail));
    }
    for ((destination, _), backlog) in by_reason(fresh) {
        findings.push(Finding::ok(format!("for `{destination}` {}, not tried yet", backlog.words("waits"))));
    }
    let bytes: u64 = entries.iter().filter(|entry| entry.state != State::Refused).map(|entry| entry.bytes).sum();
    if bytes > NEARLY_FULL {
        let cap = size(retention::MAXIMUM);
        let summary = format!("{} wait in total: above {cap}, the oldest data is dropped", size(bytes));
        findings.push(Finding::warning(summary).fix("remove the cause, or delete some with `ccrun queue purge`"));
    }
    if findings.is_empty() && store::open_to_read(&subject.workspace.places.store()).is_ok_and(|store| store.is_some())
    {
        findings.push(Finding::ok("nothing waits for delivery"));
    }
    findings
}

/// Batches that are not delivered because their destination was changed or removed.
pub(super) fn orphaned(subject: &Subject) -> Vec<Finding> {
    let entries = entries(subject);
    let orphaned = entries.iter().filter(|entry| entry.state == State::Orphaned).collect();
    let finding = |((destination, _), backlog): ((String, String), Backlog<'_>)| {
        let words = backlog.words("waits");
        let summary = format!("for `{destination}` {words}, orphaned: its profile was changed or removed since");
        let flush = subject.selection.command("queue flush", false);
        let destinations = subject.meaning().map(|profile| profile.destinations.as_slice()).unwrap_or_default();
        let send = match destinations {
            [only] => format!("{flush} --to {}", only.name),
            _ => "ccrun queue flush -p PROFILE --to DESTINATION".to_owned(),
        };
        Finding::warning(summary)
            .fix(format!("`{send}` sends it to a current destination, `ccrun queue purge` deletes it"))
    };
    by_reason(orphaned).into_iter().map(finding).collect()
}

/// Batches that destinations rejected permanently.
pub(super) fn refused(subject: &Subject) -> Vec<Finding> {
    let entries = entries(subject);
    let refused = entries.iter().filter(|entry| entry.state == State::Refused).collect();
    let finding = |((destination, why), backlog): ((String, String), Backlog<'_>)| {
        Finding::warning(format!("`{destination}` permanently rejected what {}: {why}", backlog.words("is set aside")))
            .fix("once that is fixed, run `ccrun queue retry` and `ccrun queue flush`; it is kept for thirty days")
    };
    by_reason(refused).into_iter().map(finding).collect()
}

/// Sessions whose collector was killed.
pub(super) fn killed(subject: &Subject) -> Vec<Finding> {
    let places = &subject.workspace.places;
    let Ok(Some(connection)) = store::open_to_read(&places.store()) else { return Vec::new() };
    let unfinished = sessions::unfinished(&connection).unwrap_or_default();
    let killed: Vec<_> = unfinished.iter().filter(|id| !SessionLock::is_held(&places.lock(id))).collect();
    let Some(last) = killed.last() else { return Vec::new() };
    let what = match killed.len() {
        1 => format!("the collector of the session {} was", printable(last)),
        many => format!("the collectors of {many} sessions, {} among them, were", printable(last)),
    };
    let summary =
        format!("{what} killed: data that was received is on disk; data that Claude Code had not yet sent is lost");
    let fix = format!(
        "the next launch or `ccrun queue flush` delivers it; `ccrun sessions {}` shows its log",
        printable(last)
    );
    vec![Finding::warning(summary).fix(fix)]
}

/// Entries of the queue. A store that cannot be read has its own check.
fn entries(subject: &Subject) -> Vec<Entry> {
    backlog::entries(&subject.workspace).unwrap_or_default()
}

/// Groups by destination and reason, with control characters removed and long lists cut.
fn by_reason<'a>(entries: Vec<&'a Entry>) -> Vec<((String, String), Backlog<'a>)> {
    let mut found: BTreeMap<(String, String), Backlog<'a>> = BTreeMap::new();
    for entry in entries {
        let why = printable(entry.last_error.as_deref().unwrap_or_default());
        let of = found.entry((printable(&entry.destination), why)).or_insert_with(|| Backlog {
            batches: 0,
            bytes: 0,
            since: entry.since,
            next_try: None,
            sessions: BTreeSet::new(),
        });
        of.batches += entry.batches;
        of.bytes += entry.bytes;
        of.since = of.since.min(entry.since);
        of.next_try = of.next_try.into_iter().chain(entry.next_try).min();
        of.sessions.insert(&entry.session);
    }
    let mut found: Vec<_> = found.into_iter().collect();
    found.sort_by_key(|(_, backlog)| backlog.since);
    found.truncate(MOST);
    found
}

/// How many reasons are listed individually. `ccrun queue status` lists all.
const MOST: usize = 10;

impl Backlog<'_> {
    /// `3 batches (12 KiB) of 2 sessions wait since 2026-01-02 15:04`.
    fn words(&self, verb: &str) -> String {
        let many = |number: u64, one: &str, more: &str| {
            if number == 1 { format!("1 {one}") } else { format!("{number} {more}") }
        };
        let verb = match (self.batches, verb) {
            (1, verb) => verb.to_owned(),
            (_, "waits") => "wait".to_owned(),
            (_, verb) => verb.replacen("is ", "are ", 1),
        };
        format!(
            "{} ({}) of {} {verb} since {}",
            many(self.batches, "batch", "batches"),
            size(self.bytes),
            many(self.sessions.len() as u64, "session", "sessions"),
            local(self.since, "%Y-%m-%d %H:%M"),
        )
    }
}

fn local(moment: Timestamp, format: &str) -> String {
    moment.to_zoned(TimeZone::system()).strftime(format).to_string()
}
