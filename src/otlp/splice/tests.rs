//! Splicing, held against decoding, editing and comparing.

use std::collections::BTreeSet;
use std::fmt::Debug;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;

use super::*;

/// Few keys, so that what comes, what replaces and what is only added meet often.
const KEYS: [&str; 5] = ["", "service.name", "service.instance.id", "team.id", "cost_center"];

fn stamp(replace: &[(&str, &str)], absent: &[(&str, &str)]) -> Stamp {
    let owned = |pairs: &[(&str, &str)]| pairs.iter().map(|&(key, value)| (key.into(), value.into())).collect();
    Stamp { replace: owned(replace), absent: owned(absent) }
}

/// A request in wire form with everything that a sender may do: unknown fields at every level, a resource missing or
/// in pieces, keys written twice. The shape is the same for all signals.
fn request() -> impl Strategy<Value = Vec<u8>> {
    let attribute = vec(prop_oneof![4 => key(), 3 => value(), 1 => unknown()], 0..4).prop_map(|parts| parts.concat());
    let dropped = (0..100_u8).prop_map(|count| vec![2 << 3, count]);
    let resource = vec(prop_oneof![6 => nested(1, attribute), 1 => dropped, 1 => unknown()], 0..6);
    let scope = Just(vec![0x12, 0x05, 0x0a, 0x03, 0x0a, 0x01, b's']);
    let item = vec(prop_oneof![3 => nested(1, concat(resource)), 2 => scope, 1 => unknown()], 0..5);
    concat(vec(prop_oneof![4 => nested(1, concat(item)), 1 => unknown()], 0..4))
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    prop::sample::select(KEYS.as_slice()).prop_map(|key| message(1, key.as_bytes()))
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    "[a-zäß]{0,3}".prop_map(|text| message(2, &message(1, text.as_bytes())))
}

fn unknown() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        (0..128_u8).prop_map(|number| vec![0xf8, 0x7f, number]),
        any::<[u8; 8]>().prop_map(|bytes| [&[0xf9, 0x7f], &bytes[..]].concat()),
        any::<[u8; 4]>().prop_map(|bytes| [&[0xfd, 0x7f], &bytes[..]].concat()),
        vec(any::<u8>(), 0..9).prop_map(|bytes| message(2047, &bytes)),
        // A varint longer than it need be is legal, and must stay as long.
        Just(vec![0xf8, 0x7f, 0x81, 0x80, 0x00]),
    ]
}

fn nested(number: u32, content: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    content.prop_map(move |content| message(number, &content))
}

fn concat(parts: impl Strategy<Value = Vec<Vec<u8>>>) -> impl Strategy<Value = Vec<u8>> {
    parts.prop_map(|parts| parts.concat())
}

fn message(number: u32, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_message(&mut out, number, content);
    out
}

fn any_stamp() -> impl Strategy<Value = Stamp> {
    let pairs = || prop::collection::btree_map(prop::sample::select(KEYS.as_slice()), "[a-z]{0,4}", 0..4);
    (pairs(), pairs()).prop_map(|(replace, absent)| {
        let owned = |pairs: BTreeMap<&str, String>| pairs.into_iter().map(|(key, value)| (key.into(), value)).collect();
        Stamp { replace: owned(replace), absent: owned(absent) }
    })
}

/// What the three requests have in common, so that one property serves them all.
trait Export: Message + Default + PartialEq + Debug {
    fn resources(&mut self) -> Vec<&mut Option<Resource>>;
}

macro_rules! export {
    ($request:ty, $items:ident) => {
        impl Export for $request {
            fn resources(&mut self) -> Vec<&mut Option<Resource>> {
                self.$items.iter_mut().map(|item| &mut item.resource).collect()
            }
        }
    };
}
export!(ExportMetricsServiceRequest, resource_metrics);
export!(ExportLogsServiceRequest, resource_logs);
export!(ExportTraceServiceRequest, resource_spans);

/// The plain meaning of a stamp, on a decoded request.
fn edit<E: Export>(body: &[u8], stamp: &Stamp) -> E {
    let mut request = E::decode(body).unwrap();
    for resource in request.resources() {
        let attributes = &mut resource.get_or_insert_default().attributes;
        attributes.retain(|attribute| !stamp.replace.contains_key(&attribute.key));
        let present: BTreeSet<String> = attributes.iter().map(|attribute| attribute.key.clone()).collect();
        let is_missing = |key: &String| !stamp.replace.contains_key(key) && !present.contains(key);
        let missing = stamp.absent.iter().filter(|(key, _)| is_missing(key));
        attributes.extend(missing.chain(&stamp.replace).map(|(key, value)| KeyValue {
            key: key.clone(),
            value: Some(AnyValue { value: Some(Value::StringValue(value.clone())) }),
            ..KeyValue::default()
        }));
    }
    request
}

