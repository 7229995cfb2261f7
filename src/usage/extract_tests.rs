use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::{AggregationTemporality, Gauge, Metric, metric::Data};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::otlp::put_message;
use crate::usage::attributes::whole;
use crate::usage::samples::*;
use crate::usage::{Measure, Source};

fn from_logs(body: &[u8]) -> Extract {
    extract(Signal::Logs, body, morning()).unwrap()
}

fn from_metrics(body: &[u8]) -> Extract {
    extract(Signal::Metrics, body, morning()).unwrap()
}

#[test]
fn a_request_to_the_model_counts_tokens_and_cost() {
    let own = api_request("claude-opus-5-5", [101, 12, 10_004, 1003], 0.007_659_800_000_000_000_5);
    let extract = from_logs(&logs(vec![event("s", 6, 657, "api_request", own)]));
    assert_eq!(extract.items, 1);
    let usage = &extract.usage[0];
    assert_eq!((usage.source, usage.client.as_str(), usage.name.as_str()), (Source::Event, "s", "claude-opus-5-5"));
    assert_eq!(usage.at.to_string(), "2026-11-20T09:00:00.657Z");
    assert_eq!(
        usage.amounts,
        [
            (Measure::Requests, 1),
            (Measure::InputTokens, 101),
            (Measure::OutputTokens, 12),
            (Measure::CacheReadTokens, 10_004),
            (Measure::CacheCreationTokens, 1003),
            (Measure::Cost, 7_659_800),
        ]
    );
}

#[test]
fn older_versions_send_strings_and_other_names() {
    let request = vec![text("model", "m"), text("input_tokens", "101"), text("cost_usd", "0.5")];
    let mut old = event("s", 0, 1, "api_request", request);
    old.attributes.retain(|attribute| attribute.key != "event.name" && attribute.key != "event.sequence");
    let extract = from_logs(&logs(vec![
        old,
        event("s", 1, 2, "tool_result", vec![text("tool", "Bash"), attribute("success", Value::BoolValue(false))]),
        event("s", 2, 3, "tool_decision", vec![text("tool", "Write"), text("decision_type", "reject")]),
    ]));
    let counted: Vec<_> = extract.usage.iter().map(|usage| (usage.name.as_str(), usage.amounts.clone())).collect();
    assert_eq!(
        counted,
        [
            ("m", vec![(Measure::Requests, 1), (Measure::InputTokens, 101), (Measure::Cost, 500_000_000)]),
            ("Bash", vec![(Measure::ToolFailures, 1)]),
            ("Write", vec![(Measure::EditsRejected, 1)]),
        ]
    );
}

#[test]
fn events_that_count_nothing_are_only_counted() {
    let decision = vec![text("tool_name", "Bash"), text("decision", "accept")];
    let extract = from_logs(&logs(vec![
        event("s", 0, 0, "plugin_loaded", vec![]),
        event("s", 1, 0, "tool_decision", decision),
        event("s", 2, 0, "user_prompt", vec![text("prompt_length", "6")]),
        event("s", 3, 0, "api_error", vec![text("model", "m"), text("error", "overloaded")]),
    ]));
    assert_eq!(extract.items, 4);
    let counted: Vec<_> = extract.usage.iter().flat_map(|usage| usage.amounts.clone()).collect();
    assert_eq!(counted, [(Measure::Prompts, 1), (Measure::Errors, 1)]);
}

#[test]
fn metrics_count_in_the_units_of_the_ledger() {
    let at = [488, 847];
    let edit = vec![text("decision", "accept"), text("tool_name", "Edit"), text("language", "Rust")];
    let mut list =
        token_metrics("s", at, "m", [1004, 108, 100_016, 10_012], 0.076_239_2, AggregationTemporality::Delta);
    list.extend([
        delta("session.count", vec![point("s", at, 1.0, vec![text("start_type", "fresh")])]),
        delta("active_time.total", vec![point("s", at, 0.315, vec![text("type", "cli")])]),
        delta("lines_of_code.count", vec![point("s", at, 3.0, vec![text("type", "added"), text("model", "m")])]),
        delta("commit.count", vec![point("s", at, 1.0, vec![])]),
        delta("pull_request.count", vec![point("s", at, 2.0, vec![])]),
        delta("code_edit_tool.decision", vec![point("s", at, 1.0, edit)]),
        delta("something.new", vec![point("s", at, 1.0, vec![])]),
    ]);
    let extract = from_metrics(&metrics(list));
    assert_eq!(extract.items, 12);
    let counted: Vec<_> = extract.usage.iter().map(|usage| (usage.name.as_str(), usage.amounts[0])).collect();
    assert_eq!(
        counted,
        [
            ("m", (Measure::InputTokens, 1004)),
            ("m", (Measure::OutputTokens, 108)),
            ("m", (Measure::CacheReadTokens, 100_016)),
            ("m", (Measure::CacheCreationTokens, 10_012)),
            ("m", (Measure::Cost, 76_239_200)),
            ("", (Measure::SessionStarts, 1)),
            ("", (Measure::ActiveCli, 315)),
            ("", (Measure::LinesAdded, 3)),
            ("", (Measure::Commits, 1)),
            ("", (Measure::PullRequests, 2)),
            ("Edit", (Measure::EditsAccepted, 1)),
        ]
    );
}

