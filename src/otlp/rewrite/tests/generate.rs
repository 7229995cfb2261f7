//! Generates requests in wire form with everything that a sender may do: unknown fields at every level, messages
//! missing or in pieces, repeated keys. Also generates rules. There are few names, so that rules often apply.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::super::Switch;
use super::super::attribute::key_of;
use super::super::shape::{self, Shape};
use super::reference::Plain;
use crate::otlp::schema::{log_record, span, span_event, status};
use crate::otlp::{Signal, fields, put_message};

const KEYS: [&str; 16] = [
    "",
    "service.name",
    "service.instance.id",
    "team.id",
    "user.email",
    "session.id",
    "event.name",
    "prompt",
    "error",
    "tool_input",
    "output",
    "content",
    "tool_name",
    "new_context",
    "body",
    "response",
];

const TEXTS: [&str; 14] = [
    "",
    "a",
    "ß",
    "claude-code",
    "claude-code-desktop",
    "other",
    "com.anthropic.claude_code.events",
    "claude_code.tool_result",
    "tool_result",
    "claude_code.tool",
    "tool.output",
    "Write",
    "api_request_body",
    "<REDACTED>",
];

pub(super) fn message(number: u32, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_message(&mut out, number, content);
    out
}

/// A request of this signal.
pub(super) fn request(signal: Signal) -> BoxedStrategy<Vec<u8>> {
    let resource = parts(vec![(6, nested(1, attribute())), (1, Just(vec![2 << 3, 7]).boxed())], 6);
    let scope = parts(vec![(3, text_field(1)), (3, nested(3, attribute()))], 4);
    let scope_item = parts(vec![(1, nested(1, scope)), (4, nested(2, shaped(shape::record(signal))))], 4);
    let item = parts(vec![(3, nested(1, resource)), (4, nested(2, scope_item))], 5);
    parts(vec![(4, nested(1, item))], 4)
}

/// The request for a seed.
pub(super) fn sample(signal: Signal, seed: u64) -> Vec<u8> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    request(signal).new_tree(&mut TestRunner::new_with_rng(Config::default(), rng)).unwrap().current()
}

/// A message of this shape, with the fields that name it.
fn shaped(shape: &'static Shape) -> BoxedStrategy<Vec<u8>> {
    let mut fields: Vec<(u32, BoxedStrategy<Vec<u8>>)> = Vec::new();
    fields.extend(shape.attributes.map(|number| (4, nested(number, attribute()))));
    fields.extend(shape.below.iter().map(|(number, below)| (2, nested(*number, shaped(below)))));
    fields.extend(match shape.kind {
        shape::Kind::Event => vec![(1, text_field(log_record::EVENT_NAME)), (1, nested(log_record::BODY, value()))],
        shape::Kind::Span => vec![(2, text_field(span::NAME))],
        shape::Kind::SpanEvent => vec![(2, text_field(span_event::NAME))],
        shape::Kind::Status => vec![(2, text_field(status::MESSAGE)), (1, Just(vec![3 << 3, 2]).boxed())],
        shape::Kind::Other => Vec::new(),
    });
    parts(fields, 5)
}

/// A `KeyValue`. It has at most one value, because how prost merges several is specific to prost.
fn attribute() -> BoxedStrategy<Vec<u8>> {
    let key = vec(prop::sample::select(KEYS.as_slice()), 0..3);
    let key = key.prop_map(|keys| keys.iter().flat_map(|key| message(1, key.as_bytes())).collect::<Vec<_>>());
    let value = prop_oneof![6 => nested(2, value()), 1 => Just(Vec::new())];
    (prop_oneof![4 => Just(Vec::new()), 1 => unknown()], key, value, prop_oneof![4 => Just(Vec::new()), 1 => unknown()])
        .prop_map(|(before, key, value, behind)| [before, key, value, behind].concat())
        .boxed()
}

/// An `AnyValue`.
fn value() -> BoxedStrategy<Vec<u8>> {
    let array = vec(prop::sample::select(TEXTS.as_slice()), 0..3)
        .prop_map(|texts| texts.iter().flat_map(|text| message(1, &message(1, text.as_bytes()))).collect::<Vec<_>>());
    prop_oneof![
        6 => text_field(1),
        1 => any::<bool>().prop_map(|truth| vec![2 << 3, u8::from(truth)]),
        1 => (0..100_u8).prop_map(|number| vec![3 << 3, number]),
        1 => any::<f64>().prop_map(|number| [&[4 << 3 | 1], &number.to_le_bytes()[..]].concat()),
        1 => array.prop_map(|array| message(5, &array)),
        1 => vec(any::<u8>(), 0..4).prop_map(|bytes| message(7, &bytes)),
        1 => Just(Vec::new()),
    ]
    .boxed()
}

