//! The week as a page for a browser.

use super::super::html::{self, Card, Cell, Grid, Html, Row, Width, cards, section, table};
use super::json::number;
use super::text::cell;
use super::{Look, heading, made_of, main_number, phrases};
use crate::report::Coverage;
use crate::report::week::{Line, Page, Section, Value};

/// The lines whose numbers are looked for first.
const FIRST: [&str; 4] = ["spend", "forecast", "active_people", "spend_per_active_day"];

pub(super) fn page(page: &Page, look: &Look) -> String {
    let lines = page.lines.iter().filter(|line| FIRST.contains(&line.figure.id));
    let first: Vec<_> = lines.filter(|line| line.figure.value != Value::None).map(card).collect();
    let mut body = Html::new();
    if !first.is_empty() {
        body.html(&cards(&first));
    }
    body.html(&section("The numbers", Width::Full, &table(&numbers(&page.lines))));
    for part in &page.sections {
        body.html(&section(part.name, Width::Column, &table(&grid(part, look))));
    }
    html::page(&html::Page {
        title: heading(page),
        about: vec![format!("active people: {}", page.people)],
        warning: page.coverage.and_then(Coverage::warning),
        body,
        notes: page.notes.clone(),
    })
}

fn card(line: &Line) -> Card {
    let of = made_of(&line.figure);
    Card {
        title: line.figure.name.to_owned(),
        figure: main_number(&line.figure),
        change: (!of.is_empty()).then_some(of),
        facts: phrases(&line.beside),
    }
}

/// Every line, with what its number is made from, its source and its caveats.
fn numbers(lines: &[Line]) -> Grid {
    let row = |line: &Line| Row {
        names: vec![
            line.figure.name.to_owned(),
            main_number(&line.figure),
            made_of(&line.figure),
            phrases(&line.beside).join("; "),
            line.source.to_owned(),
            line.caveats.join("; "),
        ],
        numbers: Vec::new(),
    };
    Grid {
        caption: "The numbers".to_owned(),
        names: ["line", "value", "made of", "beside", "source", "caveat"].map(str::to_owned).to_vec(),
        rows: lines.iter().map(row).collect(),
        ..Grid::default()
    }
}

fn grid(part: &Section, look: &Look) -> Grid {
    let names = part.names.min(part.columns.len());
    let headings = |columns: &[(&str, &str)]| columns.iter().map(|(_, heading)| (*heading).to_owned()).collect();
    let row = |row: &Vec<Value>| {
        let mut cells = row.iter().zip(&part.columns).map(|(value, (id, _))| (value, cell(value, id, look)));
        let names = cells.by_ref().take(names).map(|(_, text)| text).collect();
        let number = |(value, text): (&Value, String)| match value {
            // An empty cell is sorted below the others.
            Value::None => Cell::default(),
            value => Cell { text, value: number(value).as_f64() },
        };
        Row { names, numbers: cells.map(number).collect() }
    };
    let more = Row { names: vec![format!("and {} more", part.more)], numbers: Vec::new() };
    Grid {
        caption: part.name.to_owned(),
        names: headings(&part.columns[..names]),
        numbers: headings(&part.columns[names..]),
        order: None,
        rows: part.rows.iter().map(row).collect(),
        foot: if part.more > 0 { vec![more] } else { Vec::new() },
    }
}
