//! Builds the requests of a snapshot. Series are grouped under the resources, scopes and metrics they share.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{Metric, ResourceMetrics};
use prost::Message;

use super::series::{PLACE, Place};

/// The prefixes of a place that identify a resource, a scope and a metric: see [`Place`].
const SCOPE: usize = PLACE / 4;
const METRIC: usize = 2 * SCOPE;
const ATTRIBUTES: usize = 3 * SCOPE;

/// The maximum size of the lengths of the messages around a point, in bytes.
const AROUND: usize = 24;

/// Series for a request, in the order of their places.
#[derive(Debug, Default)]
pub struct Gathered {
    request: ExportMetricsServiceRequest,
    last: Option<Place>,
    /// The size of the request in bytes; an upper estimate.
    size: usize,
    places: Vec<Place>,
}

impl Gathered {
    /// Adds a series unless the request would exceed `most` bytes. The first series is always added.
    pub fn take(&mut self, place: Place, series: ResourceMetrics, most: usize) -> bool {
        let shared = self.last.map_or(0, |last| {
            [ATTRIBUTES, METRIC, SCOPE].into_iter().find(|to| last[..*to] == place[..*to]).unwrap_or(0)
        });
        let size = AROUND + if shared == ATTRIBUTES { point_size(&series) } else { series.encoded_len() };
        if self.last.is_some() && self.size + size > most {
            return false;
        }
        self.size += size;
        self.last = Some(place);
        self.places.push(place);
        self.join(series, shared);
        true
    }

    /// Adds a series under the messages that it shares with the last one. `shared` is the number of common bytes of
    /// their places.
    fn join(&mut self, mut series: ResourceMetrics, shared: usize) {
        let Some(resource) = self.request.resource_metrics.last_mut().filter(|_| shared >= SCOPE) else {
            return self.request.resource_metrics.push(series);
        };
        let Some(mut scope_metrics) = series.scope_metrics.pop() else { return };
        let Some(scope) = resource.scope_metrics.last_mut().filter(|_| shared >= METRIC) else {
            return resource.scope_metrics.push(scope_metrics);
        };
        let Some(other) = scope_metrics.metrics.pop() else { return };
        match scope.metrics.last_mut().filter(|_| shared >= ATTRIBUTES) {
            Some(metric) => append(metric, other),
            None => scope.metrics.push(other),
        }
    }

    /// The places of the added series, in order.
    pub fn places(&self) -> &[Place] {
        &self.places
    }

    /// Whether no series was added.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The request in protobuf.
    pub fn encode(&self) -> Vec<u8> {
        self.request.encode_to_vec()
    }

    /// The name of the first metric in it.
    pub fn first_metric(&self) -> &str {
        let scope = self.request.resource_metrics.first().and_then(|resource| resource.scope_metrics.first());
        scope.and_then(|scope| scope.metrics.first()).map_or("", |metric| metric.name.as_str())
    }
}

/// Appends the points of a metric to one with the same identity.
fn append(metric: &mut Metric, other: Metric) {
    match (&mut metric.data, other.data) {
        (Some(Data::Sum(to)), Some(Data::Sum(from))) => to.data_points.extend(from.data_points),
        (Some(Data::Histogram(to)), Some(Data::Histogram(from))) => to.data_points.extend(from.data_points),
        (Some(Data::ExponentialHistogram(to)), Some(Data::ExponentialHistogram(from))) => {
            to.data_points.extend(from.data_points);
        }
        // Metrics of different kinds have different places.
        _ => {}
    }
}

fn point_size(series: &ResourceMetrics) -> usize {
    let metrics = series.scope_metrics.iter().flat_map(|scope| &scope.metrics);
    let sizes = metrics.map(|metric| match &metric.data {
        Some(Data::Sum(sum)) => sum.data_points.iter().map(Message::encoded_len).sum(),
        Some(Data::Histogram(histogram)) => histogram.data_points.iter().map(Message::encoded_len).sum(),
        Some(Data::ExponentialHistogram(histogram)) => histogram.data_points.iter().map(Message::encoded_len).sum(),
        _ => 0_usize,
    });
    sizes.sum()
}
