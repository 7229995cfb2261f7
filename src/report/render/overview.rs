//! The overview for people: one screen of 80 columns.

use std::fmt::Write;

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan};
use unicode_width::UnicodeWidthStr;

use super::Look;
use super::text::{Paint, coverage, grid, name, notes};
use crate::report::column::Column;
use crate::report::numbers::{change, dollars, exact, percent, short, upright};
use crate::report::overview::DAYS;
use crate::report::{Coverage, Dimension, Line, Number, Overview, Table};
use crate::terminal::fit::{shorten, wrapped};
use crate::terminal::printable::printable;
use crate::usage::Measure;

/// The width in characters if the output is not a terminal.
const WIDTH: usize = 80;

/// The width in characters from which a period shows the change of each number.
const ROOMY: usize = 100;

/// The height of the chart of days, in lines.
const HEIGHT: i64 = 3;

/// How many models and projects are shown.
const TOP: usize = 5;

pub(super) const NOTHING: &str = "no usage here yet: `ccrun claude` starts Claude Code and counts its usage";

pub(super) fn text(overview: &Overview, look: &Look) -> String {
    if overview.is_empty() && overview.periods.iter().all(|period| period.now.is_empty() && period.before.is_empty()) {
        let history = overview.total.coverage.and_then(Coverage::warning);
        let said = std::iter::once(NOTHING.to_owned()).chain(history);
        let width = look.width.unwrap_or(usize::MAX);
        return said.flat_map(|line| wrapped(&line, width)).map(|line| line + "\n").collect();
    }
    let width = look.width.unwrap_or(WIDTH).clamp(20, 120);
    let look = &Look { width: Some(width), ..look.clone() };
    let paint = Paint { colour: look.colour };
    let mut parts = vec![periods(overview, look), facts(overview, look, width), days(overview, look)];
    parts.push(tops(overview, look));
    parts.push(sessions(&overview.sessions, look));
    if !overview.budgets.is_empty() {
        parts.push(headed(&super::budgets::lines(&overview.budgets, look), look));
    }
    let mut text: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    if let Some((from, to)) = overview.total.span.filter(|_| overview.periods.is_empty()) {
        let (from, to) = (day(from, look), day(to, look));
        let heading = if from == to { format!("Usage on {from}") } else { format!("Usage from {from} to {to}") };
        text.insert(0, paint.bold(&heading) + "\n");
    }
    coverage(&overview.total, look) + &text.join("\n") + &notes(overview.notes(), look)
}

/// A line for each period, with the change in cost. Empty periods and columns are omitted.
fn periods(overview: &Overview, look: &Look) -> String {
    let names = ["cost", "tokens", "requests", "prompts", "active"];
    let rows: Vec<(&str, &Line, Option<&Line>)> = if overview.periods.is_empty() {
        vec![("All", &overview.total.total, None)]
    } else {
        let periods = overview.periods.iter().filter(|period| !(period.now.is_empty() && period.before.is_empty()));
        periods.map(|period| (period.name, &period.now, Some(&period.before))).collect()
    };
    let columns: Vec<&Column> = names
        .iter()
        .filter_map(|name| name.parse().ok())
        .filter(|column: &&Column| {
            rows.iter().any(|(_, now, before)| {
                !column.text(now).is_empty() || before.is_some_and(|line| !column.text(line).is_empty())
            })
        })
        .collect();
    let changes = |column: &Column, now: &Line, before: Option<&Line>| {
        change(column.amount(now), before.map_or(0, |before| column.amount(before)))
    };
    // The change is shown beside each number if there is space, and always for the cost.
    let is_wide = look.width.unwrap_or(WIDTH) >= ROOMY;
    let has_changes: Vec<bool> = columns
        .iter()
        .enumerate()
        .map(|(index, column)| {
            (index == 0 || is_wide) && rows.iter().any(|(_, now, before)| !changes(column, now, *before).is_empty())
        })
        .collect();
    let mut headings = Vec::new();
    for (column, has_changes) in columns.iter().zip(&has_changes) {
        headings.push(column.heading);
        if *has_changes {
            headings.push("change");
        }
    }
    let mut grid = grid([""].into_iter(), headings.into_iter());
    for (name, now, before) in rows {
        let mut row = vec![name.to_owned()];
        for (column, has_changes) in columns.iter().zip(&has_changes) {
            row.push(Some(column.text(now)).filter(|text| !text.is_empty()).unwrap_or_else(|| "–".to_owned()));
            if *has_changes {
                row.push(changes(column, now, before));
            }
        }
        grid.push(row);
    }
    headed(&grid.lines(look.width), look)
}

