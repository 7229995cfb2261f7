//! Claude Code that exports by itself, configured by a profile.

use serde_json::json;

use super::complete;
use crate::support::backend::Backend;
use crate::support::claude::{Client, USAGE};
use crate::support::sandbox::{DEADLINE, text};
use ccrun::doctor::live::model::Script;

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn claudes_headers_helper_gets_the_profiles_headers() {
    let (backend, mut client) = (Backend::start(), Client::new(Script::text("the answer").usage(USAGE)));
    client.set("TOKEN", "sk-1, sk-2");
    let destination = "[destination.own]\nendpoint = \"https://h\"\nheaders.authorization = { env = \"TOKEN\", format = \"Bearer {}\" }\n";
    client.profile("team", destination);
    let settings = json!({
        "otelHeadersHelper": "ccrun headers -p team",
        "env": {
            "CLAUDE_CODE_ENABLE_TELEMETRY": "1",
            "OTEL_METRICS_EXPORTER": "otlp",
            "OTEL_LOGS_EXPORTER": "otlp",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_EXPORTER_OTLP_ENDPOINT": backend.endpoint(),
        }
    });
    client.write("home/.claude/settings.json", settings.to_string());
    let output = client.command("claude").args(["-p", "a question"]).output().unwrap();
    assert_eq!(text(&output.stdout), "the answer\n", "{}", text(&output.stderr));
    let received = backend.wait_for(|received| complete(received, client.questions()), DEADLINE);
    assert!(received.iter().all(|request| request.header("authorization") == "Bearer sk-1, sk-2"));
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn headers_in_the_environment_arrive_unchanged_over_http() {
    arrive("http/protobuf", "Bearer a b=c%20d");
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn headers_in_the_environment_arrive_unchanged_over_grpc() {
    arrive("grpc", "Bearer a, b=c%20d");
}

fn arrive(protocol: &str, value: &str) {
    let (backend, mut client) = (Backend::start(), Client::new(Script::text("the answer").usage(USAGE)));
    client.set("TOKEN", value);
    let endpoint = backend.endpoint();
    client.profile(
        "team",
        format!(
            "[collector]\nmode = \"direct\"\n[destination.own]\nendpoint = \"{endpoint}\"\nprotocol = \"{protocol}\"\n\
             headers.x-key = {{ env = \"TOKEN\" }}\n"
        ),
    );
    let output = client.ask(&["-p", "team"], "a question");
    assert_eq!((text(&output.stdout), text(&output.stderr)), ("the answer\n".to_owned(), String::new()));
    let received = backend.wait_for(|received| complete(received, client.questions()), DEADLINE);
    assert!(received.iter().all(|request| request.header("x-key") == value), "{received:?}");
    assert_eq!(client.collectors(), [0; 0]);
    assert!(client.settings().iter().all(|path| !std::fs::read_to_string(path).unwrap().contains(value)));
}
