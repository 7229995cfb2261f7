//! What was written: a tree of values that each remember where they stand, and how layers of it merge.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::diagnostic::{Diagnostic, Faults};
use super::document::{Document, Origin};

/// A value, and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// The value.
    pub value: Value,
    /// Where the value stands.
    pub origin: Origin,
    /// Where its key stands; the value's own place for the root and for items of a list.
    pub key: Origin,
}

/// A value of TOML, as far as profiles use it.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// A table, by key.
    Table(BTreeMap<String, Node>),
    /// A list.
    List(Vec<Node>),
    /// A string.
    Text(String),
    /// `true` or `false`.
    Bool(bool),
    /// A whole number, which only another program's settings take.
    Integer(i64),
    /// A number, likewise.
    Float(f64),
    /// A date or a time, which no key takes: as it was written.
    Date(String),
}

/// The entries of a table.
pub(super) type Entries = BTreeMap<String, Node>;

impl Node {
    /// The node's entries, if it is a table.
    pub(super) fn entries(&self) -> Option<&Entries> {
        if let Value::Table(entries) = &self.value { Some(entries) } else { None }
    }

    /// What stands under a key, if the node is a table that has it.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        self.entries()?.get(key)
    }

    /// The node's text, if it is one.
    pub(super) fn text(&self) -> Option<&str> {
        if let Value::Text(text) = &self.value { Some(text) } else { None }
    }

    /// The strings of a list, or the one string that stands in place of a list of one.
    pub(super) fn texts(&self) -> impl Iterator<Item = (&str, &Self)> {
        let items = if let Value::List(items) = &self.value { items.as_slice() } else { std::slice::from_ref(self) };
        items.iter().filter_map(|item| Some((item.text()?, item)))
    }
}

impl Value {
    /// What a message calls a value of this type.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Table(_) => "a table",
            Self::List(_) => "a list",
            Self::Text(_) => "a string",
            Self::Bool(_) => "a boolean",
            Self::Integer(_) => "an integer",
            Self::Float(_) => "a number",
            Self::Date(_) => "a date",
        }
    }
}

/// Reads a document. All faults of its syntax come at once.
pub(super) fn parse(document: &Arc<Document>) -> Result<Node, Faults> {
    let (root, errors) = DeTable::parse_recoverable(&document.text);
    let place = |span: Range<usize>| Origin { document: Arc::clone(document), span };
    if !errors.is_empty() {
        let fault = |error: &toml::de::Error| {
            let origin = place(error.span().unwrap_or(0..0));
            Diagnostic::at(&origin, format!("invalid TOML: {}", error.message()))
        };
        return Err(Faults(errors.iter().map(fault).collect()));
    }
    let origin = place(0..0);
    Ok(Node { value: table(root.into_inner(), &place, Path::Root), key: origin.clone(), origin })
}

fn table(entries: DeTable<'_>, place: &impl Fn(Range<usize>) -> Origin, path: Path) -> Value {
    let entry = |(key, value): (Spanned<DeString<'_>>, Spanned<DeValue<'_>>)| {
        let key_origin = place(key.span());
        let name = path.canonical(key.get_ref());
        let node = node(value, place, key_origin, path.below(&name));
        (name, node)
    };
    Value::Table(entries.into_iter().map(entry).collect())
}

fn node(value: Spanned<DeValue<'_>>, place: &impl Fn(Range<usize>) -> Origin, key: Origin, path: Path) -> Node {
    let origin = place(value.span());
    let value = match value.into_inner() {
        DeValue::String(text) => Value::Text(text.into_owned()),
        DeValue::Boolean(truth) => Value::Bool(truth),
        DeValue::Table(entries) => table(entries, place, path),
        DeValue::Array(items) => Value::List(
            items
                .into_iter()
                .map(|item| {
                    let origin = place(item.span());
                    node(item, place, origin, Path::Value)
                })
                .collect(),
        ),
        DeValue::Integer(number) => {
            Value::Integer(i64::from_str_radix(number.as_str(), number.radix()).unwrap_or(i64::MAX))
        }
        DeValue::Float(number) => Value::Float(number.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Datetime(date) => Value::Date(date.to_string()),
    };
    Node { value, origin, key }
}

/// Lays `upper` over `lower`: what `upper` unsets goes first, then tables merge key by key, and everything else is
/// replaced whole.
///
/// A value of `[vars]`, `[team]`, `[resource]` or a header is one value even where it is written as a table,
/// for a key of one source says nothing beside a key of another.
pub(super) fn merge(mut lower: Node, upper: Node) -> Node {
    for (path, _) in upper.get("unset").into_iter().flat_map(Node::texts) {
        remove(&mut lower, path);
    }
    merge_at(lower, upper, Path::Root)
}

/// Takes out what a dotted path names. Keys may hold dots themselves, so that every way to read the path is tried.
pub(super) fn remove(node: &mut Node, path: &str) {
    let Value::Table(entries) = &mut node.value else { return };
    entries.remove(path);
    for (key, below) in entries.iter_mut() {
        if let Some(rest) = path.strip_prefix(key.as_str()).and_then(|rest| rest.strip_prefix('.')) {
            remove(below, rest);
        }
    }
}

/// What a dotted path names, read the same way.
pub(super) fn find<'a>(node: &'a Node, path: &str) -> Option<&'a Node> {
    let entries = node.entries()?;
    entries.get(path).or_else(|| {
        entries.iter().find_map(|(key, below)| {
            let rest = path.strip_prefix(key.as_str())?.strip_prefix('.')?;
            find(below, rest)
        })
    })
}

fn merge_at(lower: Node, upper: Node, path: Path) -> Node {
    let Node { value, origin, key } = upper;
    let value = match (lower.value, value) {
        (Value::Table(mut merged), Value::Table(over)) if path != Path::Value => {
            for (name, node) in over {
                let node = match merged.remove(&name) {
                    Some(under) => merge_at(under, node, path.below(&name)),
                    None => node,
                };
                merged.insert(name, node);
            }
            Value::Table(merged)
        }
        (_, over) => over,
    };
    Node { value, origin, key }
}

/// As much of a key's path as merging depends on.
#[derive(Clone, Copy, PartialEq)]
enum Path {
    Root,
    Destinations,
    Destination,
    /// Header names, which ignore case.
    Headers,
    /// A table whose entries are values.
    Values,
    /// Replaced whole.
    Value,
    /// Any other table.
    Table,
}

impl Path {
    fn below(self, key: &str) -> Self {
        match (self, key) {
            (Self::Root, "destination") => Self::Destinations,
            (Self::Root, "vars" | "team" | "resource" | "env") => Self::Values,
            (Self::Destinations, _) => Self::Destination,
            (Self::Destination, "headers") => Self::Headers,
            (Self::Headers | Self::Values | Self::Value, _) => Self::Value,
            _ => Self::Table,
        }
    }

    fn canonical(self, key: &str) -> String {
        if self == Self::Headers { key.to_ascii_lowercase() } else { key.to_owned() }
    }
}
