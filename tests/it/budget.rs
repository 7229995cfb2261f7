//! Budgets as users set, see and lift them, and launches over one.

use std::process::Output;

use ccrun::otlp::Signal;
use serde_json::{Value, json};

use crate::support::sandbox::{Sandbox, text, wait_until};
use crate::support::session::Session;
use crate::tail::event;

/// A program that prints what it was started with.
const CLAUDE: &str = "#!/bin/sh\necho started\n";

/// A sandbox with the profile `team`, and a spend of $16.02 recorded in this project.
fn spent(profile: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.profile("team", profile);
    sandbox.program("claude", CLAUDE);
    let session = Session::start(&sandbox, &["-p", "local"]);
    let own = [("model", "claude-opus-5-5"), ("cost_usd", "16.02"), ("user.email", "me@example.org")];
    let request = event("api_request", 1, &own);
    assert_eq!(session.client().post(Signal::Logs, &request).unwrap().status, 200);
    session.end();
    sandbox.wait_for_end();
    sandbox
}

fn json_of(sandbox: &Sandbox, arguments: &[&str]) -> Value {
    let output = sandbox.run(arguments);
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// How the budgets of the profile `team` stand.
fn budgets(sandbox: &Sandbox) -> Vec<Value> {
    json_of(sandbox, &["budget", "-p", "team", "--json"])["budgets"].as_array().unwrap().clone()
}

fn ask(sandbox: &Sandbox) -> Output {
    sandbox.run(["-p", "team", "claude", "-p", "hi"])
}

/// The output of a launch that is refused. A busy machine may read the ledger too late, and then the program starts.
pub fn refused(launch: impl Fn() -> Output) -> Output {
    let mut output = launch();
    wait_until("a launch to be refused", || {
        let is_refused = output.status.code() == Some(3);
        if !is_refused {
            output = launch();
        }
        is_refused
    });
    output
}

#[test]
fn without_a_budget_it_says_how_to_set_one() {
    let sandbox = Sandbox::new();
    let output = sandbox.run(["budget"]);
    let shown = text(&output.stdout);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    assert!(
        shown.starts_with("no budget applies with the profile `local`\n") && shown.contains("daily = 20"),
        "{shown}"
    );
    assert_eq!(json_of(&sandbox, &["budget", "--json"]), json!({ "profile": "local", "budgets": [] }));
    let refused = sandbox.run(["budget", "lift", "1h"]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
}

#[test]
fn a_budget_shows_spend_share_and_forecast() {
    let sandbox = spent("[budget]\nmonthly = 20\n");
    let [budget] = budgets(&sandbox).try_into().unwrap();
    assert_eq!(
        (&budget["period"], &budget["per"], &budget["of"]),
        (&json!("monthly"), &json!("person"), &json!("me@example.org"))
    );
    assert_eq!(
        (&budget["limit_usd"], &budget["spend_usd"], &budget["share"]),
        (&json!(20.0), &json!(16.02), &json!(0.801))
    );
    assert_eq!(
        (&budget["warn"], &budget["stop"], &budget["lifted_until"]),
        (&json!([50, 75, 90, 100]), &json!(false), &Value::Null)
    );
    assert!(budget["forecast_usd"].as_f64().is_none_or(|forecast| forecast >= 16.02), "{budget}");
    assert!(budget["origin"].as_str().unwrap().ends_with("team.toml:2:11"), "{budget}");
    let shown = text(&sandbox.run(["budget", "-p", "team"]).stdout);
    let line = shown.lines().find(|line| line.starts_with("monthly")).unwrap();
    for part in ["person me@example.org", "$16.02", "$20.00", "80%"] {
        assert!(line.contains(part), "{part}: {shown}");
    }
}

#[test]
fn the_overview_of_a_report_has_the_budgets_that_apply() {
    let sandbox = spent("[budget]\nmonthly = 20\n");
    assert_eq!(json_of(&sandbox, &["report", "-p", "team", "--json"])["budgets"], json!(budgets(&sandbox)));
    let shown = text(&sandbox.run(["report", "-p", "team"]).stdout);
    assert!(shown.contains("\nBudget ") && shown.contains("$16.02"), "{shown}");
    for without in [&["report", "--json"][..], &["report", "-p", "team", "--by", "model", "--json"]] {
        assert_eq!(json_of(&sandbox, without).get("budgets"), None, "{without:?}");
    }
    // A report of everything is shown although the profile that applies is invalid.
    sandbox.write("home/.config/ccrun/config.toml", "profile = \"broken\"\n");
    sandbox.profile("broken", "[budget]\ndaily = \"20\"\n");
    let output = sandbox.run(["report"]);
    assert!(output.status.success() && text(&output.stderr).contains("budgets are not shown"), "{output:?}");
}

#[test]
fn a_question_over_a_budget_that_stops_is_not_asked() {
    let sandbox = spent("[budget]\nmonthly = 10\nstop = true\n");
    let refused = refused(|| ask(&sandbox));
    let said = text(&refused.stderr);
    assert!(refused.stdout.is_empty(), "{said}");
    assert!(said.contains("the program was not started: the monthly budget of $10.00 is spent: $16.02"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    for started in [
        &["-p", "team", "claude"][..],
        &["-p", "team", "claude", "--", "-p"],
        &["-p", "local", "claude", "-p", "hi"],
        &["-p", "team", "claude", "mcp", "list", "-p"],
    ] {
        assert_eq!(text(&sandbox.run(started).stdout), "started\n", "{started:?}");
    }
    // A budget that does not stop, and one that is not spent.
    for budget in ["monthly = 10", "monthly = 20\nstop = true", "monthly = 10\nstop = true\nper = \"session\""] {
        sandbox.profile("team", format!("[budget]\n{budget}\n"));
        assert_eq!(text(&ask(&sandbox).stdout), "started\n", "{budget}");
    }
    sandbox.wait_for_end();
}

#[test]
fn two_budgets_apply_at_once_and_the_strictest_counts() {
    let sandbox = spent("[budget]\nmonthly = 500\nstop = true\n");
    assert_eq!(text(&ask(&sandbox).stdout), "started\n");
    sandbox.write("home/.config/ccrun/config.toml", "[budget]\nmonthly = 600\nweekly = 700\nper = \"project\"\n");
    let limits = || budgets(&sandbox).iter().map(|budget| budget["limit_usd"].as_f64().unwrap()).collect::<Vec<_>>();
    assert_eq!(limits(), [700.0, 500.0, 600.0]);
    sandbox.write("home/.config/ccrun/config.toml", "[budget]\nmonthly = 10\nstop = true\n");
    assert_eq!(limits(), [10.0]);
    refused(|| ask(&sandbox));
    sandbox.wait_for_end();
}

#[test]
fn a_lift_lets_work_go_on_and_ends_by_itself() {
    let sandbox = spent("[budget]\nmonthly = 10\nstop = true\n");
    let lift = ["budget", "lift", "1h", "-p", "team"];
    let inside = sandbox.ccrun(lift).env("CLAUDECODE", "1").output().unwrap();
    assert!(!inside.status.success() && text(&inside.stderr).contains("inside a Claude session"), "{inside:?}");
    refused(|| ask(&sandbox));
    let lifted = sandbox.run(lift);
    assert!(lifted.status.success() && text(&lifted.stdout).contains("are lifted until"), "{lifted:?}");
    assert_eq!(text(&ask(&sandbox).stdout), "started\n");
    assert!(budgets(&sandbox)[0]["lifted_until"].is_string());
    assert!(text(&sandbox.run(["budget", "-p", "team"]).stdout).contains("lifted until"));
    // Another profile's budgets are not lifted.
    sandbox.profile("other", "[budget]\nmonthly = 10\nstop = true\n");
    refused(|| sandbox.run(["-p", "other", "claude", "-p", "hi"]));
    assert!(sandbox.run(["budget", "lift", "0s", "-p", "team"]).status.success());
    refused(|| ask(&sandbox));
    // The time of its end comes.
    let note = sandbox.state().join("budgets/lift-team");
    assert!(sandbox.run(lift).status.success());
    std::fs::write(note, "2026-01-01T00:00:00Z").unwrap();
    refused(|| ask(&sandbox));
    for bad in ["soon", "-1h", "32d"] {
        assert_eq!(sandbox.run(["budget", "lift", bad, "-p", "team"]).status.code(), Some(2), "{bad}");
    }
    sandbox.wait_for_end();
}

#[test]
fn a_ledger_that_cannot_be_read_stops_nothing() {
    let sandbox = spent("[budget]\nmonthly = 10\nstop = true\n");
    refused(|| ask(&sandbox));
    let ledger = sandbox.state().join("ledger-1.db");
    let locked = rusqlite::Connection::open(&ledger).unwrap();
    locked.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE").unwrap();
    assert_eq!(text(&ask(&sandbox).stdout), "started\n", "locked");
    drop(locked);
    sandbox.wait_for_end();
    for (case, content) in [("damaged", Some(&b"no database"[..])), ("empty", Some(&[])), ("missing", None)] {
        for beside in ["ledger-1.db-wal", "ledger-1.db-shm", "ledger-1.db"] {
            drop(std::fs::remove_file(sandbox.state().join(beside)));
        }
        if let Some(content) = content {
            std::fs::write(&ledger, content).unwrap();
        }
        assert_eq!(text(&ask(&sandbox).stdout), "started\n", "{case}");
        sandbox.wait_for_end();
    }
}

#[test]
fn a_projects_file_can_only_lower_a_budget() {
    let sandbox = spent("[budget]\nmonthly = 20\n");
    let limits = || {
        let standing =
            |budget: &Value| (budget["limit_usd"].as_f64().unwrap(), budget["per"].as_str().unwrap().to_owned());
        budgets(&sandbox).iter().map(standing).collect::<Vec<_>>()
    };
    let person = |limit: f64| (limit, "person".to_owned());
    let file = "unset = [\"budget\"]\n[budget]\nmonthly = 500\nnotify = [{ command = [\"./tell\"] }]\n";
    sandbox.write("project/tell", "#!/bin/sh\n");
    sandbox.write("project/.ccrun.toml", file);
    let shown = text(&sandbox.run(["trust"]).stdout);
    for part in ["./tell", "notify", "monthly = 500", "depends on\n  tell\n"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let trust = || assert!(sandbox.run(["trust", "--yes"]).status.success());
    trust();
    assert_eq!(limits(), [person(20.0)]);
    sandbox.write("project/tell", "#!/bin/sh\nexit\n");
    assert!(text(&sandbox.run(["budget"]).stderr).contains("trust"), "a changed program ends trust");
    sandbox.write("project/.ccrun.toml", "[budget]\nmonthly = 5\n");
    trust();
    assert_eq!(limits(), [person(5.0)]);
    sandbox.write("project/.ccrun.toml", "[budget]\nmonthly = 50\nper = \"project\"\n");
    trust();
    assert_eq!(limits(), [person(20.0), (50.0, "project".to_owned())]);
}

#[test]
fn a_launch_without_hooks_says_that_budgets_are_silent() {
    let sandbox = spent("[budget]\nmonthly = 500\nstop = true\n");
    let said = |arguments: &[&str]| text(&sandbox.run([&["-p", "team", "claude"], arguments].concat()).stderr);
    assert_eq!(said(&[]), "");
    let line = "budgets give no warning and stop no work in this session: `--bare` turns hooks off";
    assert!(said(&["--bare"]).contains(line), "{}", said(&["--bare"]));
    let given = said(&["--settings", "{\"disableAllHooks\": true}"]);
    assert!(given.contains("`disableAllHooks` in the settings given to Claude Code"), "{given}");
    sandbox.write("home/.claude/settings.json", "{\"disableAllHooks\": true}");
    assert!(said(&[]).contains("settings.json` turns hooks off") && said(&[]).lines().count() == 1, "{}", said(&[]));
    let on = said(&["--settings", "{\"disableAllHooks\": false}"]);
    assert_eq!(on, "", "what is given takes precedence");
    assert!(said(&["--", "--bare"]).contains("settings.json"));
    sandbox.profile("team", "description = \"no budget\"\n");
    assert_eq!(said(&["--bare"]), "");
    sandbox.wait_for_end();
}

#[test]
fn faults_of_a_budget_are_shown_by_check() {
    let sandbox = Sandbox::new();
    let path = sandbox.profile("bad", "[budget]\ndialy = 20\nper = \"people\"\n");
    let output = sandbox.run(["profile", "check", path.to_str().unwrap()]);
    let said = text(&output.stderr) + &text(&output.stdout);
    assert!(!output.status.success() && said.contains("did you mean `daily`?"), "{said}");
    assert!(said.contains("`people` is not a valid value of `budget.per`"), "{said}");
    let schema = json_of(&sandbox, &["profile", "schema"]);
    let keys = &schema["properties"]["budget"]["properties"];
    assert_eq!((&keys["daily"]["type"], &keys["per"]["enum"][0]), (&json!("number"), &json!("person")));
    assert_eq!(keys["notify"]["items"]["anyOf"][1]["required"], json!(["webhook"]));
}
