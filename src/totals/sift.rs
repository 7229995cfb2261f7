//! Separates the delta points of a request from the rest.

use std::collections::HashMap;

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, ExponentialHistogram, Histogram, Metric, ResourceMetrics, ScopeMetrics, Sum,
};
use prost::Message;

use super::series::{self, Installation, Place};
use crate::otlp::schema::export_metrics::RESOURCE_METRICS;
use crate::otlp::schema::resource_metrics::SCOPE_METRICS;
use crate::otlp::schema::scope_metrics::METRICS;
use crate::otlp::schema::{every, metric};
use crate::otlp::{Malformed, Value, fields, put_message};
use crate::system::digest::{Digest, digest};

/// The kinds of data that may be deltas.
const MERGEABLE: [u32; 3] = [metric::SUM, metric::HISTOGRAM, metric::EXPONENTIAL_HISTOGRAM];

/// A delta point.
#[derive(Clone, Debug, PartialEq)]
pub struct Delta {
    /// The series it is added to.
    pub place: Place,
    /// The same only for a repetition of the same point by the same client. It covers the client's own resource, scope
    /// and attributes, both times, and the value, because a redacted attribute may have distinguished two points of the
    /// same time. `None` if the point has no time.
    pub identity: Option<Digest>,
    /// The point as the only one of its metric, under the resource and scope of the total it is added to.
    pub series: ResourceMetrics,
}

/// A sifted request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sifted {
    /// Its delta points.
    pub deltas: Vec<Delta>,
    /// Everything that is not a delta, byte for byte, as a request. Empty if there is nothing.
    pub rest: Vec<u8>,
}

/// Separates the delta points of an `ExportMetricsServiceRequest` in protobuf, which become totals, from the rest.
/// Gauges, summaries and cumulative data are forwarded unchanged.
pub fn sift(request: &[u8], installation: Installation) -> Result<Sifted, Malformed> {
    let mut sifted = Sifted::default();
    let mut occurrences = HashMap::new();
    for field in fields(request) {
        let field = field?;
        if field.number != RESOURCE_METRICS {
            continue;
        }
        let rest = of_resource(field.bytes()?, installation, &mut sifted.deltas)?;
        if let Some(rest) = rest {
            put_message(&mut sifted.rest, RESOURCE_METRICS, &rest);
        }
    }
    for delta in &mut sifted.deltas {
        // Equal points within one request are not repetitions.
        if let Some(identity) = &mut delta.identity {
            let times: &mut u64 = occurrences.entry(*identity).or_default();
            if *times > 0 {
                *identity = digest(&[&identity[..], &times.to_le_bytes()]);
            }
            *times += 1;
        }
    }
    Ok(sifted)
}

/// Returns the rest, if it has any metric.
fn of_resource(
    message: &[u8],
    installation: Installation,
    deltas: &mut Vec<Delta>,
) -> Result<Option<Vec<u8>>, Malformed> {
    let (described, scopes) = apart(message, SCOPE_METRICS)?;
    let head = decode::<ResourceMetrics>(&described)?;
    let resource = series::lasting_resource(head.resource, installation);
    let origin = digest(&[&described[..]]);
    let mut rest = described;
    let before = rest.len();
    for scope in scopes {
        let (described, metrics) = apart(scope, METRICS)?;
        let head = decode::<ScopeMetrics>(&described)?;
        let origin = digest(&[&origin[..], &described]);
        let scope = series::lasting_scope(head.scope);
        let mut others = described;
        let none = others.len();
        for metric in metrics {
            if !is_delta(metric)? {
                put_message(&mut others, METRICS, metric);
                continue;
            }
            for (metric, point) in points(decode::<Metric>(metric)?) {
                let place = series::place(&resource, scope.as_ref(), &metric, &point.attributes);
                let scope_metrics = vec![ScopeMetrics {
                    scope: scope.clone(),
                    metrics: vec![metric],
                    schema_url: head.schema_url.clone(),
                }];
                let series = ResourceMetrics { resource: Some(resource.clone()), scope_metrics, ..Default::default() };
                let identity = (point.time > 0).then(|| point.identity(&origin, &series));
                deltas.push(Delta { place, identity, series });
            }
        }
        if others.len() > none {
            put_message(&mut rest, SCOPE_METRICS, &others);
        }
    }
    Ok((rest.len() > before).then_some(rest))
}

