//! Horizontal bars, one below the other, of one or several parts.

use super::{Html, Scale, Short, begin, class, legend, percent};

/// A bar.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bar {
    /// What it stands for, short enough for a narrow screen.
    pub label: String,
    /// Its parts, one for each series.
    pub parts: Vec<i64>,
}

impl Bar {
    fn sum(&self) -> i64 {
        self.parts.iter().fold(0, |sum, part| sum.saturating_add(*part))
    }
}

/// The height of a bar with its label, in the size of its text.
const ROW: f64 = 2.6;

/// Bars, the longest as wide as the chart. Without names of series, each bar has one part.
pub fn bars(title: &str, bars: &[Bar], series: &[String], scale: Scale<'_>) -> Html {
    let most = bars.iter().map(Bar::sum).max().unwrap_or(0);
    let mut html = Html::new();
    html.markup("<figure>\n");
    if series.len() > 1 {
        html.html(&legend(series));
    }
    let said: Vec<_> = bars.iter().map(|bar| format!("{}: {}", bar.label, (scale.text)(bar.sum()))).collect();
    begin(&mut html, rows(bars.len()), title, &said.join(", "));
    for (index, bar) in bars.iter().enumerate() {
        let top = rows(index);
        html.markup("<text x=\"0\"").attribute("y", Short(top + 1.0, "em")).markup(">").text(&bar.label);
        html.markup("</text><text x=\"100%\" class=\"end\"").attribute("y", Short(top + 1.0, "em"));
        html.markup(">").text(&(scale.text)(bar.sum())).markup("</text>");
        let mut left = 0;
        for (part, amount) in bar.parts.iter().enumerate().filter(|(_, amount)| **amount > 0) {
            html.markup("<rect").attribute("class", class(part)).attribute("x", percent(left, most));
            html.attribute("y", Short(top + 1.4, "em")).attribute("width", percent(*amount, most));
            html.markup(" height=\".55em\">");
            if let Some(name) = series.get(part) {
                html.markup("<title>").text(&format!("{name}: {}", (scale.text)(*amount))).markup("</title>");
            }
            html.markup("</rect>");
            left += amount;
        }
    }
    html.markup("</svg>\n</figure>\n");
    html
}

fn rows(count: usize) -> f64 {
    crate::usage::to_double(i64::try_from(count).unwrap_or(i64::MAX)) * ROW
}
