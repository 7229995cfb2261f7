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
use crate::collector::receive::memory::{MAXIMUM, MemoryPermit};
use crate::otlp::{ExportResponse, Signal, frame, unframe};

/// The size of a message's frame header, in bytes.
const FRAME: usize = 5;

/// An `Export…ServiceResponse` without `partial_success`, which is empty, in its frame.
const ACCEPTED: Bytes = Bytes::from_static(&[0; FRAME]);

/// The maximum number of digits of a timeout.
const TIMEOUT_DIGITS: usize = 8;

/// Whether a request is a gRPC call. Over HTTP/1.1 it is not, because that cannot carry the answer.
pub(super) fn is_call(head: &Parts) -> bool {
    let content_type = head.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let kind = content_type.strip_prefix(b"application/grpc");
    head.version == Version::HTTP_2
        && kind.is_some_and(|kind| kind.is_empty() || kind.starts_with(b"+proto") || kind.starts_with(b";"))
}

/// Handles a call of the method that `path` names.
///
/// The client's `grpc-timeout` limits how long the call may take to arrive and how long the answer is awaited. What has
/// arrived is stored in any case.
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
    let mut permit = MemoryPermit::enter(receiver.permits()).await?;
    let framed = upload.read(FRAME + MAXIMUM, deadline, &mut permit).await?;
    let (message, is_gzip) = unframe(&framed).map_err(|_| Refusal::Frame)?;
    if is_gzip && !may_be_gzip {
        return Err(Refusal::Frame);
    }
    let taken = receiver
        .take(signal, Packed { message: framed.slice_ref(message), encoding: Encoding::Protobuf, is_gzip, permit });
    match deadline {
        Some(deadline) => timeout_at(deadline, taken).await.unwrap_or(Err(Refusal::TooSlow)),
        None => taken.await,
    }
}

/// The answer: a message with its status in the trailers, or only a status (gRPC over HTTP2, *Responses*).
pub(super) fn answer(result: Result<Taken, Refusal>) -> Response<Reply> {
    let mut response = Response::new(Reply::default());
    match result {
        Ok(Taken { partial_success, .. }) => {
            let trailers = HeaderMap::from_iter([("grpc-status", HeaderValue::from(0))].map(named));
            let message = ExportResponse { partial_success }.encode_to_vec();
            // It is a number and a line, far below a frame's limit.
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
    // Our messages are ASCII without percent signs, so they need no encoding.
    headers.extend(HeaderValue::from_str(&status.message).map(|message| named(("grpc-message", message))));
    let details = STANDARD_NO_PAD.encode(status.encode_to_vec());
    headers.extend(HeaderValue::from_str(&details).map(|details| named(("grpc-status-details-bin", details))));
    headers
}

fn named((name, value): (&'static str, HeaderValue)) -> (hyper::header::HeaderName, HeaderValue) {
    (hyper::header::HeaderName::from_static(name), value)
}

/// Whether compressed messages are compressed with gzip.
fn may_be_gzip(headers: &HeaderMap) -> Result<bool, Refusal> {
    match headers.get("grpc-encoding").map(HeaderValue::as_bytes) {
        None | Some(b"identity") => Ok(false),
        Some(b"gzip") => Ok(true),
        Some(_) => Err(Refusal::Compression),
    }
}

fn deadline(headers: &HeaderMap) -> Option<Instant> {
    let timeout = headers.get("grpc-timeout")?.to_str().ok()?;
    // A timeout beyond the range of the clock means no deadline.
    Instant::now().checked_add(parse_timeout(timeout)?)
}

/// `TimeoutValue TimeoutUnit`. An invalid one counts as none.
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
