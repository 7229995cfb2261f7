//! `claude -p`: one question, one answer.

use std::collections::BTreeSet;

use ccrun::profile::Protocol;
use serde_json::{Value, json};

use super::{complete, profile};
use crate::support::backend::{Backend, Received};
use crate::support::claude::{Client, USAGE, finish};
use crate::support::sandbox::{DEADLINE, text};
use crate::support::telemetry::{Item, Kind, events, items, sums};
use ccrun::doctor::live::model::Script;

/// Attribute values that users may write and that are hard to pass through percent-encoding, lists and TOML.
const AWKWARD: [(&str, &str); 6] = [
    ("team.name", "Plattform & Größe, Süd"),
    ("cost", "a=b,c=d;e"),
    ("percent", "100 % %20 %zz"),
    ("quotes", r#"it's "so" \ `so`"#),
    ("emoji", "🚀 naïve 漢字"),
    ("spaced", " both sides "),
];

fn awkward_profile(backend: &Backend, protocol: &str) -> String {
    let attributes = AWKWARD.map(|(key, value)| format!("{} = {}\n", json!(key), json!(value))).concat();
    format!("{}[resource]\n{attributes}", profile(backend, protocol))
}

fn arrives(protocol: &str, expected: Protocol) {
    let (backend, client) = (Backend::start(), Client::new(Script::text("the answer").usage(USAGE)));
    client.profile("team", awkward_profile(&backend, protocol));
    let output = client.ask(&["-p", "team"], "a question");
    assert_eq!((text(&output.stdout), text(&output.stderr)), ("the answer\n".to_owned(), String::new()));
    assert!(output.status.success());

    let asked = client.questions();
    let received = backend.wait_for(|received| complete(received, asked), DEADLINE);
    assert!(received.iter().all(|received| received.protocol == expected));
    let items = items(&received);
    for item in &items {
        check_resource(item);
    }
    let deltas = items
        .iter()
        .filter_map(|item| if let Kind::Point { is_delta, .. } = item.kind { Some(is_delta) } else { None });
    assert!(deltas.into_iter().all(|is_delta| is_delta));
    assert_eq!(events(&received, "user_prompt").len(), 1);
    check_report(&client.report(), &received, asked);
    let rows = client.report_by("profile,team");
    assert_eq!((rows.len(), &rows[0]["profile"], &rows[0]["team"]), (1, &json!("team"), &json!("platform")));
}

fn check_resource(item: &Item) {
    let resource = &item.resource;
    for (key, value) in AWKWARD {
        assert_eq!(resource[key], value);
        // Custom attributes are also on every point and record.
        assert!(item.attributes.get(key).is_none_or(|found| found == value), "{item:?}");
    }
    assert_eq!(resource["team.id"], "platform");
    assert_eq!(resource["service.name"], "claude-code");
    assert_eq!(resource["ccrun.profile"], "team");
    assert_eq!(resource["ccrun.version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(resource["ccrun.session"].len(), 16);
    assert_eq!(resource["service.instance.id"], resource["ccrun.session"]);
}

/// Checks that the report agrees with the stand-in model and with what the backend received.
fn check_report(report: &Value, received: &[Received], requests: usize) {
    let times = |tokens: u64| tokens * u64::try_from(requests).unwrap();
    let expected = [
        ("input_tokens", "input", times(USAGE.input)),
        ("output_tokens", "output", times(USAGE.output)),
        ("cache_read_tokens", "cacheRead", times(USAGE.cache_read)),
        ("cache_creation_tokens", "cacheCreation", times(USAGE.cache_creation)),
    ];
    let metrics = sums(received, "token.usage", "type");
    let requests_of_events = events(received, "api_request");
    for (reported, metric, tokens) in expected {
        assert_eq!(report["total"][reported], tokens, "{reported}");
        assert_eq!(json!(metrics[metric]), json!(f64::from(u32::try_from(tokens).unwrap())), "{reported}");
        let by_events: u64 =
            requests_of_events.iter().map(|event| event.attributes[reported].parse::<u64>().unwrap()).sum();
        assert_eq!(by_events, tokens, "{reported}");
    }
    assert_eq!(report["total"]["requests"], requests);
    assert_eq!(report["total"]["prompts"], 1);
    assert_eq!(report["total"]["sessions"], 1);
    let cost: f64 = sums(received, "cost.usage", "nothing").values().sum();
    assert!((report["total"]["cost_usd"].as_f64().unwrap() - cost).abs() < 1e-6, "{cost}");
    let models: BTreeSet<_> = requests_of_events.iter().map(|event| &event.attributes["model"]).collect();
    assert_eq!(report["models"].as_array().unwrap().len(), models.len());
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn a_question_is_answered_and_counted_over_http() {
    arrives("http/protobuf", Protocol::HttpProtobuf);
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn a_question_is_answered_and_counted_over_grpc() {
    arrives("grpc", Protocol::Grpc);
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn a_tool_call_sends_events_and_spans_and_sees_no_telemetry_variables() {
    let script = Script::text("done").usage(USAGE).bash("cat /proc/self/environ > \"$HOME/environ\"");
    let (backend, client) = (Backend::start(), Client::new(script));
    client.profile("team", format!("{}[signals]\ntraces = true\n", profile(&backend, "http/protobuf")));
    let command = client.claude(&["-p", "team"], ["-p", "use a tool", "--allowedTools", "Bash"]).spawn().unwrap();
    let output = finish(command);
    assert_eq!((text(&output.stdout), text(&output.stderr)), ("done\n".to_owned(), String::new()));

    let asked = client.questions();
    let spans = ["interaction", "llm_request", "tool", "tool.execution"];
    let received = backend.wait_for(
        |received| {
            let items = items(received);
            let has = |name: &&str| items.iter().any(|item| item.kind == Kind::Span && item.name == *name);
            complete(received, asked) && spans.iter().all(has)
        },
        DEADLINE,
    );
    for item in items(&received) {
        assert_eq!(item.resource["team.id"], "platform", "{item:?}");
    }
    for name in ["tool_decision", "tool_result"] {
        let events = events(&received, name);
        assert_eq!(events.len(), 1, "{name}");
        assert_eq!(events[0].attributes["tool_name"], "Bash");
    }
    let tools = client.report_by("tool");
    assert_eq!((&tools[0]["tool"], &tools[0]["tool_successes"]), (&json!("Bash"), &json!(1)));

    let seen = text(&std::fs::read(client.home().join("environ")).unwrap());
    let session = format!("CCRUN_SESSION={}", items(&received)[0].resource["ccrun.session"]);
    assert!(seen.split('\0').any(|variable| variable == session), "{seen}");
    assert!(!seen.split('\0').any(|variable| variable.starts_with("OTEL_")), "{seen}");
    assert!(!seen.contains(&client.token()), "{seen}");
}
