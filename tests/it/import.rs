//! `ccrun import`, as users run it.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::sandbox::{Sandbox, text, wait_until};

/// A sandbox with transcripts of the real client in its home.
fn used() -> Sandbox {
    let sandbox = Sandbox::new();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts/2.1.332/t/projects");
    sandbox.write("home/.claude/settings.json", "{}");
    let to = sandbox.home().join(".claude/projects");
    let copied = std::process::Command::new("cp").arg("-r").arg(from).arg(to).status().unwrap();
    assert!(copied.success());
    sandbox
}

fn json(sandbox: &Sandbox, words: &[&str]) -> Value {
    let output = sandbox.run(words);
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_report_shows_what_was_imported() {
    let sandbox = used();
    let imported = json(&sandbox, &["import", "--json"]);
    assert_eq!((&imported["sessions"], &imported["requests_without_cost"]), (&json!(4), &json!(1)));
    let report = json(&sandbox, &["report", "--json"]);
    let total = &report["total"];
    assert_eq!((&total["requests"], &total["sessions"], &total["prompts"]), (&json!(5), &json!(4), &json!(5)));
    assert!((total["cost_usd"].as_f64().unwrap() - 0.166_219_2).abs() < 1e-9, "{total}");
    let rows = json(&sandbox, &["report", "--by", "project,entrypoint", "--json"]);
    assert_eq!((&rows["rows"][0]["project"], &rows["rows"][0]["entrypoint"]), (&json!("/projects/t"), &json!("cli")));
    let again = sandbox.run(["import"]);
    assert_eq!(text(&again.stdout), "4 sessions (4 unchanged): 0 new facts\n");
    assert!(text(&again.stderr).contains("1 request has no cost"), "{}", text(&again.stderr));
}

/// Writes transcripts of so many sessions, each with one prompt and fifty answers.
fn write_sessions(sandbox: &Sandbox, sessions: usize) {
    for session in 0..sessions {
        let id = format!("{session:08x}-4a4d-4fb5-af16-ea19d65fe751");
        let row = |at: usize, own: Value| {
            let mut row = json!({
                "isSidechain": false, "timestamp": format!("2026-11-02T09:{:02}:{:02}Z", at / 60, at % 60),
                "sessionId": id, "cwd": "/projects/a", "version": "2.1.332", "entrypoint": "cli",
            });
            row.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
            row.to_string() + "\n"
        };
        let mut lines =
            row(0, json!({"type": "user", "promptId": id, "message": {"role": "user", "content": "words"}}));
        for answer in 1..=50 {
            let usage = json!({"input_tokens": 10, "output_tokens": answer});
            let message = json!({"id": format!("msg_{answer}"), "model": "claude-opus-5-5", "usage": usage});
            let uuid = format!("{id}-{answer}");
            let request = format!("req_{session}_{answer}");
            lines += &row(answer, json!({"type": "assistant", "uuid": uuid, "requestId": request, "message": message}));
        }
        sandbox.write(format!("home/.claude/projects/-projects-a/{id}.jsonl"), lines);
    }
}

#[test]
fn a_killed_import_is_completed_by_the_next_one() {
    const SESSIONS: usize = 400;
    let [killed, whole] = [Sandbox::new(), Sandbox::new()].map(|sandbox| {
        write_sessions(&sandbox, SESSIONS);
        sandbox
    });
    assert!(whole.run(["import"]).status.success());
    let ledger = killed.state().join("ledger-1.db");
    let requests = || {
        let connection =
            rusqlite::Connection::open_with_flags(&ledger, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).ok()?;
        connection.query_row("SELECT count(*) FROM request", [], |row| row.get::<_, i64>(0)).ok()
    };
    let mut import = killed.ccrun(["import"]).spawn().unwrap();
    wait_until("the first batch", || requests().is_some_and(|count| count > 0));
    import.kill().unwrap();
    import.wait().unwrap();
    assert!(killed.run(["import"]).status.success());
    let total = |sandbox: &Sandbox| json(sandbox, &["report", "--json"])["total"].clone();
    assert_eq!(total(&killed), total(&whole));
    assert_eq!(total(&killed)["requests"], SESSIONS * 50);
    assert_eq!(text(&killed.run(["import"]).stdout), "400 sessions (400 unchanged): 0 new facts\n");
}

#[test]
fn what_cannot_be_imported_is_reported() {
    let sandbox = used();
    let missing = sandbox.run(["import", "missing"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(text(&missing.stderr).contains("there is no `missing`"));
    sandbox.write("project/prices.json", "{}");
    let prices = sandbox.run(["import", "--prices", "prices.json"]);
    assert_eq!(prices.status.code(), Some(2));
    assert!(text(&prices.stderr).contains("has no price for any model"), "{}", text(&prices.stderr));
    let inside = sandbox.ccrun(["import"]).env("CLAUDECODE", "1").output().unwrap();
    assert_eq!(inside.status.code(), Some(1));
    let empty = text(&Sandbox::new().run(["import"]).stdout);
    assert_eq!(empty, "no transcripts were found\n");
}

#[test]
fn a_report_states_its_period_and_sources() {
    let sandbox = used();
    let before = text(&sandbox.run(["report"]).stdout);
    assert!(before.contains("0 of 4 sessions of Claude Code are counted here: `ccrun import`"), "{before}");
    let report = json(&sandbox, &["report", "--json"]);
    assert_eq!(report["coverage"], 0.0);
    assert!(report["notes"].to_string().contains("4 sessions are known from transcripts alone"), "{report}");
    sandbox.run(["import"]);
    let report = json(&sandbox, &["report", "--json"]);
    assert_eq!((&report["coverage"], report["notes"].to_string().contains("transcripts alone")), (&json!(1.0), false));
    assert!(report["notes"].to_string().contains("1 imported request has no cost"), "{}", report["notes"]);
    assert!(!text(&sandbox.run(["report"]).stdout).contains("ccrun import` reads"));
}

#[test]
fn the_report_of_a_session_states_the_source_of_its_cost() {
    let sandbox = used();
    sandbox.run(["import"]);
    let story = |id: &str| json(&sandbox, &["report", "session", id, "--json"]);
    let names = |story: &Value| -> Vec<String> {
        let differences = story["differences"].as_array().unwrap().iter();
        differences.map(|line| line.as_str().unwrap().split(':').next().unwrap().to_owned()).collect()
    };
    let whole = story("b684ed6a");
    assert_eq!(names(&whole), ["import"]);
    assert_eq!(
        (&whole["sources"]["client_usd"], &whole["sources"]["transcript_usd"]),
        (&json!(0.083_109_6), &json!(0.083_109_6))
    );
    assert_eq!(names(&story("dcb4fd2d")), ["import", "killed"]);
    let shown = text(&sandbox.run(["report", "session", "b684ed6a"]).stdout);
    assert!(shown.contains("import: 2 requests are known from the transcript alone"), "{shown}");
}
