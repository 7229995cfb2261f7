//! Impossible usage, floods of names, and ledgers of other versions are survived, counted once, and reported.

use ccrun::otlp::Signal;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use serde_json::{Value, json};

use crate::support::sandbox::{Sandbox, text};
use crate::support::series::{self, attribute, tokens};
use crate::support::session::Session;

fn value(key: &str, value: Any) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

/// An answered request at a time in nanoseconds, with more attributes.
fn answered(sequence: i64, time: u64, own: Vec<KeyValue>) -> LogRecord {
    let attributes = vec![
        attribute("event.name", "api_request"),
        attribute("session.id", "7a64b203-14d5-4676-b6c2-e55abef40001"),
        attribute("model", "claude-opus-5-5"),
        value("event.sequence", Any::IntValue(sequence)),
    ];
    LogRecord { time_unix_nano: time, attributes: [attributes, own].concat(), ..LogRecord::default() }
}

fn logs(log_records: Vec<LogRecord>) -> Vec<u8> {
    let scope =
        InstrumentationScope { name: "com.anthropic.claude_code.events".to_owned(), ..InstrumentationScope::default() };
    let scope_logs = vec![ScopeLogs { scope: Some(scope), log_records, ..ScopeLogs::default() }];
    let resource = Some(Resource { attributes: vec![attribute("service.name", "claude-code")], ..Resource::default() });
    ExportLogsServiceRequest { resource_logs: vec![ResourceLogs { resource, scope_logs, ..ResourceLogs::default() }] }
        .encode_to_vec()
}

fn now() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap()
}

fn started(sandbox: &Sandbox) -> Session {
    Session::start(sandbox, &["-p", "local"])
}

/// The notes of a report about omitted usage.
fn refused(report: &Value) -> Vec<&str> {
    let notes = report["notes"].as_array().unwrap().iter().map(|note| note.as_str().unwrap());
    notes.filter(|note| note.contains("cannot be true")).collect()
}

#[test]
fn impossible_numbers_and_times_are_omitted_and_reported_in_one_line() {
    let sandbox = Sandbox::new();
    let session = started(&sandbox);
    let odd = [
        (1, Any::IntValue(1)),
        (u64::MAX, Any::IntValue(1)),
        (now(), Any::IntValue(-5)),
        (now(), Any::DoubleValue(f64::NAN)),
        (now(), Any::DoubleValue(f64::INFINITY)),
        (now(), Any::IntValue(i64::MAX)),
        (now(), Any::StringValue("9e99".to_owned())),
        (now(), Any::IntValue(100)),
    ];
    let records = odd.into_iter().enumerate().map(|(sequence, (time, tokens))| {
        answered(i64::try_from(sequence).unwrap(), time, vec![value("input_tokens", tokens)])
    });
    let body = logs(records.collect());
    for _ in 0..2 {
        assert_eq!(session.client().post(Signal::Logs, &body).unwrap().status, 200);
    }
    session.end();
    let report = sandbox.report();
    assert_eq!((&report["total"]["requests"], &report["total"]["input_tokens"]), (&json!(8), &json!(102)));
    assert_eq!(refused(&report).len(), 1, "{report}");
    // An event with an impossible time is counted at the time of its arrival.
    assert_eq!(sandbox.report_with(&["--today"])["total"]["requests"], 8);
    let shown = text(&sandbox.run(["report"]).stdout);
    assert_eq!(shown.matches("cannot be true").count(), 1, "{shown}");
}

#[test]
fn a_request_with_invalid_text_is_rejected_and_the_session_continues() {
    let sandbox = Sandbox::new();
    let session = started(&sandbox);
    let mut body = logs(vec![answered(1, now(), vec![value("input_tokens", Any::IntValue(7))])]);
    let at = memchr::memmem::find(&body, b"claude-opus-5-5").unwrap();
    body[at] = 0xff;
    assert_eq!(session.client().post(Signal::Logs, &body).unwrap().status, 400);
    series::export(&mut session.client(), &[("claude-opus-5-5", 5)], 1);
    session.end();
    let report = sandbox.report();
    assert_eq!((&report["total"]["requests"], &report["total"]["input_tokens"]), (&json!(0), &json!(5)));
}

#[test]
fn models_beyond_the_first_thousand_are_counted_together() {
    let sandbox = Sandbox::new();
    let session = started(&sandbox);
    let names: Vec<_> = (0..10_000).map(|number| format!("model-{number}")).collect();
    for (nth, names) in (0..).zip(names.chunks(500)) {
        let points: Vec<_> = names.iter().map(|name| (name.as_str(), 3)).collect();
        assert_eq!(session.client().post(Signal::Metrics, &tokens(&points, nth)).unwrap().status, 200);
    }
    session.end();
    let report = sandbox.report_with(&["--by", "model"]);
    assert_eq!(report["total"]["input_tokens"], 30_000);
    let rows = report["rows"].as_array().unwrap();
    assert!(rows.len() > 900 && rows.len() <= 1001, "{}", rows.len());
    assert!(rows.iter().any(|row| row["model"] == "(other)"));
    let other = series::tokens(&[("model-of-another-session", 3)], 1);
    let session = started(&sandbox);
    assert_eq!(session.client().post(Signal::Metrics, &other).unwrap().status, 200);
    session.end();
    assert_eq!(sandbox.report_with(&["--where", "model=model-of-another-session"])["total"]["input_tokens"], 3);
}

/// A newer minor version only adds columns. A newer major version has its own file, which a note mentions.
#[test]
fn a_ledger_of_a_newer_minor_version_is_used() {
    let sandbox = Sandbox::new();
    let use_some = |nth| {
        let session = started(&sandbox);
        series::export(&mut session.client(), &[("claude-opus-5-5", 5)], nth);
        session.end();
    };
    use_some(1);
    assert_eq!(sandbox.report()["total"]["input_tokens"], 5);
    sandbox.wait_for_end();
    let ledger = rusqlite::Connection::open(sandbox.state().join("ledger-1.db")).unwrap();
    ledger.execute_batch("PRAGMA user_version = 99; CREATE TABLE of_tomorrow (id INTEGER)").unwrap();
    drop(ledger);
    use_some(2);
    assert_eq!(sandbox.report()["total"]["input_tokens"], 10);
    std::fs::write(sandbox.state().join("ledger-2.db"), "of a newer version").unwrap();
    use_some(3);
    let output = sandbox.run(["report", "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["total"]["input_tokens"], 15);
    let said = text(&output.stderr);
    assert!(said.lines().count() == 1 && said.contains("ledger-2.db") && said.contains("newer"), "{said}");
}
