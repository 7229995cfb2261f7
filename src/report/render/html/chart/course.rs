//! Amounts in order, most often over time: columns where there are few, areas where there are many.

use std::fmt::Write;

use super::{Html, Scale, Short, begin, class, legend, percent, share};

/// Amounts of one or several series at points in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Course {
    /// The names of the points.
    pub points: Vec<String>,
    /// The series, from the bottom, each with an amount for each point.
    pub series: Vec<(String, Vec<i64>)>,
}

/// The most points that have a column of their own.
const COLUMNS: usize = 31;

/// The height of the plot, and where it begins, in the size of its text.
const HEIGHT: f64 = 12.0;
const TOP: f64 = 1.2;

/// The width and height that shapes are drawn in before they stretch.
const WIDE: f64 = 1000.0;
const HIGH: f64 = 200.0;

/// How many characters fit below a chart that shares its line with a table. A narrow screen shows the first and the
/// last label alone.
const LABELS: usize = 42;

/// Columns or areas, one above the other, with a scale on the left.
pub fn course(title: &str, course: &Course, scale: Scale<'_>) -> Html {
    let sums: Vec<i64> = (0..course.points.len()).map(|point| course.sum(point)).collect();
    let most = sums.iter().copied().max().unwrap_or(0);
    let ticks = ticks(most, scale.unit);
    let top = ticks.last().copied().unwrap_or(1);
    let has_columns = course.points.len() <= COLUMNS;
    let mut html = Html::new();
    html.markup("<figure>\n");
    if course.series.len() > 1 {
        html.html(&legend(&course.series.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>()));
    }
    html.markup("<div class=\"course\"><svg aria-hidden=\"true\" class=\"scale\"");
    html.attribute("height", Short(TOP + HEIGHT + 1.8, "em")).markup(">");
    for tick in &ticks {
        html.markup("<text x=\"100%\" class=\"end\"").attribute("y", Short(level(*tick, top) + 0.35, "em")).markup(">");
        html.text(&said(*tick, scale)).markup("</text>");
    }
    html.markup("</svg>");
    begin(&mut html, TOP + HEIGHT + 1.8, title, &course.description(&sums, scale));
    for tick in &ticks {
        let y = Short(level(*tick, top), "em");
        html.markup("<line x1=\"0\" x2=\"100%\"").attribute("y1", y).attribute("y2", y).markup("/>");
    }
    html.markup("<svg width=\"100%\"").attribute("y", Short(TOP, "em")).attribute("height", Short(HEIGHT, "em"));
    html.attribute("viewBox", format!("0 0 {WIDE} {HIGH}")).markup(" preserveAspectRatio=\"none\">");
    let mut below = vec![0; course.points.len()];
    for (index, (_, amounts)) in course.series.iter().enumerate() {
        let shape = if has_columns { columns(&below, amounts, top) } else { area(&below, amounts, top) };
        html.markup("<path").attribute("class", class(index)).attribute("d", shape).markup("/>");
        below.iter_mut().zip(amounts).for_each(|(below, amount)| *below += amount);
    }
    html.markup("</svg>").html(&labels(&course.points, has_columns));
    if has_columns {
        html.html(&hints(course, &sums, scale));
    }
    html.markup("</svg></div>\n</figure>\n");
    html
}

impl Course {
    fn sum(&self, point: usize) -> i64 {
        self.series.iter().filter_map(|(_, amounts)| amounts.get(point)).fold(0, |sum, part| sum.saturating_add(*part))
    }

    fn description(&self, sums: &[i64], scale: Scale<'_>) -> String {
        let (Some(first), Some(last)) = (self.points.first(), self.points.last()) else { return String::new() };
        let mut text = format!("from {first} to {last}");
        if let Some((most, amount)) = self.points.iter().zip(sums).max_by_key(|(_, amount)| **amount) {
            _ = write!(text, "; the most is {} at {most}", said(*amount, scale));
        }
        if self.series.len() > 1 {
            for (name, amounts) in &self.series {
                let sum = amounts.iter().fold(0_i64, |sum, amount| sum.saturating_add(*amount));
                _ = write!(text, "; {name}: {}", said(sum, scale));
            }
        }
        text
    }
}

