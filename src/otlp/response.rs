//! The response to an accepted request: `Export…ServiceResponse`. It has the same structure for all signals. Only the
//! name of the field that counts rejected items differs, and protobuf does not transmit names.

use prost::Message;

use super::Signal;

/// An `Export…ServiceResponse`. If everything was accepted, `partial_success` is unset and the message has no bytes.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ExportResponse {
    /// Set if not everything was accepted.
    #[prost(message, optional, tag = "1")]
    pub partial_success: Option<PartialSuccess>,
}

/// An `Export…PartialSuccess`. A sender does not retry rejected items (OTLP specification, *Partial Success*).
#[derive(Clone, PartialEq, Eq, Message)]
pub struct PartialSuccess {
    /// `rejected_data_points`, `rejected_log_records` or `rejected_spans`.
    #[prost(int64, tag = "1")]
    pub rejected: i64,
    /// The reason, for people.
    #[prost(string, tag = "2")]
    pub error_message: String,
}

impl ExportResponse {
    /// The same in JSON, where the name of the counting field depends on the signal.
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
    fn a_partial_success_is_read_for_every_signal() {
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
    fn the_json_name_of_the_count_depends_on_the_signal() {
        assert_eq!(ExportResponse::default().to_json(Signal::Logs), b"{}");
        let partial_success = Some(PartialSuccess { rejected: 3, error_message: "why".to_owned() });
        let json = String::from_utf8(ExportResponse { partial_success }.to_json(Signal::Metrics)).unwrap();
        assert_eq!(json, r#"{"partialSuccess":{"rejectedDataPoints":"3","errorMessage":"why"}}"#);
    }
}
