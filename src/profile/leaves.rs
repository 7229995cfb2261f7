//! The values of a tree in TOML syntax, each with its dotted key.

use serde_json::json;

use super::excerpt::is_secret;
use super::tree::{Node, Value};
use crate::terminal::mask::{is_secret_name, tokens, urls};

/// A value of a tree.
pub(super) struct Leaf<'a> {
    /// Its dotted key.
    pub key: String,
    /// The value.
    pub node: &'a Node,
    /// Whether a literal here may be a key, although keys do not belong in profiles.
    pub hidden: bool,
    /// Whether the value is hidden when the profile is shown to its user.
    pub is_secret: bool,
}

/// All values of a tree, sorted by key. A source is one value.
pub(super) fn leaves(root: &Node) -> Vec<Leaf<'_>> {
    let mut leaves = Vec::new();
    collect(root, &mut Vec::new(), &mut leaves);
    leaves
}

fn collect<'a>(node: &'a Node, path: &mut Vec<&'a str>, leaves: &mut Vec<Leaf<'a>>) {
    let is_source = matches!(
        path.as_slice(),
        ["destination" | "source", _, "headers", _, ..] | ["source", _, "password", ..] | ["env", _, ..]
    );
    let may_hold_key = is_source || matches!(path.as_slice(), ["budget", "notify"] | ["budgets", _, "notify"]);
    match &node.value {
        // A source is one value.
        Value::Table(entries) if !is_source => {
            for (name, below) in entries {
                path.push(name);
                collect(below, path, leaves);
                path.pop();
            }
        }
        _ => {
            let key = path.iter().fold(String::new(), |key, name| join(&key, name));
            leaves.push(Leaf { key, node, hidden: may_hold_key, is_secret: is_hidden(path) });
        }
    }
}

/// The value of a variable is shown, unless its name suggests a secret.
fn is_hidden(path: &[&str]) -> bool {
    match path {
        ["vars", name, ..] => is_secret_name(name),
        path => is_secret(path),
    }
}

/// A value in TOML syntax without secrets. Not for a review of foreign files, in which different values must look
/// different.
pub(super) fn shown(node: &Node, hidden: bool) -> String {
    match &node.value {
        Value::Text(_) if !hidden => tokens(&urls(&written(node, false))),
        Value::List(items) => {
            let items: Vec<_> = items.iter().map(|item| shown(item, hidden)).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Table(entries) => {
            // The names of variables, files and entries are not secret.
            let headers = |node: &Node| {
                let headers = node.entries().into_iter().flatten();
                let header = |(name, node): (&String, &Node)| format!("{} = {}", join("", name), shown(node, true));
                format!("{{ {} }}", headers.map(header).collect::<Vec<_>>().join(", "))
            };
            let entry = |(name, node): (&String, &Node)| match name.as_str() {
                "headers" => format!("headers = {}", headers(node)),
                _ => format!("{} = {}", join("", name), shown(node, is_secret(&[name]))),
            };
            format!("{{ {} }}", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
        _ => written(node, hidden),
    }
}

fn join(key: &str, name: &str) -> String {
    let bare = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    let name = if bare { name.to_owned() } else { format!("{name:?}") };
    if key.is_empty() { name } else { format!("{key}.{name}") }
}

/// Whether two values are equal, regardless of their places.
pub(super) fn is_same(one: &Node, other: &Node) -> bool {
    written(one, false) == written(other, false)
}

/// A value in TOML syntax.
pub(super) fn written(node: &Node, hidden: bool) -> String {
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
            // The names of variables, files and entries are not secret.
            let entries: Vec<_> = entries
                .iter()
                .map(|(name, node)| format!("{} = {}", join("", name), written(node, name == "password")))
                .collect();
            format!("{{ {} }}", entries.join(", "))
        }
    }
}
