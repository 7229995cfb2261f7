//! Whether a type of the table accepts a value, and the fault if it does not.

use regex_lite::Regex;
use serde_json::{Map, Value};

use super::Fault;

/// How many allowed words a message lists.
const MAXIMUM_WORDS: usize = 8;

/// The fault in the value of a key, or `None` if the type accepts it.
pub(super) fn fault(kind: &Value, value: &Value, key: &str) -> Option<Fault> {
    let Some((name, inner)) = kind.as_object().and_then(|kind| kind.iter().next()) else {
        return (!is_of(kind.as_str().unwrap_or("any"), value)).then(|| wrong(kind, value, key));
    };
    let item = |entry: &Value, index: usize| fault(inner, entry, &format!("{key}[{index}]"));
    match (name.as_str(), value) {
        ("array", Value::Array(items)) if is_within(kind, items.len()) => {
            items.iter().enumerate().find_map(|(index, entry)| item(entry, index))
        }
        ("record", Value::Object(entries)) => {
            entries.iter().find_map(|(name, entry)| fault(inner, entry, &format!("{key}.{name}")))
        }
        ("object", Value::Object(entries)) => of_an_object(kind, inner, entries, key),
        ("tagged", Value::Object(entries)) => of_a_tagged(kind, inner.as_str().unwrap_or_default(), entries, key),
        ("union", _) => of_a_union(inner.as_array()?, value, key),
        ("not", _) if fault(inner, value, key).is_some() => None,
        ("one", _) if inner.as_array()?.contains(value) => None,
        ("string", Value::String(text)) if is_text(inner, text) => None,
        ("number", Value::Number(number)) if is_number(inner, number.as_f64()?) => None,
        _ => Some(wrong(kind, value, key)),
    }
}

