//! Properties of merging, expanding and checking arbitrary layers.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::built_in::BUILT_IN;
use super::document::Document;
use super::tree::{Node, Value, merge, parse};
use super::{Directories, check_document};

/// Keys for values: a name with a dot, one that ignores case, a source that is one value. No layer has a table where
/// another has a value: merging would then not be associative, because a value in between separates the tables around
/// it.
const PLACES: [&[&str]; 14] = [
    &["description"],
    &["signals", "metrics"],
    &["settings", "deep", "er"],
    &["settings", "deep.er"],
    &["destination", "a", "endpoint"],
    &["destination", "a.b", "endpoint"],
    &["team", "id"],
    &["resource", "team.id"],
    &["resource", "id"],
    &["vars", "region"],
    &["env", "A.B"],
    &["destination", "a", "headers", "X-Key"],
    &["destination", "a", "headers", "Authorization"],
    &["destination", "a.b", "headers", "X-Key"],
];

/// From here on they may be sources, which are values although they are written as tables.
const FIRST_SOURCE: usize = 6;

/// Paths to unset. Some match nothing, and some can be read in two ways.
const PATHS: [&str; 12] = [
    "description",
    "settings.deep.er",
    "settings.deep",
    "destination",
    "destination.a",
    "destination.a.b",
    "destination.a.b.headers.x-key",
    "destination.a.headers.X-KEY",
    "resource.team.id",
    "team.id",
    "nothing.at.all",
    "unset",
];

/// A value as TOML writes it.
fn written(may_be_source: bool) -> impl Strategy<Value = &'static str> {
    let values = ["\"a\"", "\"${b}\"", "true", "3", "[\"a\", \"b\"]", "[]"];
    let sources = ["{ env = \"A\" }", "{ file = \"f\", format = \"{}\" }", "[{ env = \"A\" }, { keyring = \"k\" }]"];
    select(values.into_iter().chain(sources.into_iter().filter(|_| may_be_source)).collect::<Vec<_>>())
}

/// A layer: its values by place, the case in which it writes headers, and what it unsets.
#[derive(Clone, Debug)]
struct Layer {
    said: BTreeMap<usize, &'static str>,
    is_upper: bool,
    unset: Option<Vec<&'static str>>,
}

fn layer() -> impl Strategy<Value = Layer> {
    let said = btree_map(0..PLACES.len(), written(true), 0..8).prop_map(|mut said| {
        said.retain(|place, value| *place >= FIRST_SOURCE || !value.starts_with('{'));
        said
    });
    (said, any::<bool>(), prop::option::of(vec(select(&PATHS[..]), 0..3))).prop_map(|(said, is_upper, unset)| Layer {
        said,
        is_upper,
        unset,
    })
}

impl Layer {
    fn parse(&self, label: &str) -> Node {
        let mut text = String::new();
        if let Some(unset) = &self.unset {
            writeln!(text, "unset = {unset:?}").unwrap();
        }
        for (place, value) in &self.said {
            let key: Vec<_> = PLACES[*place].iter().map(|part| format!("{part:?}")).collect();
            let key = key.join(".");
            let key = if self.is_upper { key.replace("X-Key", "X-KEY") } else { key };
            writeln!(text, "{key} = {value}").unwrap();
        }
        parse(&Arc::new(Document { label: label.to_owned(), text })).unwrap()
    }
}

fn parse_all(layers: &[Layer]) -> Vec<Node> {
    layers.iter().enumerate().map(|(number, layer)| layer.parse(&number.to_string())).collect()
}

/// The expected value of each place and the layer it comes from, worked out place by place without a tree.
fn expected(layers: &[Layer]) -> BTreeMap<String, (String, String)> {
    let mut said = BTreeMap::new();
    for (number, layer) in layers.iter().enumerate() {
        let unset: Vec<_> = layer.unset.iter().flatten().map(|path| path.to_ascii_lowercase()).collect();
        said.retain(|place: &usize, _| {
            let parts = PLACES[*place];
            let prefixes = (1..=parts.len()).map(|length| parts[..length].join(".").to_ascii_lowercase());
            !prefixes.into_iter().any(|prefix| unset.contains(&prefix))
        });
        said.extend(layer.said.iter().map(|(place, value)| (*place, ((*value).to_owned(), number.to_string()))));
    }
    let name = |place: usize| {
        let mut parts: Vec<_> = PLACES[place].iter().map(|part| (*part).to_owned()).collect();
        if parts.get(2).is_some_and(|part| part == "headers") {
            parts[3].make_ascii_lowercase();
        }
        format!("{parts:?}")
    };
    said.into_iter().map(|(place, value)| (name(place), value)).collect()
}

