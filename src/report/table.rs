//! The answer to a query.

use super::dimension::Dimension;
use crate::usage::{Amounts, MEASURES, Measure};

/// Usage, by up to two dimensions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// The dimensions of the rows.
    pub by: Vec<Dimension>,
    /// The rows, in the requested order.
    pub lines: Vec<Line>,
    /// How many rows are beyond the limit.
    pub more: usize,
    /// The total, including rows that are not shown.
    pub total: Line,
    /// The first and the last time with usage, in Unix milliseconds, to the quarter of an hour.
    pub span: Option<(i64, i64)>,
    /// Notes that a reader needs to interpret the numbers.
    pub notes: Vec<String>,
    /// How much of Claude Code's activity on this machine it covers, if known.
    pub coverage: Option<Coverage>,
}

/// How many of Claude Code's sessions are known, and how many there were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coverage {
    /// Sessions in the source.
    pub known: usize,
    /// Sessions named in Claude Code's own files; not zero.
    pub all: usize,
}

impl Coverage {
    /// The share from which no warning is shown.
    const GOOD: f64 = 0.95;

    /// The share of sessions that are known.
    pub fn share(self) -> f64 {
        let count = |count: usize| crate::usage::to_double(i64::try_from(count).unwrap_or(i64::MAX));
        count(self.known) / count(self.all)
    }

    /// A note if any session is missing.
    pub fn note(self) -> Option<String> {
        let missing = self.all - self.known;
        let sessions = if missing == 1 { "1 session is" } else { &format!("{missing} sessions are") };
        (missing > 0).then(|| format!("{sessions} known from transcripts alone: `ccrun import` reads them"))
    }

    /// A warning if the share is too small to ignore.
    pub fn warning(self) -> Option<String> {
        let Self { known, all } = self;
        (self.share() < Self::GOOD).then(|| {
            let sessions = if all == 1 { "session" } else { "sessions" };
            format!("{known} of {all} {sessions} of Claude Code are counted here: `ccrun import` reads the others")
        })
    }
}

/// A row, or the total.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// The value of each dimension, or `None` if it is unknown.
    pub keys: Vec<Option<String>>,
    /// The amounts.
    pub amounts: Amounts,
    /// The number of Claude Code sessions.
    pub sessions: i64,
}

impl Default for Line {
    fn default() -> Self {
        Self { keys: Vec::new(), amounts: [0; MEASURES], sessions: 0 }
    }
}

impl Line {
    /// The amount of one measure.
    pub fn amount(&self, measure: Measure) -> i64 {
        self.amounts[measure.index()]
    }

    /// Whether nothing was used.
    pub fn is_empty(&self) -> bool {
        self.amounts.iter().all(|amount| *amount == 0)
    }

    /// Adds the amounts of another row.
    pub fn add(&mut self, other: &Self) {
        self.amounts.iter_mut().zip(other.amounts).for_each(|(sum, amount)| *sum = sum.saturating_add(amount));
        self.sessions = self.sessions.saturating_add(other.sessions);
    }

    /// What is left without some of the rows that it is the total of. Sessions are not known, because rows may share
    /// them.
    #[must_use]
    pub fn without(&self, rows: &[Self]) -> Self {
        let mut rest = Self { keys: Vec::new(), amounts: self.amounts, sessions: 0 };
        for row in rows {
            rest.amounts.iter_mut().zip(row.amounts).for_each(|(rest, amount)| *rest = rest.saturating_sub(amount));
        }
        rest
    }

    /// All tokens.
    pub fn tokens(&self) -> i64 {
        use Measure::{CacheCreationTokens, CacheReadTokens, InputTokens, OutputTokens};
        let tokens = [InputTokens, OutputTokens, CacheReadTokens, CacheCreationTokens];
        tokens.iter().fold(0, |sum, measure| sum.saturating_add(self.amount(*measure)))
    }
}
