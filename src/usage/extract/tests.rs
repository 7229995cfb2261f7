use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::AggregationTemporality;
use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::otlp::{put_message, validate};
use crate::usage::samples::*;
use crate::usage::{Counter, Fact, Measure, Outcome, What};

fn now() -> i64 {
    morning().as_millisecond()
}

fn from_logs(body: &[u8]) -> Extract<'_> {
    extract(Signal::Logs, body, now())
}

fn from_metrics(body: &[u8]) -> Extract<'_> {
    extract(Signal::Metrics, body, now())
}

fn counters<'a>(extract: &'a Extract<'_>) -> Vec<(&'a str, Measure, i64)> {
    let counter = |fact: &'a Fact<'_>| match &fact.what {
        What::Counter(Counter { name, measure, amount, .. }) => Some((*name, *measure, *amount)),
        _ => None,
    };
    extract.facts.iter().filter_map(counter).collect()
}

#[test]
fn a_request_yields_tokens_cost_and_time() {
    let mut own = api_request("claude-opus-5-5", [101, 12, 10_004, 1003], 0.007_659_800_000_000_000_5);
    own.extend([int("ttft_ms", 20), text("request_id", "req_1"), text("effort", "high"), text("prompt.id", "p")]);
    let body = logs(vec![event("s", 6, 657, "api_request", own)]);
    let extract = from_logs(&body);
    let fact = &extract.facts[0];
    assert_eq!((fact.owner.session, fact.owner.terminal, fact.prompt, fact.at), ("s", "tmux", "p", now() + 657));
    let What::Request(request) = &fact.what else { panic!("{fact:?}") };
    assert_eq!((request.model, request.kind.source, request.kind.effort), ("claude-opus-5-5", "sdk", "high"));
    assert_eq!([request.input, request.output, request.cache_read, request.cache_creation], [101, 12, 10_004, 1003]);
    assert_eq!((request.cost, request.duration, request.first_token), (7_659_800, 50, 20));
    assert_eq!(extract.refused, 0);
}

#[test]
fn older_versions_send_strings_and_other_names() {
    let request = vec![text("model", "m"), text("input_tokens", "101"), text("cost_usd", "0.5")];
    let mut old = event("s", 0, 1, "api_request", request);
    old.attributes.retain(|attribute| attribute.key != "event.name" && attribute.key != "event.sequence");
    let body = logs(vec![
        old,
        event("s", 1, 2, "tool_result", vec![text("tool", "Bash"), attribute("success", Value::BoolValue(false))]),
        event("s", 2, 3, "tool_decision", vec![text("tool", "Write"), text("decision_type", "reject")]),
        event("s", 3, 4, "tool_result", vec![text("tool_name", "mcp__git__log"), text("duration_ms", "108")]),
    ]);
    let extract = from_logs(&body);
    let [request, failed, rejected, server] = &extract.facts[..] else { panic!("{extract:?}") };
    assert!(matches!(&request.what, What::Request(r) if r.input == 101 && r.cost == 500_000_000));
    assert!(matches!(&failed.what, What::Tool(call) if call.tool == "Bash" && !call.succeeded));
    assert!(matches!(&rejected.what, What::Decision(decision) if decision.tool == "Write" && !decision.accepted));
    assert!(matches!(&server.what, What::Tool(call) if call.mcp == "git" && call.succeeded && call.duration == 108));
}

#[test]
fn the_first_person_attribute_applies_and_a_team_overrides_groups() {
    let own =
        vec![text("user.id", "f8cc"), text("user.email", "a@b"), text("user.groups", "all"), text("app.version", "2")];
    let body = logs(vec![event("s", 0, 0, "user_prompt", own)]);
    let owner = &from_logs(&body).facts[0].owner.clone();
    assert_eq!((owner.person, owner.installation, owner.team, owner.version), ("a@b", "f8cc", "all", "2"));
}

#[test]
fn only_usage_errors_moments_and_commands_are_facts() {
    let body = logs(vec![
        event("s", 0, 0, "plugin_loaded", vec![]),
        event("s", 1, 0, "api_error", vec![text("model", "m"), text("error", "overloaded"), int("status_code", 529)]),
        event(
            "s",
            2,
            0,
            "compaction",
            vec![text("trigger", "auto"), text("duration_ms", "20"), text("success", "true")],
        ),
        event("s", 3, 0, "user_prompt", vec![text("command_name", "clear"), text("command_source", "builtin")]),
        event("s", 4, 0, "user_prompt", vec![text("command_name", "secret"), text("command_source", "custom")]),
    ]);
    let extract = from_logs(&body);
    let [error, compaction, builtin, custom] = &extract.facts[..] else { panic!("{extract:?}") };
    assert!(matches!(&error.what, What::Request(r) if r.outcome == Outcome::Failed && r.status == 529));
    assert!(matches!(&compaction.what, What::Moment(moment) if moment.name == "auto" && moment.duration == 20));
    assert!(matches!(&builtin.what, What::Prompt(prompt) if prompt.is_builtin && prompt.command == "clear"));
    assert!(matches!(&custom.what, What::Prompt(prompt) if !prompt.is_builtin && prompt.command.is_empty()));
}