/// Everything of a request that is no attribute, in its order: it must be the same before and after.
fn foreign(body: &[u8]) -> Vec<Vec<u8>> {
    let mut foreign = Vec::new();
    for field in fields(body).map(Result::unwrap) {
        if field.number != RESOURCE_ITEM {
            foreign.push(field.raw.to_vec());
            continue;
        }
        for field in fields(field.bytes().unwrap()).map(Result::unwrap) {
            if field.number != RESOURCE {
                foreign.push(field.raw.to_vec());
                continue;
            }
            let others = fields(field.bytes().unwrap()).map(Result::unwrap).filter(|field| field.number != ATTRIBUTE);
            foreign.extend(others.map(|field| field.raw.to_vec()));
        }
    }
    foreign
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn splicing_then_decoding_is_decoding_then_editing(body in request(), stamp in any_stamp()) {
        let spliced = splice_resource(&body, &stamp)?;
        prop_assert_eq!(ExportMetricsServiceRequest::decode(&*spliced)?, edit(&body, &stamp));
        prop_assert_eq!(ExportLogsServiceRequest::decode(&*spliced)?, edit(&body, &stamp));
        prop_assert_eq!(ExportTraceServiceRequest::decode(&*spliced)?, edit(&body, &stamp));
    }

    #[test]
    fn what_is_no_attribute_survives_byte_for_byte(body in request(), stamp in any_stamp()) {
        let spliced = splice_resource(&body, &stamp)?;
        prop_assert_eq!(foreign(&spliced), foreign(&body));
        let surviving = |body: &[u8]| attributes(body, &stamp);
        prop_assert_eq!(surviving(&spliced), surviving(&body));
        prop_assert_eq!(splice_resource(&spliced, &stamp)?, spliced, "stamping twice is stamping once");
    }

    #[test]
    fn random_bytes_never_panic(body in vec(any::<u8>(), 0..400), stamp in any_stamp()) {
        let _ = splice_resource(&body, &stamp);
    }

    #[test]
    fn damaged_requests_never_panic(mut body in request(), stamp in any_stamp(), at: prop::sample::Index, byte: u8) {
        if !body.is_empty() {
            let at = at.index(body.len());
            body[at] = byte;
            let _ = splice_resource(&body, &stamp);
            let _ = splice_resource(&body[..at], &stamp);
        }
    }
}

/// The raw attributes that a stamp has nothing to say about.
fn attributes(body: &[u8], stamp: &Stamp) -> Vec<Vec<u8>> {
    let ours = |key: &[u8]| {
        let key = std::str::from_utf8(key).unwrap();
        stamp.replace.contains_key(key) || stamp.absent.contains_key(key)
    };
    let items = fields(body).map(Result::unwrap).filter(|field| field.number == RESOURCE_ITEM);
    let resources = items.flat_map(|item| fields(item.bytes().unwrap()).map(Result::unwrap));
    let resources = resources.filter(|field| field.number == RESOURCE);
    let attributes = resources.flat_map(|resource| fields(resource.bytes().unwrap()).map(Result::unwrap));
    attributes
        .filter(|field| field.number == ATTRIBUTE && !ours(key_of(field.bytes().unwrap()).unwrap()))
        .map(|field| field.raw.to_vec())
        .collect()
}

#[test]
fn an_empty_request_stays_empty_and_a_missing_resource_is_made() {
    let stamp = stamp(&[("team.id", "platform")], &[("service.instance.id", "1")]);
    assert_eq!(splice_resource(b"", &stamp), Ok(Vec::new()));
    let made = splice_resource(&message(1, b""), &stamp).unwrap();
    let request = ExportLogsServiceRequest::decode(&*made).unwrap();
    assert_eq!(request.resource_logs[0].resource.as_ref().unwrap().attributes.len(), 2);
}

#[test]
fn a_resource_in_two_pieces_counts_as_one() {
    let id = |value: &str| message(1, &[message(1, b"id"), message(2, &message(1, value.as_bytes()))].concat());
    let pieces = [message(1, &id("theirs")), message(1, b"")].concat();
    let spliced = splice_resource(&message(1, &pieces), &stamp(&[], &[("id", "ours")])).unwrap();
    assert_eq!(spliced, message(1, &pieces), "the first piece has it, so the last gets none");
}

#[test]
fn malformed_requests_are_errors() {
    let stamp = stamp(&[("a", "b")], &[]);
    let group_in_resource = message(1, &message(1, &[0x1b, 0x1c]));
    let key_as_number = message(1, &message(1, &message(1, &[1 << 3, 7])));
    let cases = [
        (vec![1 << 3, 1], Malformed::Unexpected(1)),
        (message(1, &[1 << 3, 1]), Malformed::Unexpected(1)),
        (message(1, &message(1, &[1 << 3, 1])), Malformed::Unexpected(1)),
        (key_as_number, Malformed::Unexpected(1)),
        (group_in_resource, Malformed::WireType(3)),
        (vec![0x0a, 0x05, 0x0a], Malformed::Truncated),
        (message(1, &[0x0a, 0x05]), Malformed::Truncated),
        (vec![0x00, 0x00], Malformed::FieldNumber),
    ];
    for (body, expected) in cases {
        assert_eq!(splice_resource(&body, &stamp), Err(expected), "{body:02x?}");
    }
}

#[test]
fn a_flood_of_empty_resources_is_refused() {
    let flood = message(1, b"").repeat(100_000);
    let stamp = stamp(&[("padding", &"x".repeat(1000))], &[]);
    assert_eq!(splice_resource(&flood, &stamp), Err(Malformed::TooManyResources));
}
