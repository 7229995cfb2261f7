//! From the bytes of an export request to what was used.

use jiff::Timestamp;
use opentelemetry_proto::tonic::collector::{
    logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest, trace::v1::ExportTraceServiceRequest,
};
use prost::{DecodeError, Message};
use thiserror::Error;

use super::fact::Extract;
use super::pieces::{Piece, pieces};
use super::{events, metrics};
use crate::otlp::{Malformed, Signal};

/// What is decoded in one go, in bytes. A message of two bytes may become a hundred once decoded, so that 64 MiB of them
/// would take gigabytes.
const WHOLE: usize = 128 << 10;

/// Bytes that are no request of their signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not an OTLP request")]
pub struct NotOtlp;

impl From<DecodeError> for NotOtlp {
    fn from(_: DecodeError) -> Self {
        Self
    }
}

impl From<Malformed> for NotOtlp {
    fn from(_: Malformed) -> Self {
        Self
    }
}

/// Decodes a request, which validates it, and reads Claude Code's usage from it. A large one is decoded piece by piece.
///
/// `received` stands in for the time of a record that has none.
pub fn extract(signal: Signal, body: &[u8], received: Timestamp) -> Result<Extract, NotOtlp> {
    if body.len() <= WHOLE {
        return extract_whole(signal, body, received);
    }
    let mut all = Extract::default();
    pieces(body, WHOLE, |piece| {
        match piece {
            Piece::Request(piece) => {
                let found = extract_whole(signal, piece, received)?;
                all.items += found.items;
                all.usage.extend(found.usage);
            }
            Piece::TooLarge => all.items += 1,
        }
        Ok(())
    })?;
    Ok(all)
}

fn extract_whole(signal: Signal, body: &[u8], received: Timestamp) -> Result<Extract, NotOtlp> {
    Ok(match signal {
        Signal::Traces => count_spans(&ExportTraceServiceRequest::decode(body)?),
        Signal::Metrics => metrics::extract(&ExportMetricsServiceRequest::decode(body)?, received),
        Signal::Logs => events::extract(&ExportLogsServiceRequest::decode(body)?, received),
    })
}

fn count_spans(request: &ExportTraceServiceRequest) -> Extract {
    let scopes = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
    Extract { items: scopes.map(|scope| scope.spans.len() as u64).sum(), usage: Vec::new() }
}

#[cfg(test)]
#[path = "extract_tests.rs"]
mod tests;
