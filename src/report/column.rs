//! The columns of a report.

use std::str::FromStr;

use super::numbers::{dollars, duration, percent, short};
use super::table::Line;
use crate::usage::{Measure, to_double};

/// A column: a measure, or a number computed from several.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its name on the command line.
    pub name: &'static str,
    /// Its name in JSON and CSV.
    pub json: &'static str,
    /// Its heading.
    pub heading: &'static str,
    /// A short description.
    pub about: &'static str,
    unit: Unit,
    /// The measures it is computed from.
    measures: &'static [Measure],
}

/// How a column's number is computed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Unit {
    /// The sum of its measures.
    Count,
    /// US dollars, from billionths.
    Dollars,
    /// Seconds, from milliseconds.
    Seconds,
    /// Mean seconds: the first measure divided by the second.
    Mean,
    /// The first measure's share of the sum of all.
    Share,
    /// Distinct sessions.
    Sessions,
}

/// A number in a column.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// A count.
    Whole(i64),
    /// Dollars, seconds or a share.
    Fraction(f64),
    /// No number, such as a share of nothing.
    None,
}

use Measure as M;

const fn column(
    name: &'static str,
    json: &'static str,
    heading: &'static str,
    about: &'static str,
    unit: Unit,
    measures: &'static [Measure],
) -> Column {
    Column { name, json, heading, about, unit, measures }
}

const TOKENS: &[Measure] = &[M::InputTokens, M::OutputTokens, M::CacheReadTokens, M::CacheCreationTokens];
const PROMPTED: &[Measure] = &[M::CacheReadTokens, M::InputTokens, M::CacheCreationTokens];

/// All columns, in the order of JSON and CSV.
static COLUMNS: [Column; 26] = [
    column("cost", "cost_usd", "cost", "US dollars, by Claude Code's own estimate", Unit::Dollars, &[M::Cost]),
    column("requests", "requests", "requests", "answered requests to the model", Unit::Count, &[M::Requests]),
    column("errors", "errors", "errors", "requests that failed for good", Unit::Count, &[M::Errors]),
    column("prompts", "prompts", "prompts", "prompts, without built-in commands", Unit::Count, &[M::Prompts]),
    column("sessions", "sessions", "sessions", "Claude Code's sessions", Unit::Sessions, &[]),
    column("input", "input_tokens", "input", "input tokens, without the cache", Unit::Count, &[M::InputTokens]),
    column("output", "output_tokens", "output", "output tokens", Unit::Count, &[M::OutputTokens]),
    column(
        "cache_read",
        "cache_read_tokens",
        "cache read",
        "tokens read from the cache",
        Unit::Count,
        &[M::CacheReadTokens],
    ),
    column(
        "cache_creation",
        "cache_creation_tokens",
        "cache written",
        "tokens written to the cache",
        Unit::Count,
        &[M::CacheCreationTokens],
    ),
    column(
        "active",
        "active_user_seconds",
        "active",
        "time in which you typed or read",
        Unit::Seconds,
        &[M::ActiveUser],
    ),
    column(
        "active_cli",
        "active_cli_seconds",
        "Claude active",
        "time in which Claude worked",
        Unit::Seconds,
        &[M::ActiveCli],
    ),
    column("lines_added", "lines_added", "added", "lines of code added", Unit::Count, &[M::LinesAdded]),
    column("lines_removed", "lines_removed", "removed", "lines of code removed", Unit::Count, &[M::LinesRemoved]),
    column("commits", "commits", "commits", "commit commands", Unit::Count, &[M::Commits]),
    column("pull_requests", "pull_requests", "PRs", "pull requests opened", Unit::Count, &[M::PullRequests]),
    column(
        "edits_accepted",
        "edits_accepted",
        "accepted",
        "edits that a person accepted when asked",
        Unit::Count,
        &[M::EditsAccepted],
    ),
    column(
        "edits_rejected",
        "edits_rejected",
        "rejected",
        "edits that a person rejected when asked",
        Unit::Count,
        &[M::EditsRejected],
    ),
    column(
        "tool_successes",
        "tool_successes",
        "succeeded",
        "runs of tools that succeeded",
        Unit::Count,
        &[M::ToolSuccesses],
    ),
    column("tool_failures", "tool_failures", "failed", "runs of tools that failed", Unit::Count, &[M::ToolFailures]),
    column("tokens", "tokens", "tokens", "all tokens", Unit::Count, TOKENS),
    column(
        "cache_hour",
        "cache_hour_tokens",
        "cached 1 h",
        "tokens written to the cache for an hour",
        Unit::Count,
        &[M::CacheHourTokens],
    ),
    column(
        "cache",
        "cache_reuse",
        "cache reuse",
        "share of what was sent that came from the cache",
        Unit::Share,
        PROMPTED,
    ),
    column(
        "edits_automatic",
        "edits_automatic",
        "not asked",
        "edits decided without asking a person",
        Unit::Count,
        &[M::EditsAutomatic],
    ),
    column(
        "request_time",
        "request_seconds",
        "request time",
        "time that requests took",
        Unit::Seconds,
        &[M::RequestTime],
    ),
    column(
        "first_token",
        "first_token_seconds",
        "first token",
        "mean time to the first token",
        Unit::Mean,
        &[M::FirstTokenTime, M::FirstTokens],
    ),
    column("tool_time", "tool_seconds", "tool time", "time that tools took", Unit::Seconds, &[M::ToolTime]),
];

