//! The output of helper commands: a single value for one header, or a JSON object of all headers. No error shows a
//! value.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use hyper::header::{HeaderName, HeaderValue};
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::error::Category;
use thiserror::Error;

use super::{Command, Fetched, Secret};
use crate::secret::command;
use crate::secret::command::FetchContext;

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

/// Whether a header, by its name in lower case, frames the message and must not be set.
pub fn frames(name: &str) -> bool {
    FRAMING.contains(&name) || name.starts_with("grpc-")
}

/// Runs the command of a `headers_helper` and returns the headers that it prints, by lower-case name. Takes as long as
/// the command does.
///
/// Two forms are accepted: an object of header names and strings, as for Claude Code's `otelHeadersHelper`, and the
/// same object under `headers` with an optional `expires_at` (RFC 3339), which overrides the command's `ttl`. Errors
/// continue the name of the command.
pub fn headers(command: &Command, context: FetchContext<'_>) -> Result<BTreeMap<String, Fetched>, String> {
    read(&printed(command, context)?, command.ttl)
}

/// Runs a command for one value. Errors continue the name of the command.
pub fn value(command: &Command, context: FetchContext<'_>) -> Result<String, String> {
    printed(command, context).and_then(bare)
}

fn printed(command: &Command, context: FetchContext<'_>) -> Result<String, String> {
    if command.interactive {
        return Err("is interactive and will be run at the next launch".to_owned());
    }
    command::run(&command.argv, context, command.timeout)
}

/// A single value as printed by a command: one line of characters that a header may contain (RFC 9110, 5.5).
pub fn bare(printed: String) -> Result<String, String> {
    let is_allowed = |c: char| c == '\t' || !c.is_control();
    if let Some((at, _)) = printed.char_indices().find(|(_, c)| !is_allowed(*c)) {
        let before = &printed[..at];
        return Err(match &printed[at..] {
            rest if rest.starts_with(['\n', '\r']) => "printed more than one line: print only the value".to_owned(),
            _ => format!("printed a control character, at line 1 column {}", before.chars().count() + 1),
        });
    }
    let is = |open: char, close: char| printed.trim().starts_with(open) && printed.trim().ends_with(close);
    if printed.trim().is_empty() {
        Err("printed nothing".to_owned())
    } else if is('{', '}') && serde_json::from_str::<de::IgnoredAny>(&printed).is_ok() {
        Err("printed a JSON object, which is for `headers_helper`: for one header, print only the value".to_owned())
    } else if printed.len() > 1 && is('"', '"') {
        Err("printed its value in quotes: print it without them (`jq -r`)".to_owned())
    } else {
        Ok(printed)
    }
}

/// Parses headers that were printed just now. They are valid for `ttl` unless they say otherwise.
pub fn read(printed: &str, ttl: Option<Duration>) -> Result<BTreeMap<String, Fetched>, String> {
    #[expect(clippy::disallowed_methods, reason = "the moment at which the answer came")]
    read_at(printed, ttl, Timestamp::now())
}

fn read_at(printed: &str, ttl: Option<Duration>, now: Timestamp) -> Result<BTreeMap<String, Fetched>, String> {
    if printed.trim().is_empty() {
        return Err("printed nothing: print a JSON object of headers".to_owned());
    }
    let fault = Cell::new(None);
    let mut parser = serde_json::Deserializer::from_str(printed);
    let answer = AnswerSeed(&fault).deserialize(&mut parser).and_then(|answer| parser.end().map(|()| answer));
    let answer = answer.map_err(|error| wrong(&error, fault.get()))?;
    let fresh_for = match &answer.expires_at {
        Some(text) => Some(until(text, now)?),
        None => ttl,
    };
    let mut headers = BTreeMap::new();
    for (name, value) in answer.headers {
        // Lower case, as sent: header names ignore case.
        let name = name.to_ascii_lowercase();
        check(&name, &value)?;
        if headers.insert(name, Fetched { value: Secret::from(value), fresh_for }).is_some() {
            return Err("printed two headers of the same name (names ignore case)".to_owned());
        }
    }
    if headers.is_empty() { Err("printed no header".to_owned()) } else { Ok(headers) }
}