/// Zero and up to four round amounts, of which the last is not below the most.
fn ticks(most: i64, unit: i64) -> Vec<i64> {
    let most_units = crate::usage::to_double(most.max(1)) / crate::usage::to_double(unit.max(1));
    let magnitude = 10_f64.powf((most_units / 4.0).log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().find(|step| step * magnitude * 4.0 >= most_units).unwrap_or(10.0);
    #[expect(clippy::cast_possible_truncation, reason = "a quarter of an amount, rounded up")]
    let step = ((step * magnitude * crate::usage::to_double(unit)).round() as i64).max(1);
    let last = (most.max(1) - 1) / step + 1;
    (0..=last).map(|tick| tick * step).collect()
}

fn said(amount: i64, scale: Scale<'_>) -> String {
    if amount == 0 { "0".to_owned() } else { (scale.text)(amount) }
}

/// The distance of an amount from the upper edge of the image.
fn level(amount: i64, top: i64) -> f64 {
    TOP + HEIGHT * (1.0 - share(amount, top))
}

fn high(amount: i64, top: i64) -> Short {
    Short(HIGH * (1.0 - share(amount, top)), "")
}

fn count(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Columns that stand on those below, with a fifth of their space between them.
fn columns(below: &[i64], amounts: &[i64], top: i64) -> String {
    let each = WIDE / crate::usage::to_double(count(amounts.len()).max(1));
    let mut shape = String::new();
    for (point, (below, amount)) in below.iter().zip(amounts).enumerate().filter(|(_, (_, amount))| **amount > 0) {
        let left = Short(each * (crate::usage::to_double(count(point)) + 0.1), "");
        let (from, to) = (high(*below, top), high(below.saturating_add(*amount), top));
        _ = write!(shape, "M{left} {from}V{to}h{}V{from}z", Short(each * 0.8, ""));
    }
    shape
}

/// The area between what is below and what is above it.
fn area(below: &[i64], amounts: &[i64], top: i64) -> String {
    let last = count(amounts.len()) - 1;
    let at = |(point, amount): (usize, i64)| {
        let across = Short(WIDE * share(count(point), last), "");
        format!("{across} {}", high(amount, top))
    };
    let above = below.iter().zip(amounts).map(|(below, amount)| below.saturating_add(*amount));
    let there: Vec<_> = above.enumerate().map(at).collect();
    let back: Vec<_> = below.iter().copied().enumerate().rev().map(at).collect();
    format!("M{}L{}z", there.join(" "), back.join(" "))
}

/// The names of as many points as there is space for, the first and the last among them.
fn labels(points: &[String], has_columns: bool) -> Html {
    let mut html = Html::new();
    let longest = points.iter().map(String::len).max().unwrap_or(1);
    let labelled = (LABELS / longest.max(1)).clamp(2, 8).min(points.len());
    let last = points.len().saturating_sub(1);
    // Labels of columns are in their middle, except where they would stand out at the sides.
    let is_inside = has_columns && points.len() <= labelled;
    for label in 0..labelled {
        let point = if labelled > 1 { label * last / (labelled - 1) } else { 0 };
        let (part, whole) = match label {
            _ if is_inside => (2 * count(point) + 1, 2 * count(points.len())),
            0 => (0, 1),
            label if label + 1 == labelled => (1, 1),
            _ if has_columns => (2 * count(point) + 1, 2 * count(points.len())),
            _ => (count(point), count(last)),
        };
        html.markup("<text").attribute("x", percent(part, whole));
        html.attribute("y", Short(TOP + HEIGHT + 1.4, "em")).markup(match label {
            _ if is_inside => " class=\"middle\"",
            0 => "",
            label if label + 1 == labelled => " class=\"end\"",
            _ => " class=\"middle wide\"",
        });
        html.markup(">").text(points.get(point).map_or("", String::as_str)).markup("</text>");
    }
    html
}

/// What a pointer is told above a point.
fn hints(course: &Course, sums: &[i64], scale: Scale<'_>) -> Html {
    let mut html = Html::new();
    let all = count(course.points.len());
    for (point, (name, sum)) in course.points.iter().zip(sums).enumerate().filter(|(_, (_, sum))| **sum > 0) {
        html.markup("<rect class=\"hint\"").attribute("x", percent(count(point), all));
        html.attribute("y", Short(TOP, "em")).attribute("width", percent(1, all));
        html.attribute("height", Short(HEIGHT, "em")).markup("><title>");
        html.text(&format!("{name}: {}", said(*sum, scale)));
        if course.series.len() > 1 {
            let part = |(name, amounts): &(String, Vec<i64>)| {
                amounts
                    .get(point)
                    .filter(|amount| **amount > 0)
                    .map(|amount| format!("{name} {}", said(*amount, scale)))
            };
            let parts: Vec<_> = course.series.iter().filter_map(part).collect();
            html.text(&format!(" ({})", parts.join(", ")));
        }
        html.markup("</title></rect>");
    }
    html
}
