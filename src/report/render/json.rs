//! JSON for programs, and its schema.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::Look;
use crate::report::{Column, Coverage, Dimension, Line, Number, Overview, Query, Step, Story, Table};
use crate::terminal::json;

pub(super) fn table(table: &Table, query: &Query, look: &Look) -> String {
    pretty(&Value::Object(answer(table, query, look)))
}

/// The overview is an answer without rows, with three tables.
pub(super) fn overview(overview: &Overview, query: &Query, look: &Look) -> String {
    let mut object = answer(&overview.total, query, look);
    for (name, table) in [("days", &overview.days), ("models", &overview.models), ("projects", &overview.projects)] {
        object.insert(name.to_owned(), rows(table));
    }
    if !overview.budgets.is_empty() {
        object.insert("budgets".to_owned(), super::budgets::json(&overview.budgets, look));
    }
    pretty(&Value::Object(object))
}

pub(super) fn story(story: &Story, look: &Look) -> String {
    let about: Map<_, _> = story.about.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    pretty(&json!({
        "session": story.session,
        "prompt": story.prompt,
        "about": about,
        "steps": story.steps.iter().map(|step| self::step(step, look)).collect::<Vec<_>>(),
        "total": measures(&story.total),
        "sources": sources(story),
        "differences": story.differences,
    }))
}

fn sources(story: &Story) -> Value {
    let dollars = |amount: i64| crate::usage::to_double(amount) / 1e9;
    let sources = &story.sources;
    json!({
        "events_usd": dollars(sources.events),
        "metrics_usd": dollars(sources.metrics),
        "transcript_usd": dollars(sources.transcript),
        "client_usd": sources.client.map(dollars),
        "status_line_usd": sources.status_line.map(dollars),
    })
}

fn step(step: &Step, look: &Look) -> Value {
    json!({
        "time": moment(step.at, look),
        "what": step.what,
        "name": step.name,
        "outcome": step.outcome,
        "prompt": step.prompt,
        "duration_seconds": step.duration.map(|duration| crate::usage::to_double(duration) / 1e3),
        "tokens": step.tokens,
        "cost_usd": crate::usage::to_double(step.cost) / 1e9,
    })
}

fn answer(table: &Table, query: &Query, look: &Look) -> Map<String, Value> {
    let (first, last) = table.span.unzip();
    let at = |moment_of: Option<i64>| moment_of.map(|at| moment(at, look));
    let by: Vec<_> = table.by.iter().map(|dimension| dimension.name()).collect();
    let mut object = Map::new();
    let range = json!({ "from": at(query.range.since.or(first)), "to": at(query.range.until.or(last)) });
    object.insert("range".to_owned(), range);
    object.insert("by".to_owned(), json!(by));
    object.insert("rows".to_owned(), rows(table));
    object.insert("total".to_owned(), Value::Object(measures(&table.total)));
    object.insert("coverage".to_owned(), json!(table.coverage.map(Coverage::share)));
    object.insert("notes".to_owned(), json!(table.notes));
    object
}

fn rows(table: &Table) -> Value {
    let row = |line: &Line| {
        let keys = table
            .by
            .iter()
            .zip(&line.keys)
            .map(|(dimension, key)| (dimension.name().to_owned(), value(*dimension, key.as_ref())));
        Value::Object(keys.chain(measures(line)).collect())
    };
    Value::Array(table.lines.iter().map(row).collect())
}

fn value(dimension: Dimension, key: Option<&String>) -> Value {
    match (dimension, key) {
        (Dimension::Weekday, Some(day)) => json!(day.parse::<u8>().ok()),
        _ => json!(key),
    }
}

fn measures(line: &Line) -> Map<String, Value> {
    let number = |column: &Column| match column.number(line) {
        Number::Whole(count) => json!(count),
        Number::Fraction(fraction) => json!(fraction),
        Number::None => Value::Null,
    };
    Column::all().iter().map(|column| (column.json.to_owned(), number(column))).collect()
}

/// RFC 3339, with the offset of the reader's time zone.
pub(super) fn moment(at: i64, look: &Look) -> String {
    let at = Timestamp::from_millisecond(at).unwrap_or_default();
    at.display_with_offset(look.zone.to_offset(at)).to_string()
}

pub(super) fn pretty(value: &Value) -> String {
    // A map of strings and numbers always serializes.
    json::pretty(value).unwrap_or_default() + "\n"
}

/// The schema of the output of `ccrun report --json` (JSON Schema 2020-12). That of `ccrun report week` is a definition in
/// it.
pub fn schema() -> String {
    let measures: Map<String, Value> = Column::all()
        .iter()
        .map(|column| {
            (column.json.to_owned(), json!({ "type": ["number", "null"], "minimum": 0, "description": column.about }))
        })
        .collect();
    let dimensions: Map<String, Value> = Dimension::all()
        .map(|dimension| {
            (
                dimension.name().to_owned(),
                json!({ "type": ["string", "integer", "null"], "description": dimension.about() }),
            )
        })
        .collect();
    let row: Map<String, Value> = dimensions.into_iter().chain(measures.clone()).collect();
    let rows =
        json!({ "type": "array", "items": { "type": "object", "properties": row, "additionalProperties": false } });
    let names: Vec<_> = Dimension::all().map(Dimension::name).collect();
    pretty(&json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "ccrun report",
        "type": "object",
        "required": ["range", "by", "rows", "total", "coverage", "notes"],
        "properties": {
            "range": {
                "type": "object",
                "required": ["from", "to"],
                "properties": { "from": { "type": ["string", "null"] }, "to": { "type": ["string", "null"] } },
            },
            "by": { "type": "array", "maxItems": 2, "items": { "enum": names } },
            "rows": rows,
            "days": rows,
            "models": rows,
            "projects": rows,
            "budgets": super::budgets::schema(),
            "total": { "type": "object", "properties": measures },
            "coverage": { "type": ["number", "null"], "minimum": 0, "maximum": 1 },
            "notes": { "type": "array", "items": { "type": "string" } },
        },
        "$defs": { "week": super::week::definition() },
    }))
}
