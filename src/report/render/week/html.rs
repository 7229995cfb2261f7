//! The week as a page for a browser.

use super::super::html::{self, Card, Cell, Grid, Html, Row, Width, cards, section, table};
use super::json::number;
use super::text::cell;
use super::{Look, heading, made_of, main_number, phrases, prose};
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
    body.html(&section("The numbers", Width::Full, &numbers(&page.lines)));
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

/// Every line, with what its number is made from, its source and its caveats. The order of the lines has a meaning.
fn numbers(lines: &[Line]) -> Html {
    let mut html = Html::new();
    html.markup(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"The numbers\">\n<table class=\"lines\">\n",
    );
    html.markup("<caption>The numbers</caption>\n<thead><tr><th scope=\"col\" class=\"n\">line</th>");
    html.markup(
        "<th scope=\"col\">value</th><th scope=\"col\" class=\"p\">how it is counted</th></tr></thead>\n<tbody>\n",
    );
    for line in lines {
        html.markup("<tr><th scope=row>").text(line.figure.name).markup("<td>").text(&main_number(&line.figure));
        html.markup("<td class=p>").text(&prose(line)).markup("\n");
    }
    html.markup("</tbody>\n</table>\n</div>\n");
    html
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
