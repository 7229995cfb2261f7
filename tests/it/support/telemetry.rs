//! The recordings of a backend as maps and lists that a test can compare.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point;
use opentelemetry_proto::tonic::resource::v1::Resource;

use super::backend::{Export, Received};

/// Attributes, with every value as text.
pub type Attributes = BTreeMap<String, String>;

/// A data point, a log record or a span.
#[derive(Clone, Debug)]
pub struct Item {
    pub kind: Kind,
    /// Without the prefix `claude_code.`.
    pub name: String,
    pub attributes: Attributes,
    /// The attributes of its resource.
    pub resource: Attributes,
}

/// The kind of an item.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// A point of a sum: its value, and whether it is a delta.
    Point {
        value: f64,
        is_delta: bool,
    },
    Event,
    Span,
}

/// Everything that arrived, in order.
pub fn everything(received: &[Received]) -> Vec<Item> {
    received.iter().filter_map(|received| received.export.as_ref()).flat_map(of_export).collect()
}

/// Everything except the collector's telemetry about itself.
pub fn items(received: &[Received]) -> Vec<Item> {
    let mut items = everything(received);
    items.retain(|item| item.resource.get("service.name").is_none_or(|service| service != "ccrun"));
    items
}

/// The events with this name.
pub fn events(received: &[Received], name: &str) -> Vec<Item> {
    items(received).into_iter().filter(|item| item.kind == Kind::Event && item.name == name).collect()
}

/// Whether a metric with this name has arrived.
pub fn has_metric(received: &[Received], name: &str) -> bool {
    items(received).iter().any(|item| matches!(item.kind, Kind::Point { .. }) && item.name == name)
}

/// The sum of a metric's points by one of their attributes.
pub fn sums(received: &[Received], name: &str, by: &str) -> BTreeMap<String, f64> {
    let mut sums = BTreeMap::new();
    for item in everything(received).into_iter().filter(|item| item.name == name) {
        if let Kind::Point { value, .. } = item.kind {
            *sums.entry(item.attributes.get(by).cloned().unwrap_or_default()).or_default() += value;
        }
    }
    sums
}

fn of_export(export: &Export) -> Vec<Item> {
    match export {
        Export::Metrics(request) => {
            let points = request.resource_metrics.iter().flat_map(|part| {
                let metrics = part.scope_metrics.iter().flat_map(|scope| &scope.metrics);
                metrics.flat_map(|metric| {
                    let Some(Data::Sum(sum)) = &metric.data else { return Vec::new() };
                    // AGGREGATION_TEMPORALITY_DELTA
                    let is_delta = sum.aggregation_temporality == 1;
                    let points = sum.data_points.iter().map(|point| {
                        let value = match point.value {
                            Some(number_data_point::Value::AsDouble(value)) => value,
                            #[expect(clippy::cast_precision_loss, reason = "what tests count is small")]
                            Some(number_data_point::Value::AsInt(value)) => value as f64,
                            None => 0.0,
                        };
                        item(Kind::Point { value, is_delta }, &metric.name, &point.attributes, part.resource.as_ref())
                    });
                    points.collect()
                })
            });
            points.collect()
        }
        Export::Logs(request) => {
            let records = request.resource_logs.iter().flat_map(|part| {
                let records = part.scope_logs.iter().flat_map(|scope| &scope.log_records);
                records.map(|record| {
                    let name = record.body.as_ref().map(text).unwrap_or_default();
                    item(Kind::Event, &name, &record.attributes, part.resource.as_ref())
                })
            });
            records.collect()
        }
        Export::Traces(request) => {
            let spans = request.resource_spans.iter().flat_map(|part| {
                let spans = part.scope_spans.iter().flat_map(|scope| &scope.spans);
                spans.map(|span| item(Kind::Span, &span.name, &span.attributes, part.resource.as_ref()))
            });
            spans.collect()
        }
    }
}

fn item(kind: Kind, name: &str, own: &[KeyValue], resource: Option<&Resource>) -> Item {
    let name = name.strip_prefix("claude_code.").unwrap_or(name).to_owned();
    let resource = resource.map(|resource| attributes(&resource.attributes)).unwrap_or_default();
    Item { kind, name, attributes: attributes(own), resource }
}

/// Converts attributes to a map, and fails on a duplicate key, which the map would hide.
fn attributes(pairs: &[KeyValue]) -> Attributes {
    let mut found = Attributes::new();
    for pair in pairs {
        let before = found.insert(pair.key.clone(), pair.value.as_ref().map(text).unwrap_or_default());
        assert!(before.is_none(), "duplicate attribute `{}`: {pairs:?}", pair.key);
    }
    found
}

fn text(value: &AnyValue) -> String {
    match &value.value {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::DoubleValue(number)) => number.to_string(),
        Some(Value::BoolValue(truth)) => truth.to_string(),
        other => format!("{other:?}"),
    }
}
