//! Checks a tree against the keys of its tables.

use super::value::{MAXIMUM_PERCENTAGE, amount, duration, guess, percentage, quoted};
use super::{DYNAMIC, Key, Kind, SOURCES, VARIABLE};
use crate::profile::diagnostic::Diagnostic;
use crate::profile::status_line::{Format, FormatError};
use crate::profile::tree::{Entries, Node, Value};

/// Checks a tree against the keys of a table: unknown keys, wrong types, invalid words.
pub(crate) fn check(table: &Entries, keys: &'static [Key], place: &str, faults: &mut Vec<Diagnostic>) {
    for (name, node) in table {
        match keys.iter().find(|key| key.name == name) {
            Some(key) => check_value(node, &key.kind, &below(place, name), faults),
            None => faults.push(unknown(name, node, &keys.iter().map(|key| key.name).collect::<Vec<_>>(), place)),
        }
    }
}

/// Removes unknown keys from a table, and returns a fault for each.
pub(crate) fn take_unknown(table: &mut Entries, keys: &'static [Key]) -> Vec<Diagnostic> {
    let known: Vec<_> = keys.iter().map(|key| key.name).collect();
    let names: Vec<String> = table.keys().filter(|name| !known.contains(&name.as_str())).cloned().collect();
    let taken = names.into_iter().filter_map(|name| Some(unknown(&name, &table.remove(&name)?, &known, "")));
    taken.collect()
}

fn below(place: &str, name: &str) -> String {
    if place.is_empty() { name.to_owned() } else { format!("{place}.{name}") }
}

fn unknown(name: &str, node: &Node, known: &[&str], place: &str) -> Diagnostic {
    let place = if place.is_empty() { String::new() } else { format!(" in `{place}`") };
    let fault = Diagnostic::at(&node.key, format!("unknown key `{name}`{place}"));
    fault.help(match guess(name, known) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("allowed here: {}", known.join(", ")),
    })
}

fn check_value(node: &Node, kind: &'static Kind, place: &str, faults: &mut Vec<Diagnostic>) {
    match (kind, &node.value) {
        (Kind::Any, _)
        | (Kind::Text | Kind::Names | Kind::Dynamic | Kind::Variable | Kind::Source, Value::Text(_))
        | (Kind::Bool, Value::Bool(_)) => {}
        (Kind::Duration, Value::Text(text)) if duration(text).is_some() => {}
        (Kind::Duration, Value::Text(text)) => {
            let fault = Diagnostic::at(&node.origin, format!("`{text}` is not a valid duration for `{place}`"));
            faults.push(fault.help("write, for example, \"10s\" or \"1m 30s\", above zero"));
        }
        (Kind::Format, Value::Text(text)) => {
            if let Err(FormatError { message, help }) = text.parse::<Format>() {
                faults.push(Diagnostic::at(&node.origin, format!("`{place}`: {message}")).help(help));
            }
        }
        (Kind::Choice(words), Value::Text(text)) => check_choice(node, text, words, place, faults),
        (Kind::Choices(words), Value::List(items)) => {
            for item in items {
                match &item.value {
                    Value::Text(text) => check_choice(item, text, words, place, faults),
                    _ => faults.push(wrong_type(item, kind, place)),
                }
            }
        }
        (Kind::Texts | Kind::Names | Kind::Command, Value::List(items)) => {
            let others = items.iter().filter(|item| !matches!(item.value, Value::Text(_)));
            faults.extend(others.map(|item| wrong_type(item, kind, place)));
            if matches!(kind, Kind::Command) && items.is_empty() {
                faults.push(Diagnostic::at(&node.origin, format!("`{place}` is empty: it needs a program")));
            }
        }
        (Kind::Source, Value::List(items)) => {
            for item in items {
                check_value(item, &Kind::Source, place, faults);
            }
        }
        (Kind::Dynamic | Kind::Variable | Kind::Source, Value::Table(table)) => {
            check_source(node, table, kind, place, faults);
        }
        (Kind::Table(keys), Value::Table(table)) => check(table, keys, place, faults),
        (Kind::Map(kind), Value::Table(table)) => {
            for (name, node) in table {
                check_value(node, kind, &below(place, name), faults);
            }
        }
        (Kind::Amount, Value::Integer(_) | Value::Float(_)) => check_amount(node, place, faults),
        (Kind::Percentages, Value::List(items)) => {
            for item in items {
                check_percentage(item, place, faults);
            }
        }
        (Kind::Tables(kinds), Value::List(items)) => {
            for item in items {
                check_one_of(item, kinds, place, faults);
            }
        }
        _ => faults.push(wrong_type(node, kind, place)),
    }
}

