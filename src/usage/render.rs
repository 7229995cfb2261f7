//! The report as a person reads it.

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, presets};

use super::numbers::{bar, dollars, duration, exact, is_bar, short};
use super::report::{Amounts, Group, Report, Tool};
use crate::printable::printable;

/// Rows beyond so many are summed up in one; `--json` has them all.
const MOST_ROWS: usize = 30;

/// A terminal narrower than this, in characters, gets no bars.
const NARROW: u16 = 90;

const NOTHING: &str = "no usage here yet: start Claude Code with `ccrun claude`, and what it uses is counted\n";

/// The report for a terminal of that width in characters; none where the output is no terminal.
pub fn render(report: &Report, width: Option<u16>, colour: bool) -> String {
    let Some(period) = &report.period else { return NOTHING.to_owned() };
    let paint = Paint { colour };
    let mut text = paint.heading(&format!("Usage from {} to {}", period.from, period.to));
    text.push_str(&totals(report, width));
    for (title, table) in [
        ("By day", days(report, width)),
        ("By model", groups(&report.models, width, |model| named(&model.model))),
        ("By project", groups(&report.projects, width, |project| named(&project.project))),
        ("By profile", groups(&report.profiles, width, |key| profile(&key.profile, key.team.as_deref()))),
        ("Tools", tools(&report.tools, width)),
    ] {
        if let Some(table) = table {
            text.push('\n');
            text.push_str(&paint.heading(title));
            text.push_str(&paint.bars(&table));
        }
    }
    if !report.notes.is_empty() {
        text.push('\n');
    }
    for note in &report.notes {
        text.push_str(&paint.note(note));
    }
    text
}

fn totals(report: &Report, width: Option<u16>) -> String {
    let total = &report.total;
    let mut table = table(width);
    let tokens = format!(
        "{} input, {} output, {} cache read, {} cache creation",
        exact(total.input_tokens),
        exact(total.output_tokens),
        exact(total.cache_read_tokens),
        exact(total.cache_creation_tokens)
    );
    let sessions = format!("{} of ccrun, {} of Claude Code", report.sessions, report.claude_sessions);
    let active = format!("{} you, {} Claude", duration(total.active_user), duration(total.active_cli));
    let requests = format!("{} answered, {} failed", exact(total.requests), exact(total.errors));
    let lines = format!("{} added, {} removed", exact(total.lines_added), exact(total.lines_removed));
    let edits = format!("{} accepted, {} rejected", exact(total.edits_accepted), exact(total.edits_rejected));
    for (label, value) in [
        ("Cost", dollars(total.cost)),
        ("Tokens", tokens),
        ("Prompts", exact(total.prompts)),
        ("Requests", requests),
        ("Sessions", sessions),
        ("Active", active),
        ("Lines", lines),
        ("Edits", edits),
        ("Commits", exact(total.commits)),
        ("Pull requests", exact(total.pull_requests)),
    ] {
        table.add_row([label.to_owned(), value]);
    }
    finish(&table)
}

fn days(report: &Report, width: Option<u16>) -> Option<String> {
    let earlier = report.days.len().saturating_sub(MOST_ROWS);
    let mut rows: Vec<(String, Amounts)> = Vec::new();
    if earlier > 0 {
        rows.push((format!("{earlier} earlier days"), sum(&report.days[..earlier])));
    }
    rows.extend(report.days[earlier..].iter().map(|group| (group.key.day.to_string(), group.amounts.clone())));
    amounts(&rows, earlier.min(1), width)
}

fn groups<K>(groups: &[Group<K>], width: Option<u16>, name: impl Fn(&K) -> String) -> Option<String> {
    let (shown, rest) = groups.split_at(groups.len().min(MOST_ROWS));
    let mut rows: Vec<_> = shown.iter().map(|group| (name(&group.key), group.amounts.clone())).collect();
    if !rest.is_empty() {
        rows.push((format!("{} more", rest.len()), sum(rest)));
    }
    amounts(&rows, 0, width)
}

