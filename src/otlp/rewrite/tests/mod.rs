//! Compares rewriting in the wire form with decoding and editing.

mod generate;
mod places;
mod reference;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use proptest::prelude::*;
use prost::Message;

use super::*;
use generate::{any_rules, message, request, untouched};
use reference::{Edit, Plain};

fn rules(plain: &Plain) -> Rules {
    let patterns = |texts: &[&str]| texts.iter().map(|text| Pattern::new(*text)).collect();
    let owned = |pairs: &[(&str, &str)]| pairs.iter().map(|&(key, value)| (key.into(), value.into())).collect();
    Rules::new(
        patterns(&plain.accept),
        Stamp { replace: owned(&plain.replace), absent: owned(&plain.absent) },
        Withheld::of(&plain.off),
        Redact { drop: patterns(&plain.drop), hash: patterns(&plain.hash), key: plain.key.map(HashKey::of_secret) },
    )
}

/// Checks that rewriting and then decoding equals decoding and then editing.
fn agrees<E: Edit>(signal: Signal, body: &[u8], plain: &Plain) -> Result<(), TestCaseError> {
    let rewritten = rewrite(signal, body, &rules(plain))?;
    let (edited, refused) = E::decode(body)?.edited(plain);
    prop_assert_eq!(E::decode(&*rewritten.body)?, edited);
    // If a metric has several kinds of points, which is invalid, prost keeps only the last.
    prop_assert!(rewritten.refused == refused || signal == Signal::Metrics && rewritten.refused > refused);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn rewriting_logs_equals_editing_decoded_logs(body in request(Signal::Logs), plain in any_rules()) {
        agrees::<ExportLogsServiceRequest>(Signal::Logs, &body, &plain)?;
    }

    #[test]
    fn rewriting_spans_equals_editing_decoded_spans(body in request(Signal::Traces), plain in any_rules()) {
        agrees::<ExportTraceServiceRequest>(Signal::Traces, &body, &plain)?;
    }

    #[test]
    fn rewriting_metrics_equals_editing_decoded_metrics(body in request(Signal::Metrics), plain in any_rules()) {
        agrees::<ExportMetricsServiceRequest>(Signal::Metrics, &body, &plain)?;
    }

    #[test]
    fn what_no_rule_matches_is_unchanged(signal in signals(), seed in any::<u64>(), plain in any_rules()) {
        let body = generate::sample(signal, seed);
        let plain = Plain { accept: vec!["*"], off: Vec::new(), ..plain };
        let rewritten = rewrite(signal, &body, &rules(&plain))?.body;
        prop_assert_eq!(untouched(signal, &rewritten, &plain), untouched(signal, &body, &plain));
    }

    #[test]
    fn rewriting_is_idempotent(signal in signals(), seed in any::<u64>(), plain in any_rules()) {
        let body = generate::sample(signal, seed);
        // Hashing a hash changes it again.
        let rules = rules(&Plain { hash: Vec::new(), accept: vec!["*"], ..plain });
        let once = rewrite(signal, &body, &rules)?.body;
        prop_assert_eq!(rewrite(signal, &once, &rules)?.body, once);
    }

    #[test]
    fn random_bytes_never_panic(signal in signals(), body: Vec<u8>, plain in any_rules()) {
        let _ = rewrite(signal, &body, &rules(&plain));
    }

    #[test]
    fn damaged_requests_never_panic(
        signal in signals(),
        seed in any::<u64>(),
        plain in any_rules(),
        at: prop::sample::Index,
        byte: u8,
    ) {
        let mut body = generate::sample(signal, seed);
        if !body.is_empty() {
            let at = at.index(body.len());
            body[at] = byte;
            let _ = rewrite(signal, &body, &rules(&plain));
            let _ = rewrite(signal, &body[..at], &rules(&plain));
        }
    }
}

fn signals() -> impl Strategy<Value = Signal> {
    prop::sample::select(Signal::ALL.as_slice())
}

/// Rules that only stamp.
fn stamping(replace: &[(&str, &str)], absent: &[(&str, &str)]) -> Rules {
    let owned = |pairs: &[(&str, &str)]| pairs.iter().map(|&(key, value)| (key.into(), value.into())).collect();
    let stamp = Stamp { replace: owned(replace), absent: owned(absent) };
    Rules { accept: vec![Pattern::new("*")], stamp, ..Rules::default() }
}

fn stamped(body: &[u8], rules: &Rules) -> Result<Vec<u8>, Malformed> {
    rewrite(Signal::Logs, body, rules).map(|rewritten| rewritten.body)
}

