//! OTLP/gRPC: unary calls of `Export` (gRPC over HTTP2; OTLP specification, *OTLP/gRPC*).

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Response, Version};
use prost::Message;
use tokio::time::{Instant, timeout_at};

use super::body::{Packed, Upload};
use super::encoding::Encoding;
use super::export::{Receiver, Taken};
use super::refusal::Refusal;
use super::reply::Reply;
use super::room::{MAXIMUM, Room};
use crate::otlp::{ExportResponse, Signal, frame, unframe};

/// What stands before a message: bytes.
const FRAME: usize = 5;

/// An `Export…ServiceResponse` without `partial_success`, which has no bytes, in its frame.
const ACCEPTED: Bytes = Bytes::from_static(&[0; FRAME]);

/// The longest time that a call may be said to have: digits.
const TIMEOUT_DIGITS: usize = 8;

/// Whether a request speaks gRPC. It does not over HTTP/1.1, which cannot answer it.
pub(super) fn is_call(head: &Parts) -> bool {
    let content_type = head.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let kind = content_type.strip_prefix(b"application/grpc");
    head.version == Version::HTTP_2
        && kind.is_some_and(|kind| kind.is_empty() || kind.starts_with(b"+proto") || kind.starts_with(b";"))
}

/// Takes a call of the method that `path` names.
///
/// The client's `grpc-timeout` bounds how long the call may take to arrive and how long its answer is waited for; what
/// has arrived is stored in any case.
pub(super) async fn export(
    receiver: &Arc<Receiver>,
    path: &str,
    head: &Parts,
    upload: &mut Upload,
) -> Result<Taken, Refusal> {
    let signal = Signal::ALL.into_iter().find(|signal| signal.grpc_path() == path).ok_or(Refusal::NoSuchSignal)?;
    if head.method != Method::POST {
        return Err(Refusal::Method);
    }
    let may_be_gzip = may_be_gzip(&head.headers)?;
    let deadline = deadline(&head.headers);
    let mut room = Room::enter(receiver.rooms()).await?;
    let framed = upload.read(FRAME + MAXIMUM, deadline, &mut room).await?;
    let (message, is_gzip) = unframe(&framed).map_err(|_| Refusal::Frame)?;
    if is_gzip && !may_be_gzip {
        return Err(Refusal::Frame);
    }
    let taken = receiver
        .take(signal, Packed { message: framed.slice_ref(message), encoding: Encoding::Protobuf, is_gzip, room });
    match deadline {
        Some(deadline) => timeout_at(deadline, taken).await.unwrap_or(Err(Refusal::TooSlow)),
        None => taken.await,
    }
}

/// What the client is told: a message and its status behind, or a status alone (gRPC over HTTP2, *Responses*).
pub(super) fn answer(result: Result<Taken, Refusal>) -> Response<Reply> {
    let mut response = Response::new(Reply::default());
    match result {
        Ok(Taken { partial_success, .. }) => {
            let trailers = HeaderMap::from_iter([("grpc-status", HeaderValue::from(0))].map(named));
            let message = ExportResponse { partial_success }.encode_to_vec();
            // It is a count and a line: far below what a frame can carry.
            let data = frame(&message, false).unwrap_or(ACCEPTED);
            *response.body_mut() = Reply { data, trailers: Some(trailers) };
        }
        Err(refusal) => response.headers_mut().extend(status(&refusal)),
    }
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response.headers_mut().insert("grpc-accept-encoding", HeaderValue::from_static("identity,gzip"));
    response
}

fn status(refusal: &Refusal) -> HeaderMap {
    let status = refusal.status();
    let mut headers = HeaderMap::new();
    headers.insert("grpc-status", HeaderValue::from(status.code));
    // Our words are ASCII and have no percent sign, so that they stand for themselves.
    headers.extend(HeaderValue::from_str(&status.message).map(|message| named(("grpc-message", message))));
    let details = STANDARD_NO_PAD.encode(status.encode_to_vec());
    headers.extend(HeaderValue::from_str(&details).map(|details| named(("grpc-status-details-bin", details))));
    headers
}

fn named((name, value): (&'static str, HeaderValue)) -> (hyper::header::HeaderName, HeaderValue) {
    (hyper::header::HeaderName::from_static(name), value)
}

/// Whether messages that say they are compressed are so with gzip.
fn may_be_gzip(headers: &HeaderMap) -> Result<bool, Refusal> {
    match headers.get("grpc-encoding").map(HeaderValue::as_bytes) {
        None | Some(b"identity") => Ok(false),
        Some(b"gzip") => Ok(true),
        Some(_) => Err(Refusal::Compression),
    }
}

fn deadline(headers: &HeaderMap) -> Option<Instant> {
    let timeout = headers.get("grpc-timeout")?.to_str().ok()?;
    // Beyond what the clock can tell there is no deadline.
    Instant::now().checked_add(parse_timeout(timeout)?)
}

/// `TimeoutValue TimeoutUnit`. One that is not understood is none.
fn parse_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > TIMEOUT_DIGITS || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let value = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(value * 60 * 60)),
        "M" => Some(Duration::from_secs(value * 60)),
        "S" => Some(Duration::from_secs(value)),
        "m" => Some(Duration::from_millis(value)),
        "u" => Some(Duration::from_micros(value)),
        "n" => Some(Duration::from_nanos(value)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_has_digits_and_a_unit() {
        let seconds = Duration::from_secs;
        let cases = [
            ("1H", Some(seconds(3600))),
            ("2M", Some(seconds(120))),
            ("10S", Some(seconds(10))),
            ("99999999m", Some(Duration::from_millis(99_999_999))),
            ("7u", Some(Duration::from_micros(7))),
            ("0n", Some(Duration::ZERO)),
            ("100000000S", None),
            ("S", None),
            ("", None),
            ("1", None),
            ("-1S", None),
            ("1é", None),
            ("1s", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_timeout(text), expected, "{text}");
        }
    }
}
