//! `ccrun report week` as people type it: on one machine, on merged ones, and for small groups.

use std::process::{Command, Output};

use ccrun::otlp::Signal;
use jiff::Timestamp;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use serde_json::Value;

use crate::support::sandbox::{Sandbox, text};
use crate::support::series::attribute;
use crate::support::session::Session;

/// An event of a person's session. Numbers may be strings.
fn event(at: Timestamp, person: &str, number: usize, name: &str, own: &[(&str, &str)]) -> LogRecord {
    let (sequence, time) = (number.to_string(), u64::try_from(at.as_nanosecond()).unwrap());
    // The person's name is not in it.
    let session = format!("session-{}", person.chars().rev().collect::<String>());
    let all = [("event.name", name), ("session.id", &session), ("user.email", person), ("event.sequence", &sequence)];
    LogRecord {
        time_unix_nano: time,
        observed_time_unix_nano: time,
        attributes: all.iter().chain(own).map(|(key, value)| attribute(key, value)).collect(),
        ..LogRecord::default()
    }
}

fn request(log_records: Vec<LogRecord>) -> Vec<u8> {
    let name = "com.anthropic.claude_code.events".to_owned();
    let scope = Some(InstrumentationScope { name, ..InstrumentationScope::default() });
    let scope_logs = vec![ScopeLogs { scope, log_records, ..ScopeLogs::default() }];
    let resource = Some(Resource { attributes: vec![attribute("service.name", "claude-code")], ..Resource::default() });
    let resource_logs = vec![ResourceLogs { resource, scope_logs, ..ResourceLogs::default() }];
    ExportLogsServiceRequest { resource_logs }.encode_to_vec()
}

/// A machine on which each person sent a prompt and a request of half a dollar. Persons named `ci` are automation.
fn machine(at: Timestamp, people: &[&str]) -> Sandbox {
    let sandbox = Sandbox::new();
    let session = Session::start(&sandbox, &["-p", "local"]);
    let mut records = Vec::new();
    for person in people {
        let source = if *person == "ci" { "sdk" } else { "repl_main_thread" };
        let tokens = [("input_tokens", "100"), ("cache_read_tokens", "900"), ("cost_usd", "0.5")];
        let own = [&tokens[..], &[("model", "claude-opus-5-5"), ("query_source", source)]].concat();
        records.push(event(at, person, 1, "user_prompt", &[("prompt_length", "5")]));
        records.push(event(at, person, 2, "api_request", &own));
    }
    assert_eq!(session.client().post(Signal::Logs, &request(records)).unwrap().status, 200);
    session.end();
    sandbox.wait_for_end();
    sandbox
}

/// The page of the week of that time.
fn week(sandbox: &Sandbox, at: Timestamp, options: &[&str]) -> Output {
    let day = at.strftime("%Y-%m-%d").to_string();
    sandbox.ccrun([&["report", "week", &day], options].concat()).env("TZ", "UTC").output().unwrap()
}

fn page(sandbox: &Sandbox, at: Timestamp, options: &[&str]) -> Value {
    let output = week(sandbox, at, &[&["--json"], options].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn value<'a>(page: &'a Value, line: &str) -> &'a Value {
    let lines = page["lines"].as_array().unwrap();
    &lines.iter().find(|found| found["name"] == line).unwrap_or_else(|| panic!("no line {line}"))["value"]
}

