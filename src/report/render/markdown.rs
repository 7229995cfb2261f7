//! Tables in GitHub's Markdown.

use std::fmt::Write;
use std::ops::Range;

use super::Look;
use super::text::name;
use crate::report::{Column, Coverage, Table};

pub(super) fn table(table: &Table, columns: &[&Column], look: &Look) -> String {
    let headings = table.by.iter().map(|dimension| dimension.name()).chain(columns.iter().map(|column| column.heading));
    let mut rows = Vec::new();
    for line in &table.lines {
        let keys = table.by.iter().zip(&line.keys);
        let keys = keys.map(|(dimension, key)| escaped(&name(*dimension, key.as_deref(), look)));
        rows.push(keys.chain(columns.iter().map(|column| column.text(line))).collect());
    }
    let total =
        table.by.iter().enumerate().map(|(index, _)| if index == 0 { "**total**".to_owned() } else { String::new() });
    rows.push(total.chain(columns.iter().map(|column| column.text(&table.total))).collect());
    let mut text = grid(&headings.map(str::to_owned).collect::<Vec<_>>(), table.by.len(), &rows);
    for note in table.coverage.and_then(Coverage::warning).iter().chain(&table.notes) {
        _ = writeln!(text, "\n{}", escaped(note));
    }
    text
}

/// Rows under headings. Columns after the names are right-aligned.
pub(super) fn grid(headings: &[String], names: usize, rows: &[Vec<String>]) -> String {
    aligned(headings, names..headings.len(), rows)
}

/// Rows under headings, with some of the columns right-aligned.
pub(super) fn aligned(headings: &[impl AsRef<str>], right: Range<usize>, rows: &[Vec<String>]) -> String {
    let mut text = String::new();
    let headings: Vec<_> = headings.iter().map(AsRef::as_ref).collect();
    _ = writeln!(text, "| {} |", headings.join(" | "));
    let rules = headings.iter().enumerate().map(|(index, _)| if right.contains(&index) { "---:" } else { "---" });
    _ = writeln!(text, "| {} |", rules.collect::<Vec<_>>().join(" | "));
    for row in rows {
        _ = writeln!(text, "| {} |", row.join(" | "));
    }
    text
}

/// Escapes a text for a cell.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        match character {
            '<' => escaped.push_str("&lt;"),
            '&' => escaped.push_str("&amp;"),
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' | '#' | '~' => {
                escaped.push('\\');
                escaped.push(character);
            }
            _ => escaped.push(character),
        }
    }
    escaped
}
