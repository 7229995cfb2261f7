//! Why a request is rejected, and how each protocol reports it.

use std::time::Duration;

use hyper::StatusCode;

use crate::otlp::{JsonError, RpcStatus};

/// How long a client is asked to wait before a retry. Claude Code's exit waits for its retries.
const RETRY: Duration = Duration::from_secs(1);

/// Why a request is not acknowledged.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Refusal {
    /// It does not have the session's token.
    Unauthenticated,
    /// It has the token, but comes from another user of this machine.
    Foreign,
    /// No signal has this path.
    NoSuchSignal,
    /// It is not a POST.
    Method,
    /// It is in none of OTLP's formats.
    MediaType,
    /// It is compressed, but not with gzip.
    Compression,
    /// It is larger than [`crate::collector::receive::memory::MAXIMUM`], compressed or not.
    TooLarge,
    /// It ended prematurely.
    BrokenOff,
    /// It did not end in time.
    TooSlow,
    /// It has an invalid gRPC frame, or more data after it.
    Frame,
    /// It claims to be gzip and is not.
    NoGzip,
    /// It is not a valid request for its signal.
    Malformed,
    /// The same for JSON, with the position.
    NoJson(JsonError),
    /// Too many requests are in progress. Worth a retry.
    Busy,
    /// The store does not accept it at the moment. Worth a retry.
    NotStored,
    /// The store has failed for a while. Not worth a client's waiting.
    NotStoredForLong,
}

/// gRPC codes (gRPC, *Status codes and their use in gRPC*).
mod code {
    pub(super) const INVALID_ARGUMENT: i32 = 3;
    pub(super) const DEADLINE_EXCEEDED: i32 = 4;
    pub(super) const PERMISSION_DENIED: i32 = 7;
    pub(super) const RESOURCE_EXHAUSTED: i32 = 8;
    pub(super) const UNIMPLEMENTED: i32 = 12;
    pub(super) const INTERNAL: i32 = 13;
    pub(super) const UNAVAILABLE: i32 = 14;
    pub(super) const UNAUTHENTICATED: i32 = 16;
}

impl Refusal {
    /// The HTTP status, the gRPC code, and the message for both. OTLP's specification lets clients retry 429, 502, 503
    /// and 504, and the codes `UNAVAILABLE` and `DEADLINE_EXCEEDED`.
    fn said(&self) -> (StatusCode, i32, &'static str) {
        match self {
            Self::Unauthenticated => {
                (StatusCode::UNAUTHORIZED, code::UNAUTHENTICATED, "the session's token is missing or wrong")
            }
            Self::Foreign => {
                (StatusCode::FORBIDDEN, code::PERMISSION_DENIED, "the session belongs to another user of this machine")
            }
            Self::NoSuchSignal => (StatusCode::NOT_FOUND, code::UNIMPLEMENTED, "no such signal"),
            Self::Method => (StatusCode::METHOD_NOT_ALLOWED, code::UNIMPLEMENTED, "only POST"),
            Self::MediaType => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                code::INVALID_ARGUMENT,
                "the Content-Type is neither application/x-protobuf nor application/json",
            ),
            Self::Compression => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, code::UNIMPLEMENTED, "compressed, but not with gzip")
            }
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, code::RESOURCE_EXHAUSTED, "larger than 64 MiB"),
            Self::BrokenOff => (StatusCode::BAD_REQUEST, code::INVALID_ARGUMENT, "the body ended prematurely"),
            Self::TooSlow => (StatusCode::REQUEST_TIMEOUT, code::DEADLINE_EXCEEDED, "the body did not end in time"),
            Self::Frame => (StatusCode::BAD_REQUEST, code::INVALID_ARGUMENT, "not a single gRPC message"),
            Self::NoGzip => (StatusCode::BAD_REQUEST, code::INVALID_ARGUMENT, "the body is not gzip"),
            Self::Malformed | Self::NoJson(_) => {
                (StatusCode::BAD_REQUEST, code::INVALID_ARGUMENT, "not an OTLP request")
            }
            Self::Busy => (StatusCode::SERVICE_UNAVAILABLE, code::UNAVAILABLE, "too many requests are in progress"),
            Self::NotStored => (StatusCode::SERVICE_UNAVAILABLE, code::UNAVAILABLE, "cannot be stored now"),
            Self::NotStoredForLong => {
                (StatusCode::INTERNAL_SERVER_ERROR, code::INTERNAL, "storing has failed for a while")
            }
        }
    }

    /// The status over HTTP.
    pub(super) fn http(&self) -> StatusCode {
        self.said().0
    }

    /// The whole status, as in an HTTP body and a gRPC trailer.
    pub(super) fn status(&self) -> RpcStatus {
        let (_, code, message) = self.said();
        let message = match self {
            Self::NoJson(error) => format!("{message}: {error}"),
            _ => message.to_owned(),
        };
        let status = RpcStatus { code, message, details: Vec::new() };
        match self.retry() {
            Some(delay) => status.with_retry_delay(delay),
            None => status,
        }
    }

    /// How long to wait before a retry, if one is asked for.
    pub(super) fn retry(&self) -> Option<Duration> {
        matches!(self, Self::Busy | Self::NotStored).then_some(RETRY)
    }
}
