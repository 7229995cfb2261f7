//! `ccrun doctor --live`: a real test of the complete path.

use serde_json::Value;

use crate::doctor_destination::examine;
use crate::support::backend::{Backend, Reply};
use crate::support::sandbox::Sandbox;
use crate::support::telemetry::everything;

/// The findings about the complete path. Checks that the test session leaves nothing behind.
pub(crate) fn look(sandbox: &Sandbox, options: &[&str]) -> Vec<Value> {
    let options = [&["--live", "--timeout", "1m"], options].concat();
    let found = examine(sandbox, &options);
    sandbox.wait_for_end();
    let left: Vec<_> = std::fs::read_dir(sandbox.home().with_file_name("tmp")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    found.into_iter().filter(|found| found["group"] == "live").collect()
}

#[track_caller]
pub(crate) fn says(found: &[Value], at: usize, level: &str, words: &[&str]) {
    let text = found[at].to_string();
    let is_said = found[at]["level"] == level && words.iter().all(|words| text.contains(words));
    assert!(is_said, "no `{level}` finding with {words:?}: {found:#?}");
}

fn profile(sandbox: &Sandbox, backend: &Backend, more: &str) {
    let (endpoint, drain) = (backend.endpoint(), "[collector]\ndrain_timeout = \"1s\"\n");
    sandbox.profile("p", format!("[destination.d]\nendpoint = \"{endpoint}\"\n{drain}{more}"));
}

#[test]
fn a_healthy_path_is_acknowledged_by_the_destination() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    profile(&sandbox, &backend, "");
    let found = look(&sandbox, &["-p", "p"]);
    assert_eq!(found.len(), 2, "{found:#?}");
    says(&found, 0, "ok", &["a session of a test program sent 2 records", "there is no terminal to confirm"]);
    says(&found, 1, "ok", &["`d` acknowledged 2 records"]);
    let through_a_session =
        everything(&backend.received()).into_iter().filter(|item| item.resource.contains_key("ccrun.session"));
    assert!(through_a_session.count() >= 2);
    assert_eq!(sandbox.queue(), Vec::<Value>::new());
}

#[test]
fn waiting_data_is_reported_with_the_reason() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    profile(&sandbox, &backend, "");
    backend.reply_always(Reply::http(401, "that key has ended"));
    let found = look(&sandbox, &["-p", "p"]);
    says(&found, 0, "ok", &["sent 2 records"]);
    says(
        &found,
        1,
        "failed",
        &["`d` acknowledged 0 of 2 records; the rest waits: 401 unauthorized: that key has ended"],
    );
}

#[test]
fn rejected_data_is_reported_with_the_reason() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    profile(&sandbox, &backend, "");
    backend.reply_always(Reply::http(400, "no stream of that name"));
    let found = look(&sandbox, &["-p", "p"]);
    says(
        &found,
        1,
        "failed",
        &["permanently rejected the rest: 400 bad request: no stream of that name", "`ccrun queue retry`"],
    );
}

#[test]
fn a_profile_without_a_destination_records_here() {
    let sandbox = Sandbox::new();
    let found = look(&sandbox, &[]);
    says(&found, 0, "ok", &["sent 2 records"]);
    says(&found, 1, "ok", &["recorded on this machine", "has no destination"]);
}

#[test]
fn a_session_that_cannot_start_is_reported_with_the_reason() {
    let sandbox = Sandbox::new();
    sandbox.write("home/.local/state/ccrun", "a file");
    let found = look(&sandbox, &[]);
    says(&found, 0, "failed", &["starts no session", "telemetry is off for this session"]);
}

#[test]
fn a_session_that_rejects_test_records_is_reported() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    profile(&sandbox, &backend, "accept = [\"claude-code*\"]\n");
    let found = look(&sandbox, &["-p", "p"]);
    says(&found, 0, "failed", &["the session's collector rejects everything", "`accept`"]);
}

#[test]
fn an_invalid_or_direct_profile_is_not_tested() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    profile(&sandbox, &backend, "mode = \"direct\"\n");
    says(&look(&sandbox, &["-p", "p"]), 0, "ok", &["not tested: in direct mode"]);
    profile(&sandbox, &backend, "");
    says(&look(&sandbox, &["-p", "p", "--direct"]), 0, "ok", &["not tested: in direct mode"]);
    says(&look(&sandbox, &["-p", "missing"]), 0, "failed", &["the profile is invalid"]);
}
