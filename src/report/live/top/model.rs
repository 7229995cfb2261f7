//! The state of the view: what events, running sessions and the ledger add up to. Pure.

use std::collections::{HashMap, HashSet};

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::minutes::Minutes;
use super::session::{Backlog, Found, Row};
use super::usage::{self, Usage};
use crate::report::Line;
use crate::report::live::seen::digest;
use crate::report::live::{Event, Seen, Wanted};

/// How long the usage of a session that has ended is kept, in milliseconds.
const ENDED: i64 = 60 * 60_000;

/// For how long after its last event another session is shown of a program that has several, in milliseconds. Claude
/// Code has no file about a session without a terminal, so nothing tells its end.
const RECENT: i64 = 2 * 60_000;

/// The state.
#[derive(Debug)]
pub struct Model {
    /// Which sessions are shown.
    wanted: Wanted,
    zone: TimeZone,
    /// Unix milliseconds.
    now: i64,
    /// The first and the last millisecond of the day, exclusively.
    day: (i64, i64),
    today: Line,
    minutes: Minutes,
    usages: HashMap<String, Usage>,
    found: Vec<Found>,
    /// The sessions of Claude Code that had a file, as long as they have usage.
    with_file: HashSet<String>,
    /// Digests of the sessions of Claude Code that used something before any event was followed, or whose usage was
    /// forgotten since. What others used was followed from their beginning.
    old: HashSet<u64>,
    backlogs: Vec<Backlog>,
    seen: Seen,
}

impl Model {
    /// Nothing is known yet.
    pub fn new(wanted: Wanted, zone: TimeZone, now: Timestamp) -> Self {
        let mut model = Self {
            wanted,
            zone,
            now: 0,
            day: (0, 0),
            today: Line::default(),
            minutes: Minutes::default(),
            usages: HashMap::new(),
            found: Vec::new(),
            with_file: HashSet::new(),
            old: HashSet::new(),
            backlogs: Vec::new(),
            seen: Seen::default(),
        };
        model.tick(now);
        model
    }

    /// Goes on to this time. At midnight, today begins again.
    pub fn tick(&mut self, now: Timestamp) {
        self.now = now.as_millisecond();
        if self.now >= self.day.1 {
            self.day = day(now, &self.zone);
            self.today = Line::default();
        }
        self.minutes.forget(self.now);
        for usage in self.usages.values_mut() {
            usage.forget(self.now);
        }
        let is_shown: HashSet<&str> = self.found.iter().map(|found| found.claude_session.as_str()).collect();
        let oldest = self.now - ENDED;
        let old = &mut self.old;
        self.usages.retain(|id, usage| {
            let stays = usage.last >= oldest || is_shown.contains(id.as_str());
            if !stays {
                old.insert(digest(id));
            }
            stays
        });
        self.with_file.retain(|id| self.usages.contains_key(id));
    }

    /// When today began, in Unix milliseconds.
    pub fn midnight(&self) -> i64 {
        self.day.0
    }

    /// Takes what the ledger knows of today, before any event is followed.
    pub fn begin(&mut self, today: Line) {
        self.today = today;
    }

    /// Takes a session of Claude Code that the ledger knows, before any event is followed.
    pub fn know(&mut self, claude_session: &str) {
        self.old.insert(digest(claude_session));
    }

    /// Takes an event that the ledger counts already: what it says of the last hour and of the context.
    pub fn recall(&mut self, event: &Event) {
        if self.seen.is_new(event) {
            self.count_minute(event);
            self.usage(event).recall(event);
        }
    }

    /// Takes an event that happened since.
    pub fn follow(&mut self, event: &Event) {
        if !self.seen.is_new(event) {
            return;
        }
        if event.entry.at >= self.day.0 {
            usage::add(&mut self.today, &event.entry);
        }
        self.count_minute(event);
        self.usage(event).follow(event);
    }

    fn count_minute(&mut self, event: &Event) {
        if event.entry.event == "api_request" {
            self.minutes.add(event.entry.at, usage::tokens(&event.entry), event.entry.cost.unwrap_or(0));
        }
    }

    fn usage(&mut self, event: &Event) -> &mut Usage {
        self.usages.entry(event.entry.session.clone()).or_default()
    }

    /// Takes the sessions that run.
    pub fn find(&mut self, found: Vec<Found>) {
        self.found = found;
        for found in self.found.iter().filter(|found| !found.claude_session.is_empty()) {
            let usage = self.usages.entry(found.claude_session.clone()).or_default();
            if !found.session.is_empty() {
                found.session.clone_into(&mut usage.session);
            }
            self.with_file.insert(found.claude_session.clone());
        }
    }

    /// Takes what waits for destinations.
    pub fn wait(&mut self, backlogs: Vec<Backlog>) {
        self.backlogs = backlogs;
    }

