//! What helper commands answer: a bare value for one header, or a JSON object for all of them. No error shows a value.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use hyper::header::{HeaderName, HeaderValue};
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde_json::error::Category;

use super::{Command, Fetched, Secret};
use crate::helper::{self, Ground};

/// Headers that frame a message or that the exporter sets itself (RFC 9110, RFC 9112).
const FRAMING: [&str; 11] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Whether a header, by its name in lower case, frames the message and is nobody's to set.
pub fn frames(name: &str) -> bool {
    FRAMING.contains(&name) || name.starts_with("grpc-")
}

/// Runs the command of a `headers_helper` and gives the headers that it answers with, by their names in lower case.
/// Takes as long as the command does.
///
/// Two answers are understood: header names to strings, as Claude Code's `otelHeadersHelper` prints them, and the same
/// under `headers` beside an `expires_at` (RFC 3339), which says more than the command's `ttl`. Errors begin as what is
/// said of the command.
pub fn headers(command: &Command, ground: Ground<'_>) -> Result<BTreeMap<String, Fetched>, String> {
    read(&printed(command, ground)?, command.ttl)
}

/// Runs a command for one value. Errors begin as what is said of the command.
pub fn value(command: &Command, ground: Ground<'_>) -> Result<String, String> {
    printed(command, ground).and_then(bare)
}

fn printed(command: &Command, ground: Ground<'_>) -> Result<String, String> {
    if command.interactive {
        return Err("talks to its user, and is asked at the next launch".to_owned());
    }
    helper::run(&command.argv, ground, command.timeout)
}

/// A value by itself, as a command printed it: one line of what a header may hold (RFC 9110, 5.5).
pub fn bare(printed: String) -> Result<String, String> {
    let is_allowed = |c: char| c == '\t' || !c.is_control();
    if let Some((at, _)) = printed.char_indices().find(|(_, c)| !is_allowed(*c)) {
        let before = &printed[..at];
        return Err(match &printed[at..] {
            rest if rest.starts_with(['\n', '\r']) => "printed more than one line: print the value alone".to_owned(),
            _ => format!("printed a control character, at line 1 column {}", before.chars().count() + 1),
        });
    }
    let is = |open: char, close: char| printed.trim().starts_with(open) && printed.trim().ends_with(close);
    if printed.trim().is_empty() {
        Err("printed nothing".to_owned())
    } else if is('{', '}') && serde_json::from_str::<de::IgnoredAny>(&printed).is_ok() {
        Err("printed a JSON object, which is an answer for `headers_helper`: for one header print the value alone"
            .to_owned())
    } else if printed.len() > 1 && is('"', '"') {
        Err("printed its value in quotes: print it without (`jq -r`)".to_owned())
    } else {
        Ok(printed)
    }
}

/// The headers of an answer that came just now, which are good for `ttl` unless they say so themselves.
pub fn read(printed: &str, ttl: Option<Duration>) -> Result<BTreeMap<String, Fetched>, String> {
    read_at(printed, ttl, Timestamp::now())
}

fn read_at(printed: &str, ttl: Option<Duration>, now: Timestamp) -> Result<BTreeMap<String, Fetched>, String> {
    if printed.trim().is_empty() {
        return Err("printed nothing: print a JSON object of headers".to_owned());
    }
    let answer: Answer = serde_json::from_str(printed).map_err(|error| wrong(&error))?;
    let fresh_for = match &answer.expires_at {
        Some(text) => Some(until(text, now)?),
        None => ttl,
    };
    let mut headers = BTreeMap::new();
    for (name, value) in answer.headers {
        // As it is sent: names ignore case.
        let name = name.to_ascii_lowercase();
        check(&name, &value)?;
        if headers.insert(name, Fetched { value: Secret(value), fresh_for }).is_some() {
            return Err("printed two headers of the same name; names ignore case".to_owned());
        }
    }
    if headers.is_empty() { Err("printed no header".to_owned()) } else { Ok(headers) }
}

fn check(name: &str, value: &str) -> Result<(), String> {
    if HeaderName::try_from(name).is_err() {
        // It may be the value of something else.
        return Err("printed a name that no header can have: letters, digits and -_ make one".to_owned());
    }
    if frames(name) {
        return Err(format!("printed the header `{name}`, which frames the message and cannot be set"));
    }
    if HeaderValue::try_from(value).is_err() {
        return Err("printed a value with a line break or another control character in it".to_owned());
    }
    Ok(())
}