fn check(name: &str, value: &str) -> Result<(), String> {
    if HeaderName::try_from(name).is_err() {
        // The key may be a secret.
        return Err("printed an invalid header name: use letters, digits, - and _".to_owned());
    }
    if frames(name) {
        return Err(format!("printed the header `{name}`, which frames the message and cannot be set"));
    }
    if HeaderValue::try_from(value).is_err() {
        return Err("printed a value with a line break or another control character".to_owned());
    }
    Ok(())
}

/// The time until a moment; zero if it is past.
fn until(expires_at: &str, now: Timestamp) -> Result<Duration, String> {
    let then: Timestamp = expires_at
        .parse()
        .map_err(|_| "printed an invalid `expires_at`: write it as 2026-01-31T12:00:00Z (RFC 3339)".to_owned())?;
    Ok(Duration::try_from(then.duration_since(now)).unwrap_or(Duration::ZERO))
}

/// The position and kind of an error, without any of the output: parts of the parser's message may not be shown. The
/// parser names the type that it found only in words; tests guard that.
fn wrong(error: &serde_json::Error, fault: Option<FormFault>) -> String {
    let (line, column) = (error.line(), error.column());
    let said = error.to_string();
    let said = said.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&said);
    let what = match (fault, error.classify()) {
        (Some(fault), _) => fault.to_string(),
        (None, Category::Io) => "it cannot be read".to_owned(),
        (None, Category::Syntax | Category::Eof) => said.to_owned(),
        (None, Category::Data) => {
            let types = said.strip_prefix("invalid type: ").and_then(|said| said.rsplit_once(", expected "));
            let said = |(found, expected)| format!("expected {expected}, not {}", kind(found));
            types.map_or_else(|| "unexpected content".to_owned(), said)
        }
    };
    format!("printed no JSON object of headers: line {line} column {}: {what}", column.max(1))
}

/// The name of a JSON type, from the parser's description of a value.
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

/// A fault in the form of an answer.
#[derive(Clone, Copy, Debug, Error)]
enum FormFault {
    #[error("only `expires_at` is allowed beside `headers`")]
    TwoForms,
    #[error("a duplicate key")]
    Twice,
    #[error("`expires_at` belongs beside `headers`: {{\"headers\": {{…}}, \"expires_at\": \"…\"}}")]
    NoHeaders,
}

/// An answer in either form. Deserialized by hand, because only then errors have positions.
struct Answer {
    headers: Vec<(String, String)>,
    expires_at: Option<String>,
}

/// Deserializes an answer, and records a fault in its form, which the parser's error cannot carry.
struct AnswerSeed<'a>(&'a Cell<Option<FormFault>>);

impl AnswerSeed<'_> {
    fn fail<E: de::Error>(&self, fault: FormFault) -> E {
        self.0.set(Some(fault));
        E::custom(fault)
    }
}

impl<'de> DeserializeSeed<'de> for AnswerSeed<'_> {
    type Value = Answer;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Answer, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for AnswerSeed<'_> {
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
                    TextOrTable::Table(_) if table.is_some() => return Err(self.fail(FormFault::Twice)),
                    TextOrTable::Table(headers) => table = Some(headers),
                },
                "expires_at" if expires_at.is_some() => return Err(self.fail(FormFault::Twice)),
                "expires_at" => expires_at = Some(map.next_value()?),
                _ => texts.push((key, map.next_value()?)),
            }
            if table.is_some() && !texts.is_empty() {
                return Err(self.fail(FormFault::TwoForms));
            }
        }
        match (table, expires_at) {
            (Some(headers), expires_at) => Ok(Answer { headers, expires_at }),
            (None, None) => Ok(Answer { headers: texts, expires_at: None }),
            (None, Some(_)) => Err(self.fail(FormFault::NoHeaders)),
        }
    }
}

/// The value of `headers`: a header of that name, or all headers.
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
mod tests;