fn of_an_object(kind: &Value, fields: &Value, entries: &Map<String, Value>, key: &str) -> Option<Fault> {
    let required = kind["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let missing = required.into_iter().find(|name| !entries.contains_key(*name));
    if let Some(name) = missing {
        return Some(Fault { key: format!("{key}.{name}"), reason: "is missing".to_owned() });
    }
    entries.iter().find_map(|(name, entry)| {
        let path = format!("{key}.{name}");
        match fields.get(name) {
            Some(field) => fault(field, entry, &path),
            None if kind["closed"] == true => Some(Fault { key: path, reason: "is not a known key".to_owned() }),
            None => None,
        }
    })
}

/// An object whose type depends on the value of one key.
fn of_a_tagged(kind: &Value, tag: &str, entries: &Map<String, Value>, key: &str) -> Option<Fault> {
    let by = kind["by"].as_object()?;
    let said = entries.get(tag).unwrap_or(&Value::Null);
    if let Some(option) = said.as_str().and_then(|said| by.get(said)) {
        return of_an_object(option, &option["object"], entries, key);
    }
    let words: Vec<_> = by.keys().map(|word| format!("`{word}`")).collect();
    Some(Fault { key: format!("{key}.{tag}"), reason: format!("must be {}", listed(&words)) })
}

/// If exactly one option accepts values of this kind, its fault is more helpful than saying that no option matches.
fn of_a_union(options: &[Value], value: &Value, key: &str) -> Option<Fault> {
    let faults: Option<Vec<_>> = options.iter().map(|option| fault(option, value, key)).collect();
    let deep = faults?.into_iter().find(|fault| fault.key != key);
    deep.or_else(|| Some(wrong(&serde_json::json!({ "union": options }), value, key)))
}

fn wrong(kind: &Value, value: &Value, key: &str) -> Fault {
    let (wanted, found) = (described(kind), described_value(value));
    let not = if wanted == found { String::new() } else { format!(", not {found}") };
    Fault { key: key.to_owned(), reason: format!("must be {wanted}{not}") }
}

fn is_of(kind: &str, value: &Value) -> bool {
    match kind {
        "string" => value.is_string(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        _ => true,
    }
}

fn is_within(kind: &Value, length: usize) -> bool {
    let bound = |name: &str| kind[name].as_u64().and_then(|bound| usize::try_from(bound).ok());
    bound("min").is_none_or(|least| length >= least) && bound("max").is_none_or(|most| length <= most)
}

fn is_text(rules: &Value, text: &str) -> bool {
    let matches = |pattern: &str| Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(text));
    is_within(rules, text.encode_utf16().count())
        && rules["pattern"].as_str().is_none_or(matches)
        && rules["starts"].as_str().is_none_or(|start| text.starts_with(start))
        && (rules.get("url").is_none() || is_url(text))
}

/// Whether the client can parse a text as a URL: a scheme, and a host for web schemes.
fn is_url(text: &str) -> bool {
    let Some((scheme, rest)) = text.trim().split_once(':') else { return false };
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    let is_of_the_web = ["http", "https", "ws", "wss", "ftp"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
    let authority = rest.trim_start_matches(['/', '\\']).split(['/', '\\', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let (name, port) = host.rsplit_once(':').filter(|_| !host.ends_with(']')).unwrap_or((host, ""));
    let is_host = !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || "<>^|%".contains(c));
    is_scheme && (!is_of_the_web || is_host && (port.is_empty() || port.parse::<u16>().is_ok()))
}

fn is_number(rules: &Value, number: f64) -> bool {
    let holds = |name: &str, holds: fn(f64, f64) -> bool| rules[name].as_f64().is_none_or(|bound| holds(number, bound));
    let is_integer = || number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_991.0;
    (rules["integer"] != true || is_integer())
        && holds("min", |a, b| a >= b)
        && holds("max", |a, b| a <= b)
        && holds("above", |a, b| a > b)
        && holds("below", |a, b| a < b)
}

/// What a type accepts, to follow "must be".
fn described(kind: &Value) -> String {
    let Some((name, inner)) = kind.as_object().and_then(|kind| kind.iter().next()) else {
        return match kind.as_str().unwrap_or_default() {
            "string" => "a string",
            "number" => "a number",
            "boolean" => "true or false",
            "null" => "null",
            _ => "another value",
        }
        .to_owned();
    };
    match name.as_str() {
        "one" => {
            listed(&inner.as_array().into_iter().flatten().map(|word| format!("`{}`", shown(word))).collect::<Vec<_>>())
        }
        "string" if inner.get("url").is_some() => "a URL".to_owned(),
        "string" if inner.get("pattern").is_some() => {
            format!("a string like {}", inner["pattern"].as_str().unwrap_or_default())
        }
        "string" if inner["min"] == 1 && inner.get("max").is_none() => "a string that is not empty".to_owned(),
        "string" => "a string of another length".to_owned(),
        "number" => described_number(inner),
        "array" if kind.get("min").is_some() || kind.get("max").is_some() => "a list of another length".to_owned(),
        "array" => "a list".to_owned(),
        "record" | "object" | "tagged" => "an object".to_owned(),
        "union" => {
            let mut options: Vec<_> = inner.as_array().into_iter().flatten().map(described).collect();
            options.dedup();
            listed(&options)
        }
        _ => "another value".to_owned(),
    }
}

fn described_number(rules: &Value) -> String {
    let what = if rules["integer"] == true { "a whole number" } else { "a number" };
    let bounds = [("above", "above"), ("min", "of at least"), ("below", "below"), ("max", "of at most")];
    let bounds = bounds.iter().filter_map(|(name, words)| Some(format!(" {words} {}", rules.get(name)?)));
    let bounds: Vec<_> = bounds.collect();
    format!("{what}{}", bounds.join(" and"))
}

fn shown(word: &Value) -> String {
    word.as_str().map_or_else(|| word.to_string(), str::to_owned)
}

fn listed(words: &[String]) -> String {
    match words {
        [] => "left out".to_owned(),
        [only] => only.clone(),
        [rest @ .., last] if words.len() <= MAXIMUM_WORDS => format!("{} or {last}", rest.join(", ")),
        _ => format!("{} or one of {} others", words[..MAXIMUM_WORDS].join(", "), words.len() - MAXIMUM_WORDS),
    }
}

fn described_value(value: &Value) -> String {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
    .to_owned()
}
