//! A resolved profile for people: every value with the place it comes from.

use serde_json::{Value as Json, json};

use super::resolve::Resolved;
use super::tree::{Node, Value};

/// A value of a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its dotted key.
    pub key: String,
    /// The value as TOML writes it; a header's or a variable's is shown as its source alone.
    pub value: String,
    /// `FILE:LINE:COLUMN`, or the option that said it.
    pub origin: String,
}

impl Resolved {
    /// All values, in the order of their keys. No secret is among them.
    pub fn lines(&self) -> Vec<Line> {
        let mut lines = Vec::new();
        collect(&self.root, "", false, &mut lines);
        lines
    }
}

/// `hidden`: literals are where people write keys, although they should not.
fn collect(node: &Node, key: &str, hidden: bool, lines: &mut Vec<Line>) {
    match &node.value {
        Value::Table(entries) if !is_source(key) => {
            for (name, below) in entries {
                let hidden = hidden || name == "headers" && key.starts_with("destination.") || key == "env";
                collect(below, &join(key, name), hidden, lines);
            }
        }
        _ => lines.push(Line { key: key.to_owned(), value: written(node, hidden), origin: node.origin.to_string() }),
    }
}

/// Whether a table stands for one value.
fn is_source(key: &str) -> bool {
    let parts: Vec<_> = key.split('.').collect();
    matches!(parts.as_slice(), ["destination", _, "headers", _, ..] | ["env", _, ..])
}

fn join(key: &str, name: &str) -> String {
    let bare = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    let name = if bare { name.to_owned() } else { format!("{name:?}") };
    if key.is_empty() { name } else { format!("{key}.{name}") }
}

fn written(node: &Node, hidden: bool) -> String {
    match &node.value {
        Value::Text(_) if hidden => "\"…\"".to_owned(),
        Value::Text(text) => json!(text).to_string(),
        Value::Bool(truth) => truth.to_string(),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Date(date) => date.clone(),
        Value::List(items) => {
            let items: Vec<_> = items.iter().map(|item| written(item, hidden)).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Table(entries) => {
            // The names of variables, files and entries are no secrets.
            let entries: Vec<_> = entries
                .iter()
                .map(|(name, node)| format!("{} = {}", join("", name), written(node, name == "password")))
                .collect();
            format!("{{ {} }}", entries.join(", "))
        }
    }
}

/// The lines as JSON: `[{"key", "value", "origin"}]`.
pub fn as_json(lines: &[Line]) -> Json {
    lines.iter().map(|line| json!({ "key": line.key, "value": line.value, "origin": line.origin })).collect()
}
