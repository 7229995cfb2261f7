//! The week as JSON, and its schema.

use serde_json::{Map, Value as Json, json};

use super::super::json::{moment, pretty};
use super::Look;
use crate::report::Coverage;
use crate::report::week::{By, Figure, Line, Page, Quantity, Section, Value};
use crate::usage::to_double;

pub(super) fn page(page: &Page, look: &Look) -> String {
    let period = &page.period;
    let at = |zoned: &jiff::Zoned| moment(zoned.timestamp().as_millisecond(), look);
    let by = page.by.map(|by| match by {
        By::Person => "person",
        By::Team => "team",
    });
    let sections: Map<_, _> = page.sections.iter().map(|section| (section.id.to_owned(), table(section))).collect();
    pretty(&json!({
        "period": period.noun(),
        "name": period.name(),
        "range": { "from": at(&period.start), "to": at(&period.end) },
        "running": period.is_running(),
        "by": by,
        "people": page.people,
        "lines": page.lines.iter().map(line).collect::<Vec<_>>(),
        "tables": sections,
        "coverage": page.coverage.map(Coverage::share),
        "notes": page.notes,
    }))
}

fn line(line: &Line) -> Json {
    let mut object = figure(&line.figure);
    object.insert("beside".to_owned(), line.beside.iter().map(figure).collect());
    object.insert("source".to_owned(), json!(line.source));
    object.insert("caveats".to_owned(), json!(line.caveats));
    Json::Object(object)
}

fn figure(figure: &Figure) -> Map<String, Json> {
    let quantity = |quantity: &Option<Quantity>| {
        let quantity = quantity.as_ref();
        json!(quantity.map(|Quantity { value, of }| json!({ "value": number(value), "unit": unit(value), "of": of })))
    };
    let entries = [
        ("name", json!(figure.id)),
        ("title", json!(figure.name)),
        ("value", number(&figure.value)),
        ("unit", json!(unit(&figure.value))),
        ("numerator", quantity(&figure.numerator)),
        ("denominator", quantity(&figure.denominator)),
    ];
    entries.map(|(name, value)| (name.to_owned(), value)).into_iter().collect()
}

fn table(section: &Section) -> Json {
    let row = |row: &Vec<Value>| {
        let cells = section.columns.iter().zip(row).map(|((id, _), value)| ((*id).to_owned(), number(value)));
        Json::Object(cells.collect())
    };
    json!({ "title": section.name, "rows": section.rows.iter().map(row).collect::<Vec<_>>(), "more": section.more })
}

/// A value: dollars, seconds and shares of one as fractions.
pub(super) fn number(value: &Value) -> Json {
    match value {
        Value::None => Json::Null,
        Value::Dollars(billionths) => json!(to_double(*billionths) / 1e9),
        Value::Count(count) => json!(count),
        Value::Counts(counts) => json!(counts),
        Value::Mean(number) | Value::Share(number) | Value::Change(number) => json!(number),
        Value::Time(milliseconds) => json!(to_double(*milliseconds) / 1e3),
        Value::Text(text) => json!(text),
    }
}

/// A value's unit.
pub(super) fn unit(value: &Value) -> Option<&'static str> {
    match value {
        Value::None => None,
        Value::Dollars(_) => Some("usd"),
        Value::Count(_) => Some("count"),
        Value::Counts(_) => Some("counts"),
        Value::Mean(_) => Some("mean"),
        Value::Share(_) => Some("share"),
        Value::Change(_) => Some("change"),
        Value::Time(_) => Some("seconds"),
        Value::Text(_) => Some("text"),
    }
}

/// The schema of the output of `ccrun report week --json` (JSON Schema 2020-12).
pub fn schema() -> String {
    let mut schema = Map::new();
    schema.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
    if let Json::Object(definition) = definition() {
        schema.extend(definition);
    }
    pretty(&Json::Object(schema))
}

/// The schema without its version, as `ccrun report --json-schema` contains it.
pub(in crate::report::render) fn definition() -> Json {
    let units = ["usd", "count", "counts", "mean", "share", "change", "seconds", "text"];
    let value = json!({ "type": ["number", "string", "array", "null"], "items": { "type": "integer" } });
    let unit = json!({ "enum": units.map(Json::from).into_iter().chain([Json::Null]).collect::<Vec<_>>() });
    let quantity = json!({
        "type": ["object", "null"],
        "required": ["value", "unit", "of"],
        "properties": { "value": value, "unit": unit, "of": { "type": "string" } },
    });
    let figure = json!({
        "name": { "type": "string" },
        "title": { "type": "string" },
        "value": value,
        "unit": unit,
        "numerator": quantity,
        "denominator": quantity,
    });
    let names = ["name", "title", "value", "unit", "numerator", "denominator"];
    let strings = json!({ "type": "array", "items": { "type": "string" } });
    let mut line = figure.clone();
    line["beside"] = json!({ "type": "array", "items": { "type": "object", "required": names, "properties": figure } });
    line["source"] = json!({ "type": "string" });
    line["caveats"] = strings.clone();
    let of_line = names.into_iter().chain(["beside", "source", "caveats"]).collect::<Vec<_>>();
    json!({
        "title": "ccrun report week",
        "type": "object",
        "required": ["period", "name", "range", "running", "by", "people", "lines", "tables", "coverage", "notes"],
        "properties": {
            "period": { "enum": ["week", "month"] },
            "name": { "type": "string" },
            "range": {
                "type": "object",
                "required": ["from", "to"],
                "properties": { "from": { "type": "string" }, "to": { "type": "string" } },
            },
            "running": { "type": "boolean" },
            "by": { "enum": ["person", "team", null] },
            "people": { "type": "integer", "minimum": 0 },
            "lines": { "type": "array", "items": { "type": "object", "required": of_line, "properties": line } },
            "tables": {
                "type": "object",
                "additionalProperties": {
                    "type": "object",
                    "required": ["title", "rows", "more"],
                    "properties": {
                        "title": { "type": "string" },
                        "rows": { "type": "array", "items": { "type": "object", "additionalProperties": value } },
                        "more": { "type": "integer", "minimum": 0 },
                    },
                },
            },
            "coverage": { "type": ["number", "null"], "minimum": 0, "maximum": 1 },
            "notes": strings,
        },
    })
}
