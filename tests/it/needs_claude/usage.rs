//! Sessions of the real client in the ledger.

use ccrun::doctor::live::model::Script;
use serde_json::{Value, json};

use crate::support::claude::{Client, USAGE, finish, pid};
use crate::support::sandbox::{kill, text, wait_until};

fn client(script: Script) -> Client {
    Client::new(script.usage(USAGE))
}

/// Asks with these additional arguments of Claude Code.
fn ask(client: &Client, options: &[&str], arguments: &[&str]) {
    let child = client.claude(options, [&["-p"], arguments].concat()).spawn().unwrap();
    let output = finish(child);
    assert!(output.status.success(), "{}", text(&output.stderr));
}

fn total(client: &Client, measure: &str) -> Value {
    client.report()["total"][measure].clone()
}

/// The total of all questions so far, if each used this number of tokens.
fn times(client: &Client, tokens: u64) -> Value {
    json!(tokens * u64::try_from(client.questions()).unwrap())
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn a_report_right_after_a_session_has_all_of_it() {
    let client = client(Script::text("the answer").bash("true"));
    ask(&client, &[], &["a question", "--allowedTools", "Bash"]);
    let report = client.report();
    let measures = ["requests", "prompts", "sessions", "tool_successes", "errors"];
    let asked = client.questions();
    assert_eq!(
        measures.map(|measure| report["total"][measure].clone()),
        [json!(asked), json!(1), json!(1), json!(1), json!(0)]
    );
    assert_eq!(report["total"]["cache_read_tokens"], times(&client, USAGE.cache_read));
    assert!(report["total"]["cost_usd"].as_f64().unwrap() > 0.0);
    let notes = report["notes"].to_string();
    assert!(!notes.contains("metrics tell more"), "events and metrics agree: {notes}");
    for rows in ["project", "model", "session", "person", "version", "source", "day"].map(|by| client.report_by(by)) {
        let sum: u64 = rows.iter().map(|row| row["requests"].as_u64().unwrap()).sum();
        assert_eq!(sum, u64::try_from(asked).unwrap(), "{rows:?}");
    }
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn a_resumed_session_continues_and_a_forked_one_is_new() {
    let client = client(Script::text("the answer"));
    ask(&client, &[], &["one"]);
    ask(&client, &[], &["two", "--continue"]);
    assert_eq!((total(&client, "sessions"), total(&client, "prompts")), (json!(1), json!(2)));
    let session = client.report_by("session")[0]["session"].as_str().unwrap().to_owned();
    ask(&client, &[], &["three", "--resume", &session, "--fork-session"]);
    assert_eq!((total(&client, "sessions"), total(&client, "prompts")), (json!(2), json!(3)));
    assert_eq!(total(&client, "requests"), json!(client.questions()));
    assert_eq!(total(&client, "input_tokens"), times(&client, USAGE.input));
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn metrics_alone_and_events_alone_agree() {
    let client = client(Script::text("the answer"));
    client.profile("metrics", "[signals]\nlogs = false\n");
    client.profile("events", "[signals]\nmetrics = false\n");
    for profile in ["metrics", "events"] {
        let before = client.questions();
        ask(&client, &["-p", profile], &["a question"]);
        let asked = u64::try_from(client.questions() - before).unwrap();
        let report = client.report_with(&["--where", &format!("profile={profile}")]);
        let total = &report["total"];
        for (measure, tokens) in [("input_tokens", USAGE.input), ("output_tokens", USAGE.output)] {
            assert_eq!(total[measure], tokens * asked, "{profile} {measure}");
        }
        assert!(total["cost_usd"].as_f64().unwrap() > 0.0);
        assert_eq!(total["sessions"], 1);
        let says = report["notes"].to_string().contains("metrics tell more");
        assert_eq!((says, total["requests"] == 0), (profile == "metrics", profile == "metrics"));
    }
    let costs: Vec<_> = client.report_by("profile").iter().map(|row| row["cost_usd"].as_f64().unwrap()).collect();
    assert!((costs[0] - costs[1]).abs() < 1e-6, "{costs:?}");
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn a_prompt_has_its_requests_and_tools_and_a_session_its_steps() {
    let client = client(Script::text("done").bash("true"));
    ask(&client, &[], &["a question", "--allowedTools", "Bash"]);
    let rows = client.report_by("prompt");
    let row = rows.iter().find(|row| row["prompts"] == 1).unwrap();
    assert_eq!((&row["tool_successes"], row["requests"].as_u64().unwrap() >= 2), (&json!(1), true), "{rows:?}");
    for (kind, id) in [("prompt", row["prompt"].as_str().unwrap()), ("session", "")] {
        let session = client.report_by("session")[0]["session"].as_str().unwrap()[..8].to_owned();
        let id = if kind == "session" { &session } else { id };
        let output = client.run(["report", kind, id, "--json"]);
        let story: Value = serde_json::from_slice(&output.stdout).unwrap();
        let steps: Vec<_> =
            story["steps"].as_array().unwrap().iter().map(|step| step["what"].as_str().unwrap()).collect();
        for what in ["prompt", "request", "decision", "tool"] {
            assert!(steps.contains(&what), "{kind}: {steps:?}");
        }
    }
    let shown = text(&client.run(["report", "--by", "tool"]).stdout);
    assert!(shown.contains("Bash"), "{shown}");
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn built_in_commands_are_not_prompts() {
    let client = client(Script::text("the answer"));
    ask(&client, &[], &["a question"]);
    ask(&client, &[], &["/cost", "--continue"]);
    assert_eq!(total(&client, "prompts"), 1);
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn the_branch_is_the_one_at_the_time_of_the_request() {
    let wait = "while [ ! -e go ]; do sleep 0.05; done";
    let client = client(Script::text("done").bash(wait));
    let head = |branch: &str| client.write("project/.git/HEAD", format!("ref: refs/heads/{branch}\n"));
    head("first");
    let child = client.claude(&[], ["-p", "a question", "--allowedTools", "Bash"]).spawn().unwrap();
    wait_until("the first request to be counted", || total(&client, "requests").as_u64() >= Some(1));
    let before = client.questions();
    head("second");
    client.write("project/go", "");
    assert!(finish(child).status.success());
    let rows = client.report_by("branch");
    let requests = |branch: &str| rows.iter().find(|row| row["branch"] == branch).unwrap()["requests"].clone();
    assert_eq!((requests("first"), requests("second")), (json!(before), json!(client.questions() - before)));
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn days_follow_the_readers_time_zone_and_ranges_are_exact() {
    let client = client(Script::text("the answer"));
    ask(&client, &[], &["a question"]);
    let day = |zone: &str| {
        let output = client.ccrun(["report", "--by", "day", "--json"]).env("TZ", zone).output().unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["total"]["requests"], client.questions());
        report["rows"][0]["day"].as_str().unwrap().to_owned()
    };
    // These zones are 25 hours apart, so they never have the same date.
    assert_ne!(day("Pacific/Kiritimati"), day("Pacific/Pago_Pago"));
    assert_eq!(client.report_with(&["--since", "1h"])["total"]["requests"], client.questions());
    let later = client.report_with(&["--since", "2020-01-01", "--until", "1h"]);
    assert_eq!(later["total"]["requests"], 0);
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn a_killed_session_keeps_what_it_exported() {
    let client = client(Script::text("never").bash("true").stalling());
    let child = client.stall(&[], "a question");
    wait_until("the first request to be counted", || total(&client, "requests") == 1);
    kill(pid(&child), "KILL");
    finish(child);
    let report = client.report();
    assert_eq!((&report["total"]["input_tokens"], &report["total"]["sessions"]), (&json!(USAGE.input), &json!(1)));
}
