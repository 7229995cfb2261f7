//! Pages for a browser: one file each, complete without script, that asks for nothing else.
//!
//! A page is a [`Page`] whose body is made of [`cards`], [`section`]s, [`table()`]s and charts ([`bars`], [`course`],
//! [`calendar`]); [`page()`] turns it into the file. Foreign text goes into these as plain strings: [`Html`] escapes all
//! that is not markup of the program.

mod chart;
mod markup;
mod overview;
mod page;
mod pivot;
mod rows;
mod story;
mod table;

pub use chart::{Bar, Course, Day, SERIES, Scale, bars, calendar, course};
pub use markup::Html;
pub use page::{Card, Page, Width, cards, folded, list, page, pair, paragraph, section};
pub use table::{Cell, Grid, Row, table};

pub(super) use overview::overview;
pub(super) use rows::rows;
pub(super) use story::story;

use super::Look;
use super::overview::day;
use crate::report::{Condition, Coverage, Query, Table};

/// The page of an answer: what it is about, what is missing, and the notes.
fn frame(title: &str, answer: &Table, query: &Query, body: Html, look: &Look) -> String {
    let mut about = vec![range(answer, query, look).unwrap_or_else(|| "no usage".to_owned())];
    about.extend(query.filter.iter().map(condition));
    about.extend(query.asked_at.map(|at| format!("as of {}", look.zone.to_datetime(at).strftime("%Y-%m-%d %H:%M"))));
    let warning = answer.coverage.and_then(Coverage::warning);
    page(&Page { title: title.to_owned(), about, warning, body, notes: answer.notes.clone() })
}

/// The first and the last day.
fn range(answer: &Table, query: &Query, look: &Look) -> Option<String> {
    let (first, last) = answer.span.unzip();
    let first = day(query.range.since.or(first)?, look);
    let last = day(query.range.until.map(|until| until - 1).or(last)?, look);
    Some(if first == last { first.to_string() } else { format!("{first} to {last}") })
}

fn condition(condition: &Condition) -> String {
    let Condition { dimension, value, is_part } = condition;
    format!("{} {} {value}", dimension.name(), if *is_part { "has" } else { "is" })
}
