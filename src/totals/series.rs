//! Which series a point belongs to, and under which resource that is sent.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;

use crate::digest::{Digest, digest, hex};

/// How many bytes a [`Place`] has.
pub const PLACE: usize = 4 * size_of::<Digest>();

/// A series' place among those of its destination: digests of its resource, scope, metric and attributes, one after the
/// other, so that in their order those which share a resource, a scope or a metric stand together.
pub type Place = [u8; PLACE];

/// What tells this machine, user and state from others that may send to the same destination, as whoever keeps totals
/// for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Installation(pub Digest);

/// Resource attributes that would end a series with each session, process, checkout or update: Prometheus and its kin
/// take `service.name` and `service.instance.id` for what identifies, so that two series of ours that differ in one of
/// these alone would be one series there, with samples of both.
const PASSING: [&str; 3] = ["ccrun.session", "ccrun.version", "service.version"];

/// The same, whatever follows.
const PASSING_BELOW: [&str; 2] = ["process.", "vcs.ref.head."];

/// What identifies whoever sends (semantic conventions, *Service*).
const INSTANCE: &str = "service.instance.id";

fn lasts(attribute: &KeyValue) -> bool {
    let key = attribute.key.as_str();
    key != INSTANCE && !PASSING.contains(&key) && !PASSING_BELOW.iter().any(|prefix| key.starts_with(prefix))
}

/// The resource of a total: what lasts of a point's, in the order of keys, and an instance of its own. That is made of
/// the installation and of all else that is there, so that what is two resources for us is so for whoever goes by the
/// service's attributes alone.
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

/// The scope of a total. Its version is no part of it: that changes with every update of a client.
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

/// What sort of stream a metric is (data model, *Metric identity*).
fn kind(metric: &Metric) -> u8 {
    match &metric.data {
        Some(Data::Sum(sum)) if sum.is_monotonic => 1,
        Some(Data::Sum(_)) => 2,
        Some(Data::Histogram(_)) => 3,
        Some(Data::ExponentialHistogram(_)) => 4,
        _ => 0,
    }
}

/// Attributes in an order of their own, for that in which they came says nothing.
pub(super) fn sorted(attributes: &[KeyValue]) -> Vec<u8> {
    let mut attributes: Vec<_> = attributes.iter().map(Message::encode_length_delimited_to_vec).collect();
    attributes.sort_unstable();
    attributes.concat()
}