fn text_field(number: u32) -> BoxedStrategy<Vec<u8>> {
    prop::sample::select(TEXTS.as_slice()).prop_map(move |text| message(number, text.as_bytes())).boxed()
}

fn unknown() -> BoxedStrategy<Vec<u8>> {
    prop_oneof![
        (0..128_u8).prop_map(|number| vec![0xf8, 0x7f, number]),
        any::<[u8; 8]>().prop_map(|bytes| [&[0xf9, 0x7f], &bytes[..]].concat()),
        any::<[u8; 4]>().prop_map(|bytes| [&[0xfd, 0x7f], &bytes[..]].concat()),
        vec(any::<u8>(), 0..9).prop_map(|bytes| message(2047, &bytes)),
        // A varint may be longer than necessary, and must keep its length.
        Just(vec![0xf8, 0x7f, 0x81, 0x80, 0x00]),
    ]
    .boxed()
}

fn nested(number: u32, content: BoxedStrategy<Vec<u8>>) -> BoxedStrategy<Vec<u8>> {
    content.prop_map(move |content| message(number, &content)).boxed()
}

/// Up to `most` of these fields in any order, with unknown ones among them.
fn parts(mut fields: Vec<(u32, BoxedStrategy<Vec<u8>>)>, most: usize) -> BoxedStrategy<Vec<u8>> {
    fields.push((1, unknown()));
    vec(prop::strategy::Union::new_weighted(fields), 0..most).prop_map(|parts| parts.concat()).boxed()
}

pub(super) fn any_rules() -> impl Strategy<Value = Plain> {
    let keys = || prop::sample::subsequence(KEYS.as_slice(), 0..3);
    let pairs = || keys().prop_map(|keys| keys.into_iter().map(|key| (key, "ours")).collect::<Vec<_>>());
    let accept = [vec!["*"], vec!["claude-code*"], vec!["other", "claude-code"], vec![]];
    let accept = prop::sample::select(accept.to_vec());
    let off = prop::sample::subsequence(Switch::ALL.as_slice(), 0..=5);
    let key = prop::sample::select(&[None, Some("secret")][..]);
    (accept, pairs(), pairs(), off, keys(), keys(), key).prop_map(|(accept, replace, absent, off, drop, hash, key)| {
        Plain { accept, replace, absent, off, drop, hash, key }
    })
}

/// All fields that the rules do not name, in order. They must be the same before and after.
pub(super) fn untouched(signal: Signal, body: &[u8], plain: &Plain) -> Vec<Vec<u8>> {
    let redacted = |key: &[u8]| plain.drop.iter().chain(&plain.hash).any(|ruled| ruled.as_bytes() == key);
    let stamped = |key: &[u8]| plain.replace.iter().chain(&plain.absent).any(|(ruled, _)| ruled.as_bytes() == key);
    let of_resource = Shape { kind: shape::Kind::Other, attributes: Some(1), below: &[] };
    let mut found = Vec::new();
    for field in fields(body).map(Result::unwrap) {
        if field.number != 1 {
            found.push(field.raw.to_vec());
            continue;
        }
        for field in fields(field.bytes().unwrap()).map(Result::unwrap) {
            match field.number {
                1 => leaves(field.bytes().unwrap(), &of_resource, &|key| !redacted(key) && !stamped(key), &mut found),
                2 => scoped(signal, field.bytes().unwrap(), &|key| !redacted(key), &mut found),
                _ => found.push(field.raw.to_vec()),
            }
        }
    }
    found
}

type Kept<'a> = &'a dyn Fn(&[u8]) -> bool;

fn scoped(signal: Signal, item: &[u8], kept: Kept<'_>, found: &mut Vec<Vec<u8>>) {
    for field in fields(item).map(Result::unwrap) {
        match field.number {
            1 => leaves(field.bytes().unwrap(), &shape::SCOPE_SHAPE, kept, found),
            2 => leaves(field.bytes().unwrap(), shape::record(signal), kept, found),
            _ => found.push(field.raw.to_vec()),
        }
    }
}

fn leaves(message: &[u8], shape: &Shape, kept: Kept<'_>, found: &mut Vec<Vec<u8>>) {
    for field in fields(message).map(Result::unwrap) {
        if let Some((_, below)) = shape.below.iter().find(|(number, _)| *number == field.number) {
            leaves(field.bytes().unwrap(), below, kept, found);
        } else if shape.attributes != Some(field.number) || kept(key_of(field.bytes().unwrap()).unwrap()) {
            found.push(field.raw.to_vec());
        }
    }
}
