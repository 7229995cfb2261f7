//! The series that a point belongs to, and the resource under which it is sent.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;

use crate::system::digest::{Digest, digest};
use crate::system::hex::hex;

/// The size of a [`Place`] in bytes.
pub const PLACE: usize = 4 * size_of::<Digest>();

/// A series' place in its destination: digests of its resource, scope, metric and attributes, in this order. Sorted,
/// series that share a resource, a scope or a metric are adjacent.
pub type Place = [u8; PLACE];

/// Distinguishes this machine, user and state from others that keep totals for the same destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Installation(pub Digest);

/// Resource attributes that would end a series with each session, process, checkout or update. Prometheus and similar
/// backends identify a series by `service.name` and `service.instance.id`. Two series that differ only in one of these
/// attributes would be one series there, with samples of both.
const PASSING: [&str; 3] = ["ccrun.session", "ccrun.version", "service.version"];

/// The same, as prefixes.
const PASSING_BELOW: [&str; 2] = ["process.", "vcs.ref.head."];

/// The attribute that identifies the sender (semantic conventions, *Service*).
const INSTANCE: &str = "service.instance.id";

fn lasts(attribute: &KeyValue) -> bool {
    let key = attribute.key.as_str();
    key != INSTANCE && !PASSING.contains(&key) && !PASSING_BELOW.iter().any(|prefix| key.starts_with(prefix))
}

/// The resource of a total: the lasting attributes of a point's resource sorted by key, and an instance id derived from
/// the installation and the other attributes. Resources that differ here therefore also differ for backends that only
/// look at the service's attributes.
pub(super) fn lasting_resource(resource: Option<Resource>, installation: Installation) -> Resource {
    let mut resource = resource.unwrap_or_default();
    resource.attributes.retain(lasts);
    resource.attributes.sort_by(|one, other| one.key.cmp(&other.key));
    resource.dropped_attributes_count = 0;
    resource.entity_refs.clear();
    let described = resource.encode_to_vec();
    let instance = hex(digest(&[b"instance", &installation.0[..], &described]));
    let value = Some(AnyValue { value: Some(Value::StringValue(instance)) });
    resource.attributes.push(KeyValue { key: INSTANCE.to_owned(), value, ..KeyValue::default() });
    resource
}

/// The scope of a total, without the version, which changes with every update of a client.
pub(super) fn lasting_scope(scope: Option<InstrumentationScope>) -> Option<InstrumentationScope> {
    scope.map(|scope| InstrumentationScope { version: String::new(), ..scope })
}

/// The place of a point with these attributes.
pub(super) fn place(
    resource: &Resource,
    scope: Option<&InstrumentationScope>,
    metric: &Metric,
    attributes: &[KeyValue],
) -> Place {
    let scope = scope.map(Message::encode_to_vec).unwrap_or_default();
    let digests = [
        digest(&[&resource.encode_to_vec()[..]]),
        digest(&[&scope[..]]),
        digest(&[metric.name.as_bytes(), metric.unit.as_bytes(), &[kind(metric)]]),
        digest(&[&sorted(attributes)[..]]),
    ];
    let mut place = [0; PLACE];
    for (to, digest) in place.chunks_exact_mut(size_of::<Digest>()).zip(digests) {
        to.copy_from_slice(&digest);
    }
    place
}

/// The kind of stream that a metric is (data model, *Metric identity*).
fn kind(metric: &Metric) -> u8 {
    match &metric.data {
        Some(Data::Sum(sum)) if sum.is_monotonic => 1,
        Some(Data::Sum(_)) => 2,
        Some(Data::Histogram(_)) => 3,
        Some(Data::ExponentialHistogram(_)) => 4,
        _ => 0,
    }
}

/// Attributes in a canonical order, because the received order has no meaning.
pub(super) fn sorted(attributes: &[KeyValue]) -> Vec<u8> {
    let mut attributes: Vec<_> = attributes.iter().map(Message::encode_length_delimited_to_vec).collect();
    attributes.sort_unstable();
    attributes.concat()
}
