//! Compares validation with prost's decoder.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message as _;

use super::*;
use crate::otlp::arbitrary::arbitrary;
use crate::otlp::put_message;
use crate::otlp::wire::put_varint;

/// A group. prost skips groups in unknown fields.
const GROUP: Malformed = Malformed::WireType(3);

fn is_decoded(signal: Signal, body: &[u8]) -> bool {
    match signal {
        Signal::Traces => ExportTraceServiceRequest::decode(body).is_ok(),
        Signal::Metrics => ExportMetricsServiceRequest::decode(body).is_ok(),
        Signal::Logs => ExportLogsServiceRequest::decode(body).is_ok(),
    }
}

fn agrees(signal: Signal, body: &[u8]) -> Result<(), TestCaseError> {
    let verdict = validate(signal, body);
    let agrees = verdict == Err(GROUP) || verdict.is_ok() == is_decoded(signal, body);
    prop_assert!(agrees, "{:?} of {:02x?}", verdict, body);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn valid_and_damaged_requests_are_judged_as_by_prost(
        bytes in vec(any::<u8>(), 0..1000),
        damages in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        for signal in Signal::ALL {
            let mut body = arbitrary(signal, &bytes, false);
            prop_assert_eq!(validate(signal, &body), Ok(()));
            for (at, byte) in &damages {
                let at = at.index(body.len().max(1));
                body.resize(body.len().max(1), 0);
                body[at] = *byte;
                agrees(signal, &body)?;
                agrees(signal, &body[..at])?;
            }
        }
    }

    #[test]
    fn unusual_fields_are_judged_as_by_prost(bytes in vec(any::<u8>(), 0..400)) {
        for signal in Signal::ALL {
            agrees(signal, &odd(request(signal), &mut bytes.iter().copied()))?;
        }
    }

    #[test]
    fn arbitrary_bytes_are_judged_as_by_prost(bytes: Vec<u8>) {
        for signal in Signal::ALL {
            agrees(signal, &bytes)?;
        }
    }
}

/// A message with known and unknown fields. Most are valid; they are in any order, in pieces, and packed or not.
fn odd(shape: &'static Message, bytes: &mut dyn Iterator<Item = u8>) -> Vec<u8> {
    let mut out = Vec::new();
    for _ in 0..bytes.next().unwrap_or(0) % 5 {
        let mut byte = || bytes.next().unwrap_or(0);
        let field = &shape.fields[usize::from(byte()) % shape.fields.len()];
        let number = if byte() % 16 == 1 { 1000 } else { field.number };
        let some = |bytes: &mut dyn Iterator<Item = u8>| bytes.take(7).collect::<Vec<_>>();
        match (byte() % 32, field.kind) {
            (1, _) => put_message(&mut out, number, &some(bytes)),
            (2, _) => put_number(&mut out, number, 0, &[7]),
            (3, _) => put_number(&mut out, number, 1, &[7; 8]),
            (4, _) => put_number(&mut out, number, 5, &[7; 4]),
            (_, Kind::Message(below)) => put_message(&mut out, number, &odd(below, bytes)),
            (_, Kind::String) => put_message(&mut out, number, "größer".as_bytes()),
            (_, Kind::Bytes | Kind::Id(_)) => put_message(&mut out, number, b"\xff"),
            (5..20, _) if field.rule == Rule::Repeated => put_message(&mut out, number, &[1, 1, 1, 1].repeat(2)),
            (_, Kind::Fixed32) => put_number(&mut out, number, 5, &[0; 4]),
            (_, Kind::Double | Kind::Fixed64 | Kind::Sfixed64(_)) => put_number(&mut out, number, 1, &[0; 8]),
            _ => put_number(&mut out, number, 0, &[0x80, 1]),
        }
    }
    out
}

fn put_number(out: &mut Vec<u8>, number: u32, wire_type: u8, bytes: &[u8]) {
    put_varint(out, u64::from(number) << 3 | u64::from(wire_type));
    out.extend_from_slice(bytes);
}

/// Nested messages, outermost first.
fn nested(numbers: impl DoubleEndedIterator<Item = u32>, inner: &[u8]) -> Vec<u8> {
    numbers.rev().fold(inner.to_vec(), |inner, number| {
        let mut outer = Vec::new();
        put_message(&mut outer, number, &inner);
        outer
    })
}

#[test]
fn faults_are_named() {
    let attribute = |content: &[u8]| nested([1, 2, 2, 6].into_iter(), content);
    let cases = [
        (attribute(&[0x0a, 1, 0xff]), Malformed::NotUtf8(1)),
        (attribute(&[0x08, 1]), Malformed::Unexpected(1)),
        (attribute(&[0x12, 1, 0x08]), Malformed::Truncated),
        (attribute(&[0x9b, 0x06, 0x9c, 0x06]), GROUP),
    ];
    for (body, expected) in cases {
        assert_eq!(validate(Signal::Logs, &body), Err(expected), "{body:02x?}");
    }
}

/// A body of nested lists. Each list adds one message, and so does each value in it. The deepest accepts only a scalar.
#[test]
fn messages_nest_as_deeply_as_prost_allows() {
    let (nothing, text, list, unknown) = (&b""[..], &[0x0a, 0][..], &[0x2a, 0][..], &[0x9a, 0x06, 0][..]);
    for (inner, deepest) in [(nothing, MAX_DEPTH), (text, MAX_DEPTH), (list, MAX_DEPTH - 1), (unknown, MAX_DEPTH - 1)] {
        for depth in (90..110).step_by(2) {
            let numbers: Vec<_> = [1, 2, 2, 5].into_iter().chain([5, 1].into_iter().cycle().take(depth - 4)).collect();
            let body = nested(numbers.into_iter(), inner);
            let expected = if depth <= deepest { Ok(()) } else { Err(Malformed::TooDeep) };
            assert_eq!(validate(Signal::Logs, &body), expected, "{depth} {inner:02x?}");
            assert_eq!(is_decoded(Signal::Logs, &body), expected.is_ok(), "{depth} {inner:02x?}");
        }
    }
}
