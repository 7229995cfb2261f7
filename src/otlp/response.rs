//! What an exporter is told of a request that was taken: `Export…ServiceResponse`. It has the same shape for all
//! signals; only the name of the field that counts what was rejected differs, and protobuf does not carry names.

use prost::Message;

use super::Signal;

/// An `Export…ServiceResponse`. One whose `partial_success` is unset, as it is when all was taken, has no bytes.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ExportResponse {
    /// That not all was taken.
    #[prost(message, optional, tag = "1")]
    pub partial_success: Option<PartialSuccess>,
}

/// An `Export…PartialSuccess`. A sender does not try again what was rejected (OTLP specification, *Partial Success*).
#[derive(Clone, PartialEq, Eq, Message)]
pub struct PartialSuccess {
    /// `rejected_data_points`, `rejected_log_records` or `rejected_spans`.
    #[prost(int64, tag = "1")]
    pub rejected: i64,
    /// Why, for people.
    #[prost(string, tag = "2")]
    pub error_message: String,
}

impl ExportResponse {
    /// The same in JSON, where the field that counts has the signal's name.
    pub fn to_json(&self, signal: Signal) -> Vec<u8> {
        let Some(PartialSuccess { rejected, error_message }) = &self.partial_success else { return b"{}".to_vec() };
        let count = match signal {
            Signal::Traces => "rejectedSpans",
            Signal::Metrics => "rejectedDataPoints",
            Signal::Logs => "rejectedLogRecords",
        };
        // 64-bit integers are strings (ProtoJSON).
        let partial_success = serde_json::json!({ count: rejected.to_string(), "errorMessage": error_message });
        serde_json::json!({ "partialSuccess": partial_success }).to_string().into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
    use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;

    use super::*;

    #[test]
    fn every_signals_response_reads_it() {
        let partial_success = Some(PartialSuccess { rejected: 3, error_message: "why".to_owned() });
        let encoded = ExportResponse { partial_success }.encode_to_vec();
        let logs = ExportLogsServiceResponse::decode(&*encoded).unwrap().partial_success.unwrap();
        assert_eq!((logs.rejected_log_records, logs.error_message.as_str()), (3, "why"));
        let metrics = ExportMetricsServiceResponse::decode(&*encoded).unwrap().partial_success.unwrap();
        assert_eq!((metrics.rejected_data_points, metrics.error_message.as_str()), (3, "why"));
        let spans = ExportTraceServiceResponse::decode(&*encoded).unwrap().partial_success.unwrap();
        assert_eq!((spans.rejected_spans, spans.error_message.as_str()), (3, "why"));
        assert_eq!(ExportResponse::default().encode_to_vec(), b"");
    }

    #[test]
    fn in_json_the_count_has_the_signals_name() {
        assert_eq!(ExportResponse::default().to_json(Signal::Logs), b"{}");
        let partial_success = Some(PartialSuccess { rejected: 3, error_message: "why".to_owned() });
        let json = String::from_utf8(ExportResponse { partial_success }.to_json(Signal::Metrics)).unwrap();
        assert_eq!(json, r#"{"partialSuccess":{"rejectedDataPoints":"3","errorMessage":"why"}}"#);
    }
}
