//! What a backend says in an answer's body, in whichever form it says it.

use std::borrow::Cow;

use hyper::header::{CONTENT_ENCODING, HeaderMap};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
use prost::Message;
use serde_json::Value;

use crate::client::{ANSWER_LIMIT, Answer, html_words, without};
use crate::otlp::{RpcStatus, gunzip};
use crate::printable::printable;

/// The field of each signal's partial success that counts what was rejected, as it should be called in JSON and as some
/// call it.
const REJECTED: [(&str, &str); 3] = [
    ("rejectedDataPoints", "rejected_data_points"),
    ("rejectedLogRecords", "rejected_log_records"),
    ("rejectedSpans", "rejected_spans"),
];

/// What the body of a success turned out to be.
pub(super) enum Accepted {
    /// An `Export…ServiceResponse`, or nothing, which is an empty one.
    Answer { rejected: u64, message: Option<String> },
    /// Something else.
    Foreign,
}

/// Reads a success over HTTP. The bytes decide more than the content type, which many backends leave out or guess.
pub(super) fn accepted(answer: &Answer, sent: &HeaderMap) -> Accepted {
    match body(answer) {
        Some(body) if body.is_empty() => accepted_protobuf(&body, sent),
        Some(_) if answer.is_html() => Accepted::Foreign,
        Some(body) if is_json(answer, &body) => accepted_json(&body, sent),
        Some(body) => accepted_protobuf(&body, sent),
        None => Accepted::Foreign,
    }
}

/// Reads an `Export…ServiceResponse` in protobuf. It has the same shape for all signals: only the name of the field
/// that counts what was rejected differs.
pub(super) fn accepted_protobuf(body: &[u8], sent: &HeaderMap) -> Accepted {
    match ExportLogsServiceResponse::decode(body) {
        Ok(response) => {
            let partial = response.partial_success.unwrap_or_default();
            accepted_with(u64::try_from(partial.rejected_log_records).unwrap_or(0), &partial.error_message, sent)
        }
        Err(_) => Accepted::Foreign,
    }
}

fn accepted_json(body: &[u8], sent: &HeaderMap) -> Accepted {
    let Ok(Value::Object(response)) = serde_json::from_slice(body) else { return Accepted::Foreign };
    let Some(partial) = response.get("partialSuccess").or_else(|| response.get("partial_success")) else {
        // Unknown fields are to be ignored, but not those by which a backend says that it failed.
        let is_error = ["error", "errors", "code"].iter().any(|key| response.get(*key).is_some_and(says_something));
        return if is_error { Accepted::Foreign } else { accepted_with(0, "", sent) };
    };
    let field = |camel: &str, snake: &str| partial.get(camel).or_else(|| partial.get(snake)).cloned();
    let rejected = REJECTED.iter().filter_map(|(camel, snake)| integer(&field(camel, snake)?)).max().unwrap_or(0);
    let message = field("errorMessage", "error_message");
    accepted_with(rejected, message.as_ref().and_then(Value::as_str).unwrap_or_default(), sent)
}

/// 64-bit integers are strings in protobuf's JSON, and numbers in everyone else's.
fn integer(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

fn says_something(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Bool(true) => true,
        // `"code": 200` is how some say that all is well.
        Value::Number(number) => !matches!(number.as_i64(), Some(0 | 200..=299)),
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(object) => !object.is_empty(),
    }
}

fn accepted_with(rejected: u64, message: &str, sent: &HeaderMap) -> Accepted {
    let message = (!message.trim().is_empty()).then(|| printable(&without_secrets(message.trim(), sent)));
    Accepted::Answer { rejected, message }
}

/// `head`, and behind a colon what the backend said, made printable and without the secrets of `sent`.
pub(super) fn with_reason(head: &str, said: &str, sent: &HeaderMap) -> String {
    let said = without_secrets(said.trim(), sent);
    if said.is_empty() { head.to_owned() } else { format!("{head}: {}", printable(&said)) }
}

/// Some backends repeat the key that they did not like.
fn without_secrets<'a>(said: &'a str, sent: &HeaderMap) -> Cow<'a, str> {
    let secrets = sent.values().filter(|value| value.is_sensitive()).filter_map(|value| value.to_str().ok());
    // The whole value first, then what stands behind `Bearer` or `Basic`.
    without(said, secrets.flat_map(|value| [value, value.rsplit(' ').next().unwrap_or_default()]))
}

/// What the body says, as plainly as its form allows; nothing if it says nothing.
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

/// `google.rpc.Status` has `message`; others have it under `error`, or a text there.
fn json_words(value: &Value) -> Option<String> {
    let nested = value.get("error").or_else(|| value.get("errors").and_then(|errors| errors.get(0)));
    let words = [Some(value), nested].into_iter().flatten().find_map(|value| value.get("message")?.as_str());
    words.or_else(|| nested?.as_str()).map(str::to_owned)
}

/// JSON by its media type, or by its beginning where that says nothing: no message of protobuf that answers here begins
/// with a brace.
fn is_json(answer: &Answer, body: &[u8]) -> bool {
    let media_type = answer.media_type();
    let begins_as_json = || body.trim_ascii_start().starts_with(b"{") && !media_type.contains("protobuf");
    media_type == "application/json" || media_type.ends_with("+json") || begins_as_json()
}

/// The body, decompressed if need be; nothing if that is not possible.
fn body(answer: &Answer) -> Option<Cow<'_, [u8]>> {
    match answer.headers.get(CONTENT_ENCODING).map(|encoding| encoding.as_bytes().to_ascii_lowercase()).as_deref() {
        None | Some(b"" | b"identity") => Some(Cow::Borrowed(&answer.body)),
        Some(b"gzip" | b"x-gzip") if answer.body.is_empty() => Some(Cow::Borrowed(&answer.body)),
        Some(b"gzip" | b"x-gzip") => gunzip(&answer.body, ANSWER_LIMIT).ok().map(Cow::Owned),
        Some(_) => None,
    }
}
