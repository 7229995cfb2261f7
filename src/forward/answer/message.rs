//! Extracts what a backend says in an answer's body, in any of the forms that backends use.

use std::borrow::Cow;

use hyper::header::{CONTENT_ENCODING, HeaderMap};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
use prost::Message;
use prost::encoding::decode_varint;
use serde_json::Value;

use crate::client::{ANSWER_LIMIT, Answer, html_words, without};
use crate::otlp::{RpcStatus, gunzip};
use crate::terminal::mask::SCHEMES;
use crate::terminal::printable::printable;

/// The field of each signal's partial success that counts rejected records: the name that JSON prescribes, and the name
/// that some backends use.
const REJECTED: [(&str, &str); 3] = [
    ("rejectedDataPoints", "rejected_data_points"),
    ("rejectedLogRecords", "rejected_log_records"),
    ("rejectedSpans", "rejected_spans"),
];

/// How the body of a success reads.
pub(super) enum Accepted {
    /// No error, except for the rejected records.
    Answer { rejected: u64, message: Option<String> },
    /// A page for people.
    Page,
    /// A message that the request failed.
    Failure,
}

/// Reads a success over HTTP. The bytes decide more than the content type, which many backends omit or guess. A body
/// that cannot be understood does not contradict the success.
pub(super) fn accepted(answer: &Answer, sent: &HeaderMap) -> Accepted {
    let is_empty = answer.body.is_empty() && answer.cut.is_none();
    if answer.is_html() && !is_empty {
        return Accepted::Page;
    }
    let (rejected, message) = match body(answer) {
        Some(body) if is_json(answer, &body) => match json_partial_success(&body, sent) {
            Some(partial) => partial,
            None => return Accepted::Failure,
        },
        Some(body) => partial_success(&body, sent),
        None => (0, None),
    };
    Accepted::Answer { rejected, message }
}

/// The number of rejected records and the reason, from an `Export…ServiceResponse` in protobuf. It has the same shape
/// for all signals: only the name of the field that counts rejected records differs.
pub(super) fn partial_success(body: &[u8], sent: &HeaderMap) -> (u64, Option<String>) {
    let (rejected, message) = match ExportLogsServiceResponse::decode(body) {
        Ok(response) => {
            let partial = response.partial_success.unwrap_or_default();
            (partial.rejected_log_records, partial.error_message)
        }
        Err(_) => beginning(body).unwrap_or_default(),
    };
    (u64::try_from(rejected).unwrap_or(0), shown(&message, sent))
}

/// The number of rejected records and the reason, from the beginning of a response whose message is too long to be read
/// whole.
fn beginning(body: &[u8]) -> Option<(i64, String)> {
    // `partial_success`, then its `rejected_…` and its `error_message`.
    let mut rest = body.strip_prefix(&[0x0a])?;
    let length = decode_varint(&mut rest).ok()?;
    if length <= rest.len() as u64 {
        // The message ends here, and it was something else.
        return None;
    }
    let mut rejected = 0;
    if let Some(mut count) = rest.strip_prefix(&[0x08]) {
        rejected = i64::try_from(decode_varint(&mut count).ok()?).ok()?;
        rest = count;
    }
    let mut message = rest.strip_prefix(&[0x12])?;
    decode_varint(&mut message).ok()?;
    Some((rejected, String::from_utf8_lossy(message).into_owned()))
}

/// The same from JSON; `None` if the JSON says that the request failed.
fn json_partial_success(body: &[u8], sent: &HeaderMap) -> Option<(u64, Option<String>)> {
    let Ok(response) = serde_json::from_slice::<Value>(body) else {
        return Some((rejected_in(&String::from_utf8_lossy(body)), None));
    };
    let Some(partial) = response.get("partialSuccess").or_else(|| response.get("partial_success")) else {
        // Unknown fields are ignored, except those in which a backend reports a failure.
        let is_error = ["error", "errors"].iter().any(|key| response.get(*key).is_some_and(says_something));
        let is_failure = is_error || response.get("code").is_some_and(is_failure_code);
        return (!is_failure).then_some((0, None));
    };
    let field = |camel: &str, snake: &str| partial.get(camel).or_else(|| partial.get(snake)).cloned();
    let rejected = REJECTED.iter().filter_map(|(camel, snake)| integer(&field(camel, snake)?)).max().unwrap_or(0);
    let message = field("errorMessage", "error_message");
    Some((rejected, message.as_ref().and_then(Value::as_str).and_then(|message| shown(message, sent))))
}

