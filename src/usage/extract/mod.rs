//! Extracts facts from the bytes of an export request.

use super::fact::Extract;
use super::{events, metrics};
use crate::otlp::Signal;

/// The maximum number of facts in one request. Claude Code sends some hundred records at once. The smallest records
/// with a fact take ten times their size in memory.
const MOST: usize = 100_000;

/// Reads Claude Code's facts from a validated request, without copying.
///
/// `received`, in Unix milliseconds, replaces the time of a record that has none, or one that cannot be true.
pub fn extract(signal: Signal, body: &[u8], received: i64) -> Extract<'_> {
    let mut extract = Extract::default();
    match signal {
        Signal::Traces => {}
        Signal::Metrics => metrics::extract(body, received, MOST, &mut extract),
        Signal::Logs => events::extract(body, received, MOST, &mut extract),
    }
    extract
}

#[cfg(test)]
mod tests;
