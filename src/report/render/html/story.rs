//! The page of a session or a prompt, step by step.

use super::super::story::{HEADINGS, cells, sources, total};
use super::super::{Look, json, text::at_home};
use super::markup::Html;
use super::page::{Page, Width, list, page, section};
use super::table::{Cell, Grid, Row, table};
use crate::report::{Step, Story};

/// The most steps of a table. A session of days has thousands.
const STEPS: usize = 1000;

/// The page.
pub(in crate::report::render) fn story(story: &Story, look: &Look) -> String {
    let title = match &story.prompt {
        None => format!("Session {}", story.session),
        Some(prompt) => format!("Prompt {prompt}"),
    };
    let mut about: Vec<_> = story.prompt.iter().map(|_| format!("session {}", story.session)).collect();
    about.extend(story.about.iter().map(|(name, value)| match *name {
        "project" => format!("project {}", at_home(value, look)),
        name => format!("{name} {value}"),
    }));
    let mut body = Html::new();
    body.html(&section("In all", Width::Full, &list(&total(story))));
    let (names, numbers) = HEADINGS.split_at(4);
    let grid = Grid {
        caption: "Steps, in order of time".to_owned(),
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        numbers: numbers.iter().map(|name| (*name).to_owned()).collect(),
        order: Some((0, false)),
        rows: story.steps.iter().take(STEPS).map(|step| row(step, look)).collect(),
        foot: Vec::new(),
    };
    body.html(&section("Step by step", Width::Full, &table(&grid)));
    let mut notes = Vec::new();
    if story.steps.len() > STEPS {
        notes.push(format!("{} more steps are in --format csv", story.steps.len() - STEPS));
    }
    notes.extend(sources(story));
    notes.extend(story.differences.iter().cloned());
    page(&Page { title, about, warning: None, body, notes })
}

fn row(step: &Step, look: &Look) -> Row {
    let [what, name, outcome, took, tokens, cost] = cells(step);
    let number = |text: String, value: Option<f64>| Cell { text, value };
    Row {
        names: vec![json::moment(step.at, look), what, name, outcome],
        numbers: vec![
            number(took, step.duration.map(|taken| crate::usage::to_double(taken) / 1e3)),
            number(tokens, Some(crate::usage::to_double(step.tokens))),
            number(cost, Some(crate::usage::to_double(step.cost) / 1e9)),
        ],
    }
}
