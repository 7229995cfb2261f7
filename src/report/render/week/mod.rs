//! Renders the week of a team.

mod csv;
mod html;
mod json;
mod markdown;
mod text;

use super::text::capital;
use super::{Format, Look};
use crate::report::numbers::{dollars, duration, percent, short};
use crate::report::week::{Figure, Line, Page, Quantity, Value};
use crate::terminal::printable::printable;

pub(super) use json::definition;
pub use json::schema;

/// Shows the page.
pub fn page(page: &Page, format: Format, look: &Look) -> String {
    match format {
        Format::Table => text::page(page, look),
        Format::Json => json::page(page, look),
        Format::Csv => csv::page(page),
        Format::Markdown => markdown::page(page, look),
        Format::Html => html::page(page, look),
    }
}

/// The page's heading: its week or month, and its days.
fn heading(page: &Page) -> String {
    let period = &page.period;
    let noun = if period.is_month { "Month" } else { "Week" };
    let days = format!("{} {}: {} to {}", noun, period.name(), period.start.date(), period.last_day());
    if period.is_running() { format!("{days}, up to {}", period.now.strftime("%Y-%m-%d %H:%M")) } else { days }
}

/// A value as a person reads it.
fn shown(value: &Value) -> String {
    /// Milliseconds of a minute.
    const MINUTE: i64 = 60_000;
    match value {
        Value::None => "–".to_owned(),
        Value::Dollars(billionths) => dollars(*billionths),
        Value::Count(count) => short(*count),
        Value::Counts(counts) => counts.iter().map(|count| short(*count)).collect::<Vec<_>>().join(", "),
        Value::Mean(mean) => format!("{mean:.1}"),
        Value::Share(share) => percent(*share),
        Value::Change(change) => {
            let sign = if *change < 0.0 { "−" } else { "+" };
            format!("{sign}{}", percent(change.abs()))
        }
        Value::Time(time) if *time < MINUTE => format!("{:.1}s", crate::usage::to_double(*time) / 1e3),
        Value::Time(time) => duration(*time),
        Value::Text(text) => printable(text),
    }
}

/// What a figure is made from: `numerator ÷ denominator`, each with what it counts.
fn made_of(figure: &Figure) -> String {
    let quantity = |quantity: &Quantity| format!("{} {}", printable(&quantity.of), shown(&quantity.value));
    let parts: Vec<_> = figure.numerator.iter().chain(&figure.denominator).map(quantity).collect();
    parts.join(" ÷ ")
}

/// A line's own number. One that is no quotient and does not exist is left out.
fn main_number(figure: &Figure) -> String {
    let is_empty = figure.value == Value::None && figure.denominator.is_none();
    if is_empty { String::new() } else { shown(&figure.value) }
}

/// A figure beside a line's own: its name, its number, and what it is made from if it is a quotient.
fn beside(figure: &Figure) -> String {
    let name = format!("{} {}", figure.name, shown(&figure.value));
    if figure.denominator.is_some() { format!("{name} ({})", made_of(figure)) } else { name }
}

/// Figures that have a number, as phrases.
fn phrases(figures: &[Figure]) -> Vec<String> {
    figures.iter().filter(|figure| figure.value != Value::None).map(beside).collect()
}

/// What a line is made from, what is beside it, its source and its caveats, in sentences.
fn prose(line: &Line) -> String {
    let of = made_of(&line.figure);
    let numbers: Vec<_> = Some(of).filter(|of| !of.is_empty()).into_iter().chain(phrases(&line.beside)).collect();
    let from: Vec<_> = std::iter::once(format!("from {}", line.source)).chain(line.caveats.iter().cloned()).collect();
    let sentences = [numbers, from].map(|parts| parts.join("; "));
    sentences.iter().filter(|sentence| !sentence.is_empty()).fold(String::new(), |text, sentence| {
        let space = if text.is_empty() { "" } else { " " };
        format!("{text}{space}{}.", capital(sentence))
    })
}

#[cfg(test)]
mod tests;