    /// The shown sessions of Claude Code whose usage before the first followed event was not read yet, each with the time
    /// of that event.
    pub fn unread(&self) -> Vec<(String, Option<i64>)> {
        let shown = self.rows().into_iter().map(|row| row.found.claude_session);
        let unread = shown.filter_map(|id| {
            let usage =
                self.usages.get(&id).filter(|usage| usage.before.is_none() && self.old.contains(&digest(&id)))?;
            let first = usage.first;
            Some((id, first))
        });
        unread.collect()
    }

    /// Takes what a session used before the first followed event.
    pub fn remember(&mut self, claude_session: &str, before: Line) {
        if let Some(usage) = self.usages.get_mut(claude_session) {
            usage.before = Some(before);
        }
    }

    /// The usage of today.
    pub fn today(&self) -> &Line {
        &self.today
    }

    /// The cost of the last hour, and the tokens of each of its minutes.
    pub fn hour(&self) -> (i64, Vec<i64>) {
        (self.minutes.cost(self.now), self.minutes.tokens(self.now))
    }

    /// What waits for destinations.
    pub fn backlogs(&self) -> &[Backlog] {
        &self.backlogs
    }

    /// When the last event of a session of Claude Code happened, in Unix milliseconds.
    pub fn last(&self, claude_session: &str) -> i64 {
        self.usages.get(claude_session).map_or(0, |usage| usage.last)
    }

    /// The running sessions that are wanted, in no order.
    pub fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        let with_file: HashSet<&str> = self.sessions_with_file().collect();
        for found in &self.found {
            if found.pid.is_some() {
                rows.push(self.row(found.clone()));
                continue;
            }
            rows.extend(self.without_file(found, with_file.contains(found.session.as_str())));
        }
        rows.retain(|row| self.wants(row));
        rows
    }

    fn sessions_with_file(&self) -> impl Iterator<Item = &str> {
        self.found.iter().filter(|found| found.pid.is_some()).map(|found| found.session.as_str())
    }

    /// The sessions of Claude Code that a collector records and that have no file: the last one, and those that were
    /// active a moment ago. `is_beside` says whether the same collector records one with a file.
    fn without_file(&self, found: &Found, is_beside: bool) -> Vec<Row> {
        let of_session =
            |(id, usage): &(&String, &Usage)| usage.session == found.session && !self.with_file.contains(*id);
        let mut usages: Vec<_> = self.usages.iter().filter(of_session).collect();
        usages.sort_by_key(|(id, usage)| (std::cmp::Reverse(usage.last), (*id).clone()));
        let is_shown = |(place, (_, usage)): &(usize, (&String, &Usage))| {
            (*place == 0 && !is_beside) || self.now.saturating_sub(usage.last) < RECENT
        };
        let shown = usages.into_iter().enumerate().filter(is_shown);
        let rows: Vec<_> =
            shown.map(|(_, (id, _))| self.row(Found { claude_session: id.clone(), ..found.clone() })).collect();
        let has_had_file = || self.usages.values().any(|usage| usage.session == found.session);
        if rows.is_empty() && !is_beside && !has_had_file() {
            return vec![self.row(found.clone())];
        }
        rows
    }

    fn row(&self, mut found: Found) -> Row {
        let usage = self.usages.get(&found.claude_session);
        if let Some(usage) = usage.filter(|usage| found.session.is_empty() && usage.first.is_some()) {
            // Some systems do not show a process's environment, but its events are there.
            usage.session.clone_into(&mut found.session);
        }
        let waiting = self.backlogs.iter().filter(|backlog| backlog.session == found.session);
        let mut row = Row {
            is_counted: !found.session.is_empty(),
            minutes: vec![0; usize::try_from(super::minutes::HOUR).unwrap_or_default()],
            waiting: waiting.map(|backlog| backlog.batches).sum(),
            found,
            ..Row::default()
        };
        if let Some(usage) = usage {
            row.line = usage.total();
            row.is_counted |= !row.line.is_empty();
            row.hour = usage.minutes.cost(self.now);
            row.minutes = usage.minutes.tokens(self.now);
            usage.model.clone_into(&mut row.model);
            row.context = usage.context;
            row.agents = usage.agents(self.now);
            if !usage.project.is_empty() {
                usage.project.clone_into(&mut row.found.project);
            }
        }
        row
    }

    fn wants(&self, row: &Row) -> bool {
        let Wanted { session, project, .. } = &self.wanted;
        let begins = |id: &String| row.found.session.starts_with(id) || row.found.claude_session.starts_with(id);
        let of = Some(row.found.project.as_str()).filter(|project| !project.is_empty());
        session.as_ref().is_none_or(begins) && project.as_ref().is_none_or(|condition| condition.matches(of))
    }
}

/// The beginning and the end of a day, in Unix milliseconds.
fn day(now: Timestamp, zone: &TimeZone) -> (i64, i64) {
    let begin = now.to_zoned(zone.clone()).start_of_day().ok();
    let end = begin.as_ref().and_then(|begin| begin.checked_add(1.day()).ok());
    let milliseconds = |zoned: Option<jiff::Zoned>| zoned.map(|zoned| zoned.timestamp().as_millisecond());
    (milliseconds(begin).unwrap_or(i64::MIN), milliseconds(end).unwrap_or(i64::MAX))
}