/// How long it is until then; nothing if that is past.
fn until(expires_at: &str, now: Timestamp) -> Result<Duration, String> {
    let then: Timestamp = expires_at.parse().map_err(|_| {
        "printed an `expires_at` that is no time: write it as 2026-01-31T12:00:00Z (RFC 3339)".to_owned()
    })?;
    Ok(Duration::try_from(then.duration_since(now)).unwrap_or(Duration::ZERO))
}

/// Where and what, and nothing of what was printed: not all of what the parser says is fit to be shown.
fn wrong(error: &serde_json::Error) -> String {
    let (line, column) = (error.line(), error.column());
    let said = error.to_string();
    let said = said.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&said);
    let what = match error.classify() {
        Category::Io => "it cannot be read".to_owned(),
        // These are the parser's own words.
        Category::Syntax | Category::Eof => said.to_owned(),
        Category::Data => match said.strip_prefix("invalid type: ").and_then(|said| said.rsplit_once(", expected ")) {
            Some((found, expected)) => format!("expected {expected}, not {}", kind(found)),
            // Our own.
            None if OWN.contains(&said) => said.to_owned(),
            None => "it is not understood".to_owned(),
        },
    };
    format!("printed no JSON object of headers: line {line} column {}: {what}", column.max(1))
}

/// A type of JSON, of a value as the parser describes it.
fn kind(found: &str) -> &'static str {
    match found.split([' ', '`']).next() {
        Some("string") => "a string",
        Some("integer" | "floating" | "number") => "a number",
        Some("boolean") => "true or false",
        Some("map") => "an object",
        Some("sequence") => "a list",
        Some("null" | "unit") => "null",
        _ => "that",
    }
}

const ONE_FORM: &str = "beside `headers` stands nothing but `expires_at`";
const TWICE: &str = "a key that stands there twice";
const NO_HEADERS: &str = "`expires_at` stands beside `headers`: {\"headers\": {…}, \"expires_at\": \"…\"}";

/// What our own errors say.
const OWN: [&str; 3] = [ONE_FORM, TWICE, NO_HEADERS];

/// An answer of either form. Read by hand, since only so an error knows its place in the text.
struct Answer {
    headers: Vec<(String, String)>,
    expires_at: Option<String>,
}

impl<'de> Deserialize<'de> for Answer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(AnswerVisitor)
    }
}

struct AnswerVisitor;

impl<'de> Visitor<'de> for AnswerVisitor {
    type Value = Answer;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Answer, A::Error> {
        let (mut table, mut expires_at, mut texts) = (None, None, Vec::new());
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "headers" => match map.next_value()? {
                    TextOrTable::Text(text) => texts.push((key, text)),
                    TextOrTable::Table(_) if table.is_some() => return Err(de::Error::custom(TWICE)),
                    TextOrTable::Table(headers) => table = Some(headers),
                },
                "expires_at" if expires_at.is_some() => return Err(de::Error::custom(TWICE)),
                "expires_at" => expires_at = Some(map.next_value()?),
                _ => texts.push((key, map.next_value()?)),
            }
            if table.is_some() && !texts.is_empty() {
                return Err(de::Error::custom(ONE_FORM));
            }
        }
        match (table, expires_at) {
            (Some(headers), expires_at) => Ok(Answer { headers, expires_at }),
            (None, None) => Ok(Answer { headers: texts, expires_at: None }),
            (None, Some(_)) => Err(de::Error::custom(NO_HEADERS)),
        }
    }
}

/// What stands under `headers`: a header of that name, or all of them.
enum TextOrTable {
    Text(String),
    Table(Vec<(String, String)>),
}

impl<'de> Deserialize<'de> for TextOrTable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextOrTableVisitor)
    }
}

struct TextOrTableVisitor;

impl<'de> Visitor<'de> for TextOrTableVisitor {
    type Value = TextOrTable;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object of headers")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<TextOrTable, E> {
        Ok(TextOrTable::Text(text.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<TextOrTable, A::Error> {
        let mut headers = Vec::new();
        while let Some(header) = map.next_entry()? {
            headers.push(header);
        }
        Ok(TextOrTable::Table(headers))
    }
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
