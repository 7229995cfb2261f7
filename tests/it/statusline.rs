//! `ccrun statusline`: what Claude Code shows for its JSON, and what else it needs.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use ccrun::otlp::Signal;
use serde_json::{Value, json};

use crate::support::sandbox::{Sandbox, kill, text, wait_until};
use crate::support::session::Session;
use crate::tail::event;

/// Like the client's own after an answer.
fn reading(session: &str, cost: f64) -> Value {
    json!({
        "session_id": session,
        "cwd": "/nonexistent",
        "model": {"id": "claude-opus-5-5", "display_name": "Opus 5.5"},
        "workspace": {"current_dir": "/nonexistent", "project_dir": "/nonexistent"},
        "cost": {"total_cost_usd": cost, "total_duration_ms": 8688},
        "context_window": {"total_input_tokens": 55_031, "context_window_size": 200_000, "used_percentage": 28},
        "rate_limits": {"five_hour": {"used_percentage": 80, "resets_at": 1_796_019_749}},
        "prompt_cache": {"requests": 3, "misses": 1, "hit_ratio": 0.9, "miss_causes": {"tools_changed": 1}},
    })
}

/// Runs a command to its end with this standard input. It need not read all of it.
fn given(mut command: Command, input: &str) -> Output {
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
    child.wait_with_output().unwrap()
}

/// What is printed for an input. It must succeed without a message.
#[track_caller]
fn line(sandbox: &Sandbox, options: &[&str], input: &str) -> String {
    printed(&given(sandbox.ccrun([&["statusline"], options].concat()), input))
}

#[track_caller]
fn printed(output: &Output) -> String {
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
    text(&output.stdout)
}

/// A sandbox in a time zone where it is about noon, so that no test sees two days.
fn at_noon() -> Sandbox {
    let mut sandbox = Sandbox::new();
    let hour = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).hour();
    sandbox.set("TZ", format!("TST{}", hour - 12)).set("NO_COLOR", "1");
    sandbox
}

/// Records a request of one of Claude's sessions.
fn use_up(sandbox: &Sandbox, dollars: &str) {
    let session = Session::start(sandbox, &["-p", "local"]);
    let request = event("api_request", 1, &[("model", "claude-opus-5-5"), ("cost_usd", dollars)]);
    assert_eq!(session.client().post(Signal::Logs, &request).unwrap().status, 200);
    session.end();
    sandbox.wait_for_end();
    assert!(sandbox.run(["report"]).status.success());
}

#[test]
fn the_clients_json_is_enough() {
    let mut sandbox = at_noon();
    let json = reading("s", 0.5).to_string();
    assert_eq!(line(&sandbox, &[], &json), "$0.50 · context 28% · 5h 80%\n");
    assert!(!sandbox.state().join("ledger-1.db").exists(), "there is nothing to keep it in");
    sandbox.set("NO_COLOR", "");
    assert_eq!(line(&sandbox, &[], &json), "$0.50 · context 28% · \u{1b}[33m5h 80%\u{1b}[0m\n");
    sandbox.set("COLUMNS", "24");
    assert_eq!(
        line(&sandbox, &["--format", "{cost} | {model}\n{limits}"], &json),
        "$0.50 | Opus 5.5\n\u{1b}[33m5h 80%\u{1b}[0m\n"
    );
    assert_eq!(line(&sandbox, &[], &json), "$0.50 · context 28%\n");
}

#[test]
fn input_that_makes_no_sense_is_no_failure() {
    let mut sandbox = at_noon();
    let whole = reading("s", 0.5).to_string();
    for input in ["", "{", "[1]", "null", "\u{0}\u{1}", &whole[..100], &"{\"a\":".repeat(10_000), &" ".repeat(2 << 20)]
    {
        assert_eq!(line(&sandbox, &[], input), "");
    }
    assert_eq!(line(&sandbox, &["--format", "mine"], ""), "mine\n");
    assert_eq!(printed(&sandbox.run(["statusline"])), "");
    // Without a home there is no ledger either.
    sandbox.set("HOME", "relative");
    assert_eq!(line(&sandbox, &[], &whole), "$0.50 · context 28% · 5h 80%\n");
    let output = given(sandbox.ccrun(["statusline", "--format", "{cots}"]), &whole);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("unknown placeholder `{cots}`: did you mean `{cost}`?"));
}