#[test]
fn an_empty_request_stays_empty_and_a_missing_resource_is_created() {
    let rules = stamping(&[("team.id", "platform")], &[("service.instance.id", "1")]);
    assert_eq!(stamped(b"", &rules), Ok(Vec::new()));
    let made = stamped(&message(1, b""), &rules).unwrap();
    let request = ExportLogsServiceRequest::decode(&*made).unwrap();
    assert_eq!(request.resource_logs[0].resource.as_ref().unwrap().attributes.len(), 2);
}

#[test]
fn a_resource_in_two_pieces_counts_as_one() {
    let id = |value: &str| message(1, &[message(1, b"id"), message(2, &message(1, value.as_bytes()))].concat());
    let pieces = [message(1, &id("theirs")), message(1, b"")].concat();
    let rewritten = stamped(&message(1, &pieces), &stamping(&[], &[("id", "ours")])).unwrap();
    assert_eq!(rewritten, message(1, &pieces), "the first piece has the attribute, so the last gets none");
}

#[test]
fn malformed_requests_are_errors() {
    let rules = stamping(&[("a", "b")], &[]);
    let group_in_resource = message(1, &message(1, &[0x1b, 0x1c]));
    let key_as_number = message(1, &message(1, &message(1, &[1 << 3, 7])));
    let cases = [
        (vec![1 << 3, 1], Malformed::Unexpected(1)),
        (message(1, &[1 << 3, 1]), Malformed::Unexpected(1)),
        (message(1, &message(1, &[1 << 3, 1])), Malformed::Unexpected(1)),
        (message(1, &[2 << 3, 1]), Malformed::Unexpected(2)),
        (key_as_number, Malformed::Unexpected(1)),
        (group_in_resource, Malformed::WireType(3)),
        (vec![0x0a, 0x05, 0x0a], Malformed::Truncated),
        (message(1, &[0x0a, 0x05]), Malformed::Truncated),
        (vec![0x00, 0x00], Malformed::FieldNumber),
    ];
    for (body, expected) in cases {
        assert_eq!(stamped(&body, &rules), Err(expected), "{body:02x?}");
    }
}

#[test]
fn requests_that_would_grow_too_much_are_rejected() {
    let flood = message(1, b"").repeat(100_000);
    let rules = stamping(&[("padding", &"x".repeat(1000))], &[]);
    assert_eq!(stamped(&flood, &rules), Err(Malformed::Swells));

    let attributes = message(6, &message(1, b"k")).repeat(1_500_000);
    let flood = message(1, &message(2, &message(2, &attributes)));
    let redact = Redact { hash: vec![Pattern::new("k")], key: Some(HashKey::of_secret("s")), ..Redact::default() };
    let rules = Rules::new(vec![Pattern::new("*")], Stamp::default(), Withheld::default(), redact);
    assert_eq!(stamped(&flood, &rules), Err(Malformed::Swells));
}

#[test]
fn correct_lengths_keep_their_encoding() {
    // The resource's length takes three bytes instead of one.
    let body = message(1, &[&[0x0a, 0x82, 0x80, 0x00, 2 << 3, 7], &message(2, b"")[..]].concat());
    assert_eq!(stamped(&body, &stamping(&[], &[])), Ok(body.clone()));
}

#[test]
fn stamped_attributes_are_redacted_too() {
    let redact = Redact {
        drop: vec![Pattern::new("cost_*")],
        hash: vec![Pattern::new("enduser.id")],
        key: Some(HashKey::of_secret("s")),
    };
    let owned = |pairs: &[(&str, &str)]| pairs.iter().map(|&(key, value)| (key.into(), value.into())).collect();
    let stamp =
        Stamp { replace: owned(&[("enduser.id", "ada"), ("cost_center", "7")]), absent: owned(&[("cost_x", "8")]) };
    let rules = Rules::new(vec![Pattern::new("*")], stamp, Withheld::default(), redact);
    let request = ExportLogsServiceRequest::decode(&*stamped(&message(1, b""), &rules).unwrap()).unwrap();
    let attributes = &request.resource_logs[0].resource.as_ref().unwrap().attributes;
    assert_eq!(attributes.len(), 1);
    let expected = string_value(&HashKey::of_secret("s").hash(b"ada"));
    assert_eq!((attributes[0].key.as_str(), &attributes[0].value), ("enduser.id", &Some(expected)));
}

fn string_value(text: &str) -> opentelemetry_proto::tonic::common::v1::AnyValue {
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    opentelemetry_proto::tonic::common::v1::AnyValue { value: Some(Value::StringValue(text.to_owned())) }
}
