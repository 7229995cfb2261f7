//! The week for a terminal.

use std::fmt::Write;

use super::super::text::{Paint, at_home, grid, notes, warning};
use super::{Look, heading, main_number, prose, shown};
use crate::report::week::{Page, Section, Value};
use crate::terminal::fit::wrapped;
use crate::terminal::table::{Column, Table};

/// The width in characters if the output is not a terminal.
const WIDTH: usize = 80;

pub(super) fn page(page: &Page, look: &Look) -> String {
    let width = look.width.unwrap_or(WIDTH).clamp(20, 120);
    let look = &Look { width: Some(width), ..look.clone() };
    let paint = Paint { colour: look.colour };
    let people = if page.people == 1 { "1 active person".to_owned() } else { format!("{} active people", page.people) };
    let mut text = warning(page.coverage, look);
    for line in wrapped(&heading(page), width).iter().chain([&people]) {
        _ = writeln!(text, "{}", paint.bold(line));
    }
    let mut table = Table::new([Column::word(""), Column::number(""), Column::prose("")]);
    for line in &page.lines {
        table.push([line.figure.name.to_owned(), main_number(&line.figure), prose(line)]);
    }
    _ = write!(text, "\n{}", table.text(Some(width)));
    for section in &page.sections {
        _ = write!(text, "\n{}", self::section(section, look));
    }
    text + &notes(&page.notes, look)
}

fn section(section: &Section, look: &Look) -> String {
    let paint = Paint { colour: look.colour };
    let (names, numbers) = section.columns.split_at(section.names.min(section.columns.len()));
    let mut table = grid(names.iter().map(|(_, name)| *name), numbers.iter().map(|(_, name)| *name));
    for row in &section.rows {
        table.push(row.iter().zip(&section.columns).map(|(value, (id, _))| cell(value, id, look)));
    }
    let mut text = paint.bold(section.name) + "\n";
    for (index, line) in table.lines(look.width).iter().enumerate() {
        _ = writeln!(text, "{}", if index == 0 { paint.dim(line) } else { line.clone() });
    }
    if section.more > 0 {
        _ = writeln!(text, "{}", paint.dim(&format!("and {} more", section.more)));
    }
    text
}

/// A cell. Paths begin with `~`.
pub(super) fn cell(value: &Value, column: &str, look: &Look) -> String {
    match value {
        Value::None => "(none)".to_owned(),
        Value::Text(path) if column == "project" || column == "place" => shown(&Value::Text(at_home(path, look))),
        value => shown(value),
    }
}