/// A message without the fields of one number, and the contents of those fields.
fn apart(message: &[u8], number: u32) -> Result<(Vec<u8>, Vec<&[u8]>), Malformed> {
    let (mut described, mut found) = (Vec::new(), Vec::new());
    for field in fields(message) {
        let field = field?;
        if field.number == number {
            found.push(field.bytes()?);
        } else {
            described.extend_from_slice(field.raw);
        }
    }
    Ok((described, found))
}

fn decode<M: Message + Default>(message: &[u8]) -> Result<M, Malformed> {
    // A request that cannot be decoded was never acknowledged.
    M::decode(message).map_err(|_| Malformed::Truncated)
}

/// Whether a metric has delta data and nothing else.
fn is_delta(metric: &[u8]) -> Result<bool, Malformed> {
    let mut data = None;
    for field in fields(metric) {
        let field = field?;
        if every::DATA.contains(&field.number) {
            // A `oneof` in several pieces, which no encoder writes.
            if data.is_some() || !MERGEABLE.contains(&field.number) {
                return Ok(false);
            }
            data = Some(field.bytes()?);
        }
    }
    let mut temporality = 0;
    for field in fields(data.unwrap_or_default()) {
        let field = field?;
        if let (every::TEMPORALITY, Value::Varint(number)) = (field.number, field.value) {
            temporality = number;
        }
    }
    Ok(temporality == AggregationTemporality::Delta as u64)
}

/// The data of a point that is needed apart from its metric.
struct Point {
    attributes: Vec<KeyValue>,
    start: u64,
    time: u64,
}

impl Point {
    fn identity(&self, origin: &Digest, series: &ResourceMetrics) -> Digest {
        let metrics = series.scope_metrics.iter().flat_map(|scope| &scope.metrics);
        let value: Vec<_> = metrics.flat_map(value).collect();
        let attributes = series::sorted(&self.attributes);
        digest(&[&origin[..], &value, &attributes, &self.start.to_le_bytes(), &self.time.to_le_bytes()])
    }
}

/// A metric with a single point, as bytes that do not depend on the order of attributes.
fn value(metric: &Metric) -> Vec<u8> {
    let mut metric = metric.clone();
    match &mut metric.data {
        Some(Data::Sum(sum)) => sum.data_points.iter_mut().for_each(|point| point.attributes.clear()),
        Some(Data::Histogram(histogram)) => {
            histogram.data_points.iter_mut().for_each(|point| point.attributes.clear());
        }
        Some(Data::ExponentialHistogram(histogram)) => {
            histogram.data_points.iter_mut().for_each(|point| point.attributes.clear());
        }
        _ => {}
    }
    metric.encode_to_vec()
}

/// The points of a metric, each as the only one of a copy of the metric. Exemplars are dropped: each stands for one
/// moment, but a total is sent repeatedly.
fn points(metric: Metric) -> Vec<(Metric, Point)> {
    let Metric { name, description, unit, data, .. } = metric;
    let alone = |data: Data| Metric {
        name: name.clone(),
        description: description.clone(),
        unit: unit.clone(),
        data: Some(data),
        ..Metric::default()
    };
    macro_rules! each {
        ($points:expr, $of:expr) => {
            $points
                .into_iter()
                .map(|mut point| {
                    point.exemplars.clear();
                    let (start, time) = (point.start_time_unix_nano, point.time_unix_nano);
                    let attributes = point.attributes.clone();
                    (alone($of(vec![point])), Point { attributes, start, time })
                })
                .collect()
        };
    }
    match data {
        Some(Data::Sum(sum)) => each!(sum.data_points, |data_points| Data::Sum(Sum { data_points, ..sum })),
        Some(Data::Histogram(Histogram { data_points, aggregation_temporality })) => {
            each!(data_points, |data_points| Data::Histogram(Histogram { data_points, aggregation_temporality }))
        }
        Some(Data::ExponentialHistogram(ExponentialHistogram { data_points, aggregation_temporality })) => {
            each!(data_points, |data_points| Data::ExponentialHistogram(ExponentialHistogram {
                data_points,
                aggregation_temporality
            }))
        }
        _ => Vec::new(),
    }
}
