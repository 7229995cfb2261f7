//! Claude Code's status line: what the client's own JSON and the ledger say, in the user's format.

use std::fmt::Write;

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use unicode_width::UnicodeWidthStr;

use super::Standing;
use super::numbers::{dollars, duration, percent};
use crate::claude::status_line::{Limit, Reading, Spend};
use crate::profile::{Field, Format, Part, Period, Piece};
use crate::terminal::printable::printable;

/// From this share on a value stands out, in hundredths of a percent.
const WARNING: i64 = 7500;

/// From this share on it stands out more, and says when the limit is reset.
const ALARM: i64 = 9000;

/// How many columns Claude Code keeps free beside the line, at least.
const MARGIN: usize = 4;

/// What the client does not report.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Known {
    /// Today's cost, in billionths of a US dollar.
    pub today: Option<i64>,
    /// The branch that is checked out.
    pub branch: Option<String>,
    /// Budgets and their spend.
    pub budgets: Vec<Standing>,
}

/// How it is shown.
#[derive(Clone, Debug)]
pub struct Look {
    /// Whether values that stand out are coloured.
    pub colour: bool,
    /// The terminal's width in columns, if it is known.
    pub width: Option<usize>,
    /// The time zone of what is reset when.
    pub zone: TimeZone,
}

/// A piece of text, and whether it stands out.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Span {
    text: String,
    level: Level,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Plain,
    Warning,
    Alarm,
}

impl Level {
    fn of(used: i64) -> Self {
        match used {
            ALARM.. => Self::Alarm,
            WARNING..ALARM => Self::Warning,
            _ => Self::Plain,
        }
    }

    /// The escape sequence of its colour (ECMA-48).
    fn colour(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Warning => Some("\u{1b}[33m"),
            Self::Alarm => Some("\u{1b}[31m"),
        }
    }
}

/// The rows, each with a line break. Empty if there is nothing to show.
pub fn status_line(format: &Format, reading: &Reading, known: &Known, look: &Look) -> String {
    let mut text = String::new();
    for row in format.rows() {
        let shown = row.iter().filter_map(|part| Some((part.separator, spans(part, reading, known, look)?)));
        let mut shown: Vec<_> = shown.collect();
        let room = look.width.map_or(usize::MAX, |width| width.saturating_sub(MARGIN));
        while shown.len() > 1 && width(&shown) > room {
            shown.pop();
        }
        if shown.is_empty() {
            continue;
        }
        for (index, (separator, spans)) in shown.iter().enumerate() {
            text.push_str(if index == 0 { "" } else { separator });
            for span in spans {
                paint(span, look.colour, &mut text);
            }
        }
        text.push('\n');
    }
    text
}

fn paint(span: &Span, colour: bool, text: &mut String) {
    match span.level.colour().filter(|_| colour) {
        Some(start) => text.extend([start, &span.text, "\u{1b}[0m"]),
        None => text.push_str(&span.text),
    }
}

fn width(shown: &[(&str, Vec<Span>)]) -> usize {
    let of = |(index, (separator, spans)): (usize, &(&str, Vec<Span>))| {
        let separator = if index == 0 { 0 } else { separator.width() };
        separator + spans.iter().map(|span| span.text.width()).sum::<usize>()
    };
    shown.iter().enumerate().map(of).sum()
}

/// The text of a part; `None` if it has placeholders and all of them are empty.
fn spans(part: &Part, reading: &Reading, known: &Known, look: &Look) -> Option<Vec<Span>> {
    let mut spans: Vec<Span> = Vec::new();
    let (mut fields, mut filled, mut after_empty) = (0, 0, false);
    for piece in &part.pieces {
        match piece {
            Piece::Text(text) => {
                let is_spaced = spans.last().is_none_or(|span| span.text.ends_with(' '));
                let text = if after_empty && is_spaced { text.trim_start() } else { text };
                spans.push(plain(text));
                after_empty = false;
            }
            Piece::Field(field) => {
                let value = value(*field, reading, known, look);
                fields += 1;
                filled += usize::from(!value.is_empty());
                after_empty = value.is_empty();
                spans.extend(value);
            }
        }
    }
    if let Some(last) = spans.last_mut().filter(|_| after_empty) {
        last.text.truncate(last.text.trim_end().len());
    }
    (fields == 0 || filled > 0).then_some(spans)
}

