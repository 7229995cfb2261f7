//! The page of an answer with rows: a chart, and the rows as a table.

use super::super::text::{capital, name};
use super::chart::{Bar, Scale, bars, calendar, course};
use super::markup::Html;
use super::page::{Width, folded, pair, paragraph, section};
use super::pivot::{self, Pivot};
use super::table::{Cell, Grid, Row, table};
use crate::report::render::Look;
use crate::report::{Column, Dimension, Line, Query, Table};
use crate::terminal::fit::shorten;

/// The most rows of a table, unless they are in order of time.
const ROWS: usize = 100;

/// The most rows in order of time: a year of days. The latest are shown.
const TIMES: usize = 366;

/// The most bars of a chart.
const BARS: usize = 15;

/// The width of a bar's label in characters, which fits the narrowest screen.
const LABEL: usize = 26;

/// The page.
pub(in crate::report::render) fn rows(
    answer: &Table,
    columns: &[&'static Column],
    query: &Query,
    look: &Look,
) -> String {
    let names: Vec<_> = answer.by.iter().map(|dimension| dimension.name()).collect();
    let by = names.join(" and ");
    let title = format!("Claude Code usage by {by}");
    if answer.lines.is_empty() {
        return super::frame(&title, answer, query, paragraph("No usage matches."), look);
    }
    let mut body = Html::new();
    if let Some(column) = charted(columns, query, answer) {
        let chart = chart(answer, column, look);
        body.html(&section(&format!("{} by {by}", capital(column.heading)), Width::Full, &chart));
    }
    body.html(&section("All numbers", Width::Full, &table(&grid(&title, answer, columns, query, look))));
    super::frame(&title, answer, query, body, look)
}

/// The column that is drawn: the one that rows are sorted by, or the first, if its amounts add up to something.
pub(super) fn charted(columns: &[&'static Column], query: &Query, answer: &Table) -> Option<&'static Column> {
    let mut candidates = query.sort.into_iter().chain(columns.iter().copied());
    candidates.find(|column| column.is_sum() && column.amount(&answer.total) > 0)
}

/// Runs a drawing with the scale of a column.
pub(super) fn with_scale(column: &Column, draw: impl FnOnce(Scale<'_>) -> Html) -> Html {
    draw(Scale { unit: column.step(), text: &|amount| column.text_of(amount) })
}

fn chart(answer: &Table, column: &Column, look: &Look) -> Html {
    let by: Vec<_> = answer.by.iter().map(|dimension| dimension.name()).collect();
    let title = format!("{} by {}", capital(column.heading), by.join(" and "));
    if let [Dimension::Day] = answer.by[..]
        && let Some(days) = pivot::days(answer, column).filter(|days| days.len() > pivot::CALENDAR)
    {
        return with_scale(column, |scale| calendar(&title, &days, scale));
    }
    match Pivot::over_time(answer, column, look) {
        Some(pivot) if pivot.course.points.len() > 2 || answer.by.len() == 1 => {
            let drawn = with_scale(column, |scale| course(&title, &pivot.course, scale));
            if answer.by.len() == 1 { drawn } else { beside(&title, &drawn, &pivot, column) }
        }
        _ => with_scale(column, |scale| across(&title, answer, column, look, scale)),
    }
}

/// A chart over a table of its numbers.
pub(super) fn beside(title: &str, chart: &Html, pivot: &Pivot, column: &Column) -> Html {
    let mut html = chart.clone();
    html.html(&folded("The numbers of this chart", &table(&pivot.grid(title, column))));
    html
}

/// A bar for each of the first rows, or for each value of the first dimension with the second as its parts.
fn across(title: &str, answer: &Table, column: &Column, look: &Look, scale: Scale<'_>) -> Html {
    if answer.by.len() > 1 {
        let pivot = Pivot::across(answer, column, look);
        let series: Vec<_> = pivot.course.series.iter().map(|(name, _)| name.clone()).collect();
        let mut drawn: Vec<_> = pivot
            .course
            .points
            .iter()
            .enumerate()
            .map(|(point, name)| Bar {
                label: shorten(name, LABEL),
                parts: pivot.course.series.iter().map(|(_, amounts)| amounts[point]).collect(),
            })
            .collect();
        drawn.sort_by_key(|bar| std::cmp::Reverse(bar.parts.iter().sum::<i64>()));
        drawn.truncate(BARS);
        return beside(title, &bars(title, &drawn, &series, scale), &pivot, column);
    }
    bars(title, &one_each(answer, column, BARS, look), &[], scale)
}

/// A bar for each of the first rows.
pub(super) fn one_each(answer: &Table, column: &Column, most: usize, look: &Look) -> Vec<Bar> {
    let bar =
        |line: &Line| Bar { label: shorten(&key(answer, line, 0, look), LABEL), parts: vec![column.amount(line)] };
    answer.lines.iter().take(most).map(bar).collect()
}

/// The name of a row's value in one of the dimensions.
pub(super) fn key(answer: &Table, line: &Line, index: usize, look: &Look) -> String {
    name(answer.by[index], line.keys.get(index).and_then(Option::as_deref), look)
}

/// The rows as a table, with what is not shown and the total below.
pub(super) fn grid(caption: &str, answer: &Table, columns: &[&Column], query: &Query, look: &Look) -> Grid {
    let by_time = query.sort.is_none() && answer.by.first().is_some_and(|dimension| dimension.is_time());
    let limit = if by_time { TIMES } else { ROWS };
    let cut = answer.lines.len().saturating_sub(limit);
    let shown = if by_time { &answer.lines[cut..] } else { &answer.lines[..answer.lines.len() - cut] };
    let has_any = |column: &&&Column| is_chosen(query) || shown.iter().any(|line| !column.text(line).is_empty());
    let columns: Vec<_> = columns.iter().filter(has_any).collect();
    let row = |names: Vec<String>, line: &Line| Row {
        names,
        numbers: columns.iter().map(|column| Cell::of(column, line)).collect(),
    };
    let below = |text: String, line: &Line| {
        let mut names = vec![String::new(); answer.by.len()];
        if let Some(first) = names.first_mut() {
            *first = text;
        }
        row(names, line)
    };
    let mut foot = Vec::new();
    let hidden = cut + answer.more;
    if hidden > 0 {
        let word = if by_time { "earlier" } else { "others" };
        foot.push(below(format!("{hidden} {word}"), &answer.total.without(shown)));
    }
    if shown.len() + hidden > 1 {
        foot.push(below("total".to_owned(), &answer.total));
    }
    let sorted = query
        .sort
        .or(Column::all().first())
        .and_then(|sort| columns.iter().position(|column| column.name == sort.name));
    Grid {
        caption: caption.to_owned(),
        names: answer.by.iter().map(|dimension| dimension.name().to_owned()).collect(),
        numbers: columns.iter().map(|column| column.heading.to_owned()).collect(),
        order: if by_time { Some((0, false)) } else { sorted.map(|column| (answer.by.len() + column, true)) },
        rows: shown
            .iter()
            .map(|line| row((0..answer.by.len()).map(|index| key(answer, line, index, look)).collect(), line))
            .collect(),
        foot,
    }
}

/// Whether the reader chose the columns.
pub(super) fn is_chosen(query: &Query) -> bool {
    query.columns.len() < Column::all().len()
}

/// A chart and its table, beside each other where there is space.
pub(super) fn with_table(chart: &Html, grid: &Grid) -> Html {
    if chart.is_empty() { table(grid) } else { pair(chart, &table(grid)) }
}
