//! The rows of two dimensions as a chart has them: points in order, and a few series.

use std::collections::HashMap;

use jiff::civil::{Date, DateTime, ISOWeekDate, Weekday};
use jiff::{Span, ToSpan};

use super::chart::{Course, Day, SERIES};
use super::rows::key;
use super::table::{Cell, Grid, Row};
use crate::report::render::Look;
use crate::report::{Column, Dimension, Table};

/// How many days make a calendar. Fewer are drawn side by side.
pub(super) const CALENDAR: usize = 62;

/// The months before the last one that a calendar shows.
const MONTHS: i64 = 11;

/// The most points of a chart. The latest are shown.
const POINTS: usize = 366;

/// Up to how many points days of several series are drawn as they are, and by week. More are drawn by month.
const FOLDS: [(Dimension, usize); 2] = [(Dimension::Day, 93), (Dimension::Week, 160)];

/// Points and series, and what they are called.
pub(super) struct Pivot {
    pub(super) course: Course,
    /// What the points are.
    heading: &'static str,
}

impl Pivot {
    /// Rows over time. `None` if no dimension is a time.
    pub(super) fn over_time(answer: &Table, column: &Column, look: &Look) -> Option<Self> {
        let time = answer.by.iter().position(|dimension| dimension.is_time())?;
        let mut dimension = answer.by[time];
        let keys = |dimension| {
            answer.lines.iter().filter_map(move |line| Some(fold(line.keys.get(time)?.as_deref()?, dimension)))
        };
        if dimension == Dimension::Day && answer.by.len() > 1 {
            let fits = |(dimension, most): &(Dimension, usize)| points(*dimension, keys(*dimension)).len() <= *most;
            dimension = FOLDS.into_iter().find(fits).map_or(Dimension::Month, |(dimension, _)| dimension);
        }
        let points = points(dimension, keys(dimension));
        let of = |row: usize| Some(fold(answer.lines[row].keys.get(time)?.as_deref()?, dimension));
        let course = gathered(answer, column, points, of, (answer.by.len() > 1).then_some(1 - time), look);
        Some(Self { course, heading: dimension.name() })
    }

    /// Rows of two dimensions without a time, the first as points.
    pub(super) fn across(answer: &Table, column: &Column, look: &Look) -> Self {
        let mut points = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for line in &answer.lines {
            let name = key(answer, line, 0, look);
            if seen.insert(name.clone()) {
                points.push(name);
            }
        }
        let of = |row: usize| Some(key(answer, &answer.lines[row], 0, look));
        let course = gathered(answer, column, points, of, Some(1), look);
        Self { course, heading: answer.by[0].name() }
    }

    /// The numbers of the chart, the latest first.
    pub(super) fn grid(&self, caption: &str, column: &Column) -> Grid {
        let Course { points, series } = &self.course;
        let cell = |amount: i64| Cell { text: column.text_of(amount), value: Some(column.of_amount(amount)) };
        let row = |(point, name): (usize, &String)| Row {
            names: vec![name.clone()],
            numbers: series.iter().map(|(_, amounts)| cell(amounts.get(point).copied().unwrap_or(0))).collect(),
        };
        let sum = |amounts: &[i64]| amounts.iter().fold(0_i64, |sum, amount| sum.saturating_add(*amount));
        let total = Row {
            names: vec!["total".to_owned()],
            numbers: series.iter().map(|(_, amounts)| cell(sum(amounts))).collect(),
        };
        Grid {
            caption: format!("{caption}, the numbers of the chart"),
            names: vec![self.heading.to_owned()],
            numbers: series.iter().map(|(name, _)| name.clone()).collect(),
            order: None,
            rows: points.iter().enumerate().map(row).collect(),
            foot: vec![total],
        }
    }
}

