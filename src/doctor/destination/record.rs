//! The marked record: one of each signal, found by its attribute `ccrun.doctor`.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

use crate::otlp::Signal;

/// The attribute whose value identifies this record. It is also the name of the metric and the span.
pub const MARK: &str = "ccrun.doctor";

/// A second in nanoseconds, the duration of the metric and the span.
const SECOND: u64 = 1_000_000_000;

/// A protobuf request with one record marked with `id`, 16 hexadecimal digits. A metric is a sum of one, in the
/// temporality that the destination expects. `now` is in Unix nanoseconds.
pub(super) fn request(signal: Signal, id: &str, temporality: AggregationTemporality, now: u64) -> Vec<u8> {
    match signal {
        Signal::Logs => logs(id, now),
        Signal::Metrics => metrics(id, temporality, now),
        Signal::Traces => traces(id, now),
    }
}

/// The same, as a client would send it.
pub(in crate::doctor) fn as_client(signal: Signal, id: &str, now: u64) -> Vec<u8> {
    request(signal, id, AggregationTemporality::Delta, now)
}

fn logs(id: &str, now: u64) -> Vec<u8> {
    let record = LogRecord {
        time_unix_nano: now,
        observed_time_unix_nano: now,
        severity_number: SeverityNumber::Info.into(),
        severity_text: "INFO".to_owned(),
        body: Some(text("ccrun doctor was here")),
        attributes: marked(id),
        ..LogRecord::default()
    };
    let scope_logs = vec![ScopeLogs { scope: Some(scope()), log_records: vec![record], ..ScopeLogs::default() }];
    let resource_logs = vec![ResourceLogs { resource: Some(resource()), scope_logs, ..ResourceLogs::default() }];
    ExportLogsServiceRequest { resource_logs }.encode_to_vec()
}

fn metrics(id: &str, temporality: AggregationTemporality, now: u64) -> Vec<u8> {
    let point = NumberDataPoint {
        attributes: marked(id),
        start_time_unix_nano: now.saturating_sub(SECOND),
        time_unix_nano: now,
        value: Some(Number::AsInt(1)),
        ..NumberDataPoint::default()
    };
    let sum = Sum { data_points: vec![point], aggregation_temporality: temporality.into(), is_monotonic: true };
    let metric = Metric {
        name: MARK.to_owned(),
        description: "records of ccrun doctor".to_owned(),
        unit: "{record}".to_owned(),
        data: Some(Data::Sum(sum)),
        ..Metric::default()
    };
    let scope_metrics = vec![ScopeMetrics { scope: Some(scope()), metrics: vec![metric], ..ScopeMetrics::default() }];
    let resource_metrics =
        vec![ResourceMetrics { resource: Some(resource()), scope_metrics, ..ResourceMetrics::default() }];
    ExportMetricsServiceRequest { resource_metrics }.encode_to_vec()
}

fn traces(id: &str, now: u64) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(id.get(at..at + 2).unwrap_or("1"), 16).unwrap_or(1);
    let trace_id: Vec<_> = (0..16).map(|byte| digit(byte % 8 * 2)).collect();
    let span = Span {
        // All-zero ids are invalid (OTLP, *Span*).
        span_id: trace_id.iter().take(8).map(|byte| byte | 1).collect(),
        trace_id: trace_id.iter().map(|byte| byte | 1).collect(),
        name: MARK.to_owned(),
        start_time_unix_nano: now.saturating_sub(SECOND),
        end_time_unix_nano: now,
        attributes: marked(id),
        ..Span::default()
    };
    let scope_spans = vec![ScopeSpans { scope: Some(scope()), spans: vec![span], ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { resource: Some(resource()), scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

fn resource() -> Resource {
    let attributes = vec![pair("service.name", "ccrun"), pair("service.version", env!("CARGO_PKG_VERSION"))];
    Resource { attributes, ..Resource::default() }
}

fn scope() -> InstrumentationScope {
    let (name, version) = ("ccrun".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    InstrumentationScope { name, version, ..InstrumentationScope::default() }
}

fn marked(id: &str) -> Vec<KeyValue> {
    vec![pair(MARK, id)]
}

fn pair(key: &str, value: &str) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(text(value)), ..KeyValue::default() }
}

fn text(value: &str) -> AnyValue {
    AnyValue { value: Some(Value::StringValue(value.to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp::count;

    #[test]
    fn each_signal_has_one_record() {
        for signal in Signal::ALL {
            let request = request(signal, "0123456789abcdef", AggregationTemporality::Delta, 7 * SECOND);
            assert_eq!(count(signal, &request).unwrap(), 1);
        }
    }

    #[test]
    fn a_span_has_ids_for_any_mark() {
        for id in ["", "0000000000000000", "zz"] {
            let request = ExportTraceServiceRequest::decode(&traces(id, 5)[..]).unwrap();
            let span = &request.resource_spans[0].scope_spans[0].spans[0];
            assert_eq!((span.trace_id.len(), span.span_id.len()), (16, 8));
            assert!(span.trace_id.iter().chain(&span.span_id).any(|byte| *byte != 0));
        }
    }
}