/// The number of rejected records, from JSON that is too long to be read whole.
fn rejected_in(text: &str) -> u64 {
    let count = |name: &str| {
        let (_, rest) = text.split_once(&format!("\"{name}\""))?;
        let rest = rest.trim_start_matches([' ', ':', '"']);
        rest.split(|c: char| !c.is_ascii_digit()).next()?.parse::<u64>().ok()
    };
    REJECTED.iter().flat_map(|(camel, snake)| [camel, snake]).filter_map(|name| count(name)).max().unwrap_or(0)
}

/// 64-bit integers are strings in protobuf's JSON, and numbers in other JSON.
fn integer(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

fn says_something(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Bool(true) => true,
        Value::Number(number) => number.as_i64() != Some(0),
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(object) => !object.is_empty(),
    }
}

/// A gRPC or HTTP status number that means failure. Some backends report success as `"code": 200`. Words are not
/// interpreted.
fn is_failure_code(code: &Value) -> bool {
    let number = code.as_i64().or_else(|| code.as_str()?.parse().ok());
    number.is_some_and(|number| !matches!(number, 0 | 200..=299))
}

fn shown(message: &str, sent: &HeaderMap) -> Option<String> {
    (!message.trim().is_empty()).then(|| printable(&without_secrets(message.trim(), sent)))
}

/// `head`, followed by a colon and the backend's message, made printable and without the secrets of `sent`.
pub(super) fn with_reason(head: &str, said: &str, sent: &HeaderMap) -> String {
    let said = without_secrets(said.trim(), sent);
    if said.is_empty() { head.to_owned() } else { format!("{head}: {}", printable(&said)) }
}

/// Some backends repeat the key that they rejected.
fn without_secrets<'a>(said: &'a str, sent: &HeaderMap) -> Cow<'a, str> {
    let secrets = sent.values().filter(|value| value.is_sensitive()).filter_map(|value| value.to_str().ok());
    without(said, secrets.map(credentials))
}

/// The secret part of a header's value, without a leading `Bearer` or `Basic`, which helps in a message.
fn credentials(value: &str) -> &str {
    let is_scheme = |word: &str| SCHEMES.contains(&word.to_ascii_lowercase().as_str());
    value.split_once(' ').filter(|(scheme, _)| is_scheme(scheme)).map_or(value, |(_, credentials)| credentials)
}

/// The body's message, as plainly as its form allows; empty if it has none.
pub(super) fn said(answer: &Answer) -> String {
    let Some(body) = body(answer) else { return String::new() };
    let text = || String::from_utf8_lossy(&body).into_owned();
    if answer.is_html() {
        return html_words(&text());
    }
    if is_json(answer, &body) {
        return serde_json::from_slice(&body).ok().and_then(|value| json_words(&value)).unwrap_or_else(text);
    }
    if answer.media_type().contains("protobuf") {
        let status = RpcStatus::decode(&*body).ok().map(|status| status.message);
        return status.filter(|message| !message.is_empty()).unwrap_or_else(text);
    }
    text()
}

/// `google.rpc.Status` has `message`; other backends put it, or a plain text, under `error`.
fn json_words(value: &Value) -> Option<String> {
    let nested = value.get("error").or_else(|| value.get("errors").and_then(|errors| errors.get(0)));
    let words = [Some(value), nested].into_iter().flatten().find_map(|value| value.get("message")?.as_str());
    words.or_else(|| nested?.as_str()).map(str::to_owned)
}

/// JSON by its media type, or by its beginning if the media type is inconclusive: no protobuf message that is an answer
/// here begins with a brace.
fn is_json(answer: &Answer, body: &[u8]) -> bool {
    let media_type = answer.media_type();
    let begins_as_json = || body.trim_ascii_start().starts_with(b"{") && !media_type.contains("protobuf");
    media_type == "application/json" || media_type.ends_with("+json") || begins_as_json()
}

/// The body, decompressed if necessary; `None` if it cannot be decompressed.
fn body(answer: &Answer) -> Option<Cow<'_, [u8]>> {
    match answer.headers.get(CONTENT_ENCODING).map(|encoding| encoding.as_bytes().to_ascii_lowercase()).as_deref() {
        None | Some(b"" | b"identity") => Some(Cow::Borrowed(&answer.body)),
        Some(b"gzip" | b"x-gzip") if answer.body.is_empty() => Some(Cow::Borrowed(&answer.body)),
        Some(b"gzip" | b"x-gzip") => gunzip(&answer.body, ANSWER_LIMIT).ok().map(Cow::Owned),
        Some(_) => None,
    }
}
