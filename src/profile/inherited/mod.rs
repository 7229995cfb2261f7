//! The profile `inherited`: telemetry that is already configured for Claude Code, as far as a profile can express it,
//! so that it keeps working. Pure: variables in, a profile out.

mod finder;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value as Json;

pub use self::finder::HELPER;
use self::finder::{Finder, is_on};
use super::document::{Document, Origin};
use super::tree::{Entries, Node, Value};
use crate::terminal::printable::visible;

/// The profile's name.
pub const NAME: &str = "inherited";

const DESCRIPTION: &str = "the telemetry already configured for Claude Code";

/// Variables of Claude Code's telemetry by name, each with its value and its place.
pub type Variables = BTreeMap<String, (String, String)>;

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Inherited {
    /// The profile, if there is an endpoint that one can express.
    profile: Option<Vec<Entry>>,
    /// The variable that sets the endpoint, and its place.
    source: String,
    /// What a profile cannot express, or expresses differently. Contains no values.
    remarks: Vec<String>,
}

/// A value of the profile.
#[derive(Clone)]
struct Entry {
    /// The table that it is in, in TOML syntax.
    table: Vec<String>,
    key: String,
    value: Value,
    /// The variable, and its place.
    from: String,
}

/// Does not show values, which may be headers.
impl std::fmt::Debug for Entry {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}.{} from {}", self.table.join("."), self.key, self.from)
    }
}

impl Inherited {
    /// Reads what Claude Code would read; `None` if its telemetry is off.
    pub fn find(variables: &Variables) -> Option<Self> {
        let finder = Finder::new(variables);
        is_on(&finder.value("CLAUDE_CODE_ENABLE_TELEMETRY")?).then(|| finder.find())
    }

    /// Whether it makes a profile.
    pub fn is_profile(&self) -> bool {
        self.profile.is_some()
    }

    /// A one-line notice for the user, or `None` if there is nothing that matters.
    pub fn notice(&self) -> Option<String> {
        let found = format!(
            "existing telemetry settings ({}) are now delivered through ccrun as the profile `{NAME}`; \
             `ccrun profile new NAME --from-env` saves them",
            self.source
        );
        let parts: Vec<_> = self.is_profile().then_some(found).into_iter().chain(self.remarks.clone()).collect();
        (!parts.is_empty()).then(|| parts.join("; "))
    }

    /// What a profile cannot express of it, or expresses differently.
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }

    /// The profile as a tree whose values refer to the variables that they come from.
    pub(super) fn node(&self) -> Option<Node> {
        let mut root = table(&origin(NAME));
        let description = Node { value: Value::Text(DESCRIPTION.to_owned()), ..root.clone() };
        if let Value::Table(entries) = &mut root.value {
            entries.insert("description".to_owned(), description);
        }
        for entry in self.profile.as_ref()? {
            let place = origin(&entry.from);
            let mut at = &mut root;
            for name in &entry.table {
                let Value::Table(entries) = &mut at.value else { return None };
                at = entries.entry(name.clone()).or_insert_with(|| table(&place));
            }
            let Value::Table(entries) = &mut at.value else { return None };
            let node = Node { value: entry.value.clone(), origin: place.clone(), key: place };
            entries.insert(entry.key.clone(), node);
        }
        Some(root)
    }

    /// The profile as a file, with a comment on each value that names its variable.
    pub fn text(&self) -> Option<String> {
        let mut text = format!("description = {}\n", quoted(DESCRIPTION));
        let entries = self.profile.as_ref()?;
        let mut tables: Vec<&[String]> = Vec::new();
        for entry in entries {
            if !tables.contains(&entry.table.as_slice()) {
                tables.push(&entry.table);
            }
        }
        for table in tables {
            let names: Vec<_> = table.iter().map(|name| key(name)).collect();
            text.extend(["\n[", &names.join("."), "]\n"]);
            for entry in entries.iter().filter(|entry| entry.table == table) {
                text.extend([&key(&entry.key), " = ", &written(&entry.value), "  # ", &visible(&entry.from), "\n"]);
            }
        }
        Some(text)
    }

    /// Whether the file contains the value of a header.
    pub fn has_headers(&self) -> bool {
        self.profile.iter().flatten().any(|entry| entry.table.get(2).is_some_and(|table| table == "headers"))
    }
}

fn origin(label: &str) -> Origin {
    // The document has no text, so that no message can show a line with a key.
    Origin { document: Arc::new(Document { label: label.to_owned(), text: String::new() }), span: 0..0 }
}

fn table(place: &Origin) -> Node {
    Node { value: Value::Table(Entries::new()), origin: place.clone(), key: place.clone() }
}

/// A key as TOML writes it.
fn key(name: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !name.is_empty() && name.chars().all(is_bare) { name.to_owned() } else { quoted(name) }
}

/// A JSON string is a TOML string, except that TOML requires DEL to be escaped.
fn quoted(text: &str) -> String {
    Json::from(text).to_string().replace('\u{7f}', "\\u007f")
}

fn written(value: &Value) -> String {
    match value {
        Value::Bool(truth) => truth.to_string(),
        Value::List(items) => {
            let items: Vec<_> = items.iter().map(|item| written(&item.value)).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Text(text) => quoted(text),
        // There are no other kinds here.
        _ => quoted(""),
    }
}

/// A literal string; `${` is escaped, because it would start a variable of the profile.
fn literal(text: &str) -> Value {
    Value::Text(text.replace("${", "$${"))
}

#[cfg(test)]
mod tests;
