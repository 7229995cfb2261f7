//! The page of the overview.

use super::super::budgets::cells;
use super::super::overview::{NOTHING, day, phrases};
use super::super::text::capital;
use super::chart::{calendar, course};
use super::markup::Html;
use super::page::{Card, Width, cards, folded, list, paragraph, section};
use super::pivot::{self, Pivot};
use super::rows::{beside, charted, grid, is_chosen, key, one_each, with_scale, with_table};
use super::table::{Cell, Grid, Row, table};
use super::{bars, frame};
use crate::report::numbers::change;
use crate::report::render::Look;
use crate::report::{Column, Line, Overview, Period, Query, Standing, Table};
use crate::usage::Measure;

/// How many columns the tables have: they are beside a chart, or have a row for each day of a year.
const COLUMNS: usize = 5;

/// How many projects are drawn.
const PROJECTS: usize = 8;

/// The page.
pub(in crate::report::render) fn overview(
    overview: &Overview,
    columns: &[&'static Column],
    query: &Query,
    look: &Look,
) -> String {
    const TITLE: &str = "Claude Code usage";
    let total = &overview.total;
    if overview.is_empty() {
        let nothing = if query.filter.is_empty() { NOTHING } else { "No usage matches." };
        return frame(TITLE, total, query, paragraph(nothing), look);
    }
    let mut body = Html::new();
    body.html(&figures(overview, look));
    let columns = if is_chosen(query) { columns } else { &columns[..columns.len().min(COLUMNS)] };
    if let Some(column) = charted(columns, query, total) {
        body.html(&days(overview, column, columns, query, look));
        body.html(&models(overview, column, columns, query, look));
        body.html(&projects(overview, column, columns, query, look));
    }
    if overview.sessions.lines.iter().any(|line| line.amount(Measure::Cost) > 0) {
        body.html(&section("Most expensive sessions", Width::Full, &table(&sessions(&overview.sessions, look))));
    }
    if !overview.budgets.is_empty() {
        body.html(&section("Budgets", Width::Full, &table(&budgets(&overview.budgets, look))));
    }
    frame(TITLE, total, query, body, look)
}

/// The current periods, everything, and further facts.
fn figures(overview: &Overview, look: &Look) -> Html {
    let used = overview.periods.iter().filter(|period| !(period.now.is_empty() && period.before.is_empty()));
    let mut shown: Vec<_> = used.map(period).collect();
    let total = &overview.total;
    let title = total.span.map_or_else(|| "In all".to_owned(), |(from, _)| format!("Since {}", day(from, look)));
    shown.push(card(&if shown.is_empty() { "In all".to_owned() } else { title }, &total.total, None));
    let mut html = cards(&shown);
    let facts = phrases(&total.total);
    if !facts.is_empty() {
        html.html(&list(&facts));
    }
    html
}

fn period(period: &Period) -> Card {
    let before = match period.name {
        "Today" => "yesterday",
        "This week" => "last week",
        _ => "last month",
    };
    card(period.name, &period.now, Some((&period.before, before)))
}

/// The cost, or the tokens where none is known; what it changed by; and the other numbers.
fn card(title: &str, now: &Line, before: Option<(&Line, &str)>) -> Card {
    let has_cost = now.amount(Measure::Cost) > 0 || before.is_some_and(|(line, _)| line.amount(Measure::Cost) > 0);
    let units = [
        ("cost", ""),
        ("tokens", " tokens"),
        ("requests", " requests"),
        ("prompts", " prompts"),
        ("active", " active"),
    ];
    let mut columns = units.into_iter().filter_map(|(name, unit)| Some((name.parse::<&Column>().ok()?, unit)));
    let mut shown = columns.by_ref().skip(usize::from(!has_cost));
    let Some((first, unit)) = shown.next() else { return Card::default() };
    let said = |text: String, unit: &str| match (text.as_str(), unit) {
        ("", _) => None,
        ("1", " requests" | " prompts") => Some(format!("1{}", unit.trim_end_matches('s'))),
        _ => Some(text + unit),
    };
    let compared = before.and_then(|(line, name)| {
        let by = change(first.amount(now), first.amount(line));
        (!by.is_empty()).then(|| format!("{by} on {name} at this point"))
    });
    Card {
        title: title.to_owned(),
        figure: said(first.text(now), unit).unwrap_or_else(|| "–".to_owned()),
        change: compared,
        facts: shown.filter_map(|(column, unit)| said(column.text(now), unit)).collect(),
    }
}

/// A calendar, or a column for each day where there are few.
fn days(overview: &Overview, column: &Column, columns: &[&Column], query: &Query, look: &Look) -> Html {
    let Some(days) = pivot::days(&overview.days, column) else { return Html::new() };
    let title = format!("{} by day", capital(column.heading));
    let chart = if days.len() > pivot::CALENDAR {
        with_scale(column, |scale| calendar(&title, &days, scale))
    } else if let Some(pivot) = Pivot::over_time(&overview.days, column, look) {
        with_scale(column, |scale| course(&title, &pivot.course, scale))
    } else {
        Html::new()
    };
    let mut html = chart;
    html.html(&folded("The numbers of each day", &table(&grid(&title, &overview.days, columns, query, look))));
    section(&title, Width::Full, &html)
}

/// Models over time where there is any, and as a table.
fn models(overview: &Overview, column: &Column, columns: &[&Column], query: &Query, look: &Look) -> Html {
    let title = format!("{} by model", capital(column.heading));
    let chart = match Pivot::over_time(&overview.course, column, look) {
        Some(pivot) if pivot.course.points.len() > 2 => {
            beside(&title, &with_scale(column, |scale| course(&title, &pivot.course, scale)), &pivot, column)
        }
        _ => with_scale(column, |scale| bars(&title, &one_each(&overview.models, column, PROJECTS, look), &[], scale)),
    };
    section(&title, Width::Full, &with_table(&chart, &grid(&title, &overview.models, columns, query, look)))
}

fn projects(overview: &Overview, column: &Column, columns: &[&Column], query: &Query, look: &Look) -> Html {
    let title = format!("{} by project", capital(column.heading));
    let chart =
        with_scale(column, |scale| bars(&title, &one_each(&overview.projects, column, PROJECTS, look), &[], scale));
    section(&title, Width::Full, &with_table(&chart, &grid(&title, &overview.projects, columns, query, look)))
}

/// The most expensive sessions, each with the command that resumes it.
fn sessions(answer: &Table, look: &Look) -> Grid {
    let cost = Column::all().iter().find(|column| column.name == "cost");
    let row = |line: &Line| Row {
        names: vec![key(answer, line, 1, look), format!("claude --resume {}", key(answer, line, 0, look))],
        numbers: cost.iter().map(|column| Cell::of(column, line)).collect(),
    };
    Grid {
        caption: "Most expensive sessions".to_owned(),
        names: vec!["project".to_owned(), "command".to_owned()],
        numbers: vec!["cost".to_owned()],
        order: Some((2, true)),
        rows: answer.lines.iter().filter(|line| line.amount(Measure::Cost) > 0).map(row).collect(),
        foot: Vec::new(),
    }
}

fn budgets(standings: &[Standing], look: &Look) -> Grid {
    let row = |standing: &Standing| {
        let [period, of, spent, limit, used, forecast, ends, notes] = cells(standing, look);
        let dollars = |billionths: i64| crate::usage::to_double(billionths) / 1e9;
        let [sum, most] = [standing.spend, standing.budget.limit].map(dollars);
        let numbers = [
            (spent, Some(sum)),
            (limit, Some(most)),
            (used, Some(sum / most.max(1e-9))),
            (forecast, standing.forecast.map(dollars)),
        ];
        Row {
            names: vec![period, of, ends, notes],
            numbers: numbers.into_iter().map(|(text, value)| Cell { text, value }).collect(),
        }
    };
    Grid {
        caption: "Budgets".to_owned(),
        names: ["budget", "of", "ends", "notes"].map(str::to_owned).to_vec(),
        numbers: ["spent", "limit", "used", "forecast"].map(str::to_owned).to_vec(),
        rows: standings.iter().map(row).collect(),
        ..Grid::default()
    }
}