fn check_amount(node: &Node, place: &str, faults: &mut Vec<Diagnostic>) {
    if amount(&node.value).is_none() {
        let fault = Diagnostic::at(&node.origin, format!("`{place}` is not a valid amount"));
        faults.push(fault.help("write US dollars, for example 20 or 2.5, above zero"));
    }
}

fn check_percentage(item: &Node, place: &str, faults: &mut Vec<Diagnostic>) {
    match item.value {
        Value::Integer(_) if percentage(&item.value).is_some() => {}
        Value::Integer(_) | Value::Float(_) => {
            let fault = Diagnostic::at(&item.origin, format!("`{place}` has a percentage that is not valid"));
            faults.push(fault.help(format!("write whole numbers from 1 to {MAXIMUM_PERCENTAGE}")));
        }
        _ => faults.push(wrong_type(item, &Kind::Percentages, place)),
    }
}

/// Checks a table that its first key identifies.
fn check_one_of(item: &Node, kinds: &[&'static [Key]], place: &str, faults: &mut Vec<Diagnostic>) {
    let names: Vec<&str> = kinds.iter().map(|keys| keys[0].name).collect();
    let Some(table) = item.entries() else {
        let fault = Diagnostic::at(&item.origin, format!("`{place}` has {} where a table belongs", item.value.kind()));
        return faults.push(fault.help(format!("allowed: a table with one of {}", names.join(", "))));
    };
    if let Some(keys) = kinds.iter().find(|keys| table.contains_key(keys[0].name)) {
        return check(table, keys, place, faults);
    }
    let written = table.keys().next().map(String::as_str).unwrap_or_default();
    let fault = Diagnostic::at(&item.origin, format!("an entry of `{place}` has no `{}`", names.join("` or `")));
    faults.push(fault.help(match guess(written, &names) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("allowed: a table with one of {}", names.join(", ")),
    }));
}

fn check_choice(node: &Node, text: &str, words: &[&str], place: &str, faults: &mut Vec<Diagnostic>) {
    if !words.contains(&text) {
        let fault = Diagnostic::at(&node.origin, format!("`{text}` is not a valid value of `{place}`"));
        faults.push(fault.help(match guess(text, words) {
            Some(meant) => format!("did you mean \"{meant}\"?"),
            None => format!("allowed: {}", quoted(words)),
        }));
    }
}

/// A source is identified by its first key.
fn check_source(node: &Node, table: &Entries, kind: &Kind, place: &str, faults: &mut Vec<Diagnostic>) {
    let dynamic = matches!(kind, Kind::Dynamic | Kind::Variable);
    let allowed = SOURCES.iter().filter(|keys| !dynamic || DYNAMIC.contains(&keys[0].name));
    let allowed: Vec<&[Key]> = allowed.copied().collect();
    if let Some(keys) = allowed.iter().find(|keys| table.contains_key(keys[0].name)) {
        return check(table, keys, place, faults);
    }
    let own = VARIABLE.iter().filter(|_| matches!(kind, Kind::Variable));
    let names: Vec<&str> = allowed.iter().map(|keys| keys[0].name).chain(own.map(|key| key.name)).collect();
    let written = table.keys().next().map(String::as_str).unwrap_or_default();
    let fault = Diagnostic::at(&node.origin, format!("`{place}` names no source for its value"));
    faults.push(fault.help(match guess(written, &names) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("allowed: a string, or a table with one of {}", names.join(", ")),
    }));
}

fn wrong_type(node: &Node, kind: &Kind, place: &str) -> Diagnostic {
    let allowed = match kind {
        Kind::Text | Kind::Duration | Kind::Choice(_) | Kind::Format => "a string",
        Kind::Bool => "`true` or `false`",
        Kind::Choices(_) | Kind::Texts | Kind::Command => "a list of strings",
        Kind::Names => "a string or a list of strings",
        Kind::Dynamic | Kind::Variable => "a string or a source",
        Kind::Source => "a string, a source or a list of sources",
        Kind::Amount => "an amount in US dollars",
        Kind::Percentages => "a list of percentages",
        Kind::Tables(_) => "a list of tables",
        Kind::Table(_) | Kind::Map(_) => "a table",
        Kind::Any => "anything",
    };
    Diagnostic::at(&node.origin, format!("`{place}` is {} where {allowed} belongs", node.value.kind()))
}
