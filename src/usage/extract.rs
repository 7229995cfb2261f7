//! From the bytes of an export request to what was used.

use jiff::Timestamp;
use thiserror::Error;

use super::fact::Extract;
use super::{events, metrics};
use crate::otlp::{Malformed, Signal, count, validate};

/// How much usage one request can tell of. Claude Code sends some hundred records at once; the smallest that tell of any
/// take ten times their size in memory.
const MOST: usize = 100_000;

/// Bytes that are no request of their signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not an OTLP request")]
pub struct NotOtlp;

impl From<Malformed> for NotOtlp {
    fn from(_: Malformed) -> Self {
        Self
    }
}

/// Validates a request, and reads Claude Code's usage from it where it lies.
///
/// `received` stands in for the time of a record that has none.
pub fn extract(signal: Signal, body: &[u8], received: Timestamp) -> Result<Extract, NotOtlp> {
    validate(signal, body)?;
    let usage = match signal {
        Signal::Traces => Vec::new(),
        Signal::Metrics => metrics::usage(body, received).take(MOST).collect(),
        Signal::Logs => events::usage(body, received).take(MOST).collect(),
    };
    Ok(Extract { items: count(signal, body)?, usage })
}

#[cfg(test)]
#[path = "extract_tests.rs"]
mod tests;