/// Further facts about the total, in lines.
fn facts(overview: &Overview, look: &Look, width: usize) -> String {
    let mut facts = phrases(&overview.total.total);
    if let Some((from, _)) = overview.total.span.filter(|_| !overview.periods.is_empty() && !facts.is_empty()) {
        facts.insert(0, format!("since {}", day(from, look)));
    }
    flowing(&facts, width)
}

/// Further facts about a total, each as a phrase. Empty ones are omitted.
pub(super) fn phrases(total: &Line) -> Vec<String> {
    let amount = |measure| total.amount(measure);
    let mut facts = Vec::new();
    let cache = Column::all().iter().find(|column| column.name == "cache");
    if let Some(Number::Fraction(share)) =
        cache.map(|column| column.number(total)).filter(|_| amount(Measure::CacheReadTokens) > 0)
    {
        facts.push(format!("cache reuse {}", percent(share)));
    }
    let lines = [(Measure::LinesAdded, "+"), (Measure::LinesRemoved, "−")];
    let lines = lines.iter().filter(|(measure, _)| amount(*measure) > 0);
    let lines: Vec<_> = lines.map(|(measure, sign)| format!("{sign}{}", exact(amount(*measure)))).collect();
    if !lines.is_empty() {
        facts.push(format!("lines {}", lines.join(" ")));
    }
    let counted = |measure, one: &str, many: &str| match amount(measure) {
        0 => None,
        1 => Some(format!("1 {one}")),
        count => Some(format!("{} {many}", exact(count))),
    };
    facts.extend(counted(Measure::Commits, "commit command", "commit commands"));
    facts.extend(counted(Measure::PullRequests, "pull request opened", "pull requests opened"));
    let (accepted, rejected) = (amount(Measure::EditsAccepted), amount(Measure::EditsRejected));
    let (asked, all) = (accepted + rejected, accepted + rejected + amount(Measure::EditsAutomatic));
    if asked > 0 {
        let of = format!("{} of {}", exact(accepted), exact(asked));
        facts.push(format!("edits accepted when asked {of}"));
        facts.push(format!("asked for {} of edits", percent(share(asked, all))));
    } else if all > 0 {
        facts.push(format!("{} edits, none asked for", exact(all)));
    }
    facts.extend(counted(Measure::Errors, "failed request", "failed requests"));
    facts.extend(counted(Measure::ToolFailures, "failed tool call", "failed tool calls"));
    facts
}

/// The day of a time, in the reader's time zone.
pub(super) fn day(at: i64, look: &Look) -> Date {
    look.zone.to_datetime(Timestamp::from_millisecond(at).unwrap_or_default()).date()
}

fn share(part: i64, all: i64) -> f64 {
    crate::usage::to_double(part) / crate::usage::to_double(all.max(1))
}

/// Phrases separated by a dot, in lines of at most this width.
fn flowing(phrases: &[String], width: usize) -> String {
    let mut lines: Vec<String> = Vec::new();
    for phrase in phrases {
        match lines.last_mut() {
            Some(line) if line.width() + 3 + phrase.width() <= width => {
                line.push_str(" · ");
                line.push_str(phrase);
            }
            _ => lines.push(shorten(phrase, width)),
        }
    }
    lines.iter().fold(String::new(), |text, line| text + line + "\n")
}

/// The last fourteen days as bars, with the day of the month below. The bars show tokens if there is no cost.
fn days(overview: &Overview, look: &Look) -> String {
    let found: Vec<(Date, &Line)> = overview
        .days
        .lines
        .iter()
        .filter_map(|line| Some((line.keys.first()?.as_ref()?.parse().ok()?, line)))
        .collect();
    let Some((last, _)) = found.last() else { return String::new() };
    let last = overview.today.unwrap_or(*last);
    let has_cost = found.iter().any(|(_, line)| line.amount(Measure::Cost) > 0);
    let weight = |line: &Line| if has_cost { line.amount(Measure::Cost) } else { line.tokens() };
    let amounts: Vec<(Date, i64)> = (0..DAYS)
        .rev()
        .filter_map(|back| last.checked_sub(back.days()).ok())
        .map(|day| (day, found.iter().find(|(date, _)| *date == day).map_or(0, |(_, line)| weight(line))))
        .collect();
    let most = amounts.iter().map(|(_, amount)| *amount).max().unwrap_or(0);
    if most == 0 || found.len() < 2 {
        return String::new();
    }
    let paint = Paint { colour: look.colour };
    let cell = ((look.width.unwrap_or(WIDTH)) / amounts.len()).clamp(2, 5);
    let shown = if has_cost { dollars(most) } else { format!("{} tokens", short(most)) };
    let mut text = paint.bold(&format!("{DAYS} days, at most {shown} a day")) + "\n";
    for row in (0..HEIGHT).rev() {
        let bar = |(_, amount): &(Date, i64)| {
            let drawn = upright(*amount, most, HEIGHT, row).repeat((cell - 1).min(3));
            format!("{drawn:<cell$}")
        };
        let line: String = amounts.iter().map(bar).collect();
        text += &paint.bars(line.trim_end());
        text += "\n";
    }
    let every = if cell > 2 { 1 } else { 2 };
    let label = |(index, (day, _)): (usize, &(Date, i64))| {
        // Counted backwards, so that the last day always has a label.
        let is_labelled = (amounts.len() - 1 - index).is_multiple_of(every);
        let day = if is_labelled { day.day().to_string() } else { String::new() };
        format!("{day:<cell$}")
    };
    let labels: String = amounts.iter().enumerate().map(label).collect();
    text + labels.trim_end() + "\n"
}

