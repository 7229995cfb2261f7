use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::{AggregationTemporality, Gauge, Metric, metric::Data};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use proptest::prelude::*;

use opentelemetry_proto::tonic::common::v1::any_value::Value;

use super::*;
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
fn a_large_request_is_read_in_pieces_as_it_would_be_as_a_whole() {
    let many = |scope: &str, prefix: &str| {
        let record = |number: i64| event(prefix, number, 1, "api_request", api_request("m", [number, 1, 2, 3], 0.5));
        logs_of(scope, (0..1000).map(record).collect())
    };
    let point = |number: u64| point("s", [0, number], 1.0, vec![text("type", "input"), text("model", "m")]);
    let points = delta("token.usage", (1..3000).map(point).collect());
    let theirs = delta("other", vec![]);
    let ours = "com.anthropic.claude_code.events";
    for (signal, body) in [
        (Signal::Logs, [many(ours, "a"), many("other", "b"), many(ours, "c")].concat()),
        (Signal::Metrics, metrics(vec![theirs.clone(), points, theirs])),
    ] {
        assert!(body.len() > WHOLE, "{}", body.len());
        let whole = extract_whole(signal, &body, morning()).unwrap();
        assert!(whole.usage.len() > 1500);
        assert_eq!(extract(signal, &body, morning()).unwrap(), whole);
    }
}

#[test]
fn a_record_that_is_far_too_large_is_counted_and_not_read() {
    let large = event("s", 1, 1, "api_request", vec![text("model", &"m".repeat(4 * WHOLE))]);
    let small = event("s", 2, 1, "api_request", api_request("m", [1, 1, 1, 1], 0.5));
    let found = extract(Signal::Logs, &logs(vec![large, small]), morning()).unwrap();
    assert_eq!((found.items, found.usage.len()), (2, 1));
}

#[test]
fn large_nonsense_is_no_request() {
    for nonsense in [vec![0xff; 2 * WHOLE], logs(vec![]).repeat(WHOLE).into_iter().chain([0x0a]).collect()] {
        assert_eq!(extract(Signal::Logs, &nonsense, morning()), Err(NotOtlp));
    }
}
