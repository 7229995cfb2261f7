//! What an answer means: delivered, given up for good, or held to be tried again. Pure, so that a table can test it.
//!
//! Only what can never succeed is given up. The OTLP specification calls more than that permanent (*Failures*), but a
//! wrong path, a proxy's login page or a redirect is something that a person mends, and then the data should arrive.

use std::time::{Duration, SystemTime};

use hyper::header::{HeaderMap, RETRY_AFTER};

use crate::client::Answer;

mod grpc;
mod http;
mod message;

/// The longest wait that a backend may ask for.
const LONGEST_WAIT: Duration = Duration::from_mins(15);

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The backend has it, but for what it rejected. Never sent again (OTLP specification, *Partial Success*).
    Delivered {
        /// How many data points, log records or spans the backend did not take.
        rejected: u64,
        /// What it said about them; with none rejected, a warning.
        message: Option<String>,
    },
    /// It can never succeed as it is.
    Refused {
        /// Why, in the backend's words.
        reason: String,
    },
    /// The backend takes only smaller requests: to be split, and given up only if it is a single record.
    TooLarge {
        /// Why, in the backend's words.
        reason: String,
    },
    /// The credentials were not accepted: to be refreshed once, then tried again.
    Unauthorized {
        /// Why, in the backend's words.
        reason: String,
    },
    /// It may succeed later.
    Held {
        /// Why it did not yet, fit for a person who could mend it.
        reason: String,
        /// How long the backend asked to be left alone; at most fifteen minutes.
        retry_after: Option<Duration>,
    },
}

impl Answer {
    /// What an answer over OTLP/HTTP means. `sent` are the request's headers: values that are marked sensitive are
    /// taken out of whatever the backend says. `now` is for a `Retry-After` that names a date.
    pub fn over_http(&self, sent: &HeaderMap, now: SystemTime) -> Outcome {
        http::outcome(self, sent, now)
    }

    /// What an answer over OTLP/gRPC means; the arguments are those of [`Answer::over_http`].
    pub fn over_grpc(&self, sent: &HeaderMap, now: SystemTime) -> Outcome {
        grpc::outcome(self, sent, now)
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