#[test]
fn input_that_stays_open_is_not_waited_for() {
    let sandbox = at_noon();
    for (input, expected) in [(reading("s", 0.5).to_string().as_str(), "$0.50 · context 28% · 5h 80%\n"), ("{", "")] {
        let mut child = sandbox.ccrun(["statusline"]).stdin(Stdio::piped()).spawn().unwrap();
        let mut open = child.stdin.take().unwrap();
        open.write_all(input.as_bytes()).unwrap();
        let mut shown = String::new();
        child.stdout.take().unwrap().read_to_string(&mut shown).unwrap();
        assert_eq!((shown.as_str(), child.wait().unwrap().code()), (expected, Some(0)));
        drop(open);
    }
}

#[test]
fn today_is_the_days_cost_and_what_the_ledger_does_not_know_yet() {
    let sandbox = at_noon();
    use_up(&sandbox, "0.5");
    let today =
        |session: &str, cost: f64| line(&sandbox, &["--format", "{today}"], &reading(session, cost).to_string());
    assert_eq!(line(&sandbox, &["--format", "{today}"], ""), "$0.50\n");
    // The first reading of a session says what was spent before, on another day perhaps.
    assert_eq!(today("another", 3.0), "$0.50\n");
    assert_eq!(today("another", 3.25), "$0.75\n");
    // What the ledger knows of a session counts once.
    assert_eq!((today("client-session", 0.0), today("client-session", 0.5)), ("$0.50\n".into(), "$0.50\n".into()));
    assert_eq!(today("client-session", 0.75), "$0.75\n");
}

/// The rows of the gauges' table, as `SQLite`'s own program would print them.
fn gauges(sandbox: &Sandbox) -> Vec<(String, i64, i64)> {
    let connection = rusqlite::Connection::open(sandbox.state().join("ledger-1.db")).unwrap();
    let select = "SELECT t.text, g.total, g.at FROM gauge g JOIN text t ON t.id = g.session ORDER BY 1";
    let mut statement = connection.prepare(select).unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

#[test]
fn what_only_the_status_line_knows_is_kept_once_and_forgotten() {
    let sandbox = at_noon();
    use_up(&sandbox, "0.5");
    line(&sandbox, &[], &reading("s", 0.5).to_string());
    let first = gauges(&sandbox);
    assert_eq!((first[0].0.as_str(), first[0].1), ("s", 500_000_000));
    line(&sandbox, &[], &reading("s", 0.5).to_string());
    assert_eq!(gauges(&sandbox), first, "nothing has changed");
    line(&sandbox, &[], &reading("s", 0.75).to_string());
    assert_eq!(gauges(&sandbox)[0].1, 750_000_000);
    line(&sandbox, &[], &reading("client-session", 0.5).to_string());
    assert_eq!(gauges(&sandbox).len(), 2);
    assert!(sandbox.run(["ledger", "forget", "--project", ".", "--yes"]).status.success());
    let left: Vec<_> = gauges(&sandbox).into_iter().map(|(session, ..)| session).collect();
    assert_eq!(left, ["s"]);
    assert!(sandbox.run(["ledger", "forget", "--session", "s", "--yes"]).status.success());
    assert!(gauges(&sandbox).is_empty());
}

#[test]
fn a_ledger_that_cannot_be_used_changes_nothing() {
    let sandbox = at_noon();
    use_up(&sandbox, "0.5");
    let json = reading("s", 0.25).to_string();
    let path = sandbox.state().join("ledger-1.db");
    {
        // Another process is writing: it is read, and nothing is kept.
        let lock = std::fs::File::open(path.with_extension("lock")).unwrap();
        lock.lock().unwrap();
        let writer = rusqlite::Connection::open(&path).unwrap();
        writer.execute_batch("BEGIN IMMEDIATE").unwrap();
        assert_eq!(line(&sandbox, &[], &json), "$0.25 · today $0.50 · context 28% · 5h 80%\n");
        writer.execute_batch("ROLLBACK").unwrap();
        assert!(gauges(&sandbox).is_empty());
    }
    for end in ["db-wal", "db-shm"] {
        drop(std::fs::remove_file(path.with_extension(end)));
    }
    for damage in [&b"no database at all"[..], &[0; 4096], b""] {
        std::fs::write(&path, damage).unwrap();
        assert_eq!(line(&sandbox, &[], &json), "$0.25 · context 28% · 5h 80%\n");
    }
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert_eq!(line(&sandbox, &[], &json), "$0.25 · context 28% · 5h 80%\n");
}

#[test]
fn two_at_once_both_print() {
    let sandbox = at_noon();
    use_up(&sandbox, "0.5");
    let json = reading("s", 0.25).to_string();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(line(&sandbox, &[], &json), "$0.25 · today $0.50 · context 28% · 5h 80%\n"));
        }
    });
    assert_eq!(gauges(&sandbox).len(), 1);
}