/// The value of each place, as the text of its origin has it, and its layer.
fn found(node: &Node, path: &mut Vec<String>, values: &mut BTreeMap<String, (String, String)>) {
    for (key, below) in node.entries().unwrap() {
        path.push(key.clone());
        let is_value = matches!(path[0].as_str(), "team" | "resource" | "vars" | "env") && path.len() == 2
            || path.len() == 4 && path[2] == "headers";
        if below.entries().is_some() && !is_value {
            found(below, path, values);
        } else if path[0] != "unset" {
            let (document, span) = (&below.origin.document, below.origin.span.clone());
            // The node holds what its origin says.
            let text = format!("x = {}", &document.text[span.clone()]);
            let again = parse(&Arc::new(Document { label: String::new(), text })).unwrap();
            assert_eq!(plain(below), plain(again.get("x").unwrap()));
            values.insert(format!("{path:?}"), (document.text[span].to_owned(), document.label.clone()));
        }
        path.pop();
    }
}

fn plain(node: &Node) -> String {
    match &node.value {
        Value::Table(entries) => format!("{:?}", entries.iter().map(|(k, v)| (k, plain(v))).collect::<Vec<_>>()),
        Value::List(items) => format!("{:?}", items.iter().map(plain).collect::<Vec<_>>()),
        value => format!("{value:?}"),
    }
}

/// Everything about a tree: values, and the places of values and keys.
fn whole(node: &Node) -> String {
    let inner = match &node.value {
        Value::Table(entries) => format!("{:?}", entries.iter().map(|(k, v)| (k, whole(v))).collect::<Vec<_>>()),
        Value::List(items) => format!("{:?}", items.iter().map(whole).collect::<Vec<_>>()),
        value => format!("{value:?}"),
    };
    format!("{inner}@{}:{:?}/{}", node.origin, node.origin.span, node.key)
}

/// Parses, merges over what it extends, expands, checks and reads a text.
fn read(text: String) {
    let document = Arc::new(Document { label: "random".to_owned(), text });
    let nowhere = Path::new("/nonexistent");
    let directories = Directories { system: nowhere, user: nowhere, inherited: None };
    match check_document(&document, directories) {
        Ok(resolved) => drop(resolved.lines()),
        Err(faults) => assert!(!faults.render(true).is_empty() && !faults.to_string().is_empty()),
    }
}

proptest! {
    #[test]
    fn merging_is_associative(layers in vec(layer(), 3)) {
        let [a, b, c] = parse_all(&layers).try_into().unwrap();
        let left = merge(merge(a.clone(), b.clone()), c.clone());
        let right = merge(a, merge(b, c));
        prop_assert_eq!(whole(&left), whole(&right));
    }

    #[test]
    fn the_last_layer_wins_for_each_key_and_no_other_key_is_lost(layers in vec(layer(), 1..6)) {
        let merged = parse_all(&layers).into_iter().reduce(merge).unwrap();
        let mut values = BTreeMap::new();
        found(&merged, &mut Vec::new(), &mut values);
        prop_assert_eq!(values, expected(&layers));
    }

    #[test]
    fn any_text_can_be_checked(text in ".{0,300}") {
        read(text);
    }

    #[test]
    fn any_change_of_a_shipped_profile_can_be_checked(
        chosen in select(&BUILT_IN[..]),
        edits in vec((any::<Index>(), any::<Index>(), select(&PIECES[..])), 1..6),
    ) {
        let mut characters: Vec<char> = chosen.1.chars().collect();
        for (start, length, piece) in edits {
            let start = start.index(characters.len() + 1);
            let end = (start + length.index(12)).min(characters.len());
            characters.splice(start..end, piece.chars());
        }
        read(characters.into_iter().collect());
    }
}

/// Text that is inserted into profiles to break them.
const PIECES: [&str; 22] = [
    "",
    "\"",
    "'''",
    "[",
    "]]",
    "{",
    "}",
    "=",
    ".",
    "${",
    "$${",
    "}",
    "\n",
    "\r",
    "\0",
    "\u{202e}",
    "é😀",
    "1e999",
    "0x_",
    "1979-05-27T07:32:00Z",
    "extends = \"otlp\"\n",
    "\"\\uD800\"",
];
