//! The collector's own counters for a destination, `ccrun.export.{received,delivered,held,dropped}`, sent beside
//! metrics that go there anyway.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;

use crate::store::counters::PendingCounters;
use crate::store::counts::Counts;

/// A counter's name and description, and the function that reads its value.
type Counter = (&'static str, &'static str, fn(&Counts) -> u64);

const COUNTERS: [Counter; 4] = [
    ("ccrun.export.received", "records received for the destination", |counts| counts.received),
    ("ccrun.export.delivered", "records that the destination accepted", |counts| counts.delivered),
    ("ccrun.export.held", "records not accepted at the first attempt, and kept", |counts| counts.held),
    ("ccrun.export.dropped", "records rejected, refused, purged or above the cap", |counts| counts.dropped),
];

/// An `ExportMetricsServiceRequest` in protobuf with the pending counters, to be appended to another; empty if there
/// are none. `resource` are the session's resource attributes, `now` is in Unix milliseconds.
pub(super) fn request(
    pending: &[PendingCounters],
    destination: &str,
    resource: &BTreeMap<String, String>,
    now: i64,
) -> Vec<u8> {
    let metrics: Vec<_> = COUNTERS.iter().filter_map(|counter| metric(counter, pending, destination, now)).collect();
    if metrics.is_empty() {
        return Vec::new();
    }
    let others = resource.iter().filter(|(key, _)| key.as_str() != "service.name");
    let attributes = others.map(|(key, value)| text(key, value)).chain([text("service.name", "ccrun")]);
    let scope = InstrumentationScope {
        name: "ccrun".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    };
    let resource_metrics = ResourceMetrics {
        resource: Some(Resource { attributes: attributes.collect(), ..Resource::default() }),
        scope_metrics: vec![ScopeMetrics { scope: Some(scope), metrics, ..ScopeMetrics::default() }],
        ..ResourceMetrics::default()
    };
    ExportMetricsServiceRequest { resource_metrics: vec![resource_metrics] }.encode_to_vec()
}

/// A counter with a point for each signal that has something to count.
fn metric(
    (name, description, of): &Counter,
    pending: &[PendingCounters],
    destination: &str,
    now: i64,
) -> Option<Metric> {
    let point = |pending: &PendingCounters| {
        let value = i64::try_from(of(&pending.counts)).unwrap_or(i64::MAX);
        (value > 0).then(|| NumberDataPoint {
            attributes: vec![text("destination", destination), text("signal", pending.signal.name())],
            start_time_unix_nano: nanoseconds(pending.since),
            time_unix_nano: nanoseconds(now.max(pending.since)),
            value: Some(number_data_point::Value::AsInt(value)),
            ..NumberDataPoint::default()
        })
    };
    let data_points: Vec<_> = pending.iter().filter_map(point).collect();
    let sum = Sum { data_points, aggregation_temporality: AggregationTemporality::Delta.into(), is_monotonic: true };
    (!sum.data_points.is_empty()).then(|| Metric {
        name: (*name).to_owned(),
        description: (*description).to_owned(),
        unit: "{item}".to_owned(),
        data: Some(Data::Sum(sum)),
        ..Metric::default()
    })
}

fn nanoseconds(milliseconds: i64) -> u64 {
    u64::try_from(milliseconds).unwrap_or(0).saturating_mul(1_000_000)
}

fn text(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(value.to_owned())) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp::Signal;

    #[test]
    fn zero_counts_are_not_sent() {
        assert!(request(&[], "d", &BTreeMap::new(), 5).is_empty());
        let nothing = PendingCounters { signal: Signal::Logs, since: 1, counts: Counts::default() };
        assert!(request(&[nothing], "d", &BTreeMap::new(), 5).is_empty());
    }

    #[test]
    fn counters_are_monotonic_delta_sums_of_a_separate_service() {
        let resource = [("service.name", "claude-code"), ("team.id", "platform")];
        let resource = resource.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let pending = [
            PendingCounters {
                signal: Signal::Logs,
                since: 1,
                counts: Counts { received: 7, dropped: 2, ..Counts::default() },
            },
            PendingCounters { signal: Signal::Metrics, since: 3, counts: Counts { received: 1, ..Counts::default() } },
        ];
        let request = request(&pending, "signoz", &resource, 5);
        let request = ExportMetricsServiceRequest::decode(&request[..]).unwrap();
        let of_resource = &request.resource_metrics[0];
        let expected = [text("team.id", "platform"), text("service.name", "ccrun")];
        assert_eq!(of_resource.resource.as_ref().unwrap().attributes, expected);
        let metrics = &of_resource.scope_metrics[0].metrics;
        let names: Vec<_> = metrics.iter().map(|metric| (metric.name.as_str(), metric.unit.as_str())).collect();
        assert_eq!(names, [("ccrun.export.received", "{item}"), ("ccrun.export.dropped", "{item}")]);
        let Some(Data::Sum(sum)) = &metrics[0].data else { panic!("{metrics:?}") };
        assert_eq!((sum.is_monotonic, sum.aggregation_temporality), (true, AggregationTemporality::Delta.into()));
        let points: Vec<_> = sum.data_points.iter().map(|point| (point.start_time_unix_nano, point.value)).collect();
        let value = |number| Some(number_data_point::Value::AsInt(number));
        assert_eq!(points, [(1_000_000, value(7)), (3_000_000, value(1))]);
        assert_eq!(sum.data_points[0].attributes, [text("destination", "signoz"), text("signal", "logs")]);
    }
}