/// The value of a field; nothing if it is unknown, or there is nothing to say.
fn value(field: Field, reading: &Reading, known: &Known, look: &Look) -> Vec<Span> {
    let cache = reading.cache.as_ref();
    let text = match field {
        Field::Limits => return limits(reading, look),
        Field::Budget => return budget(&known.budgets).into_iter().collect(),
        Field::Context => return reading.context.used.map(|used| share(used, "")).into_iter().collect(),
        Field::Branch => known.branch.as_deref().map(printable),
        Field::Cache => cache.and_then(|cache| cache.hits).map(whole_percent),
        Field::Cost => amount(reading.cost),
        Field::Duration => reading.duration.filter(|taken| *taken > 0).map(duration),
        Field::Effort => Some(printable(&reading.effort)),
        Field::Lines => lines(reading.lines),
        Field::Misses => cache.map(|cache| cache.misses).filter(|misses| *misses > 0).map(misses),
        Field::Model => Some(printable(&reading.model)),
        Field::Pr => reading.pull_request.map(|number| format!("#{number}")),
        Field::Project => project(reading),
        Field::Session => Some(printable(&reading.name)),
        Field::Today => amount(known.today),
        Field::Tokens => reading.context.tokens.map(rounded),
        Field::Worktree => Some(printable(&reading.worktree)),
    };
    text.filter(|text| !text.is_empty()).map(|text| plain(&text)).into_iter().collect()
}

fn plain(text: &str) -> Span {
    Span { text: text.to_owned(), level: Level::Plain }
}

/// A name and a share of a limit, in hundredths of a percent.
fn share(used: i64, name: &str) -> Span {
    Span { text: format!("{name}{}", whole_percent(used)), level: Level::of(used) }
}

fn whole_percent(hundredths: i64) -> String {
    percent(crate::usage::to_double(hundredths) / 10_000.0)
}

/// An amount that is not zero, in billionths of a US dollar.
fn amount(billionths: Option<i64>) -> Option<String> {
    billionths.filter(|amount| *amount > 0).map(dollars)
}

/// `64% of $20.00 a day`, of the budget nearest to its limit.
fn budget(standings: &[Standing]) -> Option<Span> {
    let share = |standing: &Standing| {
        let hundredths = i128::from(standing.spend.max(0)) * 10_000 / i128::from(standing.budget.limit.max(1));
        i64::try_from(hundredths).unwrap_or(i64::MAX)
    };
    let nearest = standings.iter().max_by_key(|standing| share(standing))?;
    let used = share(nearest);
    let period = match nearest.budget.period {
        Period::Daily => "day",
        Period::Weekly => "week",
        Period::Monthly => "month",
    };
    let text = format!("{} of {} a {period}", whole_percent(used), dollars(nearest.budget.limit));
    Some(Span { text, level: Level::of(used) })
}

fn misses(count: i64) -> String {
    format!("{count} {}", if count == 1 { "miss" } else { "misses" })
}

fn lines([added, removed]: [Option<i64>; 2]) -> Option<String> {
    let (added, removed) = (added.unwrap_or_default(), removed.unwrap_or_default());
    (added > 0 || removed > 0).then(|| format!("+{added} −{removed}"))
}

/// The name of the project's directory.
fn project(reading: &Reading) -> Option<String> {
    let name = reading.project.as_ref()?.file_name()?;
    Some(printable(&name.to_string_lossy()))
}

/// `999`, `55k`, `1.2M`
fn rounded(tokens: i64) -> String {
    match tokens {
        ..1000 => tokens.to_string(),
        1000..999_500 => format!("{}k", (tokens + 500) / 1000),
        _ => {
            let tenths = (tokens + 50_000) / 100_000;
            format!("{}.{}M", tenths / 10, tenths % 10)
        }
    }
}

/// All limits, with commas between them.
fn limits(reading: &Reading, look: &Look) -> Vec<Span> {
    let limits = reading.limits;
    let named = [(limits.five_hour, "5h ", "%H:%M"), (limits.seven_day, "7d ", "%a %H:%M")];
    let named = named.into_iter().filter_map(|(limit, name, time)| Some(window(limit?, name, time, look)));
    let mut all = Vec::new();
    for span in named.chain(limits.spend.map(spend)) {
        if !all.is_empty() {
            all.push(plain(", "));
        }
        all.push(span);
    }
    all
}

/// The limit of a window of time. Near its end it says when it is reset.
fn window(limit: Limit, name: &str, time: &str, look: &Look) -> Span {
    let mut span = share(limit.used, name);
    let resets = Timestamp::from_second(limit.resets_at).ok().filter(|_| limit.resets_at > 0);
    if let (Level::Alarm, Some(resets)) = (span.level, resets) {
        let resets: Zoned = resets.to_zoned(look.zone.clone());
        _ = write!(span.text, " until {}", resets.strftime(time));
    }
    span
}

fn spend(spend: Spend) -> Span {
    let level = Level::of(spend.limit.used);
    match spend.amounts {
        Some([used, limit]) => Span { text: format!("spend {} of {}", dollars(used), dollars(limit)), level },
        None => share(spend.limit.used, "spend "),
    }
}

#[cfg(test)]
mod tests;
