//! Budgets as a table and as JSON.

use serde_json::{Value, json};

use super::Look;
use super::json::moment;
use super::text::name;
use crate::profile::{Budget, Scope};
use crate::report::numbers::dollars;
use crate::report::{Dimension, Standing};
use crate::terminal::table::{Column, Table};
use crate::usage::to_double;

/// The lines of a table with a heading.
pub(super) fn lines(standings: &[Standing], look: &Look) -> Vec<String> {
    let mut table = Table::new([
        Column::word("Budget"),
        Column::name("Of").rank(1),
        Column::number("Spent"),
        Column::number("Limit"),
        Column::number("Used"),
        Column::number("Forecast").rank(2),
        Column::word("Ends").rank(3),
        Column::prose("Notes"),
    ]);
    for standing in standings {
        table.push(cells(standing, look));
    }
    table.lines(look.width)
}

/// The cells of a budget: its period, whose spend counts, the spend, the limit, the share, the forecast, the end, and
/// notes.
pub(super) fn cells(standing: &Standing, look: &Look) -> [String; 8] {
    let Standing { budget, spend, forecast, until, .. } = standing;
    let forecast = forecast.map_or_else(|| "–".to_owned(), dollars);
    let ends = until.to_zoned(look.zone.clone()).strftime("%a %m-%d %H:%M").to_string();
    let used = format!("{}%", standing.percent());
    [
        budget.period.name().to_owned(),
        of(standing, look),
        dollars(*spend),
        dollars(budget.limit),
        used,
        forecast,
        ends,
        notes(standing, look),
    ]
}

/// Whose spend counts: `person me@example.org`.
fn of(standing: &Standing, look: &Look) -> String {
    let (per, of) = (standing.budget.per, standing.of.as_deref());
    match per {
        Scope::Project => name(Dimension::Project, of, look),
        // A name says what it is of, except a path.
        _ => format!("{} {}", per.name(), name(Dimension::Branch, of, look)),
    }
}

fn notes(standing: &Standing, look: &Look) -> String {
    let mut notes = Vec::new();
    match standing.lifted_until {
        Some(until) => {
            notes.push(format!("lifted until {}", until.to_zoned(look.zone.clone()).strftime("%a %m-%d %H:%M")));
        }
        None if standing.stops() => notes.push("work stops".to_owned()),
        None if standing.budget.stop => notes.push("stops work at 100%".to_owned()),
        None => {}
    }
    notes.join(", ")
}

/// An array with an object for each.
pub(super) fn json(standings: &[Standing], look: &Look) -> Value {
    let amount = |billionths: i64| to_double(billionths) / 1e9;
    let one = |standing: &Standing| {
        let Standing { budget, of, spend, forecast, since, until, lifted_until } = standing;
        let Budget { period, limit, per, warn, stop, origin, .. } = budget;
        json!({
            "period": period.name(),
            "per": per.name(),
            "of": of,
            "limit_usd": amount(*limit),
            "spend_usd": amount(*spend),
            "share": to_double(*spend) / to_double((*limit).max(1)),
            "forecast_usd": forecast.map(amount),
            "from": moment(since.as_millisecond(), look),
            "to": moment(until.as_millisecond(), look),
            "warn": warn,
            "stop": stop,
            "stops": standing.stops(),
            "lifted_until": lifted_until.map(|until| moment(until.as_millisecond(), look)),
            "origin": origin,
        })
    };
    standings.iter().map(one).collect()
}

/// The JSON Schema of the array.
pub(super) fn schema() -> Value {
    let amount = json!({ "type": "number", "minimum": 0 });
    let text = json!({ "type": "string" });
    let or_null = |kind: &str| json!({ "type": [kind, "null"] });
    json!({
        "type": "array",
        "description": "the budgets of the profile that applies here, in the overview",
        "items": {
            "type": "object",
            "additionalProperties": false,
            "properties": {
                "period": { "enum": ["daily", "weekly", "monthly"] },
                "per": { "enum": Scope::ALL.map(Scope::name) },
                "of": or_null("string"),
                "limit_usd": amount,
                "spend_usd": amount,
                "share": amount,
                "forecast_usd": or_null("number"),
                "from": text,
                "to": text,
                "warn": { "type": "array", "items": { "type": "integer" } },
                "stop": { "type": "boolean" },
                "stops": { "type": "boolean" },
                "lifted_until": or_null("string"),
                "origin": text,
            },
        },
    })
}