#[test]
fn metrics_count_in_the_units_of_the_ledger() {
    let at = [488, 847];
    let edit = vec![text("decision", "accept"), text("source", "user_temporary"), text("tool_name", "Edit")];
    let mode = vec![text("decision", "accept"), text("source", "config"), text("tool_name", "Edit")];
    let mut list =
        token_metrics("s", at, "m", [1004, 108, 100_016, 10_012], 0.076_239_2, AggregationTemporality::Delta);
    list.extend([
        delta("session.count", vec![point("s", at, 1.0, vec![text("start_type", "fresh")])]),
        delta("active_time.total", vec![point("s", at, 0.315, vec![text("type", "cli")])]),
        delta("lines_of_code.count", vec![point("s", at, 3.0, vec![text("type", "added"), text("model", "m")])]),
        delta("commit.count", vec![point("s", at, 1.0, vec![])]),
        delta("pull_request.count", vec![point("s", at, 2.0, vec![])]),
        delta("code_edit_tool.decision", vec![point("s", at, 1.0, edit), point("s", at, 1.0, mode)]),
        delta("something.new", vec![point("s", at, 1.0, vec![])]),
    ]);
    let body = metrics(list);
    let extract = from_metrics(&body);
    assert_eq!(
        counters(&extract),
        [
            ("m", Measure::InputTokens, 1004),
            ("m", Measure::OutputTokens, 108),
            ("m", Measure::CacheReadTokens, 100_016),
            ("m", Measure::CacheCreationTokens, 10_012),
            ("m", Measure::Cost, 76_239_200),
            ("", Measure::ActiveCli, 315),
            ("m", Measure::LinesAdded, 3),
            ("", Measure::Commits, 1),
            ("", Measure::PullRequests, 2),
            ("Edit", Measure::EditsAccepted, 1),
            ("Edit", Measure::EditsAutomatic, 1),
        ]
    );
    assert!(extract.facts.iter().any(|fact| fact.what == What::Start("fresh")));
}

#[test]
fn other_clients_yield_no_facts() {
    let own = api_request("m", [1, 1, 1, 1], 1.0);
    let body = logs_of("my.dev.server", vec![event("s", 0, 0, "api_request", own)]);
    assert_eq!(from_logs(&body), Extract::default());
    assert_eq!(extract(Signal::Traces, b"", now()), Extract::default());
}

#[test]
fn implausible_values_are_rejected_and_counted() {
    for value in [f64::NAN, -1.0, f64::INFINITY, 1e18] {
        let body = metrics(vec![delta("commit.count", vec![point("s", [0, 1], value, vec![])])]);
        let extract = from_metrics(&body);
        assert_eq!((extract.facts.len(), extract.refused), (0, 1), "{value}");
    }
    let own =
        vec![int("input_tokens", i64::MAX), int("output_tokens", -5), text("cost_usd", "NaN"), int("duration_ms", 7)];
    let mut record = event("s", 0, 0, "api_request", own);
    let body = logs(vec![record.clone()]);
    let extract = from_logs(&body);
    let What::Request(request) = &extract.facts[0].what else { panic!("{extract:?}") };
    assert_eq!((request.input, request.output, request.cost, request.duration), (0, 0, 0, 7));
    assert_eq!(extract.refused, 3);
    for time in [1, u64::MAX] {
        (record.time_unix_nano, record.observed_time_unix_nano) = (time, 0);
        let body = logs(vec![record.clone()]);
        let extract = from_logs(&body);
        assert_eq!((extract.facts[0].at, extract.refused), (now(), 4), "the time of arrival applies");
    }
}

#[test]
fn strings_are_cut_between_characters() {
    let own = api_request(&"ä".repeat(200), [1; 4], 1.0);
    let body = logs(vec![event(&format!("x{}", "ä".repeat(200)), 0, 0, "api_request", own)]);
    let extract = from_logs(&body);
    assert!(matches!(&extract.facts[0].what, What::Request(request) if request.model.len() == 256));
    assert_eq!(extract.facts[0].owner.session.len(), 255);
}

