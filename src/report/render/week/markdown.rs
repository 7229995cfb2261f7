//! The week in GitHub's Markdown.

use std::fmt::Write;

use super::super::markdown::{aligned, escaped};
use super::text::cell;
use super::{Look, heading, made_of, main_number, phrases};
use crate::report::Coverage;
use crate::report::week::Page;

/// The columns of the lines.
const COLUMNS: [&str; 6] = ["line", "value", "made of", "beside", "source", "caveat"];

pub(super) fn page(page: &Page, look: &Look) -> String {
    let mut text = String::new();
    if let Some(warning) = page.coverage.and_then(Coverage::warning) {
        _ = writeln!(text, "{}\n", escaped(&warning));
    }
    _ = writeln!(text, "# {}\n\nActive people: {}\n", escaped(&heading(page)), page.people);
    let rows: Vec<_> = page
        .lines
        .iter()
        .map(|line| {
            let cells = [
                format!("**{}**", line.figure.name),
                escaped(&main_number(&line.figure)),
                escaped(&made_of(&line.figure)),
                escaped(&phrases(&line.beside).join("; ")),
                escaped(line.source),
                escaped(&line.caveats.join("; ")),
            ];
            cells.to_vec()
        })
        .collect();
    text += &aligned(&COLUMNS, 1..2, &rows);
    for section in &page.sections {
        let headings: Vec<_> = section.columns.iter().map(|(_, heading)| *heading).collect();
        let row = |row: &Vec<_>| {
            row.iter().zip(&section.columns).map(|(value, (id, _))| escaped(&cell(value, id, look))).collect()
        };
        let rows: Vec<Vec<String>> = section.rows.iter().map(row).collect();
        _ = write!(text, "\n## {}\n\n{}", section.name, aligned(&headings, section.names..headings.len(), &rows));
        if section.more > 0 {
            _ = writeln!(text, "\nand {} more", section.more);
        }
    }
    for note in &page.notes {
        _ = writeln!(text, "\n{}", escaped(note));
    }
    text
}
