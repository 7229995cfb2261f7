//! The real client's transcripts, imported into the ledger.

use ccrun::doctor::live::model::Script;
use serde_json::{Value, json};

use crate::support::claude::{Client, USAGE, finish, pid};
use crate::support::sandbox::{kill, text, wait_until};

const MEASURES: [&str; 9] = [
    "requests",
    "prompts",
    "sessions",
    "tool_successes",
    "tool_failures",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_creation_tokens",
];

fn client(script: Script) -> Client {
    Client::new(script.usage(USAGE))
}

fn ask(client: &Client, arguments: &[&str]) {
    let output = finish(client.claude(&[], [&["-p"], arguments].concat()).spawn().unwrap());
    assert!(output.status.success(), "{}", text(&output.stderr));
}

/// The JSON output of a command, with this ledger or the default one.
fn said(client: &Client, state: Option<&str>, words: &[&str]) -> Value {
    let mut command = client.ccrun(words);
    if let Some(state) = state {
        command.env("CCRUN_STATE_DIR", client.home().join(state));
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn measures(report: &Value) -> [Value; 9] {
    MEASURES.map(|measure| report["total"][measure].clone())
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn transcripts_agree_with_events_and_nothing_is_counted_twice() {
    let client = client(Script::text("the answer").bash("true"));
    ask(&client, &["one", "--allowedTools", "Bash"]);
    ask(&client, &["two", "--continue"]);
    let session = client.report_by("session")[0]["session"].as_str().unwrap().to_owned();
    ask(&client, &["three", "--resume", &session, "--fork-session"]);
    ask(&client, &["four", "--model", "unknown-9"]);
    let by_events = client.report();
    assert_eq!(said(&client, None, &["import", "--json"])["facts"], 0, "the events already contain everything");
    assert_eq!(measures(&client.report()), measures(&by_events));

    let imported = said(&client, Some("other"), &["import", "--json"]);
    assert_eq!((&imported["sessions"], &imported["requests_without_cost"]), (&json!(3), &json!(0)));
    let by_rows = said(&client, Some("other"), &["report", "--json"]);
    assert_eq!(measures(&by_rows), measures(&by_events));
    let cost = |report: &Value| report["total"]["cost_usd"].as_f64().unwrap();
    assert!((cost(&by_rows) - cost(&by_events)).abs() < 1e-6, "{} {}", cost(&by_rows), cost(&by_events));
    let costs = |state| {
        let report = said(&client, state, &["report", "--by", "session", "--json"]);
        let rows = report["rows"].as_array().unwrap().iter();
        let mut costs: Vec<_> =
            rows.map(|row| (row["session"].to_string(), (row["cost_usd"].as_f64().unwrap() * 1e6).round())).collect();
        costs.sort_by(|one, other| one.0.cmp(&other.0));
        costs
    };
    assert_eq!(costs(None), costs(Some("other")), "each session is equal");
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn a_killed_session_has_no_cost_in_its_transcript() {
    let client = client(Script::text("never").bash("true").stalling());
    let child = client.stall(&[], "a question");
    wait_until("the first request to be counted", || client.report()["total"]["requests"] == 1);
    kill(pid(&child), "KILL");
    finish(child);
    let imported = said(&client, Some("other"), &["import", "--json"]);
    assert_eq!(imported["requests_without_cost"], 1);
    let report = said(&client, Some("other"), &["report", "--json"]);
    assert_eq!(
        (&report["total"]["input_tokens"], report["total"]["cost_usd"].as_f64()),
        (&json!(USAGE.input), Some(0.0))
    );
    client.write(
        "project/prices.json",
        json!({"claude-opus-5-5": {"input_cost_per_token": 1e-6, "output_cost_per_token": 5e-6}}).to_string(),
    );
    let priced = said(&client, Some("other"), &["import", "--prices", "prices.json", "--json"]);
    assert_eq!((&priced["requests_priced"], &priced["requests_without_cost"]), (&json!(1), &json!(0)));
}
