//! Finds and renames `${name}` placeholders in strings.

use std::collections::{BTreeMap, BTreeSet};

use super::tree::{Node, Value};

/// The names of the variables that the strings of a tree use.
pub(super) fn names(root: &Node, found: &mut BTreeSet<String>) {
    let entries = root.entries().into_iter().flatten();
    entries.filter(|(key, _)| has_variables(key)).for_each(|(_, node)| names_in(node, found));
}

/// The names of the variables that the strings of a value use.
pub(super) fn names_in(node: &Node, found: &mut BTreeSet<String>) {
    match &node.value {
        Value::Text(text) => {
            let mut rest = text.as_str();
            while let Some((before, from)) = rest.split_once("${") {
                rest = from;
                if let Some((name, after)) = from.split_once('}').filter(|_| !before.ends_with('$')) {
                    found.insert(name.to_owned());
                    rest = after;
                }
            }
        }
        Value::List(items) => items.iter().for_each(|item| names_in(item, found)),
        Value::Table(entries) => entries.values().for_each(|below| names_in(below, found)),
        _ => {}
    }
}

/// Whether variables are expanded below this key of the root.
pub(super) fn has_variables(key: &str) -> bool {
    !["extends", "unset"].contains(&key) && !key.starts_with("vars")
}

/// A text with its variables renamed.
pub(super) fn renamed(text: &str, names: &BTreeMap<String, String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (before, from) = rest.split_at(start);
        out.push_str(before);
        out.push_str("${");
        rest = &from[2..];
        if before.ends_with('$') {
            continue;
        }
        if let Some((name, after)) = rest.split_once('}')
            && let Some(other) = names.get(name)
        {
            out.extend([other, "}"]);
            rest = after;
        }
    }
    out + rest
}