impl Column {
    /// All of them, in the order of JSON and CSV.
    pub fn all() -> &'static [Self] {
        &COLUMNS
    }

    /// The measures it is computed from.
    pub fn measures(&self) -> &'static [Measure] {
        self.measures
    }

    /// Its number for a row.
    pub fn number(&self, line: &Line) -> Number {
        let amount = |index: usize| self.measures.get(index).map_or(0, |measure| line.amount(*measure));
        match self.unit {
            Unit::Count | Unit::Sessions => Number::Whole(self.amount(line)),
            Unit::Dollars | Unit::Seconds => Number::Fraction(self.of_amount(self.amount(line))),
            Unit::Mean if amount(1) == 0 => Number::None,
            Unit::Mean => Number::Fraction(to_double(amount(0)) / to_double(amount(1)) / 1e3),
            Unit::Share if self.amount(line) == 0 => Number::None,
            Unit::Share => Number::Fraction(to_double(amount(0)) / to_double(self.amount(line))),
        }
    }

    /// The number as a person reads it; empty for zero.
    pub fn text(&self, line: &Line) -> String {
        match (self.unit, self.number(line)) {
            (Unit::Share, Number::Fraction(share)) => percent(share),
            (Unit::Mean, Number::Fraction(seconds)) => format!("{seconds:.1}s"),
            (_, Number::None) => String::new(),
            _ => self.text_of(self.amount(line)),
        }
    }

    /// Whether its numbers add up, so that they can be drawn on top of each other.
    pub fn is_sum(&self) -> bool {
        matches!(self.unit, Unit::Count | Unit::Dollars | Unit::Seconds)
    }

    /// The sum of its measures, in billionths of a dollar, milliseconds or pieces.
    pub fn amount(&self, line: &Line) -> i64 {
        match self.unit {
            Unit::Sessions => line.sessions,
            _ => self.measures.iter().fold(0, |sum, measure| sum.saturating_add(line.amount(*measure))),
        }
    }

    /// An amount as a person reads it; empty for zero.
    pub fn text_of(&self, amount: i64) -> String {
        match self.unit {
            _ if amount == 0 => String::new(),
            Unit::Dollars => dollars(amount),
            Unit::Seconds => duration(amount),
            _ => short(amount),
        }
    }

    /// An amount as JSON has it.
    pub fn of_amount(&self, amount: i64) -> f64 {
        match self.unit {
            Unit::Dollars => to_double(amount) / 1e9,
            Unit::Seconds => to_double(amount) / 1e3,
            _ => to_double(amount),
        }
    }

    /// The amount that a scale counts in: a dollar, an hour, or one.
    pub fn step(&self) -> i64 {
        match self.unit {
            Unit::Dollars => 1_000_000_000,
            Unit::Seconds => 3_600_000,
            _ => 1,
        }
    }

    /// The weight that rows are sorted by, largest first.
    pub(super) fn weight(&self, line: &Line) -> f64 {
        match self.number(line) {
            Number::Whole(count) => to_double(count),
            Number::Fraction(number) => number,
            Number::None => -1.0,
        }
    }
}

impl FromStr for &'static Column {
    type Err = String;

    /// Parses either of its names.
    fn from_str(text: &str) -> Result<Self, String> {
        COLUMNS.iter().find(|column| column.name == text || column.json == text).ok_or_else(|| {
            let names: Vec<_> = COLUMNS.iter().map(|column| column.name).collect();
            format!("there is no column `{text}`: there are {}", names.join(", "))
        })
    }
}
