//! `ccrun report --from` a real Prometheus has the numbers of the ledger.

use serde_json::Value;

use super::boards::profile;
use crate::support::claude::Client;
use crate::support::prometheus::{Prometheus, same};
use crate::support::sandbox::{text, wait_until};
use crate::support::work::{SESSIONS, client, work};

/// The measures that metrics have.
const MEASURES: [&str; 14] = [
    "cost_usd",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_creation_tokens",
    "active_user_seconds",
    "active_cli_seconds",
    "lines_added",
    "lines_removed",
    "commits",
    "pull_requests",
    "edits_accepted",
    "edits_rejected",
    "edits_automatic",
];

/// What `ccrun report --json --from` a Prometheus says.
fn report(client: &Client, prometheus: &Prometheus, options: &[&str]) -> Value {
    let from = prometheus.url().replace("http://", "prometheus://");
    let output = client.run([&["report", "--json", "--from", &from], options].concat());
    assert!(output.status.success(), "{options:?}: {} {}", text(&output.stderr), prometheus.said());
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Checks that two rows have the same numbers, of what metrics have.
fn agree(found: &Value, ledger: &Value, what: &str) {
    for measure in MEASURES {
        let [found, ledger] = [found, ledger].map(|row| row[measure].as_f64().unwrap());
        // The ledger counts milliseconds of each delta.
        let is_near = measure.contains("seconds") && (found - ledger).abs() < 0.05;
        assert!(is_near || same(found, ledger), "{what}: {measure} is {found}, expected {ledger}");
    }
}

#[test]
#[ignore = "needs TEST_PROMETHEUS and the real Claude Code; scripts/test.sh runs it"]
fn the_same_sessions_have_the_same_numbers() {
    let promoted = "otlp: {promote_resource_attributes: [team.id, vcs.repository.name]}";
    let (mut prometheus, client) = (Prometheus::start_with(promoted), client());
    client.profile("team", profile(&prometheus, "[cardinality]\nrepository = true\n"));
    work(&client, &["-p", "team"]);
    client.wait_for_end();
    let sessions = "sum(claude_code_session_count_total)";
    prometheus.wait_for(sessions, f64::from(SESSIONS));
    has_the_ledgers_numbers(&client, &prometheus);

    // After a restart, and with data that was held meanwhile.
    prometheus.stop();
    work(&client, &["-p", "team"]);
    client.wait_for_end();
    prometheus.restart();
    wait_until("all data to be delivered", || client.run(["queue", "flush"]).status.success());
    prometheus.wait_for(sessions, f64::from(2 * SESSIONS));
    has_the_ledgers_numbers(&client, &prometheus);
    says_what_it_does_not_know(&client, &prometheus);
}

pub(crate) fn has_the_ledgers_numbers(client: &Client, prometheus: &Prometheus) {
    let ledger = client.report();
    for range in [&[][..], &["--today"], &["--since", "2h"]] {
        let found = report(client, prometheus, &[range, &["--by", "team"]].concat());
        agree(&found["total"], &ledger["total"], &format!("{range:?}"));
        assert_eq!(found["total"]["sessions"], ledger["total"]["sessions"], "{found}");
    }
    for dimension in ["model", "person", "day", "hour", "week", "team", "repository", "terminal", "provider", "effort"]
    {
        let found = report(client, prometheus, &["--by", dimension]);
        let (found, rows) = (found["rows"].as_array().unwrap(), client.report_by(dimension));
        for row in &rows {
            let same = found.iter().find(|found| found[dimension] == row[dimension]);
            let has_numbers = MEASURES.iter().any(|measure| row[measure].as_f64() > Some(0.0));
            match same {
                Some(same) => agree(same, row, &format!("{dimension} {}", row[dimension])),
                None => assert!(!has_numbers, "{dimension} {} is missing: {found:#?}", row[dimension]),
            }
        }
        let named = |row: &Value| rows.iter().any(|other| other[dimension] == row[dimension]);
        assert!(found.iter().all(named), "{dimension}: {found:#?} {rows:#?}");
    }
    let by_two = report(client, prometheus, &["--by", "day,model", "--where", "model=haiku"]);
    let haiku = client.report_with(&["--by", "day,model", "--where", "model=haiku"]);
    assert_eq!(by_two["rows"].as_array().unwrap().len(), haiku["rows"].as_array().unwrap().len(), "{by_two}");
    agree(&by_two["total"], &haiku["total"], "one model");
    agree(&report(client, prometheus, &[])["total"], &ledger["total"], "the overview");
}

fn says_what_it_does_not_know(client: &Client, prometheus: &Prometheus) {
    let from = prometheus.url().replace("http://", "prometheus://");
    let refused = client.run(["report", "--from", &from, "--by", "project"]);
    assert_eq!(refused.status.code(), Some(2), "{}", text(&refused.stdout));
    let said = text(&refused.stderr);
    assert!(said.contains("`project`") && said.contains("model") && said.contains("team"), "{said}");
    for page in [&["week"][..], &[]] {
        let output = client.run([&["report"], page, &["--from", &from]].concat());
        assert!(output.status.success() && text(&output.stdout).contains('$'), "{page:?}: {output:?}");
    }
    let notes = report(client, prometheus, &["--by", "model"])["notes"].to_string();
    assert!(notes.contains("requests, errors, prompts and tool runs"), "{notes}");
}

/// Each of ten sessions that Claude Code sends by itself is a series with a single sample.
#[test]
#[ignore = "needs TEST_PROMETHEUS and the real Claude Code; scripts/test.sh runs it"]
fn short_sessions_without_ccrun_count_in_full() {
    let (prometheus, client) = (Prometheus::start(), client());
    for _ in 0..10 {
        let mut command = client.command("claude");
        command.args(["-p", "a question"]).env("CLAUDE_CODE_ENABLE_TELEMETRY", "1");
        command.env("OTEL_METRICS_EXPORTER", "otlp").env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf");
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("{}/api/v1/otlp", prometheus.url()));
        command.env("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "cumulative");
        assert!(command.output().unwrap().status.success());
    }
    // The ledger has one session like them.
    client.profile("alone", "");
    assert!(client.ask(&["-p", "alone"], "a question").status.success());
    client.wait_for_end();
    prometheus.wait_for("sum(claude_code_session_count_total)", 10.0);
    let (found, one) = (report(&client, &prometheus, &["--by", "session"]), client.report());
    assert_eq!(found["rows"].as_array().unwrap().len(), 10, "{found:#}");
    assert_eq!(found["total"]["sessions"], 10, "{found:#}");
    for measure in ["cost_usd", "input_tokens", "output_tokens", "cache_read_tokens", "cache_creation_tokens"] {
        let [all, one] = [&found, &one].map(|report| report["total"][measure].as_f64().unwrap());
        assert!(same(all, 10.0 * one), "{measure}: {all} of {one}");
    }
}
