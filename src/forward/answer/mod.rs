//! Interprets an answer: delivered, given up permanently, or held for another attempt. Pure, so that a table can test
//! it.
//!
//! Only data that can never be accepted is given up. The OTLP specification calls more than that permanent
//! (*Failures*), but a person can fix a wrong path, a proxy's login page or a redirect, and then the data should
//! arrive.

use std::time::{Duration, SystemTime};

use hyper::header::{HeaderMap, RETRY_AFTER};

use crate::client::Answer;
use crate::otlp::GrpcCode;

mod grpc;
mod http;
mod message;

/// The longest wait that a backend may ask for.
const LONGEST_WAIT: Duration = Duration::from_mins(15);

/// The outcome of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The backend has it, except for rejected records. Never sent again (OTLP specification, *Partial Success*).
    Delivered {
        /// The number of data points, log records or spans that the backend did not accept.
        rejected: u64,
        /// The backend's message about them; a warning if none was rejected.
        message: Option<String>,
    },
    /// It can never succeed in its present form.
    Refused {
        /// Why, in the backend's words.
        reason: String,
    },
    /// The backend takes only smaller requests: split it, and give it up only if it is a single record.
    TooLarge {
        /// Why, in the backend's words.
        reason: String,
    },
    /// The credentials were not accepted: refresh them once, then try again.
    Unauthorized {
        /// Why, in the backend's words.
        reason: String,
    },
    /// It may succeed later.
    Held {
        /// Why it has not succeeded yet, in words for a person who can fix it.
        reason: String,
        /// How long the backend asked for no requests; at most fifteen minutes.
        retry_after: Option<Duration>,
    },
}

impl Answer {
    /// Interprets an answer over OTLP/HTTP. `sent` are the request's headers: values that are marked sensitive are
    /// removed from the backend's message. `now` is for a `Retry-After` that names a date.
    pub fn over_http(&self, sent: &HeaderMap, now: SystemTime) -> Outcome {
        http::outcome(self, sent, now)
    }

    /// Interprets an answer over OTLP/gRPC; the arguments are those of [`Answer::over_http`].
    pub fn over_grpc(&self, sent: &HeaderMap, now: SystemTime) -> Outcome {
        grpc::outcome(self, sent, now)
    }

    /// The gRPC code with which an answer fails, if it has one.
    pub fn grpc_failure(&self) -> Option<GrpcCode> {
        grpc::status(self).map(|status| status.code).filter(|code| *code != GrpcCode::Ok)
    }

    /// The backend's own message: gRPC's, or the body as plainly as its form allows. It may repeat secrets.
    pub fn words(&self) -> String {
        grpc::status(self)
            .map(|status| status.message)
            .filter(|message| !message.is_empty())
            .unwrap_or_else(|| message::said(self))
    }

    /// Whether the backend says that it received plain text on a TLS port.
    pub fn wants_tls(&self) -> bool {
        http::wants_tls(&self.words())
    }

    /// The wait that `Retry-After` asks for, in seconds or until a date (RFC 9110, 10.2.3).
    fn retry_after(&self, now: SystemTime) -> Option<Duration> {
        let value = self.headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
        let wait = match value.parse() {
            Ok(seconds) => Duration::from_secs(seconds),
            Err(_) => httpdate::parse_http_date(value).ok()?.duration_since(now).unwrap_or_default(),
        };
        Some(wait.min(LONGEST_WAIT))
    }
}

#[cfg(test)]
mod tests;
