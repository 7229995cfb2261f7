//! `ccrun doctor --live` with the real Claude Code.

use serde_json::Value;

use super::{complete, profile};
use crate::doctor_destination::examine;
use crate::doctor_live::{look, says};
use crate::support::backend::Backend;
use crate::support::claude::{Client, USAGE};
use crate::support::sandbox::wait_until;
use crate::support::telemetry::events;
use crate::support::terminal::Terminal;
use ccrun::doctor::live::model::Script;

#[test]
#[ignore = "needs TEST_CLAUDE; scripts/test.sh runs it"]
fn the_offline_test_uses_a_stand_in_model_and_no_user_files() {
    let (backend, client) = (Backend::start(), Client::new(Script::text("never asked")));
    // A gateway with a key, which the test must not contact.
    client.profile(
        "team",
        profile(&backend, "http/protobuf") + "[env]\nANTHROPIC_AUTH_TOKEN = \"t\"\nCLAUDE_CODE_USE_BEDROCK = \"1\"\n",
    );
    let found = look(&client, &["-p", "team", "--offline"]);
    says(&found, 0, "ok", &["a session of Claude Code with a stand-in for its model sent "]);
    says(&found, 1, "ok", &["`backend` acknowledged "]);
    assert!(complete(&backend.received(), 1), "{:?}", backend.received());
    assert_eq!(events(&backend.received(), "user_prompt").len(), 1);
    assert_eq!(client.questions(), 0);
    assert!(!client.home().join(".claude").exists() && !client.home().join(".claude.json").exists());
    client.wait_for_end();
    let total = client.report()["total"].clone();
    let used = ["requests", "prompts", "sessions", "tokens"].map(|measure| total[measure].clone());
    assert_eq!(used, [0, 0, 0, 0], "the test is not counted as usage");
}

/// The report of a test whose cost was confirmed with this answer.
fn confirmed(client: &Client, answer: &str) -> String {
    let terminal = Terminal::start(client, "ccrun doctor --live --timeout 1m -p team --report report.txt");
    terminal.wait_for("costs a few tokens");
    terminal.enter(answer);
    wait_until("the report", || client.project().join("report.txt").exists());
    let report = std::fs::read_to_string(client.project().join("report.txt")).unwrap();
    std::fs::remove_file(client.project().join("report.txt")).unwrap();
    report
}

#[test]
#[ignore = "needs TEST_CLAUDE; scripts/test.sh runs it"]
fn over_a_budget_that_stops_only_the_stand_in_is_asked() {
    let (backend, client) = (Backend::start(), Client::new(Script::text("ok").usage(USAGE)));
    let budget = "[budget]\nmonthly = 0.000001\nstop = true\n";
    client.profile("team", profile(&backend, "http/protobuf") + budget);
    assert!(client.ask(&["-p", "team", "--wait"], "hi").status.success());
    client.wait_for_end();
    let asked = client.questions();
    let mut found = examine(&client, &["--live", "--timeout", "1m", "-p", "team", "--offline"]);
    found.retain(|found| found["group"] == "live");
    says(&found, 0, "ok", &["a session of Claude Code with a stand-in for its model sent "]);
    let report = confirmed(&client, "y");
    assert!(report.contains("not tested: a budget stops work") && report.contains("`--offline`"), "{report}");
    assert_eq!(client.questions(), asked);
}

#[test]
#[ignore = "needs TEST_CLAUDE; scripts/test.sh runs it"]
fn the_real_model_is_used_only_after_confirmation() {
    let (backend, client) = (Backend::start(), Client::new(Script::text("ok")));
    client.profile("team", profile(&backend, "http/protobuf"));
    let without_a_terminal = look(&client, &["-p", "team"]);
    says(&without_a_terminal, 0, "ok", &["a session of a test program", "there is no terminal to confirm"]);
    for (answer, asked) in [("n", 0), ("y", 1)] {
        let report = confirmed(&client, answer);
        assert_eq!(client.questions() > 0, asked > 0, "{report}");
        assert!(report.contains("`backend` acknowledged"), "{report}");
        assert_eq!(report.contains("a session of Claude Code with its model sent"), asked > 0, "{report}");
    }
    client.wait_for_end();
    assert_eq!(client.queue(), Vec::<Value>::new());
}
