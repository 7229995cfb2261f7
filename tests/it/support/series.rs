//! Deltas as Claude Code exports them, and series as a backend sees them.

use std::collections::BTreeMap;

use ccrun::otlp::Signal;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;

use super::backend::{Backend, Export, Received};
use super::emitter::Emitter;

/// A point of a series: start time, time and value.
pub type Point = (u64, u64, i64);

pub fn attribute(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(Any::StringValue(value.to_owned())) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

/// A request of input tokens by model. The tokens are counted in the `nth` of consecutive ten-second intervals up to
/// now.
pub fn tokens(by_model: &[(&str, i64)], nth: u64) -> Vec<u8> {
    let now = u64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap();
    let point = |(model, tokens): &(&str, i64)| NumberDataPoint {
        attributes: vec![attribute("model", model), attribute("type", "input")],
        // Each request is one nanosecond later, so that no two have the same time.
        start_time_unix_nano: now - 10_000_000_000 + nth,
        time_unix_nano: now + nth,
        value: Some(Value::AsInt(*tokens)),
        ..NumberDataPoint::default()
    };
    request("claude_code.token.usage", by_model.iter().map(point).collect())
}

/// A request with one delta sum.
pub fn request(name: &str, data_points: Vec<NumberDataPoint>) -> Vec<u8> {
    let data = Data::Sum(Sum {
        data_points,
        aggregation_temporality: AggregationTemporality::Delta.into(),
        is_monotonic: true,
    });
    let metric = Metric { name: name.to_owned(), unit: "tokens".to_owned(), data: Some(data), ..Metric::default() };
    let scope = InstrumentationScope {
        name: "com.anthropic.claude_code".to_owned(),
        version: "2.1.332".to_owned(),
        ..InstrumentationScope::default()
    };
    let scope_metrics = vec![ScopeMetrics { scope: Some(scope), metrics: vec![metric], ..ScopeMetrics::default() }];
    let attributes = vec![attribute("service.name", "claude-code"), attribute("service.version", "2.1.332")];
    let resource = Some(Resource { attributes, ..Resource::default() });
    let resource_metrics = vec![ResourceMetrics { resource, scope_metrics, ..ResourceMetrics::default() }];
    ExportMetricsServiceRequest { resource_metrics }.encode_to_vec()
}

/// Exports tokens and checks that they are acknowledged.
#[track_caller]
pub fn export(client: &mut Emitter, by_model: &[(&str, i64)], nth: u64) {
    assert_eq!(client.post(Signal::Metrics, &tokens(by_model, nth)).unwrap().status, 200);
}

/// The points that arrived, by series. As in Prometheus, a series is service, instance, metric and attributes.
pub fn series<'a>(received: impl IntoIterator<Item = &'a Received>) -> BTreeMap<String, Vec<Point>> {
    let mut found: BTreeMap<String, Vec<Point>> = BTreeMap::new();
    for received in received {
        let Some(Export::Metrics(request)) = &received.export else { continue };
        for resource in &request.resource_metrics {
            let attributes = resource.resource.as_ref().map(|resource| resource.attributes.as_slice());
            let instance = ["service.name", "service.instance.id"].map(|key| text(attributes.unwrap_or_default(), key));
            for metric in resource.scope_metrics.iter().flat_map(|scope| &scope.metrics) {
                let Some(Data::Sum(sum)) = &metric.data else { continue };
                assert_eq!(sum.aggregation_temporality, i32::from(AggregationTemporality::Cumulative), "{metric:?}");
                for point in &sum.data_points {
                    let mut labels: Vec<_> = point.attributes.iter().map(label).collect();
                    labels.sort();
                    let name = format!("{} {{{}}} {}", metric.name, labels.join(","), instance.join("/"));
                    let times = (point.start_time_unix_nano, point.time_unix_nano);
                    found.entry(name).or_default().push((times.0, times.1, number(point)));
                }
            }
        }
    }
    found
}

/// Checks the invariants of every series, and returns the sum of the last points of `metric`.
#[track_caller]
pub fn sum_of(series: &BTreeMap<String, Vec<Point>>, metric: &str) -> i64 {
    for (name, points) in series {
        assert_eq!(points[0].2, 0, "{name} starts at zero: {points:?}");
        for pair in points.windows(2) {
            let [(_, before, one), (_, after, other)] = pair else { unreachable!() };
            assert!(after > before || (*one == 0 && *other == 0), "the times of {name} increase: {points:?}");
            assert!(other >= one, "the values of {name} never decrease: {points:?}");
        }
        assert!(points.iter().all(|(start, time, _)| *start > 0 && start <= time), "{name}: {points:?}");
    }
    let of_metric = series.iter().filter(|(name, _)| name.split(' ').next() == Some(metric));
    of_metric.filter_map(|(_, points)| points.last()).map(|(_, _, value)| value).sum()
}

/// The input tokens that a backend has counted.
#[track_caller]
pub fn tokens_at(backend: &Backend) -> i64 {
    sum_of(&series(&backend.received()), "claude_code.token.usage")
}

fn label(attribute: &KeyValue) -> String {
    format!("{}={}", attribute.key, string(attribute).unwrap_or_default())
}

fn text(attributes: &[KeyValue], key: &str) -> String {
    attributes.iter().find(|attribute| attribute.key == key).and_then(string).unwrap_or_default()
}

fn string(attribute: &KeyValue) -> Option<String> {
    match attribute.value.as_ref()?.value.as_ref()? {
        Any::StringValue(text) => Some(text.clone()),
        other => Some(format!("{other:?}")),
    }
}

fn number(point: &NumberDataPoint) -> i64 {
    match point.value {
        Some(Value::AsInt(number)) => number,
        other => panic!("not an integer: {other:?}"),
    }
}

/// The values of the delta points of tokens that a backend received.
pub fn deltas_at(backend: &Backend) -> Vec<i64> {
    let mut found = Vec::new();
    for received in backend.received() {
        let Some(Export::Metrics(request)) = &received.export else { continue };
        let scopes = request.resource_metrics.iter().flat_map(|resource| &resource.scope_metrics);
        for metric in scopes.flat_map(|scope| &scope.metrics).filter(|metric| metric.name.starts_with("claude_code.")) {
            let Some(Data::Sum(sum)) = &metric.data else { continue };
            assert_eq!(sum.aggregation_temporality, i32::from(AggregationTemporality::Delta), "{metric:?}");
            found.extend(sum.data_points.iter().map(number));
        }
    }
    found
}
