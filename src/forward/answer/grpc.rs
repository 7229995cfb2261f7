//! Answers over OTLP/gRPC (gRPC over HTTP2, *Responses*; OTLP specification, *OTLP/gRPC Response*).

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD_PAD_INDIFFERENT;
use hyper::header::HeaderMap;
use hyper::{StatusCode, body::Bytes};
use percent_encoding::percent_decode_str;
use prost::Message;

use super::message::{partial_success, said, with_reason};
use super::{LONGEST_WAIT, Outcome};
use crate::client::{ANSWER_LIMIT, Answer, Cut, status_words};
use crate::otlp::{GrpcCode, RpcStatus, gunzip, unframe};

/// The length of the prefix of a gRPC message in bytes: the compressed flag and the message's length.
const FRAME_PREFIX: usize = 5;

pub(super) fn outcome(answer: &Answer, sent: &HeaderMap, now: SystemTime) -> Outcome {
    match status(answer) {
        None => without_status(answer, sent, now),
        Some(Status { code: GrpcCode::Ok, .. }) if answer.status == StatusCode::OK => success(answer, sent),
        Some(Status { code: GrpcCode::Ok, .. }) => of_http(answer, sent, now),
        Some(status) => failure(&status, answer, sent, now),
    }
}

/// An answer's gRPC status and message.
pub(super) struct Status {
    pub(super) code: GrpcCode,
    pub(super) message: String,
    /// The delay that the backend asks for.
    retry_delay: Option<Duration>,
}

/// Returns `None` if the answer has no status.
pub(super) fn status(answer: &Answer) -> Option<Status> {
    // A trailers-only answer carries its status in the headers.
    let place = if answer.trailers.contains_key("grpc-status") { &answer.trailers } else { &answer.headers };
    let code = place.get("grpc-status")?.to_str().ok().and_then(|code| code.parse().ok());
    let details = place.get("grpc-status-details-bin").and_then(|value| decode_details(value.as_bytes()));
    let message = place.get("grpc-message").map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let message = message.map(|message| percent_decode_str(&message).decode_utf8_lossy().into_owned());
    Some(Status {
        code: code.map_or(GrpcCode::Unrecognized, GrpcCode::of_number),
        retry_delay: details.as_ref().and_then(RpcStatus::retry_delay),
        message: message.or(details.map(|details| details.message)).unwrap_or_default(),
    })
}

fn failure(status: &Status, answer: &Answer, sent: &HeaderMap, now: SystemTime) -> Outcome {
    let wait = status.retry_delay.map(|wait| wait.min(LONGEST_WAIT));
    let reason = with_reason(&format!("grpc status {}", status.code.name()), &status.message, sent);
    match status.code {
        GrpcCode::InvalidArgument => Outcome::Refused { reason },
        GrpcCode::PermissionDenied | GrpcCode::Unauthenticated => Outcome::Unauthorized { reason },
        // Without a delay it means a request larger than the backend takes (OTLP specification, *Throttling*).
        GrpcCode::ResourceExhausted if wait.is_none() => Outcome::TooLarge { reason },
        _ => Outcome::Held { reason, retry_after: wait.or_else(|| answer.retry_after(now)) },
    }
}

/// Binary headers come with padding or without (gRPC over HTTP2, *Binary-Header*).
fn decode_details(value: &[u8]) -> Option<RpcStatus> {
    RpcStatus::decode(&*STANDARD_PAD_INDIFFERENT.decode(value).ok()?).ok()
}

/// A success remains a success with any body: sent again, the data would count twice.
fn success(answer: &Answer, sent: &HeaderMap) -> Outcome {
    let (rejected, message) = partial_success(&message(answer).unwrap_or_default(), sent);
    Outcome::Delivered { rejected, message }
}

/// The single message of a unary answer, decompressed, or as much of it as was read; empty if it cannot be read.
fn message(answer: &Answer) -> Option<Bytes> {
    if answer.cut == Some(Cut::TooLong) {
        let (prefix, beginning) = answer.body.split_at_checked(FRAME_PREFIX)?;
        return (prefix[0] == 0).then(|| answer.body.slice_ref(beginning));
    }
    let (message, is_compressed) = unframe(&answer.body).ok()?;
    if !is_compressed {
        return Some(answer.body.slice_ref(message));
    }
    let is_gzip = answer.headers.get("grpc-encoding").is_some_and(|encoding| encoding.as_bytes() == b"gzip");
    if is_gzip { gunzip(message, ANSWER_LIMIT).map(Bytes::from).ok() } else { None }
}

/// An answer without a gRPC status comes from a proxy, a web page or a server that does not support gRPC.
fn without_status(answer: &Answer, sent: &HeaderMap, now: SystemTime) -> Outcome {
    if answer.status != StatusCode::OK {
        return of_http(answer, sent, now);
    }
    let is_grpc = answer.media_type().starts_with("application/grpc");
    if is_grpc && answer.cut == Some(Cut::TooLong) {
        // The status follows the part that was not read. Only a successful call has a message before its status.
        return success(answer, sent);
    }
    let reason = match answer.cut {
        Some(cut) => format!("the answer {}", cut.words()),
        None if is_grpc => "the answer has no grpc status".to_owned(),
        None => with_reason("200 ok, but with a page where a grpc answer belongs", &said(answer), sent),
    };
    Outcome::Held { reason, retry_after: answer.retry_after(now) }
}

/// HTTP's status decides when gRPC's is missing (gRPC, *HTTP to gRPC Status Code Mapping*). Two codes say more than the
/// mapping does: 413 is a proxy's size limit, and 400 is a proxy's objection to the call, not to its data.
fn of_http(answer: &Answer, sent: &HeaderMap, now: SystemTime) -> Outcome {
    let head = format!("{} where a grpc answer belongs", status_words(answer.status));
    let reason = with_reason(&head, &said(answer), sent);
    match answer.status.as_u16() {
        401 | 403 => Outcome::Unauthorized { reason },
        413 => Outcome::TooLarge { reason },
        _ => Outcome::Held { reason, retry_after: answer.retry_after(now) },
    }
}