/// The amounts of rows by point and series. The largest series come first; what is beyond is *others*.
fn gathered(
    answer: &Table,
    column: &Column,
    points: Vec<String>,
    point_of: impl Fn(usize) -> Option<String>,
    series: Option<usize>,
    look: &Look,
) -> Course {
    let places: HashMap<&str, usize> = points.iter().enumerate().map(|(place, name)| (name.as_str(), place)).collect();
    let mut found: Vec<(String, i64, Vec<i64>)> = Vec::new();
    let mut numbers = HashMap::new();
    for (row, line) in answer.lines.iter().enumerate() {
        let Some(place) = point_of(row).and_then(|name| places.get(name.as_str()).copied()) else { continue };
        let name = series.map_or_else(|| column.heading.to_owned(), |index| key(answer, line, index, look));
        let number = *numbers.entry(name.clone()).or_insert_with(|| {
            found.push((name, 0, vec![0; points.len()]));
            found.len() - 1
        });
        let (_, sum, amounts) = &mut found[number];
        let amount = column.amount(line);
        *sum = sum.saturating_add(amount);
        amounts[place] = amounts[place].saturating_add(amount);
    }
    found.retain(|(_, sum, _)| *sum > 0);
    found.sort_by_key(|(_, sum, _)| std::cmp::Reverse(*sum));
    // One series beyond is itself rather than *others*.
    let others = if found.len() > SERIES + 1 { found.split_off(SERIES) } else { Vec::new() };
    let mut series: Vec<_> = found.into_iter().map(|(name, _, amounts)| (name, amounts)).collect();
    if !others.is_empty() {
        let mut sums = vec![0_i64; points.len()];
        for (_, _, amounts) in &others {
            sums.iter_mut().zip(amounts).for_each(|(sum, amount)| *sum = sum.saturating_add(*amount));
        }
        series.push((format!("{} others", others.len()), sums));
    }
    Course { points, series }
}

/// The days of an answer by day, from the first to the last, in at most twelve months.
pub(super) fn days(answer: &Table, column: &Column) -> Option<Vec<Day>> {
    let found: HashMap<Date, i64> = answer
        .lines
        .iter()
        .filter_map(|line| Some((line.keys.first()?.as_ref()?.parse().ok()?, column.amount(line))))
        .collect();
    let (first, last) = (*found.keys().min()?, *found.keys().max()?);
    let first = first.max(last.first_of_month().saturating_sub(MONTHS.months()));
    Some(
        first
            .series(1.day())
            .take_while(|day| *day <= last)
            .map(|day| (day, found.get(&day).copied().unwrap_or(0)))
            .collect(),
    )
}

/// The points from the first to the last, those without usage too.
fn points(dimension: Dimension, keys: impl Iterator<Item = String>) -> Vec<String> {
    let mut keys: Vec<_> = keys.collect();
    keys.sort_unstable();
    keys.dedup();
    let ends =
        keys.first().and_then(|first| begin(first, dimension)).zip(keys.last().and_then(|last| begin(last, dimension)));
    let Some(((first, last), step)) = ends.zip(step(dimension)) else { return keys };
    let mut points = Vec::new();
    let mut at = last;
    while at >= first && points.len() < POINTS {
        points.push(name(at, dimension));
        let Ok(before) = at.checked_sub(step) else { break };
        at = before;
    }
    points.reverse();
    points
}

/// A day's week or month; other times as they are.
fn fold(key: &str, dimension: Dimension) -> String {
    match key.parse::<Date>() {
        Ok(date) if key.len() == 10 => name(date.into(), dimension),
        _ => key.to_owned(),
    }
}

fn step(dimension: Dimension) -> Option<Span> {
    match dimension {
        Dimension::Hour => Some(1.hour()),
        Dimension::Day => Some(1.day()),
        Dimension::Week => Some(1.week()),
        Dimension::Month => Some(1.month()),
        _ => None,
    }
}

/// When a point begins.
fn begin(key: &str, dimension: Dimension) -> Option<DateTime> {
    let date = match dimension {
        Dimension::Hour => return format!("{key}:00").parse().ok(),
        Dimension::Day => key.parse().ok()?,
        Dimension::Week => {
            let (year, week) = key.split_once("-W")?;
            ISOWeekDate::new(year.parse().ok()?, week.parse().ok()?, Weekday::Monday).ok()?.date()
        }
        Dimension::Month => format!("{key}-01").parse().ok()?,
        _ => return None,
    };
    Some(date.into())
}

/// The point that a time belongs to, as JSON names it.
fn name(at: DateTime, dimension: Dimension) -> String {
    match dimension {
        Dimension::Hour => at.strftime("%Y-%m-%dT%H").to_string(),
        Dimension::Week => {
            let week = at.date().iso_week_date();
            format!("{:04}-W{:02}", week.year(), week.week())
        }
        Dimension::Month => at.strftime("%Y-%m").to_string(),
        _ => at.date().to_string(),
    }
}
