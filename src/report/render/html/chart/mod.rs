//! Charts as SVG: bars, a course over time, and a calendar.
//!
//! A chart fills its width, and its text keeps its size: shapes are in a nested image that stretches, and labels stand at
//! percentages beside it. Colours come from classes: `s0` to `s4` for series, `s5` for *others*, `d1` to `d4` for days.

mod bars;
mod calendar;
mod course;

pub use bars::{Bar, bars};
pub use calendar::{Day, calendar};
pub use course::{Course, course};

use std::fmt::{self, Display};

use super::markup::Html;

/// How many series have a colour of their own, besides *others*.
pub const SERIES: usize = 5;

/// How the amounts of a chart are written.
#[derive(Clone, Copy)]
pub struct Scale<'a> {
    /// The amount that is one for a reader: a dollar of billionths, an hour of milliseconds.
    pub unit: i64,
    /// An amount as a person reads it.
    pub text: &'a dyn Fn(i64) -> String,
}

/// A number with at most two decimals, as in a coordinate.
#[derive(Clone, Copy)]
struct Short(f64, &'static str);

impl Display for Short {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{}", (self.0 * 100.0).round() / 100.0, self.1)
    }
}

/// A share of a whole in percent.
fn percent(part: i64, whole: i64) -> Short {
    Short(share(part, whole) * 100.0, "%")
}

fn share(part: i64, whole: i64) -> f64 {
    crate::usage::to_double(part) / crate::usage::to_double(whole.max(1))
}

/// The class of a series; the last of several beyond the fifth are *others*.
fn class(series: usize) -> &'static str {
    const CLASSES: [&str; SERIES + 1] = ["s0", "s1", "s2", "s3", "s4", "s5"];
    CLASSES[series.min(SERIES)]
}

/// Begins an image of this height, in the size of its text, with its name and what it says in words.
fn begin(html: &mut Html, height: f64, title: &str, description: &str) {
    html.markup("<svg role=\"img\" width=\"100%\"").attribute("height", Short(height, "em"));
    html.markup("><title>").text(title).markup("</title><desc>").text(description).markup("</desc>");
}

/// The names of the colours.
fn legend(names: &[String]) -> Html {
    let mut html = Html::new();
    html.markup("<ul class=\"legend\">");
    for (series, name) in names.iter().enumerate() {
        html.markup("<li><svg aria-hidden=\"true\" class=\"swatch\"><rect width=\"100%\" height=\"100%\"");
        html.attribute("class", self::class(series)).markup("/></svg>").text(name).markup("</li>");
    }
    html.markup("</ul>\n");
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coordinates_are_short() {
        assert_eq!(
            [percent(1, 3), percent(0, 0), percent(2, 2)].map(|percent| percent.to_string()),
            ["33.33%", "0%", "100%"]
        );
        assert_eq!([0, 4, 5, 9].map(class), ["s0", "s4", "s5", "s5"]);
    }
}
