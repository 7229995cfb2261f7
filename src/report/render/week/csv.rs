//! The week's numbers as CSV (RFC 4180): a row for each number, also those beside a line's own.

use super::super::csv::{cell, push};
use super::json::{number, unit};
use crate::report::week::{Figure, Line, Page, Quantity};

/// The columns.
const COLUMNS: [&str; 10] = [
    "line",
    "figure",
    "value",
    "unit",
    "numerator",
    "numerator_of",
    "denominator",
    "denominator_of",
    "source",
    "caveat",
];

pub(super) fn page(page: &Page) -> String {
    let mut text = String::new();
    push(&mut text, COLUMNS.into_iter().map(str::to_owned));
    for line in &page.lines {
        for figure in std::iter::once(&line.figure).chain(&line.beside) {
            push(&mut text, row(line, figure).into_iter());
        }
    }
    text
}

fn row(line: &Line, figure: &Figure) -> [String; 10] {
    let plain = |value: serde_json::Value| match value {
        serde_json::Value::Null => String::new(),
        serde_json::Value::String(text) => cell(&text),
        serde_json::Value::Array(list) => cell(&list.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
        number => number.to_string(),
    };
    let quantity = |quantity: &Option<Quantity>| match quantity {
        Some(quantity) => [plain(number(&quantity.value)), cell(&quantity.of)],
        None => [String::new(), String::new()],
    };
    let [numerator, numerator_of] = quantity(&figure.numerator);
    let [denominator, denominator_of] = quantity(&figure.denominator);
    [
        line.figure.id.to_owned(),
        figure.id.to_owned(),
        plain(number(&figure.value)),
        unit(&figure.value).unwrap_or_default().to_owned(),
        numerator,
        numerator_of,
        denominator,
        denominator_of,
        cell(line.source),
        cell(&line.caveats.join("; ")),
    ]
}
