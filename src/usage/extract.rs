//! From the bytes of an export request to what was used.

use jiff::Timestamp;
use opentelemetry_proto::tonic::collector::{
    logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest, trace::v1::ExportTraceServiceRequest,
};
use prost::{DecodeError, Message};

use super::fact::Extract;
use super::{events, metrics};
use crate::otlp::Signal;

/// Decodes a request, which validates it, and reads Claude Code's usage from it.
///
/// `received` stands in for the time of a record that has none.
pub fn extract(signal: Signal, body: &[u8], received: Timestamp) -> Result<Extract, DecodeError> {
    match signal {
        Signal::Traces => ExportTraceServiceRequest::decode(body).map(|request| count_spans(&request)),
        Signal::Metrics => {
            ExportMetricsServiceRequest::decode(body).map(|request| metrics::extract(&request, received))
        }
        Signal::Logs => ExportLogsServiceRequest::decode(body).map(|request| events::extract(&request, received)),
    }
}

fn count_spans(request: &ExportTraceServiceRequest) -> Extract {
    let scopes = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
    Extract { items: scopes.map(|scope| scope.spans.len() as u64).sum(), usage: Vec::new() }
}

#[cfg(test)]
#[path = "extract_tests.rs"]
mod tests;
