//! `ccrun tail` shows received events in another terminal.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Stdio};

use ccrun::otlp::Signal;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use prost::Message;
use serde_json::{Value, json};

use crate::support::sandbox::{Sandbox, kill, text, wait_until};
use crate::support::series::attribute;
use crate::support::session::Session;

/// A request with one Claude Code event.
pub fn event(name: &str, number: u64, more: &[(&str, &str)]) -> Vec<u8> {
    let time_unix_nano = u64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap();
    let number = number.to_string();
    let own = [("event.name", name), ("session.id", "client-session"), ("event.sequence", number.as_str())];
    let attributes = own.iter().chain(more).map(|(key, value)| attribute(key, value)).collect();
    let record = LogRecord { time_unix_nano, attributes, ..LogRecord::default() };
    let scope =
        InstrumentationScope { name: "com.anthropic.claude_code.events".to_owned(), ..InstrumentationScope::default() };
    let scope_logs = vec![ScopeLogs { scope: Some(scope), log_records: vec![record], ..ScopeLogs::default() }];
    let resource_logs = vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }];
    ExportLogsServiceRequest { resource_logs }.encode_to_vec()
}

fn export(session: &Session, request: &[u8]) {
    assert_eq!(session.client().post(Signal::Logs, request).unwrap().status, 200);
}

/// Starts `ccrun tail`, and returns it with a reader of its lines.
fn tail(sandbox: &Sandbox, options: &[&str]) -> (Child, BufReader<ChildStdout>) {
    let mut command = sandbox.ccrun([&["tail"], options].concat());
    let mut tail = command.stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(tail.stdout.take().unwrap());
    (tail, lines)
}

fn next(lines: &mut BufReader<ChildStdout>) -> Value {
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

#[test]
fn past_and_new_events_are_shown_once_and_in_order() {
    let sandbox = Sandbox::new();
    let first = Session::start(&sandbox, &["-p", "local"]);
    let request = event("api_request", 1, &[("model", "claude-opus-5-5"), ("input_tokens", "7"), ("cost_usd", "0.5")]);
    export(&first, &request);
    let (mut tail, mut lines) = tail(&sandbox, &["--json"]);
    let past = next(&mut lines);
    assert_eq!((&past["event"], &past["model"]), (&json!("api_request"), &json!("claude-opus-5-5")));
    assert_eq!((&past["input_tokens"], &past["cost_usd"], &past["success"]), (&json!(7), &json!(0.5), &json!(true)));
    assert_eq!((&past["session"], &past["claude_session"]), (&json!(first.id), &json!("client-session")));
    assert!(past["project"].as_str().unwrap().ends_with("project"), "{past}");
    // A request that the client repeats is shown once.
    export(&first, &request);
    export(&first, &event("tool_result", 2, &[("tool_name", "Bash"), ("success", "false")]));
    let tool = next(&mut lines);
    assert_eq!((&tool["tool"], &tool["success"], &tool["cost_usd"]), (&json!("Bash"), &json!(false), &Value::Null));
    // It follows a session that starts later, and one whose worker was replaced.
    let mut second = Session::start(&sandbox, &["-p", "local"]);
    export(&second, &event("user_prompt", 3, &[]));
    assert_eq!(next(&mut lines)["session"], json!(second.id));
    second.end_worker(nix::sys::signal::Signal::SIGKILL);
    let request = event("compaction", 4, &[]);
    wait_until("an answer", || second.client().post(Signal::Logs, &request).is_ok_and(|answer| answer.status == 200));
    assert_eq!(next(&mut lines)["event"], "compaction");
    kill(i32::try_from(tail.id()).unwrap(), "INT");
    let status = tail.wait().unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(2), "Ctrl-C ends it");
    let mut rest = String::new();
    lines.read_to_string(&mut rest).unwrap();
    assert!(rest.is_empty(), "{rest}");
}

#[test]
fn tail_exits_when_its_reader_closes_the_pipe() {
    let sandbox = Sandbox::new();
    let session = Session::start(&sandbox, &["-p", "local"]);
    let (mut tail, mut lines) = tail(&sandbox, &[]);
    export(&session, &event("api_request", 1, &[("model", "claude-opus-5-5"), ("cost_usd", "0.5")]));
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    assert!(line.contains("api_request") && line.contains("claude-opus-5-5") && line.contains("$0.50"), "{line}");
    drop(lines);
    // It exits even if no further event arrives.
    assert!(tail.wait().unwrap().success());
}

#[test]
fn filters_omit_other_kinds_sessions_and_projects() {
    let sandbox = Sandbox::new();
    let session = Session::start(&sandbox, &["-p", "local"]);
    let id = session.id.clone();
    let wanted: [&[&str]; 4] = [
        &["--event", "tool_result,claude_code.user_prompt"],
        &["--session", &id[..6], "--event", "user_prompt"],
        &["--session", "client-s", "--event", "user_prompt"],
        &["--project", "project", "--event", "user_prompt"],
    ];
    let mut tails: Vec<_> = wanted.iter().map(|options| tail(&sandbox, &[*options, &["--json"]].concat())).collect();
    export(&session, &event("api_request", 1, &[]));
    export(&session, &event("user_prompt", 2, &[]));
    for (tail, lines) in &mut tails {
        let shown = next(lines);
        assert_eq!(shown["event"], "user_prompt");
        tail.kill().unwrap();
        tail.wait().unwrap();
    }
}

#[test]
fn content_is_shown_on_request_if_the_profile_exports_it() {
    let sandbox = Sandbox::new();
    sandbox.profile("open", "[content]\nuser_prompts = true\n");
    let session = Session::start(&sandbox, &["-p", "open"]);
    let (mut asked, mut with_content) = tail(&sandbox, &["--content", "--json"]);
    let (mut silent, mut without) = tail(&sandbox, &["--json"]);
    // The ledger has no content, so both must read the log before the prompt arrives.
    export(&session, &event("compaction", 1, &[]));
    for lines in [&mut with_content, &mut without] {
        assert_eq!(next(lines)["event"], "compaction");
    }
    export(&session, &event("user_prompt", 3, &[("prompt", "told on purpose")]));
    assert_eq!(next(&mut with_content)["content"], "told on purpose");
    assert!(!next(&mut without).to_string().contains("on purpose"));
    for tail in [&mut asked, &mut silent] {
        tail.kill().unwrap();
        tail.wait().unwrap();
    }
}

#[test]
fn a_machine_without_any_session_waits_for_the_first() {
    let sandbox = Sandbox::new();
    let (mut tail, mut lines) = tail(&sandbox, &["--json"]);
    let session = Session::start(&sandbox, &["-p", "local"]);
    export(&session, &event("user_prompt", 1, &[]));
    assert_eq!(next(&mut lines)["event"], "user_prompt");
    tail.kill().unwrap();
    tail.wait().unwrap();
    let wrong = sandbox.run(["tail", "--session", ""]);
    assert_eq!(wrong.status.code(), Some(2), "{}", text(&wrong.stderr));
}