#[test]
fn other_clients_give_counts_alone() {
    let own = api_request("m", [1, 1, 1, 1], 1.0);
    let foreign = from_logs(&logs_of("my.dev.server", vec![event("s", 0, 0, "api_request", own)]));
    assert_eq!(foreign, Extract { items: 1, usage: vec![] });
    let gauge = Metric {
        data: Some(Data::Gauge(Gauge { data_points: vec![point("s", [0, 1], 1.0, vec![])] })),
        ..Metric::default()
    };
    assert_eq!(from_metrics(&metrics_of("other", vec![gauge])), Extract { items: 1, usage: vec![] });
}

#[test]
fn spans_are_counted() {
    let scope_spans = vec![ScopeSpans { spans: vec![Span::default(); 3], ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
    let body = ExportTraceServiceRequest { resource_spans }.encode_to_vec();
    assert_eq!(extract(Signal::Traces, &body, morning()), Ok(Extract { items: 3, usage: vec![] }));
}

#[test]
fn what_cannot_be_decoded_is_an_error_and_nothing_is_nothing() {
    for signal in Signal::ALL {
        assert!(extract(signal, b"\x0a\xff", morning()).is_err());
        assert_eq!(extract(signal, b"", morning()), Ok(Extract::default()));
    }
}

#[test]
fn absurd_numbers_do_no_harm() {
    for (value, amount) in [(f64::NAN, 0), (-1.0, 0), (0.4, 0), (f64::INFINITY, 1_000_000_000_000_000)] {
        assert_eq!(whole(value), amount);
        let extract = from_metrics(&metrics(vec![delta("commit.count", vec![point("s", [0, 1], value, vec![])])]));
        assert_eq!(extract.usage.len(), usize::from(amount > 0));
    }
}

#[test]
fn strings_are_cut_between_characters() {
    let own = api_request(&"ä".repeat(200), [1; 4], 1.0);
    let extract = from_logs(&logs(vec![event(&format!("x{}", "ä".repeat(200)), 0, 0, "api_request", own)]));
    assert_eq!((extract.usage[0].name.len(), extract.usage[0].client.len()), (256, 255));
}

#[test]
fn a_record_without_a_time_was_when_it_came() {
    let mut record = event("s", 0, 0, "user_prompt", vec![]);
    (record.time_unix_nano, record.observed_time_unix_nano) = (0, 0);
    assert_eq!(from_logs(&logs(vec![record])).usage[0].at, morning());
}

#[test]
fn identities_tell_records_and_points_apart() {
    let prompt = |session, sequence, after| event(session, sequence, after, "user_prompt", vec![]);
    let mut unnumbered = prompt("s", 1, 1);
    unnumbered.attributes.retain(|attribute| attribute.key != "event.sequence");
    let records = vec![prompt("s", 1, 1), prompt("s", 2, 1), prompt("t", 1, 1), prompt("s", 1, 2), unnumbered];
    let mut identities: Vec<_> = from_logs(&logs(records.clone())).usage.iter().map(|u| u.identity).collect();
    assert_eq!(from_logs(&logs(records)).usage.iter().map(|u| u.identity).collect::<Vec<_>>(), identities);
    let points = vec![
        point("s", [0, 1], 1.0, vec![]),
        point("s", [1, 2], 1.0, vec![]),
        point("s", [0, 1], 2.0, vec![]),
        point("t", [0, 1], 1.0, vec![]),
    ];
    let both = metrics(vec![delta("commit.count", points.clone()), delta("pull_request.count", points)]);
    identities.extend(from_metrics(&both).usage.iter().map(|usage| usage.identity));
    identities.sort_unstable();
    identities.dedup();
    assert_eq!(identities.len(), 13);
}

#[test]
fn the_points_of_a_cumulative_series_are_one() {
    let points =
        vec![point("s", [0, 1], 1.0, vec![]), point("s", [0, 2], 3.0, vec![]), point("s", [5, 6], 1.0, vec![])];
    let extract = from_metrics(&metrics(vec![sum("commit.count", AggregationTemporality::Cumulative, points)]));
    let [first, second, anew] = &extract.usage[..] else { panic!("three points") };
    assert!(first.cumulative);
    assert_eq!(first.identity, second.identity);
    assert_ne!(first.identity, anew.identity);
}

proptest! {
    #[test]
    fn bytes_of_any_kind_do_no_harm(cut in 0..200_usize, bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        let request = logs(vec![event("s", 0, 0, "api_request", api_request("m", [1; 4], 1.0))]);
        let body = [&request[..cut.min(request.len())], &bytes].concat();
        for signal in Signal::ALL {
            if let Ok(extract) = extract(signal, &body, morning()) {
                prop_assert!(extract.usage.iter().all(|usage| usage.name.len() <= 256));
            }
        }
    }
}

#[test]
fn a_large_request_is_read_like_the_small_ones_that_it_is_made_of() {
    let record = |number: i64| event("s", number, 1, "api_request", api_request("m", [number, 1, 2, 3], 0.5));
    let small = |number: i64| {
        let scope = if number % 3 == 0 { "other" } else { "com.anthropic.claude_code.events" };
        logs_of(scope, vec![record(number), record(-number)])
    };
    let requests: Vec<_> = (0..3000).map(small).collect();
    let usage: Vec<_> = requests.iter().flat_map(|request| from_logs(request).usage).collect();
    assert_eq!(usage.len(), 4000);
    assert_eq!(from_logs(&requests.concat()), Extract { items: 6000, usage });
}

#[test]
fn floods_of_records_and_attributes_are_counted_and_not_kept() {
    let prompt = LogRecord { event_name: "user_prompt".to_owned(), ..LogRecord::default() };
    let found = from_logs(&logs(vec![prompt.clone(); MOST + 1]));
    assert_eq!((found.items, found.usage.len()), (MOST as u64 + 1, MOST));
    let attributes = vec![KeyValue::default(); 1_000_000];
    let flooded = LogRecord { attributes: [attributes, vec![text("event.name", "api_error")]].concat(), ..prompt };
    assert_eq!(from_logs(&logs(vec![flooded])).usage[0].amounts, [(Measure::Prompts, 1)]);
}

#[test]
fn large_nonsense_is_no_request() {
    let cut_off = logs(vec![]).repeat(100_000).into_iter().chain([0x0a]).collect();
    for nonsense in [vec![0xff; 200_000], cut_off] {
        assert_eq!(extract(Signal::Logs, &nonsense, morning()), Err(NotOtlp));
    }
}

/// Protobuf has the last of several scalars count, and merges messages that come in pieces.
#[test]
fn odd_but_valid_wire_forms_are_read_as_decoders_read_them() {
    let message = |number: u32, content: &[u8]| {
        let mut message = Vec::new();
        put_message(&mut message, number, content);
        message
    };
    let bytes = |parts: &[&[u8]]| parts.concat();
    let text = |text: &str| message(1, text.as_bytes());
    let scope = bytes(&[&message(1, &text("other")), &message(1, &text(SCOPE)), &message(1, b"")]);
    let attribute = |key: &str, value: &[u8]| message(6, &bytes(&[&text("?"), &text(key), value]));
    let record = bytes(&[
        &message(5, &text("claude_code.api_error")),
        &message(5, b""),
        // A list, and then a string after all.
        &attribute("model", &bytes(&[&message(2, &message(5, b"")), &message(2, &text("m"))])),
        &attribute("model", &message(2, &text("never read"))),
        // An unknown field.
        &message(1000, b"?"),
    ]);
    let found = from_logs(&message(1, &message(2, &bytes(&[&scope, &message(2, &record)]))));
    assert_eq!((found.usage[0].name.as_str(), &found.usage[0].amounts[..]), ("m", &[(Measure::Errors, 1)][..]));

    let own = sum("commit.count", AggregationTemporality::Delta, vec![point("s", [0, 1], 1.0, vec![])]);
    let gauge = message(5, b"");
    for (metric, expected) in [(bytes(&[&gauge, &own.encode_to_vec()]), 1), (bytes(&[&own.encode_to_vec(), &gauge]), 0)]
    {
        let found = from_metrics(&message(1, &message(2, &bytes(&[&scope, &message(2, &metric)]))));
        assert_eq!(found.usage.len(), expected);
    }
}
