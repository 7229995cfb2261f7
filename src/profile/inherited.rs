//! The profile `inherited`: what somebody has set up for Claude Code already, as far as a profile can say it, so that
//! nothing which worked goes dark. Pure: variables in, a profile out.

mod finder;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value as Json;

pub use self::finder::HELPER;
use self::finder::{Finder, is_on};
use super::document::{Document, Origin};
use super::tree::{Entries, Node, Value};
use crate::printable::visible;

/// The profile's name.
pub const NAME: &str = "inherited";

const DESCRIPTION: &str = "what was set up for Claude Code before";

/// Variables of Claude Code's telemetry, by name, each with its value and the place that it was found in.
pub type Variables = BTreeMap<String, (String, String)>;

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Inherited {
    /// The profile, if there is an endpoint that one can name.
    profile: Option<Vec<Entry>>,
    /// The variable that names the endpoint, and where it stands.
    source: String,
    /// What a profile cannot say, or says otherwise: no value is among it.
    remarks: Vec<String>,
}

/// A value of the profile.
#[derive(Clone)]
struct Entry {
    /// The table that it is in, as TOML writes it.
    table: Vec<String>,
    key: String,
    value: Value,
    /// The variable, and where it was found.
    from: String,
}

/// Shows no value: headers are among them.
impl std::fmt::Debug for Entry {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}.{} from {}", self.table.join("."), self.key, self.from)
    }
}

impl Inherited {
    /// Reads what Claude Code would read; nothing where its telemetry is not on.
    pub fn find(variables: &Variables) -> Option<Self> {
        let finder = Finder::new(variables);
        is_on(&finder.value("CLAUDE_CODE_ENABLE_TELEMETRY")?).then(|| finder.find())
    }

    /// Whether it makes a profile.
    pub fn is_profile(&self) -> bool {
        self.profile.is_some()
    }

    /// What its user should know, in one line; nothing where nothing was found that matters.
    pub fn notice(&self) -> Option<String> {
        let found = format!(
            "telemetry that was set up already ({}) is now delivered through ccrun, as the profile `{NAME}`; \
             `ccrun profile new NAME --from-env` keeps it",
            self.source
        );
        let parts: Vec<_> = self.is_profile().then_some(found).into_iter().chain(self.remarks.clone()).collect();
        (!parts.is_empty()).then(|| parts.join("; "))
    }

    /// What a profile cannot say of it, or says otherwise.
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }

    /// The profile as a tree whose values name the variables that they come from.
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

    /// The profile as a file, each value with the variable that it comes from.
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

    /// Whether a header's value is in that file.
    pub fn has_headers(&self) -> bool {
        self.profile.iter().flatten().any(|entry| entry.table.get(2).is_some_and(|table| table == "headers"))
    }
}

fn origin(label: &str) -> Origin {
    // Without a text, so that no message can show a line that holds a key.
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

/// A JSON string is a TOML string, but for DEL, which TOML wants escaped.
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
        // Nothing else is made here.
        _ => quoted(""),
    }
}

/// A literal string: `${` would be taken for a variable of the profile.
fn literal(text: &str) -> Value {
    Value::Text(text.replace("${", "$${"))
}

#[cfg(test)]
#[path = "inherited_tests.rs"]
mod tests;