fn sum<K>(groups: &[Group<K>]) -> Amounts {
    groups.iter().fold(Amounts::default(), |sum, group| sum.plus(&group.amounts))
}

/// Rows of amounts with a bar each, but for the first few, which are no single row's. The bar is the cost's share of
/// the dearest row, or the tokens' where nothing cost anything.
fn amounts(rows: &[(String, Amounts)], without_bar: usize, width: Option<u16>) -> Option<String> {
    let costs = rows.iter().any(|(_, amounts)| amounts.cost > 0);
    let weight = |amounts: &Amounts| if costs { amounts.cost } else { amounts.tokens() };
    let heaviest = rows.iter().skip(without_bar).map(|(_, amounts)| weight(amounts)).max()?;
    let mut table = table(width);
    table.set_header(["", "cost", "requests", "input", "output", "cache\nread", "cache\ncreation", ""]);
    for (index, (name, amounts)) in rows.iter().enumerate() {
        let bar = if index < without_bar { String::new() } else { bar(weight(amounts), heaviest) };
        table.add_row([
            name.clone(),
            dollars(amounts.cost),
            short(amounts.requests),
            short(amounts.input_tokens),
            short(amounts.output_tokens),
            short(amounts.cache_read_tokens),
            short(amounts.cache_creation_tokens),
            bar,
        ]);
    }
    align_numbers(&mut table, 1..=6);
    if let (Some(bars), true) = (table.column_mut(7), width.is_some_and(|width| width < NARROW)) {
        bars.set_constraint(ColumnConstraint::Hidden);
    }
    Some(finish(&table))
}

fn tools(tools: &[Tool], width: Option<u16>) -> Option<String> {
    let most = tools.iter().map(|tool| tool.succeeded + tool.failed).max()?;
    let mut table = table(width);
    table.set_header(["", "succeeded", "failed", "edits\naccepted", "edits\nrejected", ""]);
    for tool in &tools[..tools.len().min(MOST_ROWS)] {
        table.add_row([
            named(&tool.tool),
            short(tool.succeeded),
            short(tool.failed),
            short(tool.edits_accepted),
            short(tool.edits_rejected),
            bar(tool.succeeded + tool.failed, most),
        ]);
    }
    if tools.len() > MOST_ROWS {
        table.add_row([format!("{} more", tools.len() - MOST_ROWS)]);
    }
    align_numbers(&mut table, 1..=4);
    Some(finish(&table))
}

fn named(text: &str) -> String {
    if text.is_empty() { "(unknown)".to_owned() } else { printable(text) }
}

fn profile(profile: &str, team: Option<&str>) -> String {
    match team {
        Some(team) => format!("{}, team {}", named(profile), printable(team)),
        None => named(profile),
    }
}

/// A table without lines whose first column alone gives way when the terminal is narrow.
fn table(width: Option<u16>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    if let Some(width) = width {
        table.set_width(width);
    }
    table
}

fn align_numbers(table: &mut Table, columns: std::ops::RangeInclusive<usize>) {
    for column in columns {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
}

fn finish(table: &Table) -> String {
    table.lines().fold(String::new(), |text, line| text + line.trim_end() + "\n")
}

/// Colours are put around what is laid out already: the table counts every character of a cell.
struct Paint {
    colour: bool,
}

impl Paint {
    fn heading(&self, text: &str) -> String {
        if self.colour { format!("\x1b[1m{text}\x1b[0m\n") } else { format!("{text}\n") }
    }

    fn note(&self, text: &str) -> String {
        if self.colour { format!("\x1b[2m{text}\x1b[0m\n") } else { format!("{text}\n") }
    }

    fn bars(&self, text: &str) -> String {
        if !self.colour {
            return text.to_owned();
        }
        let painted = |line: &str| {
            let rest = line.trim_end_matches(is_bar);
            if rest.len() == line.len() {
                format!("{line}\n")
            } else {
                format!("{rest}\x1b[36m{}\x1b[0m\n", &line[rest.len()..])
            }
        };
        text.lines().map(painted).collect()
    }
}

#[cfg(test)]
#[path = "render_tests.rs"]
mod tests;
