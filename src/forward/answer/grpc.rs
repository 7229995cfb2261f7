//! Answers over OTLP/gRPC (gRPC over HTTP2, *Responses*; OTLP specification, *OTLP/gRPC Response*).

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD_PAD_INDIFFERENT;
use hyper::header::HeaderMap;
use hyper::{StatusCode, body::Bytes};
use percent_encoding::percent_decode_str;
use prost::Message;

use super::message::{Accepted, accepted_protobuf, said, with_reason};
use super::{LONGEST_WAIT, Outcome};
use crate::client::{ANSWER_LIMIT, Answer, status_words};
use crate::otlp::{RpcStatus, gunzip, unframe};

/// The names of gRPC's status codes, by number (gRPC, *Status codes and their use in gRPC*).
const NAMES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

const OK: usize = 0;
const INVALID_ARGUMENT: usize = 3;
const PERMISSION_DENIED: usize = 7;
const RESOURCE_EXHAUSTED: usize = 8;
const UNAUTHENTICATED: usize = 16;

pub(super) fn outcome(answer: &Answer, sent: &HeaderMap, now: SystemTime) -> Outcome {
    // An answer that consists of its trailers alone has them as headers.
    let place = if answer.trailers.contains_key("grpc-status") { &answer.trailers } else { &answer.headers };
    match place.get("grpc-status").map(|code| code.to_str().ok().and_then(|code| code.parse().ok())) {
        None => without_status(answer, sent, now),
        Some(Some(OK)) if answer.status == StatusCode::OK => success(answer, sent, now),
        Some(Some(OK)) => of_http(answer, sent, now),
        Some(code) => failure(code.unwrap_or(usize::MAX), answer, place, sent, now),
    }
}

fn failure(code: usize, answer: &Answer, place: &HeaderMap, sent: &HeaderMap, now: SystemTime) -> Outcome {
    let status = place.get("grpc-status-details-bin").and_then(|value| decode_details(value.as_bytes()));
    let wait = status.as_ref().and_then(RpcStatus::retry_delay).map(|wait| wait.min(LONGEST_WAIT));
    let message = place.get("grpc-message").map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let message = message.map(|message| percent_decode_str(&message).decode_utf8_lossy().into_owned());
    let message = message.or(status.map(|status| status.message)).unwrap_or_default();
    let name = NAMES.get(code).copied().unwrap_or("of an unknown number");
    let reason = with_reason(&format!("grpc status {name}"), &message, sent);
    match code {
        INVALID_ARGUMENT => Outcome::Refused { reason },
        PERMISSION_DENIED | UNAUTHENTICATED => Outcome::Unauthorized { reason },
        // Without a delay it is a request larger than the backend takes (OTLP specification, *Throttling*).
        RESOURCE_EXHAUSTED if wait.is_none() => Outcome::TooLarge { reason },
        _ => Outcome::Held { reason, retry_after: wait.or_else(|| answer.retry_after(now)) },
    }
}

/// Binary headers come with padding or without (gRPC over HTTP2, *Binary-Header*).
fn decode_details(value: &[u8]) -> Option<RpcStatus> {
    RpcStatus::decode(&*STANDARD_PAD_INDIFFERENT.decode(value).ok()?).ok()
}

fn success(answer: &Answer, sent: &HeaderMap, now: SystemTime) -> Outcome {
    let retry_after: Option<Duration> = answer.retry_after(now);
    let message = match message(answer) {
        Ok(message) => message,
        Err(what) => return Outcome::Held { reason: format!("grpc status OK, but {what}"), retry_after },
    };
    match accepted_protobuf(&message, sent) {
        Accepted::Answer { rejected, message } => Outcome::Delivered { rejected, message },
        Accepted::Foreign => {
            let reason = "grpc status OK, but what came with it is no answer to otlp".to_owned();
            Outcome::Held { reason, retry_after }
        }
    }
}

/// The one message of a unary answer, decompressed. None at all is an empty one: the backend did say OK.
fn message(answer: &Answer) -> Result<Bytes, String> {
    if answer.body.is_empty() {
        return Ok(Bytes::new());
    }
    let (message, is_compressed) = unframe(&answer.body).map_err(|error| error.to_string())?;
    if !is_compressed {
        return Ok(answer.body.slice_ref(message));
    }
    match answer.headers.get("grpc-encoding").map(hyper::header::HeaderValue::as_bytes) {
        Some(b"gzip") => gunzip(message, ANSWER_LIMIT).map(Bytes::from).map_err(|error| error.to_string()),
        _ => Err("the answer is compressed in an unknown way".to_owned()),
    }
}

/// Whoever answered without a status of gRPC's is a proxy, a page or no gRPC server.
fn without_status(answer: &Answer, sent: &HeaderMap, now: SystemTime) -> Outcome {
    if answer.status != StatusCode::OK {
        return of_http(answer, sent, now);
    }
    let reason = match answer.cut {
        Some(cut) => format!("the answer {}", cut.words()),
        None if answer.media_type().starts_with("application/grpc") => "the answer has no grpc status".to_owned(),
        None => with_reason("200 ok, but with a page where a grpc answer belongs", &said(answer), sent),
    };
    Outcome::Held { reason, retry_after: answer.retry_after(now) }
}

/// HTTP's status decides where gRPC's is missing (gRPC, *HTTP to gRPC Status Code Mapping*), with two that say more
/// than the mapping lets them: 413 is a proxy's limit, and 400 a proxy's doubt about the call, not about its data.
fn of_http(answer: &Answer, sent: &HeaderMap, now: SystemTime) -> Outcome {
    let head = format!("{} where a grpc answer belongs", status_words(answer.status));
    let reason = with_reason(&head, &said(answer), sent);
    match answer.status.as_u16() {
        401 | 403 => Outcome::Unauthorized { reason },
        413 => Outcome::TooLarge { reason },
        _ => Outcome::Held { reason, retry_after: answer.retry_after(now) },
    }
}
