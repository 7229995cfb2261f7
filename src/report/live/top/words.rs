//! Words and numbers of the view. Pure.

use unicode_width::UnicodeWidthStr;

use super::session::{Backlog, Row, State};
use crate::report::numbers::{dollars, exact, percent, short, upright};
use crate::report::{Line, Standing};
use crate::terminal::fit::shorten;
use crate::terminal::printable::printable;
use crate::usage::{Measure, to_double};

/// How many destinations are listed.
const DESTINATIONS: usize = 2;

/// How many sessions run, and what they do.
pub(super) fn counts(rows: &[Row]) -> String {
    let count = |state: State| rows.iter().filter(|row| row.found.state == state).count();
    let states = State::ALL.map(|state| (count(state), state.name()));
    let states: Vec<_> =
        states.iter().filter(|(count, _)| *count > 0).map(|(count, name)| format!("{count} {name}")).collect();
    match rows.len() {
        0 => "no session".to_owned(),
        1 => format!("1 session: {}", states.join(", ")),
        many => format!("{many} sessions: {}", states.join(", ")),
    }
}

/// As many parts as fit a width, the first always, with space between them.
pub(super) fn joined(parts: Vec<String>, width: usize) -> String {
    let mut line = String::new();
    for part in parts {
        if line.is_empty() {
            line = part;
        } else if line.width() + 2 + part.width() <= width {
            line = line + "  " + &part;
        } else {
            break;
        }
    }
    shorten(&line, width)
}

/// What was used, in order of importance.
pub(super) fn usage(name: &str, line: &Line, width: usize) -> String {
    let count = |measure, one: &str, many: &str| {
        let count = line.amount(measure);
        (count > 0).then(|| format!("{} {}", short(count), if count == 1 { one } else { many }))
    };
    let mut parts = vec![format!("{name:<9}  {}", dollars(line.amount(Measure::Cost)))];
    parts.extend(count(Measure::Requests, "request", "requests"));
    parts.extend(Some(line.tokens()).filter(|tokens| *tokens > 0).map(|tokens| format!("{} tokens", short(tokens))));
    parts.extend(Some(cache(line)).filter(|cache| !cache.is_empty()).map(|cache| format!("{cache} cache")));
    parts.extend(count(Measure::Errors, "error", "errors"));
    parts.extend(count(Measure::Prompts, "prompt", "prompts"));
    parts.extend(count(Measure::ToolFailures, "failed tool", "failed tools"));
    joined(parts, width)
}

/// How a budget stands.
pub(super) fn budget(standing: &Standing, width: usize) -> String {
    let Standing { budget, spend, forecast, lifted_until, .. } = standing;
    let spent = format!("{} of {}", dollars(*spend), dollars(budget.limit));
    let mut parts = vec![format!("{:<9}  {spent}", "Budget"), format!("{}%", standing.percent())];
    parts.push(budget.period.name().to_owned());
    match lifted_until {
        Some(_) => parts.push("lifted".to_owned()),
        None if standing.stops() => parts.push("work stops".to_owned()),
        None => parts.extend(forecast.map(|forecast| format!("forecast {}", dollars(forecast)))),
    }
    joined(parts, width)
}

/// The share of what was sent that the cache had.
pub(super) fn cache(line: &Line) -> String {
    let read = line.amount(Measure::CacheReadTokens);
    let all = line.tokens().saturating_sub(line.amount(Measure::OutputTokens));
    if all > 0 { percent(to_double(read) / to_double(all)) } else { String::new() }
}

/// What waits for each destination, a line each.
pub(super) fn waits(backlogs: &[Backlog]) -> Vec<String> {
    let mut destinations: Vec<(&str, u64, &str)> = Vec::new();
    for Backlog { destination, batches, why, .. } in backlogs {
        match destinations.iter_mut().find(|(name, ..)| name == destination) {
            Some((_, sum, _)) => *sum += batches,
            None => destinations.push((destination, *batches, why)),
        }
    }
    destinations.sort_by_key(|(_, batches, _)| std::cmp::Reverse(*batches));
    let more = destinations.len().saturating_sub(DESTINATIONS);
    let line = |(name, batches, why): &(&str, u64, &str)| {
        let batches = if *batches == 1 { "1 batch waits".to_owned() } else { format!("{batches} batches wait") };
        format!("{batches} for {}: {}", printable(name), printable(why))
    };
    let mut lines: Vec<_> = destinations.iter().take(DESTINATIONS).map(line).collect();
    if more > 0 {
        lines.push(format!("more wait for {more} other destinations: ccrun queue"));
    }
    lines
}

/// The last minutes as columns.
pub(super) fn spark(minutes: &[i64], width: usize) -> String {
    let shown = &minutes[minutes.len().saturating_sub(width)..];
    let most = shown.iter().copied().max().unwrap_or_default();
    shown.iter().map(|tokens| upright(*tokens, most, 1, 0)).collect()
}

/// What explains a row.
pub(super) fn note(row: &Row) -> String {
    if row.found.session.is_empty() {
        return "not recorded".to_owned();
    }
    printable(&row.found.waiting_for)
}

/// Why there are no steps.
pub(super) fn nothing(row: &Row) -> &'static str {
    if row.found.session.is_empty() {
        "ccrun does not record this session: it was started without ccrun, or with --direct. After its end, `ccrun import` \
         reads its transcript."
    } else {
        "Nothing is recorded yet."
    }
}

/// Milliseconds, to the minute.
pub(super) fn age(milliseconds: i64) -> String {
    match milliseconds / 60_000 {
        ..1 => "<1m".to_owned(),
        minutes @ 1..60 => format!("{minutes}m"),
        minutes @ 60..1440 => format!("{}h {:02}m", minutes / 60, minutes % 60),
        minutes => format!("{}d", minutes / 1440),
    }
}

pub(super) fn exact_count(count: usize) -> String {
    exact(i64::try_from(count).unwrap_or(i64::MAX))
}
