//! A calendar: a block for each month, a square for each day, darker where there is more.

use std::collections::BTreeMap;

use jiff::ToSpan;
use jiff::civil::Date;

use super::super::page::paragraph;
use super::{Html, Scale, Short};

/// A day's amount.
pub type Day = (Date, i64);

/// How far squares are apart, and how large they are.
const STEP: i32 = 16;
const SIDE: i32 = 13;

/// Where the squares begin: below the month's name and the days of the week.
const HEAD: i32 = 34;

/// The months from the first to the last day. Days are in four classes of equal size by their amounts.
pub fn calendar(title: &str, days: &[Day], scale: Scale<'_>) -> Html {
    let amounts: BTreeMap<Date, i64> = days.iter().copied().filter(|(_, amount)| *amount > 0).collect();
    let (Some((first, _)), Some((last, _))) = (days.first(), days.last()) else { return Html::new() };
    let bounds = bounds(amounts.values().copied().collect());
    let mut html = Html::new();
    html.markup("<figure>\n<div class=\"calendar\">\n");
    let mut month = first.first_of_month();
    while month <= *last {
        html.html(&block(title, month, &amounts, bounds, scale));
        month = month.saturating_add(1.month());
    }
    html.markup("</div>\n<figcaption>");
    for (level, bound) in bounds.into_iter().enumerate() {
        html.markup("<span><svg aria-hidden=\"true\" class=\"swatch\"><rect width=\"100%\" height=\"100%\"");
        html.attribute("class", class(level)).markup("/></svg>up to ").text(&(scale.text)(bound)).markup("</span> ");
    }
    html.markup("</figcaption>\n</figure>\n");
    if amounts.is_empty() { paragraph("no usage on these days") } else { html }
}

/// The largest amount of each class.
fn bounds(mut amounts: Vec<i64>) -> [i64; 4] {
    amounts.sort_unstable();
    [1, 2, 3, 4].map(|quarter| {
        let index = (amounts.len() * quarter).div_ceil(4).saturating_sub(1);
        amounts.get(index).copied().unwrap_or(0)
    })
}

fn class(level: usize) -> &'static str {
    ["d1", "d2", "d3", "d4"][level.min(3)]
}

/// A month as weeks from Monday.
fn block(title: &str, month: Date, amounts: &BTreeMap<Date, i64>, bounds: [i64; 4], scale: Scale<'_>) -> Html {
    let name = month.strftime("%b %Y").to_string();
    let used: Vec<_> = amounts.range(month..=month.last_of_month()).collect();
    let sum = used.iter().fold(0_i64, |sum, (_, amount)| sum.saturating_add(**amount));
    let mut html = Html::new();
    html.markup("<svg role=\"img\"").attribute("viewBox", format!("0 0 {} {}", 7 * STEP - 3, HEAD + 6 * STEP - 3));
    html.markup("><title>").text(&format!("{title}, {name}: {}", described(used.len(), sum, scale))).markup("</title>");
    html.markup("<text class=\"month\" x=\"0\" y=\"13\">").text(&name).markup("</text>");
    html.markup("<text class=\"sum end\"").attribute("x", 7 * STEP - 3).markup(" y=\"13\">");
    html.text(&if sum > 0 { (scale.text)(sum) } else { String::new() }).markup("</text>");
    for (weekday, letter) in (0..).zip(["M", "T", "W", "T", "F", "S", "S"]) {
        html.markup("<text class=\"middle\"").attribute("x", Short(f64::from(weekday * STEP) + 6.5, ""));
        html.attribute("y", HEAD - 6).markup(">").text(letter).markup("</text>");
    }
    let mut unused = String::new();
    for day in 1..=month.days_in_month() {
        let date = month.saturating_add((i64::from(day) - 1).days());
        let square = square(month, date);
        match amounts.get(&date) {
            None => unused += &square,
            Some(amount) => {
                let level = bounds.iter().position(|bound| amount <= bound).unwrap_or(3);
                html.markup("<path").attribute("class", class(level)).attribute("d", square).markup("><title>");
                html.text(&format!("{date}: {}", (scale.text)(*amount))).markup("</title></path>");
            }
        }
    }
    html.markup("<path class=\"d0\"").attribute("d", unused).markup("/></svg>\n");
    html
}

fn described(days: usize, sum: i64, scale: Scale<'_>) -> String {
    match days {
        0 => "nothing".to_owned(),
        1 => format!("{} on 1 day", (scale.text)(sum)),
        days => format!("{} on {days} days", (scale.text)(sum)),
    }
}

/// The square of a day in its month.
fn square(month: Date, date: Date) -> String {
    let offset = month.weekday().to_monday_zero_offset();
    let (column, row) = (date.weekday().to_monday_zero_offset(), (offset + date.day() - 1) / 7);
    format!("M{} {}h{SIDE}v{SIDE}h-{SIDE}z", i32::from(column) * STEP, HEAD + i32::from(row) * STEP)
}
