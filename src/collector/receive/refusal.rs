//! Why a request is refused, and how either protocol says so.

use std::time::Duration;

use hyper::StatusCode;

use crate::otlp::{JsonError, RpcStatus};

/// What a client is asked to wait before it tries again. Claude Code's exit waits for its tries.
const RETRY: Duration = Duration::from_secs(1);

/// Why a request is not acknowledged.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Refusal {
    /// It has not brought the session's token.
    Unauthenticated,
    /// It has, but comes from another user of this machine.
    Foreign,
    /// No signal has this path.
    NoSuchSignal,
    /// It is no POST.
    Method,
    /// It is in none of the forms that OTLP has.
    MediaType,
    /// It is compressed in another way than gzip.
    Compression,
    /// It is larger than [`super::room::MAXIMUM`], compressed or not.
    TooLarge,
    /// It ended in the middle.
    BrokenOff,
    /// It did not end in time.
    TooSlow,
    /// It does not begin as a message of gRPC's should, or more comes behind.
    Frame,
    /// It is said to be gzip and is not.
    NoGzip,
    /// It is no request of its signal.
    Malformed,
    /// The same in JSON, with the place.
    NoJson(JsonError),
    /// Too much is under way: worth trying again.
    Busy,
    /// The store does not take it at the moment: worth trying again.
    NotStored,
    /// The store has not taken anything for a while: not worth a client's waiting.
    NotStoredForLong,
}

/// Codes of gRPC's (gRPC, *Status codes and their use in gRPC*).
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
    /// The status over HTTP, the code over gRPC, and the words over both. What is retried is what OTLP's specification
    /// lets clients retry: 429, 502, 503 and 504, and `UNAVAILABLE` or `DEADLINE_EXCEEDED` among these codes.
    fn said(&self) -> (StatusCode, i32, &'static str) {
        match self {
            Self::Unauthenticated => {
                (StatusCode::UNAUTHORIZED, code::UNAUTHENTICATED, "the session's token is missing or wrong")
            }
            Self::Foreign => {
                (StatusCode::FORBIDDEN, code::PERMISSION_DENIED, "the session is another user's of this machine")
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
            Self::BrokenOff => (StatusCode::BAD_REQUEST, code::INVALID_ARGUMENT, "the body broke off"),
            Self::TooSlow => (StatusCode::REQUEST_TIMEOUT, code::DEADLINE_EXCEEDED, "the body did not end in time"),
            Self::Frame => (StatusCode::BAD_REQUEST, code::INVALID_ARGUMENT, "not one message in gRPC's frame"),
            Self::NoGzip => (StatusCode::BAD_REQUEST, code::INVALID_ARGUMENT, "the body is no gzip"),
            Self::Malformed | Self::NoJson(_) => {
                (StatusCode::BAD_REQUEST, code::INVALID_ARGUMENT, "not an OTLP request")
            }
            Self::Busy => (StatusCode::SERVICE_UNAVAILABLE, code::UNAVAILABLE, "too much is under way"),
            Self::NotStored => (StatusCode::SERVICE_UNAVAILABLE, code::UNAVAILABLE, "cannot be stored now"),
            Self::NotStoredForLong => {
                (StatusCode::INTERNAL_SERVER_ERROR, code::INTERNAL, "cannot be stored, and could not for a while")
            }
        }
    }

    /// The status over HTTP.
    pub(super) fn http(&self) -> StatusCode {
        self.said().0
    }

    /// The whole of it, as the body over HTTP and a trailer over gRPC have it.
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

    /// How long to wait before trying again, where that is asked for.
    pub(super) fn retry(&self) -> Option<Duration> {
        matches!(self, Self::Busy | Self::NotStored).then_some(RETRY)
    }
}
