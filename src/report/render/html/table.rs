//! Tables of names and numbers.

use super::markup::Html;
use crate::report::{Column, Line, Number};

/// A table. Its body can be sorted; what is below cannot.
#[derive(Clone, Debug, Default)]
pub struct Grid {
    /// What it shows, for those who do not see it.
    pub caption: String,
    /// The headings of the names, of which the first names the row.
    pub names: Vec<String>,
    /// The headings of the numbers.
    pub numbers: Vec<String>,
    /// The heading by which the rows are in order, counted from the first name, and whether the largest is first.
    pub order: Option<(usize, bool)>,
    /// The rows.
    pub rows: Vec<Row>,
    /// The rows below: what is not shown, and the total.
    pub foot: Vec<Row>,
}

/// A row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// As many as the headings of names.
    pub names: Vec<String>,
    /// As many as the headings of numbers.
    pub numbers: Vec<Cell>,
}

/// A number.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cell {
    /// As a person reads it; empty for zero.
    pub text: String,
    /// As JSON has it.
    pub value: Option<f64>,
}

impl Cell {
    /// A column's number for a row.
    pub fn of(column: &Column, line: &Line) -> Self {
        let value = match column.number(line) {
            Number::Whole(count) => Some(crate::usage::to_double(count)),
            Number::Fraction(number) => Some(number),
            Number::None => None,
        };
        Self { text: column.text(line), value }
    }

    /// The number, if the text is not exactly it.
    fn exact(&self) -> Option<f64> {
        let shown = self.text.replace(',', "").parse().ok();
        self.value.filter(|value| !self.text.is_empty() && shown != Some(*value))
    }
}

/// The table, in a frame that scrolls where it is too wide.
pub fn table(grid: &Grid) -> Html {
    let mut html = Html::new();
    html.markup("<div class=\"scroll\" tabindex=\"0\" role=\"region\"").attribute("aria-label", &grid.caption);
    html.markup(">\n<table class=\"sortable\">\n<caption>").text(&grid.caption).markup("</caption>\n<thead><tr>");
    for (index, heading) in grid.names.iter().chain(&grid.numbers).enumerate() {
        html.markup("<th scope=\"col\"");
        if index < grid.names.len() {
            html.markup(" class=\"n\"");
        }
        match grid.order {
            Some((column, true)) if column == index => html.attribute("aria-sort", "descending"),
            Some((column, false)) if column == index => html.attribute("aria-sort", "ascending"),
            _ => &mut html,
        };
        html.markup(">").text(heading).markup("</th>");
    }
    html.markup("</tr></thead>\n<tbody>\n").html(&rows(&grid.rows)).markup("</tbody>\n");
    if !grid.foot.is_empty() {
        html.markup("<tfoot>\n").html(&rows(&grid.foot)).markup("</tfoot>\n");
    }
    html.markup("</table>\n</div>\n");
    html
}

/// Rows without the end tags that HTML lets out: a year of days is a third smaller.
fn rows(rows: &[Row]) -> Html {
    let mut html = Html::new();
    for row in rows {
        html.markup("<tr>");
        for (index, name) in row.names.iter().enumerate() {
            html.markup(if index == 0 { "<th scope=row>" } else { "<td class=n>" }).text(name);
        }
        for cell in &row.numbers {
            html.markup("<td");
            if let Some(value) = cell.exact() {
                html.attribute("data-v", value);
            }
            html.markup(">").text(&cell.text);
        }
        html.markup("\n");
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(text: &str, value: f64) -> Cell {
        Cell { text: text.to_owned(), value: Some(value) }
    }

    #[test]
    fn a_number_is_repeated_only_where_its_text_is_not_exact() {
        let row = Row {
            names: vec!["<a>".to_owned(), "b".to_owned()],
            numbers: vec![cell("$1.20", 1.2), cell("1,234", 1234.0), cell("", 0.0), Cell::default()],
        };
        let shown = rows(&[row]).into_text();
        assert_eq!(shown, "<tr><th scope=row>&lt;a&gt;<td class=n>b<td data-v=\"1.2\">$1.20<td>1,234<td><td>\n");
    }

    #[test]
    fn the_order_of_the_rows_is_said() {
        let grid = Grid {
            names: vec!["day".to_owned()],
            numbers: vec!["cost".to_owned()],
            order: Some((1, true)),
            ..Grid::default()
        };
        let shown = table(&grid).into_text();
        assert!(
            shown
                .contains("<th scope=\"col\" class=\"n\">day</th><th scope=\"col\" aria-sort=\"descending\">cost</th>")
        );
        assert!(!shown.contains("<tfoot>"));
    }
}
