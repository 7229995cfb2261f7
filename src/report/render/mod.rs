//! Renders a source's answer as text, JSON, CSV, Markdown or HTML.

mod budgets;
mod csv;
pub mod html;
mod json;
mod markdown;
mod overview;
mod story;
mod text;
mod week;

use std::path::PathBuf;

use jiff::tz::TimeZone;

pub use json::schema;
pub(super) use text::at_home;
pub use week::{page as week, schema as week_schema};

use super::{Column, Overview, Query, Standing, Story, Table};

/// An output format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For a person.
    Table,
    /// For programs; `ccrun report --json-schema` describes it.
    Json,
    /// RFC 4180, with a header row.
    Csv,
    /// A table in GitHub's Markdown.
    Markdown,
    /// A page for a browser.
    Html,
}

/// The audience of the output.
#[derive(Clone, Debug)]
pub struct Look {
    /// The width of the terminal in characters; `None` if the output is not a terminal.
    pub width: Option<usize>,
    /// Whether it shows colours.
    pub colour: bool,
    /// The home directory, shown as `~`.
    pub home: PathBuf,
    /// The time zone for days and hours.
    pub zone: TimeZone,
}

/// Shows rows.
pub fn table(table: &Table, query: &Query, format: Format, look: &Look) -> String {
    let shown = columns(table, query);
    match format {
        Format::Table => text::table(table, &shown, look),
        Format::Json => json::table(table, query, look),
        Format::Csv => csv::table(table, &query.columns),
        Format::Markdown => markdown::table(table, &shown, look),
        Format::Html => html::rows(table, &shown, query, look),
    }
}

/// Shows the overview.
pub fn overview(overview: &Overview, query: &Query, format: Format, look: &Look) -> String {
    match format {
        Format::Table => overview::text(overview, look),
        Format::Json => json::overview(overview, query, look),
        Format::Csv => csv::table(&overview.days, &query.columns),
        Format::Markdown => markdown::table(&overview.days, &columns(&overview.days, query), look),
        Format::Html => html::overview(overview, &columns(&overview.days, query), query, look),
    }
}

/// Shows budgets as a table.
pub fn budgets(standings: &[Standing], look: &Look) -> String {
    budgets::lines(standings, look).into_iter().map(|line| line + "\n").collect()
}

/// Budgets as a JSON array, as in the overview.
pub fn budgets_json(standings: &[Standing], look: &Look) -> serde_json::Value {
    budgets::json(standings, look)
}

/// Shows a session or a prompt, step by step.
pub fn story(story: &Story, format: Format, look: &Look) -> String {
    match format {
        Format::Table => story::text(story, look),
        Format::Json => json::story(story, look),
        Format::Csv => story::csv(story, look),
        Format::Markdown => story::markdown(story, look),
        Format::Html => html::story(story, look),
    }
}

/// The columns shown if the user chose none: those with any amount, in order of interest.
fn columns(table: &Table, query: &Query) -> Vec<&'static Column> {
    if query.columns.len() < Column::all().len() {
        return query.columns.clone();
    }
    let of_tools = table.by.iter().any(|dimension| dimension.is_of_tools());
    let names: &[&str] = if of_tools {
        &["tool_successes", "tool_failures", "tool_time", "edits_accepted", "edits_rejected", "sessions"]
    } else {
        &["cost", "tokens", "requests", "prompts", "cache", "sessions", "errors", "active", "lines_added", "commits"]
    };
    let found = names.iter().filter_map(|name| name.parse::<&Column>().ok());
    let has_any = |column: &&Column| !column.text(&table.total).is_empty();
    let shown: Vec<_> = found.filter(has_any).collect();
    if shown.is_empty() { Column::all().iter().take(1).collect() } else { shown }
}

#[cfg(test)]
mod tests;
