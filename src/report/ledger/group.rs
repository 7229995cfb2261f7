//! Adds up rows for one query, grouped by its dimensions.

use std::collections::{HashMap, HashSet};

use super::contexts::{Contexts, SESSION};
use super::reader::{Names, Reader, Scanned};
use super::rows::Rows;
use crate::ledger::block::Told;
use crate::ledger::{QUARTER, Quick};
use crate::report::dimension::Dimension;
use crate::report::query::Query;
use crate::report::table::Line;
use crate::usage::Measure;

/// The keys of a row. The second is zero if there is only one dimension.
pub(super) type Keys = [i64; 2];

/// No line yet.
const NONE: usize = usize::MAX;

/// The rows so far.
pub(super) struct Groups {
    by: Vec<(Dimension, Reader)>,
    /// State for the next rows: the keys that the context fixes for all of its rows, the line, and the session.
    keys: Keys,
    line: usize,
    session: i64,
    places: HashMap<Keys, usize, Quick>,
    rows: Rows,
    /// The first session of each line, then further ones. Most lines have one.
    firsts: Vec<i64>,
    others: HashSet<(usize, i64), Quick>,
    all_sessions: HashSet<i64, Quick>,
    by_metrics: HashSet<i64, Quick>,
    has_counters: bool,
    first: i64,
    last: i64,
}

/// The source of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
    Events,
    /// Metrics without a counterpart in events.
    Counters,
    /// Metrics that report more than events.
    Twins,
}

impl Groups {
    pub(super) fn new(query: &Query, contexts: &Contexts<'_>) -> Self {
        Self {
            by: query.by.iter().map(|dimension| (*dimension, Reader::of(*dimension, contexts))).collect(),
            keys: Keys::default(),
            line: NONE,
            session: 0,
            places: HashMap::default(),
            rows: Rows::new(),
            firsts: Vec::new(),
            others: HashSet::default(),
            all_sessions: HashSet::default(),
            by_metrics: HashSet::default(),
            has_counters: false,
            first: i64::MAX,
            last: i64::MIN,
        }
    }

    /// Begins the rows of a context, given its values.
    pub(super) fn begin(&mut self, context: &[i64]) {
        for (key, (_, reader)) in self.keys.iter_mut().zip(&self.by) {
            if let Reader::Context(place) = reader {
                *key = context[*place];
            }
        }
        (self.line, self.session) = (NONE, context[SESSION]);
    }

    /// Adds a row.
    pub(super) fn add(&mut self, from: From, row: &Scanned, told: Told<'_>, names: &mut Names) {
        let mut keys = self.keys;
        for (key, (_, reader)) in keys.iter_mut().zip(&self.by) {
            *key = reader.key(row, names, *key);
        }
        if self.line == NONE || keys != self.keys {
            self.turn_to(keys);
        }
        self.rows.add(self.line, told);
        match from {
            From::Events => {}
            From::Counters => self.has_counters = true,
            From::Twins => _ = self.by_metrics.insert(self.session),
        }
        self.first = self.first.min(row.quarter);
        self.last = self.last.max(row.quarter);
    }

    /// Switches to the line with these keys.
    fn turn_to(&mut self, keys: Keys) {
        if self.line == NONE {
            self.all_sessions.insert(self.session);
        }
        self.keys = keys;
        self.line = *self.places.entry(keys).or_insert_with(|| {
            self.firsts.push(self.session);
            self.rows.push(keys)
        });
        if self.firsts[self.line] != self.session && self.others.insert((self.line, self.session)) {
            self.rows.count_session(self.line);
        }
    }

    /// The first and the last time with usage, in Unix milliseconds.
    pub(super) fn span(&self) -> Option<(i64, i64)> {
        (self.first <= self.last).then(|| (self.first * QUARTER, (self.last + 1) * QUARTER - 1))
    }

    /// How many sessions take their numbers from metrics.
    pub(super) fn by_metrics(&self) -> usize {
        self.by_metrics.len()
    }

    /// Whether it includes amounts that only metrics report.
    pub(super) fn has_counters(&self) -> bool {
        self.has_counters
    }

    /// Whether a line is shown. Prompts and the like have no model.
    pub(super) fn shows(&self, line: &Line) -> bool {
        let of_requests = self.by.iter().any(|(dimension, _)| dimension.is_of_requests());
        let [requests, errors] = [Measure::Requests, Measure::Errors].map(|measure| line.amount(measure));
        let is_of_no_request = || requests == 0 && errors == 0 && line.tokens() == 0 && line.amount(Measure::Cost) == 0;
        !(self.by.is_empty() || line.is_empty() || of_requests && is_of_no_request())
    }

    /// The rows.
    pub(super) fn rows(&self) -> &Rows {
        &self.rows
    }

    /// The total.
    pub(super) fn total(&self) -> Line {
        Line { sessions: i64::try_from(self.all_sessions.len()).unwrap_or(i64::MAX), ..self.rows.total() }
    }
}