#[test]
fn a_request_is_identified_by_its_id_and_other_facts_by_their_position() {
    let request = |session, sequence, id: &str| {
        let mut own = api_request("m", [1; 4], 1.0);
        own.push(text("request_id", id));
        event(session, sequence, 1, "api_request", own)
    };
    let identities =
        |records: Vec<LogRecord>| from_logs(&logs(records)).facts.iter().map(|fact| fact.identity).collect::<Vec<_>>();
    let same = identities(vec![request("s", 1, "a"), request("t", 2, "a")]);
    assert_eq!(same[0], same[1]);
    let prompt = |session, sequence, after| event(session, sequence, after, "user_prompt", vec![]);
    let mut unnumbered = prompt("s", 1, 1);
    unnumbered.attributes.retain(|attribute| attribute.key != "event.sequence");
    let records = vec![prompt("s", 1, 1), prompt("s", 2, 1), prompt("t", 1, 1), prompt("s", 1, 2), unnumbered];
    let mut all = identities(records.clone());
    assert_eq!(identities(records), all);
    let points = vec![
        point("s", [0, 1], 1.0, vec![]),
        point("s", [1, 2], 1.0, vec![]),
        point("s", [0, 1], 2.0, vec![]),
        point("t", [0, 1], 1.0, vec![]),
    ];
    let both = metrics(vec![delta("commit.count", points.clone()), delta("pull_request.count", points)]);
    all.extend(from_metrics(&both).facts.iter().map(|fact| fact.identity));
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 13);
}

#[test]
fn the_points_of_a_cumulative_series_are_one() {
    let points =
        vec![point("s", [0, 1], 1.0, vec![]), point("s", [0, 2], 3.0, vec![]), point("s", [5, 6], 1.0, vec![])];
    let body = metrics(vec![sum("commit.count", AggregationTemporality::Cumulative, points)]);
    let extract = from_metrics(&body);
    let [first, second, another] = &extract.facts[..] else { panic!("three points") };
    assert!(matches!(&first.what, What::Counter(counter) if counter.is_cumulative));
    assert_eq!(first.identity, second.identity);
    assert_ne!(first.identity, another.identity);
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(cut in 0..200_usize, bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        let request = logs(vec![event("s", 0, 0, "api_request", api_request("m", [1; 4], 1.0))]);
        let body = [&request[..cut.min(request.len())], &bytes].concat();
        for signal in Signal::ALL {
            if validate(signal, &body).is_ok() {
                let extract = extract(signal, &body, now());
                prop_assert!(extract.facts.iter().all(|fact| fact.owner.session.len() <= 256));
            }
        }
    }
}

#[test]
fn a_large_request_equals_its_parts() {
    let record = |number: i64| event("s", number, 1, "api_request", api_request("m", [number, 1, 2, 3], 0.5));
    let small = |number: i64| {
        let scope = if number % 3 == 0 { "other" } else { "com.anthropic.claude_code.events" };
        logs_of(scope, vec![record(number), record(number + 1)])
    };
    let requests: Vec<_> = (0..3000).map(small).collect();
    let facts: Vec<_> = requests.iter().flat_map(|request| from_logs(request).facts).collect();
    assert_eq!(facts.len(), 4000);
    assert_eq!(from_logs(&requests.concat()).facts, facts);
}

#[test]
fn floods_of_records_and_attributes_are_not_kept() {
    let prompt = LogRecord { event_name: "user_prompt".to_owned(), ..LogRecord::default() };
    let body = logs(vec![prompt.clone(); MOST + 1]);
    assert_eq!(from_logs(&body).facts.len(), MOST);
    let attributes = vec![KeyValue::default(); 1_000_000];
    let flooded = LogRecord { attributes: [attributes, vec![text("event.name", "api_error")]].concat(), ..prompt };
    let body = logs(vec![flooded]);
    assert!(matches!(from_logs(&body).facts[0].what, What::Prompt(_)));
}

/// In protobuf the last of several scalars counts, and messages that come in pieces are merged.
#[test]
fn unusual_valid_wire_forms_are_read_as_by_decoders() {
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
        // A list, followed by a string.
        &attribute("model", &bytes(&[&message(2, &message(5, b"")), &message(2, &text("m"))])),
        &attribute("model", &message(2, &text("never read"))),
        // An unknown field.
        &message(1000, b"?"),
    ]);
    let body = message(1, &message(2, &bytes(&[&scope, &message(2, &record)])));
    let found = from_logs(&body);
    assert!(matches!(&found.facts[0].what, What::Request(r) if r.model == "m" && r.outcome == Outcome::Failed));

    let own = sum("commit.count", AggregationTemporality::Delta, vec![point("s", [0, 1], 1.0, vec![])]);
    let gauge = message(5, b"");
    for (metric, expected) in [(bytes(&[&gauge, &own.encode_to_vec()]), 1), (bytes(&[&own.encode_to_vec(), &gauge]), 0)]
    {
        let body = message(1, &message(2, &bytes(&[&scope, &message(2, &metric)])));
        assert_eq!(from_metrics(&body).facts.len(), expected);
    }
}
