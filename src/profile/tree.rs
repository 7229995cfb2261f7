//! Trees of values that remember their places, and how layers of trees merge.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostic::{Diagnostic, Faults};
use super::document::{Document, Origin};
use crate::system::hidden::Hidden;

/// A value with its place.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// The value.
    pub value: Value,
    /// The place of the value.
    pub origin: Origin,
    /// The place of its key. For the root and for list items, the place of the value.
    pub key: Origin,
}

/// A TOML value, as far as profiles use it.
#[derive(Clone)]
pub(crate) enum Value {
    /// A table, by key.
    Table(BTreeMap<String, Node>),
    /// A list.
    List(Vec<Node>),
    /// A string.
    Text(String),
    /// `true` or `false`.
    Bool(bool),
    /// An integer, which only other programs' settings use.
    Integer(i64),
    /// A float, likewise.
    Float(f64),
    /// A date or time as written. No key accepts one.
    Date(String),
}

/// Does not show the text, which may contain keys.
impl fmt::Debug for Value {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Table(entries) => formatter.debug_map().entries(entries).finish(),
            Self::List(items) => formatter.debug_list().entries(items).finish(),
            Self::Text(_) | Self::Date(_) => Hidden.fmt(formatter),
            Self::Bool(truth) => truth.fmt(formatter),
            Self::Integer(number) => number.fmt(formatter),
            Self::Float(number) => number.fmt(formatter),
        }
    }
}

/// The entries of a table.
pub(crate) type Entries = BTreeMap<String, Node>;

impl Node {
    /// The node's entries, if it is a table.
    pub(crate) fn entries(&self) -> Option<&Entries> {
        if let Value::Table(entries) = &self.value { Some(entries) } else { None }
    }

    /// The value of a key, if the node is a table that has it.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        self.entries()?.get(key)
    }

    /// The node's text, if it is a string.
    pub(crate) fn text(&self) -> Option<&str> {
        if let Value::Text(text) = &self.value { Some(text) } else { None }
    }

    /// The strings of a list, or a single string as a list of one.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (&str, &Self)> {
        let items = if let Value::List(items) = &self.value { items.as_slice() } else { std::slice::from_ref(self) };
        items.iter().filter_map(|item| Some((item.text()?, item)))
    }
}

impl Value {
    /// The name of the type in messages.
    pub(crate) fn kind(&self) -> &'static str {
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

/// Parses a document. Reports all syntax errors at once.
pub(crate) fn parse(document: &Arc<Document>) -> Result<Node, Faults> {
    let (root, errors) = DeTable::parse_recoverable(&document.text);
    let mut reader = Reader { document, faults: Vec::new() };
    if !errors.is_empty() {
        let fault = |error: &toml::de::Error| {
            let origin = reader.place(error.span().unwrap_or(0..0));
            Diagnostic::at(&origin, format!("invalid TOML: {}", error.message()))
        };
        return Err(Faults(errors.iter().map(fault).collect()));
    }
    let origin = reader.place(0..0);
    let value = reader.table(root.into_inner(), Path::Root);
    if reader.faults.is_empty() { Ok(Node { value, key: origin.clone(), origin }) } else { Err(Faults(reader.faults)) }
}

struct Reader<'a> {
    document: &'a Arc<Document>,
    faults: Vec<Diagnostic>,
}

