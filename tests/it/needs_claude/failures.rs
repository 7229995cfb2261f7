//! After any failure, `claude` starts, and exports nothing instead of a part.

use serde_json::json;

use super::complete;
use crate::support::backend::Backend;
use crate::support::claude::{Client, finish};
use crate::support::sandbox::{DEADLINE, text};
use ccrun::doctor::live::model::Script;

/// A client whose own settings export to a backend.
fn exporting() -> (Backend, Client) {
    let (backend, client) = (Backend::start(), Client::new(Script::text("the answer")));
    let settings = json!({"env": {
        "CLAUDE_CODE_ENABLE_TELEMETRY": "1",
        "OTEL_METRICS_EXPORTER": "otlp",
        "OTEL_LOGS_EXPORTER": "otlp",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_ENDPOINT": backend.endpoint(),
    }});
    client.write("home/.claude/settings.json", settings.to_string());
    (backend, client)
}

/// Checks that `claude` answers, one line gives the reason, and nothing is exported, not even at its end.
fn fails_open(backend: &Backend, client: &Client, options: &[&str], reason: &str) {
    let output = client.ask(options, "a question");
    assert_eq!(text(&output.stdout), "the answer\n", "{output:?}");
    assert!(output.status.success(), "{output:?}");
    let complaint = text(&output.stderr);
    assert!(complaint.starts_with("ccrun: telemetry is off for this session: "), "{complaint}");
    assert_eq!(complaint.lines().count(), 1, "{complaint}");
    assert!(complaint.contains(reason), "{complaint}");
    assert!(backend.received().is_empty());
    assert!(client.collectors().is_empty());
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn with_a_bad_profile_claude_answers_and_exports_nothing() {
    let (backend, client) = exporting();
    client.profile("broken", "[destination.backend]\nendpont = \"http://127.0.0.1\"\n");
    fails_open(&backend, &client, &["-p", "broken"], "endpont");
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn without_a_usable_state_directory_claude_answers_and_exports_nothing() {
    let (backend, mut client) = exporting();
    let file = client.write("a-file", "no directory");
    client.set("CCRUN_STATE_DIR", file.join("state").to_str().unwrap());
    fails_open(&backend, &client, &[], "a-file");
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn claude_does_not_start_if_a_required_profile_fails() {
    let (backend, client) = exporting();
    client.profile("broken", "nonsense = 1\n");
    let output = client.ask(&["-p", "broken", "--require"], "a question");
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(2), String::new()));
    assert!(text(&output.stderr).contains("nonsense"), "{output:?}");
    assert!(client.model.requests().is_empty());
    assert!(backend.received().is_empty());
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn with_ccrun_off_claude_runs_as_without_it() {
    let (backend, mut client) = exporting();
    client.set("CCRUN_OFF", "1");
    let output = client.ask(&["-p", "no-such-profile"], "a question");
    assert_eq!((text(&output.stdout), text(&output.stderr)), ("the answer\n".to_owned(), String::new()));
    backend.wait_for(|received| complete(received, client.questions()), DEADLINE);
    assert!(!client.state().exists());
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn without_standard_input_or_a_terminal_claude_answers() {
    let client = Client::new(Script::text("the answer"));
    let script = "exec ccrun claude -p 'a question' <&-";
    let output = finish(client.command("/bin/sh").args(["-c", script]).spawn().unwrap());
    assert_eq!((text(&output.stdout), output.status.code()), ("the answer\n".to_owned(), Some(0)), "{output:?}");
}