#[test]
fn a_team_is_seen_whole_once_its_machines_are_merged() {
    let at = Timestamp::now();
    let (one, other) = (machine(at, &["ann", "bob", "cid"]), machine(at, &["dan", "eve", "ci"]));
    let small = page(&one, at, &["--by", "person"]);
    assert_eq!((&small["people"], value(&small, "spend")), (&Value::from(3), &Value::from(1.5)));
    assert!(small["tables"].get("persons").is_none() && small.to_string().find("ann").is_none(), "{small}");
    let asked = page(&one, at, &["--by", "person", "--persons"]);
    assert_eq!(asked["tables"]["persons"]["rows"].as_array().unwrap().len(), 3);

    let file = other.home().join("other.ccrun-ledger");
    let path = file.to_str().unwrap();
    assert!(other.run(["ledger", "export", path]).status.success());
    for _ in 0..2 {
        assert!(one.run(["ledger", "import", path]).status.success());
        let whole = page(&one, at, &["--by", "person", "--seats", "10"]);
        assert_eq!((&whole["people"], value(&whole, "spend")), (&Value::from(5), &Value::from(3.0)));
        assert_eq!((value(&whole, "automation"), value(&whole, "adoption")), (&Value::from(0.5), &Value::from(0.5)));
        assert_eq!(value(&whole, "cache_reuse"), &Value::from(0.9));
        assert_eq!(whole["tables"]["machines"]["rows"].as_array().unwrap().len(), 2);
        let persons = whole["tables"]["persons"]["rows"].as_array().unwrap();
        assert!(persons.len() == 5 && persons.iter().all(|row| row["person"] != "ci"), "{persons:?}");
    }
    for (format, expected) in [("table", "Week 20"), ("markdown", "# Week 20"), ("csv", "line,figure,value")] {
        let output = week(&one, at, &["--format", format]);
        assert!(text(&output.stdout).starts_with(expected), "{format}: {}", text(&output.stdout));
    }
    let month = page(&one, at, &["--month", "--where", "person=ann"]);
    assert_eq!((&month["period"], value(&month, "spend")), (&Value::from("month"), &Value::from(0.5)));
}

#[test]
fn what_is_missing_comes_first() {
    let at = Timestamp::now();
    let sandbox = machine(at, &["ann"]);
    sandbox.write("home/.claude/projects/-home-me/7a64b203-14d5-4676-b6c2-e55abef40001.jsonl", "{}");
    let shown = text(&week(&sandbox, Timestamp::now(), &[]).stdout);
    assert!(shown.starts_with("0 of 1 session of Claude Code"), "{shown}");
}

#[test]
fn what_is_no_week_is_said() {
    let sandbox = Sandbox::new();
    let cases: [(&[&str], &str); 6] = [
        (&["nonsense"], "write 2026-W48"),
        (&["2999-W01"], "in the future"),
        (&["2026-W01", "--month"], "leave out `--month`"),
        (&["--where", "model=opus"], "dimensions of sessions"),
        (&["--plan-fee", "100"], "--seats"),
        (&["--plan-fee", "0", "--seats", "2"], "more than 0"),
    ];
    for (options, expected) in cases {
        let output = sandbox.run([&["report", "week"], options].concat());
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{options:?}: {said}");
        assert!(said.contains(expected), "{options:?}: {said}");
    }
    let schema: Value = serde_json::from_slice(&sandbox.run(["report", "week", "--json-schema"]).stdout).unwrap();
    assert_eq!(schema["title"], "ccrun report week");
}

/// An administrator's file is in `/etc`, which a mount namespace replaces. Where none can be created, this proves
/// nothing and says so.
#[cfg(target_os = "linux")]
#[test]
#[expect(clippy::print_stderr, reason = "the output must show that it proved nothing")]
fn an_administrator_can_forbid_rows_for_persons() {
    let unshared = Command::new("unshare").args(["-m", "true"]).output();
    if !unshared.as_ref().is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: cannot create a mount namespace: {unshared:?}");
        return;
    }
    let at = Timestamp::now();
    let sandbox = machine(at, &["ann"]);
    sandbox.write("system/config.toml", "enforce = [\"report.persons\"]\n");
    sandbox.write("home/.config/ccrun/config.toml", "[report]\npersons = true\n");
    assert_eq!(page(&sandbox, at, &["--by", "person"])["tables"]["persons"]["rows"].as_array().unwrap().len(), 1);
    let root = sandbox.home().parent().unwrap().display().to_string();
    let script = format!(
        "set -e; mkdir -p '{root}/etc'; mount --rbind /etc '{root}/etc'; mount -t tmpfs tmpfs /etc
         ln -s '{root}'/etc/* /etc/; rm -f /etc/ccrun; ln -s '{root}/system' /etc/ccrun; exec ccrun report week \"$@\""
    );
    let run = |options: &[&str]| {
        let words = [&["-m", "sh", "-c", &script, "sh"], options].concat();
        sandbox.command("unshare").args(words).env("TZ", "UTC").output().unwrap()
    };
    let refused = run(&["--persons"]);
    assert!(
        refused.status.code() == Some(2) && text(&refused.stderr).contains("enforces `report.persons`"),
        "{refused:?}"
    );
    let day = at.strftime("%Y-%m-%d").to_string();
    let output = run(&[&day, "--by", "person", "--json"]);
    let page: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(page["tables"].get("persons").is_none() && page["people"] == 1, "{page}");
}