impl Reader<'_> {
    fn place(&self, span: Range<usize>) -> Origin {
        Origin { document: Arc::clone(self.document), span }
    }

    fn table(&mut self, written: DeTable<'_>, path: Path) -> Value {
        let mut entries = Entries::new();
        for (key, value) in written {
            let name = path.canonical(key.get_ref());
            let node = self.node(value, key.span(), path.below(&name));
            if let Some(other) = entries.get(name.as_ref()) {
                self.faults.push(twice(&name, other, &node));
            }
            entries.insert(name.into_owned(), node);
        }
        Value::Table(entries)
    }

    fn node(&mut self, value: Spanned<DeValue<'_>>, key: Range<usize>, path: Path) -> Node {
        let (origin, key) = (self.place(value.span()), self.place(key));
        let value = match value.into_inner() {
            DeValue::String(text) => Value::Text(text.into_owned()),
            DeValue::Boolean(truth) => Value::Bool(truth),
            DeValue::Table(entries) => self.table(entries, path),
            DeValue::Array(items) => Value::List(
                items
                    .into_iter()
                    .map(|item| {
                        let span = item.span();
                        self.node(item, span, Path::Value)
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
}

/// The TOML is valid if a header is written twice in different case, but it is unclear which one is meant.
fn twice(name: &str, one: &Node, other: &Node) -> Diagnostic {
    let second = if one.key.span.start < other.key.span.start { other } else { one };
    Diagnostic::at(&second.key, format!("header `{name}` is set twice: header names ignore case")).secret()
}

/// Layers `upper` on `lower`. What `upper` unsets is removed first, then tables merge key by key, and other values are
/// replaced.
///
/// A value of `[vars]`, `[team]`, `[resource]`, `[env]` or a header is one value even if it is written as a table,
/// because the keys of different sources do not combine. What each layer unsets is kept, because the result may be
/// layered on further layers.
pub(crate) fn merge(mut lower: Node, mut upper: Node) -> Node {
    for (path, _) in upper.get("unset").into_iter().flat_map(Node::texts).filter(|(path, _)| *path != "unset") {
        remove(&mut lower, path);
    }
    if let (Some(Value::List(before)), Some(Value::List(after))) = (unset(&mut lower), unset(&mut upper)) {
        after.splice(0..0, before.drain(..));
    }
    merge_at(lower, upper, Path::Root)
}

/// The `unset` list of a layer.
fn unset(node: &mut Node) -> Option<&mut Value> {
    let Value::Table(entries) = &mut node.value else { return None };
    entries.get_mut("unset").map(|unset| &mut unset.value)
}

/// Removes the value at a dotted path. Keys may contain dots, so every reading of the path is tried.
pub(crate) fn remove(node: &mut Node, path: &str) {
    remove_at(node, path, Path::Root);
}

fn remove_at(node: &mut Node, path: &str, at: Path) {
    let Value::Table(entries) = &mut node.value else { return };
    entries.remove(at.canonical(path).as_ref());
    for (key, below) in entries.iter_mut() {
        if let Some(rest) = at.rest(path, key) {
            remove_at(below, rest, at.below(key));
        }
    }
}

/// Copies the value at a dotted path of `from` to the same path of `onto`, and returns what was copied.
pub(crate) fn graft<'a>(onto: &mut Node, from: &'a Node, path: &str) -> Vec<&'a Node> {
    let mut grafted = Vec::new();
    graft_at(onto, from, path, Path::Root, &mut grafted);
    grafted
}

fn graft_at<'a>(onto: &mut Node, from: &'a Node, path: &str, at: Path, grafted: &mut Vec<&'a Node>) {
    let (Value::Table(table), Some(entries)) = (&mut onto.value, from.entries()) else { return };
    let name = at.canonical(path);
    if let Some(node) = entries.get(name.as_ref()) {
        table.insert(name.into_owned(), node.clone());
        grafted.push(node);
    }
    for (key, node) in entries {
        let Some(rest) = at.rest(path, key).filter(|rest| holds(node, rest, at.below(key))) else { continue };
        let empty = || Node { value: Value::Table(Entries::new()), ..node.clone() };
        let below = table.entry(key.clone()).or_insert_with(empty);
        if below.entries().is_none() {
            *below = empty();
        }
        graft_at(below, node, rest, at.below(key), grafted);
    }
}

/// The value at a dotted path. Keys may contain dots.
pub(crate) fn find<'a>(node: &'a Node, path: &str) -> Option<&'a Node> {
    find_at(node, path, Path::Root)
}

fn find_at<'a>(node: &'a Node, path: &str, at: Path) -> Option<&'a Node> {
    let entries = node.entries()?;
    let below = || entries.iter().find_map(|(key, node)| find_at(node, at.rest(path, key)?, at.below(key)));
    entries.get(at.canonical(path).as_ref()).or_else(below)
}

/// Whether there is a value at a dotted path.
fn holds(node: &Node, path: &str, at: Path) -> bool {
    let entries = node.entries();
    entries.is_some_and(|entries| entries.contains_key(at.canonical(path).as_ref()))
        || entries
            .into_iter()
            .flatten()
            .any(|(key, below)| at.rest(path, key).is_some_and(|rest| holds(below, rest, at.below(key))))
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

/// The part of a key's path that merging depends on.
#[derive(Clone, Copy, PartialEq)]
enum Path {
    Root,
    Destinations,
    Destination,
    /// Header names, which ignore case.
    Headers,
    /// A table whose entries are values.
    Values,
    /// A value, which is replaced as a whole.
    Value,
    /// Any other table.
    Table,
}

impl Path {
    fn below(self, key: &str) -> Self {
        match (self, key) {
            (Self::Root, "destination" | "source") => Self::Destinations,
            (Self::Root, "vars" | "team" | "resource" | "env") => Self::Values,
            (Self::Destinations, _) => Self::Destination,
            (Self::Destination, "headers") => Self::Headers,
            (Self::Destination, "password") | (Self::Headers | Self::Values | Self::Value, _) => Self::Value,
            _ => Self::Table,
        }
    }

    /// The form of a key that is compared.
    fn canonical(self, key: &str) -> Cow<'_, str> {
        if self == Self::Headers { key.to_ascii_lowercase().into() } else { key.into() }
    }

    /// The rest of a dotted path after a key.
    fn rest<'a>(self, path: &'a str, key: &str) -> Option<&'a str> {
        let (start, rest) = path.split_at_checked(key.len())?;
        (self.canonical(start) == key).then(|| rest.strip_prefix('.'))?
    }
}
