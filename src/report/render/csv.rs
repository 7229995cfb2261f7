//! CSV as defined in RFC 4180.

use crate::report::{Column, Number, Table};

/// Rows with a heading: the dimensions, then the columns, by their JSON names.
pub(super) fn table(table: &Table, columns: &[&Column]) -> String {
    let mut text = String::new();
    let headings = table.by.iter().map(|dimension| dimension.name()).chain(columns.iter().map(|column| column.json));
    push(&mut text, headings.map(str::to_owned));
    let without_rows = std::slice::from_ref(&table.total);
    for line in if table.by.is_empty() { without_rows } else { &table.lines } {
        let keys = line.keys.iter().map(|key| key.as_deref().map(cell).unwrap_or_default());
        push(&mut text, keys.chain(columns.iter().map(|column| number(column.number(line)))));
    }
    text
}

/// Adds a row.
pub(super) fn push(text: &mut String, cells: impl Iterator<Item = String>) {
    text.push_str(&cells.collect::<Vec<_>>().join(","));
    text.push_str("\r\n");
}

fn number(number: Number) -> String {
    match number {
        Number::Whole(count) => count.to_string(),
        Number::Fraction(fraction) => fraction.to_string(),
        Number::None => String::new(),
    }
}

/// A foreign text as a cell. Text that a spreadsheet would read as a formula gets an apostrophe in front.
pub(super) fn cell(value: &str) -> String {
    let guard = if value.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
    if value.contains([',', '"', '\n', '\r']) || !guard.is_empty() {
        format!("\"{guard}{}\"", value.replace('"', "\"\""))
    } else {
        value.to_owned()
    }
}