/// Projects and models, side by side if there is space.
fn tops(overview: &Overview, look: &Look) -> String {
    let width = look.width.unwrap_or(WIDTH);
    let tables = [("Project", &overview.projects), ("Model", &overview.models)];
    let beside = width >= 72;
    let each = if beside { (width - 3) / 2 } else { width };
    let blocks: Vec<Vec<String>> = tables.iter().map(|(title, table)| top(title, table, each, look)).collect();
    let filled: Vec<_> = blocks.into_iter().filter(|block| block.len() > 1).collect();
    let paint = Paint { colour: look.colour };
    if beside && filled.len() == 2 {
        let rows = filled[0].len().max(filled[1].len());
        let at = |block: &Vec<String>, row: usize| block.get(row).cloned().unwrap_or_default();
        let joined = (0..rows).map(|row| {
            let left = at(&filled[0], row);
            let space = " ".repeat((each + 3).saturating_sub(left.width()));
            let line = format!("{left}{space}{}", at(&filled[1], row)).trim_end().to_owned();
            (if row == 0 { paint.bold(&line) } else { line }) + "\n"
        });
        return joined.collect();
    }
    filled.iter().map(|block| headed(block, look)).collect::<Vec<_>>().join("\n")
}

fn top(title: &str, table: &Table, width: usize, look: &Look) -> Vec<String> {
    let columns: Vec<&Column> = ["cost", "tokens"]
        .iter()
        .filter_map(|name| name.parse().ok())
        .filter(|column: &&Column| !column.text(&table.total).is_empty())
        .collect();
    let mut grid = grid([title].into_iter(), columns.iter().map(|column| column.heading));
    for line in table.lines.iter().take(TOP).filter(|_| !columns.is_empty()) {
        let key = name(table.by[0], line.keys.first().and_then(Option::as_deref), look);
        grid.push(std::iter::once(key).chain(columns.iter().map(|column| column.text(line))));
    }
    if table.lines.len() > TOP {
        grid.push([format!("and {} more", table.lines.len() - TOP)]);
    }
    grid.lines(Some(width))
}

/// The most expensive sessions, each with the command that resumes it.
fn sessions(table: &Table, look: &Look) -> String {
    let costs = table.lines.iter().filter(|line| line.amount(Measure::Cost) > 0);
    let width = look.width.unwrap_or(WIDTH);
    let mut text = String::new();
    for line in costs {
        let Some(id) = line.keys.first().and_then(Option::as_deref).map(printable) else { continue };
        let cost = format!("{:>8}", dollars(line.amount(Measure::Cost)));
        let resume = format!("{cost}  claude --resume {id}");
        let command = if resume.width() <= width {
            resume
        } else {
            format!("{cost}  ccrun report session {}", id.chars().take(8).collect::<String>())
        };
        let project = name(Dimension::Project, line.keys.get(1).and_then(Option::as_deref), look);
        let left = width.saturating_sub(command.width() + 2);
        let project = if left < 8 { String::new() } else { format!("  {}", shorten(&project, left)) };
        _ = writeln!(text, "{command}{project}");
    }
    let paint = Paint { colour: look.colour };
    if text.is_empty() { text } else { paint.bold("Most expensive sessions") + "\n" + &text }
}

fn headed(lines: &[String], look: &Look) -> String {
    let paint = Paint { colour: look.colour };
    let line = |(index, line): (usize, &String)| (if index == 0 { paint.bold(line) } else { line.clone() }) + "\n";
    lines.iter().enumerate().map(line).collect()
}