/// The settings of a launch of a program by the name of Claude Code.
fn launched(sandbox: &Sandbox, options: &[&str], arguments: &[&str]) -> Value {
    sandbox.program("claude", "#!/bin/sh\ncat \"$2\"\n");
    let words = [options, &["claude"], arguments].concat();
    let output = sandbox.run(words);
    assert_eq!(text(&output.stderr), "");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Runs the status line of a launch as Claude Code does.
fn shown(sandbox: &Sandbox, settings: &Value, input: &Value) -> String {
    let mut command = sandbox.command("/bin/sh");
    command.args(["-c", settings["statusLine"]["command"].as_str().unwrap()]);
    printed(&given(command, &input.to_string()))
}

#[test]
fn a_launch_brings_it_in_and_takes_it_out_again() {
    let sandbox = at_noon();
    sandbox.profile("line", "[statusline]\nshow = true\nformat = \"{cost} · it's {model}\"\n");
    sandbox.profile("off", "statusline.show = false\n");
    assert!(launched(&sandbox, &["-p", "off"], &[]).get("statusLine").is_none());
    let settings = launched(&sandbox, &["-p", "line"], &["-p", "hi"]);
    assert_eq!(shown(&sandbox, &settings, &reading("s", 0.5)), "$0.50 · it's Opus 5.5\n");
    sandbox.wait_for_end();
    for path in sandbox.settings() {
        let ended: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        assert!(ended.get("statusLine").is_none(), "{ended}");
    }
    // A `--settings` of the user's and the profile's own settings take precedence, and stay.
    let own = r#"{"statusLine":{"type":"command","command":"mine"}}"#;
    assert_eq!(launched(&sandbox, &["-p", "line"], &["--settings", own])["statusLine"]["command"], "mine");
    sandbox.profile("own", "extends = \"line\"\n[settings.statusLine]\ntype = \"command\"\ncommand = \"theirs\"\n");
    assert_eq!(launched(&sandbox, &["-p", "own"], &[])["statusLine"]["command"], "theirs");
    // `config.toml` says it for all profiles.
    sandbox.write("home/.config/ccrun/config.toml", "[statusline]\nshow = true\n");
    assert!(launched(&sandbox, &[], &[]).get("statusLine").is_some());
    assert!(launched(&sandbox, &["--direct", "-p", "local"], &[]).get("statusLine").is_some());
    assert!(launched(&sandbox, &["-p", "off"], &[]).get("statusLine").is_none());
}

#[test]
fn the_budget_of_a_launch_counts_all_that_was_spent() {
    let sandbox = at_noon();
    sandbox.profile(
        "line",
        "resource.\"enduser.id\" = \"ada@example.com\"\nstatusline.show = true\n[budget]\ndaily = 2\nmonthly = 100\n",
    );
    let settings = launched(&sandbox, &["-p", "line"], &[]);
    let command = settings["statusLine"]["command"].as_str().unwrap();
    assert!(!command.contains("ada@"), "every user can read command lines: {command}");
    let session = Session::start(&sandbox, &["-p", "line"]);
    let request = event("api_request", 1, &[("model", "claude-opus-5-5"), ("cost_usd", "0.5")]);
    assert_eq!(session.client().post(Signal::Logs, &request).unwrap().status, 200);
    session.end();
    sandbox.wait_for_end();
    let line = |cost| shown(&sandbox, &settings, &reading("s", cost));
    // What a session spent before its first reading may be of another day.
    assert_eq!(line(0.5), "$0.50 · today $0.50 · budget 25% of $2.00 a day · context 28% · 5h 80%\n");
    assert_eq!(line(2.0), "$2.00 · today $2.00 · budget 100% of $2.00 a day · context 28% · 5h 80%\n");
    sandbox.profile("short", "extends = \"line\"\nstatusline.format = \"{budget}\"\n");
    let short = launched(&sandbox, &["-p", "short"], &[]);
    assert_eq!(shown(&sandbox, &short, &reading("client-session", 0.5)), "25% of $2.00 a day\n");
}

#[test]
fn a_wrong_placeholder_is_an_error_of_the_profile() {
    let sandbox = Sandbox::new();
    sandbox.profile("line", "[statusline]\nshow = true\nformat = \"{cots}\"\n");
    let output = sandbox.run(["profile", "check", "line"]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("unknown placeholder `{cots}`") && said.contains("did you mean `{cost}`?"), "{said}");
}

#[test]
fn the_line_that_it_replaces_comes_first() {
    let sandbox = at_noon();
    sandbox.profile("line", "[statusline]\nshow = true\nformat = \"{cost}\"\n");
    let line =
        |name: &str| json!({"statusLine": {"type": "command", "command": format!("cat >/dev/null; echo {name}")}});
    let settings = launched(&sandbox, &["-p", "line"], &[]);
    let project = sandbox.project().canonicalize().unwrap();
    let mut input = reading("s", 0.5);
    input["workspace"]["project_dir"] = json!(project);
    let shown = |settings: &Value| shown(&sandbox, settings, &input);
    assert_eq!(shown(&settings), "$0.50\n");
    sandbox.write("home/.claude/settings.json", line("user").to_string());
    assert_eq!(shown(&settings), "user\n$0.50\n");
    sandbox.write("project/.claude/settings.json", line("project").to_string());
    assert_eq!(shown(&settings), "project\n$0.50\n");
    sandbox.write("project/.claude/settings.local.json", line("local").to_string());
    assert_eq!(shown(&settings), "local\n$0.50\n");
    // What Claude Code would not read is not run.
    let user_only = launched(&sandbox, &["-p", "line"], &["--setting-sources", "user"]);
    assert_eq!(shown(&user_only), "user\n$0.50\n");
    let none = launched(&sandbox, &["-p", "line"], &["--setting-sources="]);
    assert_eq!(shown(&none), "$0.50\n");
    // One that fails, or is one of ours, adds nothing.
    sandbox.write("project/.claude/settings.local.json", line("x; exit 1").to_string());
    assert_eq!(shown(&settings), "$0.50\n");
    sandbox.write(
        "project/.claude/settings.local.json",
        line("; exec ccrun statusline").to_string().replace("cat >/dev/null; echo ; ", ""),
    );
    assert_eq!(shown(&settings), "$0.50\n");
}

#[test]
fn the_other_line_ends_with_ours() {
    let sandbox = at_noon();
    let pid = sandbox.home().join("pid");
    let other = format!("echo $$ > {}.new; mv {0}.new {0}; exec sleep 600", pid.display());
    let mut child = sandbox.ccrun(["statusline", "--with", &other]).spawn().unwrap();
    wait_until("the other line", || pid.exists());
    let other: i32 = std::fs::read_to_string(&pid).unwrap().trim().parse().unwrap();
    kill(i32::try_from(child.id()).unwrap(), "TERM");
    child.wait().unwrap();
    wait_until("it to end", || !Path::new(&format!("/proc/{other}")).exists());
}

#[test]
fn it_is_wired_over_another_line_which_comes_back() {
    let sandbox = at_noon();
    let path = sandbox.write("home/.claude/settings.json", "{}\n");
    let read = || std::fs::read_to_string(&path).unwrap();
    let settings = || serde_json::from_str::<Value>(&read()).unwrap();
    let wire = |words: &[&str]| printed(&sandbox.run(words.iter().copied()));
    let said = wire(&["wire", "statusline", "--format", "{cost}"]);
    assert!(said.starts_with("added to `~/.claude/settings.json`: `statusLine`\n"), "{said}");
    assert_eq!(shown(&sandbox, &settings(), &reading("s", 0.5)), "$0.50\n");
    assert!(wire(&["wire", "statusline", "--format", "{cost}"]).contains("is already wired"));
    wire(&["unwire", "statusline"]);
    assert_eq!(read(), "{}\n");
    assert_eq!(wire(&["unwire", "statusline"]), "nothing is wired\n");

    let mine = "{\n  \"statusLine\": {\"type\": \"command\",  \"command\": \"cat >/dev/null; echo \\u0022its mine\\u0022\", \"padding\": 2}\n}\n";
    std::fs::write(&path, mine).unwrap();
    wire(&["wire", "statusline", "--format", "{cost}"]);
    assert_eq!(settings()["statusLine"]["padding"], 2);
    // A profile in the same file is a change of its own.
    sandbox.profile("team", "[destination.d]\nendpoint = \"http://127.0.0.1:9\"\n");
    wire(&["wire", "claude", "-p", "team"]);
    wire(&["wire", "statusline", "--format", "{model}"]);
    assert_eq!(settings()["env"]["CLAUDE_CODE_ENABLE_TELEMETRY"], "1");
    assert_eq!(shown(&sandbox, &settings(), &reading("s", 0.5)), "its mine\nOpus 5.5\n");
    // A launch with a line of its own runs the one that is wired, of which only the user's lines are new.
    sandbox.profile("line", "[statusline]\nshow = true\nformat = \"{cost}\"\n");
    let launch = launched(&sandbox, &["-p", "line"], &[]);
    assert_eq!(shown(&sandbox, &launch, &reading("s", 0.5)), "its mine\n$0.50\n");
    wire(&["unwire", "claude"]);
    assert_eq!(shown(&sandbox, &settings(), &reading("s", 0.5)), "its mine\nOpus 5.5\n");
    wire(&["unwire", "statusline"]);
    assert_eq!(read(), mine);

    std::fs::write(&path, "{\"statusLine\": 7}").unwrap();
    let refused = sandbox.run(["wire", "statusline"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("already has `statusLine`"), "{}", text(&refused.stderr));
}

#[test]
fn doctor_knows_what_is_wired() {
    let sandbox = Sandbox::new();
    let path = sandbox.write("home/.claude/settings.json", "{}\n");
    assert!(sandbox.run(["wire", "statusline"]).status.success());
    let said = || text(&sandbox.run(["doctor"]).stdout);
    assert!(said().contains("~/.claude/settings.json is wired"), "{}", said());
    std::fs::write(path, "{}\n").unwrap();
    assert!(said().contains("`ccrun wire statusline` puts it back"), "{}", said());
}
