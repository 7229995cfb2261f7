//! Rows for people.

use super::Look;
use crate::report::{Column, Coverage, Dimension, Table};
use crate::terminal::fit::wrapped;
use crate::terminal::printable::printable;
use crate::terminal::table;

pub(super) fn table(table: &Table, columns: &[&Column], look: &Look) -> String {
    let names = table.by.iter().map(|dimension| dimension.name());
    let mut grid = grid(names, columns.iter().map(|column| column.heading));
    for line in &table.lines {
        let names = table.by.iter().zip(&line.keys).map(|(dimension, key)| name(*dimension, key.as_deref(), look));
        grid.push(names.chain(columns.iter().map(|column| column.text(line))));
    }
    if table.lines.len() + table.more > 1 {
        let mut total = vec![String::new(); table.by.len()];
        if let Some(first) = total.first_mut() {
            "total".clone_into(first);
        }
        total.extend(columns.iter().map(|column| column.text(&table.total)));
        grid.push(total);
    }
    let paint = Paint { colour: look.colour };
    let lines = grid.lines(look.width);
    let mut text = coverage(table, look);
    for (index, line) in lines.iter().enumerate() {
        let is_total = index + 1 == lines.len() && table.lines.len() + table.more > 1;
        text.push_str(&if index == 0 || is_total { paint.bold(line) } else { line.clone() });
        text.push('\n');
    }
    if table.more > 0 {
        text.push_str(&paint.dim(&format!("and {} more: see them with a larger --top", table.more)));
        text.push('\n');
    }
    text + &notes(&table.notes, look)
}

/// A table of names, and of numbers in order of importance. The first number always stays.
pub(super) fn grid<'a>(names: impl Iterator<Item = &'a str>, numbers: impl Iterator<Item = &'a str>) -> table::Table {
    let numbers = numbers.enumerate().map(|(rank, heading)| table::Column::number(heading).rank(rank));
    table::Table::new(names.map(table::Column::name).chain(numbers))
}

/// A dimension's value, safe for a terminal; `~` stands for the home directory.
pub(super) fn name(dimension: Dimension, value: Option<&str>, look: &Look) -> String {
    match (dimension, value) {
        (_, None | Some("")) => "(none)".to_owned(),
        (Dimension::Project, Some(path)) => printable(&at_home(path, look)),
        (_, Some(value)) => printable(value),
    }
}

pub(in crate::report) fn at_home(path: &str, look: &Look) -> String {
    match std::path::Path::new(path).strip_prefix(&look.home) {
        Ok(rest) if rest.as_os_str().is_empty() => "~".to_owned(),
        Ok(rest) => format!("~/{}", rest.display()),
        Err(_) => path.to_owned(),
    }
}

/// A warning about a table's missing sessions, in lines above everything else.
pub(super) fn coverage(table: &Table, look: &Look) -> String {
    warning(table.coverage, look)
}

/// A text that begins with a capital letter.
pub(super) fn capital(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}

/// A warning about missing sessions, in lines above everything else.
pub(super) fn warning(coverage: Option<Coverage>, look: &Look) -> String {
    let warning = coverage.and_then(Coverage::warning);
    let lines = warning.iter().flat_map(|warning| wrapped(warning, look.width.unwrap_or(usize::MAX)));
    let text = lines.fold(String::new(), |text, line| text + &line + "\n");
    if text.is_empty() { text } else { text + "\n" }
}

/// The notes, wrapped to the terminal's width.
pub(super) fn notes(notes: &[String], look: &Look) -> String {
    let paint = Paint { colour: look.colour };
    let mut text = String::new();
    for note in notes {
        for line in wrapped(&printable(note), look.width.unwrap_or(usize::MAX)) {
            text.push_str(&paint.dim(&line));
            text.push('\n');
        }
    }
    if text.is_empty() { text } else { format!("\n{text}") }
}

/// Adds colours to text after its layout.
#[derive(Clone, Copy)]
pub(super) struct Paint {
    pub(super) colour: bool,
}

impl Paint {
    pub(super) fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    pub(super) fn dim(self, text: &str) -> String {
        self.with("2", text)
    }

    pub(super) fn bars(self, text: &str) -> String {
        self.with("36", text)
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}
