//! Secrets in a real gnome-keyring, used by the binary in the program's environment and for a backend.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use crate::doctor::{diagnosed, findings, troubles};
use crate::support::backend::{Backend, Reply};
use crate::support::emitter::ids;
use crate::support::keyring::{Bus, Keyring};
use crate::support::sandbox::{DEADLINE, Sandbox, cmdline, environ, text, wait_until};
use crate::support::session::Session;
use crate::support::terminal::Terminal;

/// The unlock command in error messages.
const UNLOCK: &str = "`gnome-keyring-daemon --replace --unlock`";

/// The output of `ccrun doctor` about a header from the keyring entry `team/key`.
fn doctor(sandbox: &Sandbox) -> Output {
    let destination = "[destination.d]\nendpoint = \"http://127.0.0.1:9\"\n";
    sandbox.profile("team", format!("{destination}headers.x-key = {{ keyring = \"team/key\" }}\n"));
    sandbox.program("claude", "#!/bin/sh\necho '2.1.332 (Claude Code)'\n");
    sandbox.run(["doctor", "-p", "team", "--json"])
}

#[test]
#[ignore = "needs gnome-keyring and a session bus; scripts/test.sh runs it"]
fn doctor_names_keyring_faults_without_a_prompt() {
    let mut sandbox = Sandbox::new();
    let bus = Bus::start(&mut sandbox);
    let (id, level) = ("credentials.keyring", "failed");
    let parts = ["the keyring is unavailable: no keyring provides the Secret Service on the session bus"];
    diagnosed(&doctor(&sandbox), id, level, &parts, "start a keyring");
    {
        let _hanging = bus.silent_keyring();
        diagnosed(&doctor(&sandbox), id, level, &["the keyring does not answer"], "gnome-keyring-daemon --replace");
    }
    let keyring = Keyring::start(&sandbox);
    let parts = ["the keyring's team/key does not exist", "needed for the header `x-key` of `d`"];
    diagnosed(&doctor(&sandbox), id, level, &parts, "`ccrun secret set team/key` stores it");
    says(&run_with(&sandbox, &["secret", "set", "team/key"], "sk-1\n"));
    assert_eq!(troubles(&findings(&doctor(&sandbox))), Vec::<serde_json::Value>::new());
    keyring.lock();
    let _dialog = bus.open_dialog();
    diagnosed(&doctor(&sandbox), id, level, &["the keyring is locked"], "`ccrun secret list` asks for its password");
    keyring.unlock();
    keyring.store("team/key", "another", "sk-2");
    let parts = ["the keyring's team/key exists 2 times"];
    diagnosed(&doctor(&sandbox), id, level, &parts, "`ccrun secret remove team/key`");
}

/// Runs `ccrun` with this input on stdin.
fn run_with(sandbox: &Sandbox, arguments: &[&str], input: &str) -> Output {
    let mut child = sandbox.ccrun(arguments).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// The stdout of a successful run.
#[track_caller]
fn says(output: &Output) -> String {
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

/// The only line on stderr of a failed run.
#[track_caller]
fn complains(output: &Output) -> String {
    let complaint = text(&output.stderr);
    assert!(!output.status.success() && complaint.lines().count() == 1, "{} {complaint}", text(&output.stdout));
    complaint
}

/// The entry of a name in `secret list --json`.
#[track_caller]
fn listed(sandbox: &Sandbox, name: &str) -> Option<serde_json::Value> {
    let output = sandbox.run(["secret", "list", "--json"]);
    let list: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    list.into_iter().find(|entry| entry["name"] == name)
}

/// The value of a variable that a profile takes from the entry `team/key`, and stderr.
fn variable(sandbox: &Sandbox) -> (String, String) {
    sandbox.profile("mine", "[env]\nKEY = { keyring = \"team/key\" }\n");
    let output = sandbox.run(["-p", "mine", "sh", "-c", "echo $KEY"]);
    assert!(output.status.success());
    (text(&output.stdout).trim().to_owned(), text(&output.stderr))
}

#[test]
#[ignore = "needs gnome-keyring and a session bus; scripts/test.sh runs it"]
fn an_entry_is_stored_listed_used_and_removed() {
    let mut sandbox = Sandbox::new();
    let _bus = Bus::start(&mut sandbox);
    let keyring = Keyring::start(&sandbox);
    assert_eq!(
        says(&run_with(&sandbox, &["secret", "set", "team/key"], "sk-1\n")),
        "stored `team/key`; no profile uses it yet\n"
    );
    assert_eq!(keyring.looked_up("team/key"), "sk-1");
    assert_eq!(variable(&sandbox), ("sk-1".to_owned(), String::new()));
    // Replaces the entry.
    assert_eq!(says(&run_with(&sandbox, &["secret", "set", "team/key"], "sk-2\r\n")), "stored `team/key`\n");
    assert_eq!(variable(&sandbox), ("sk-2".to_owned(), String::new()));
    says(&run_with(&sandbox, &["secret", "set", "unused"], "sk-3"));

    let entry = serde_json::json!({ "name": "team/key", "there": true, "profiles": ["mine"] });
    assert_eq!(listed(&sandbox, "team/key"), Some(entry));
    assert_eq!(listed(&sandbox, "unused").unwrap()["profiles"], serde_json::json!([]));
    assert_eq!(listed(&sandbox, "signoz/ingestion-key").unwrap()["there"], false);
    let table = says(&sandbox.run(["secret", "list"]));
    assert!(!table.contains("sk-"), "{table}");
    let row = table.lines().find(|line| line.contains("team/key")).unwrap();
    assert_eq!(row.split_whitespace().collect::<Vec<_>>(), ["team/key", "yes", "mine"]);

    assert_eq!(says(&sandbox.run(["secret", "remove", "team/key"])), "removed `team/key`\n");
    assert_eq!(listed(&sandbox, "team/key").unwrap()["there"], false);
    assert_eq!(
        complains(&sandbox.run(["secret", "remove", "team/key"])),
        "ccrun: the keyring's team/key does not exist: `ccrun secret set team/key` stores it\n"
    );
    let (value, complaint) = variable(&sandbox);
    assert_eq!(value, "");
    assert!(complaint.contains("the keyring's team/key does not exist: `ccrun secret set team/key`"), "{complaint}");
}

#[test]
#[ignore = "needs gnome-keyring and a session bus; scripts/test.sh runs it"]
fn an_entry_of_another_version_is_found_and_replaced() {
    let mut sandbox = Sandbox::new();
    let _bus = Bus::start(&mut sandbox);
    let keyring = Keyring::start(&sandbox);
    keyring.store_as("team/key", "ccrun: team/key", &[], "sk-old");
    assert_eq!(variable(&sandbox), ("sk-old".to_owned(), String::new()));
    says(&run_with(&sandbox, &["secret", "set", "team/key"], "sk-new\n"));
    assert_eq!(variable(&sandbox), ("sk-new".to_owned(), String::new()));
    assert_eq!(keyring.looked_up("team/key"), "sk-new");
    says(&sandbox.run(["secret", "remove", "team/key"]));
    assert_eq!(keyring.looked_up("team/key"), "");
}

#[test]
#[ignore = "needs gnome-keyring and a session bus; scripts/test.sh runs it"]
fn typed_secrets_are_stored_and_not_echoed() {
    let mut sandbox = Sandbox::new();
    let _bus = Bus::start(&mut sandbox);
    let keyring = Keyring::start(&sandbox);
    let mut command = sandbox.command("script");
    command.args(["-qec", "ccrun secret set team/key", "/dev/null"]).stdin(Stdio::piped());
    let mut terminal = command.spawn().unwrap();
    // The terminal still echoes what is typed before the prompt disables the echo.
    wait_until("the terminal to disable its echo", || asking(&sandbox).is_some_and(is_silent));
    terminal.stdin.as_mut().unwrap().write_all(b"sk-typed\r").unwrap();
    let output = terminal.wait_with_output().unwrap();
    let shown = text(&output.stdout);
    assert!(output.status.success() && shown.contains("Secret for `team/key`"), "{shown}");
    assert!(shown.contains("stored `team/key`") && !shown.contains("sk-typed"), "{shown}");
    assert_eq!(keyring.looked_up("team/key"), "sk-typed");
}

/// The pid of the `ccrun` that asks for a secret.
fn asking(sandbox: &Sandbox) -> Option<i32> {
    sandbox.processes().into_iter().find(|pid| cmdline(*pid) == b"ccrun\0secret\0set\0team/key\0")
}

/// Whether the terminal on a process's stdin has its echo disabled.
fn is_silent(pid: i32) -> bool {
    let stty = Command::new("stty").args(["-F", &format!("/proc/{pid}/fd/0"), "-a"]).output().unwrap();
    text(&stty.stdout).contains("-echo ")
}

#[test]
#[ignore = "needs gnome-keyring and a session bus; scripts/test.sh runs it"]
fn the_suggested_command_unlocks_a_locked_keyring() {
    let mut sandbox = Sandbox::new();
    let _bus = Bus::start(&mut sandbox);
    let keyring = Keyring::start(&sandbox);
    says(&run_with(&sandbox, &["secret", "set", "team/key"], "sk-1\n"));
    keyring.lock();
    let (value, complaint) = variable(&sandbox);
    assert_eq!(value, "");
    assert!(complaint.contains("the keyring's team/key is locked: ") && complaint.contains(UNLOCK), "{complaint}");
    let complaint = complains(&run_with(&sandbox, &["secret", "set", "other"], "sk-2\n"));
    assert!(complaint.contains("the keyring's other is locked: "), "{complaint}");
    // Listing names from profiles still works, but not other entries.
    let output = sandbox.run(["secret", "list"]);
    assert!(text(&output.stdout).contains("team/key"));
    assert!(text(&output.stderr).contains("the keyring is locked: "));
    assert_eq!(listed(&sandbox, "team/key").unwrap()["there"], true);

    keyring.unlock();
    assert_eq!(variable(&sandbox), ("sk-1".to_owned(), String::new()));
}

#[test]
#[ignore = "needs gnome-keyring and a session bus; scripts/test.sh runs it"]
fn an_unanswered_dialog_does_not_prevent_the_start() {
    let mut sandbox = Sandbox::new();
    let bus = Bus::start(&mut sandbox);
    let keyring = Keyring::start(&sandbox);
    says(&run_with(&sandbox, &["secret", "set", "team/key"], "sk-1\n"));
    keyring.lock();
    let _dialog = bus.open_dialog();
    let (value, complaint) = variable(&sandbox);
    assert_eq!(value, "");
    assert!(complaint.contains("the keyring's team/key is locked: "), "{complaint}");
}

#[test]
#[ignore = "needs gnome-keyring and a session bus; scripts/test.sh runs it"]
fn hanging_and_missing_services_are_distinguished() {
    let mut sandbox = Sandbox::new();
    let bus = Bus::start(&mut sandbox);
    let complaint = complains(&run_with(&sandbox, &["secret", "set", "team/key"], "sk-1\n"));
    assert!(complaint.contains("no keyring provides the Secret Service on the session bus: start "), "{complaint}");
    let _hanging = bus.silent_keyring();
    let output = run_with(&sandbox, &["secret", "set", "team/key"], "sk-1\n");
    let complaint = text(&output.stderr);
    // The last line. A note about the wait may come first.
    let last = complaint.lines().last().unwrap();
    assert!(!output.status.success() && last.contains("the keyring does not answer"), "{complaint}");
    let (_, complaint) = variable(&sandbox);
    assert!(complaint.contains("the keyring does not answer"), "{complaint}");
}

#[test]
#[ignore = "needs gnome-keyring and a session bus; scripts/test.sh runs it"]
fn duplicate_entries_are_an_error() {
    let mut sandbox = Sandbox::new();
    let _bus = Bus::start(&mut sandbox);
    let keyring = Keyring::start(&sandbox);
    keyring.store("team/key", "one", "sk-1");
    keyring.store("team/key", "two", "sk-2");
    let (_, complaint) = variable(&sandbox);
    assert!(complaint.contains("exists 2 times: `ccrun secret remove team/key`, then "), "{complaint}");
    says(&sandbox.run(["secret", "remove", "team/key"]));
    assert_eq!(listed(&sandbox, "team/key").unwrap()["there"], false);
}

#[test]
#[ignore = "needs gnome-keyring and a session bus; scripts/test.sh runs it"]
fn a_header_from_the_keyring_reaches_only_the_backend() {
    let (mut sandbox, backend) = (Sandbox::new(), Backend::start());
    let _bus = Bus::start(&mut sandbox);
    let _keyring = Keyring::start(&sandbox);
    says(&run_with(&sandbox, &["secret", "set", "team/key"], "sk-from-the-keyring\n"));
    let source = "{ keyring = \"team/key\", format = \"Bearer {}\" }";
    let endpoint = backend.endpoint();
    let destination = format!("[destination.backend]\nendpoint = \"{endpoint}\"\n");
    sandbox.profile("team", format!("{destination}[destination.backend.headers]\nAuthorization = {source}\n"));
    let mut session = Session::start(&sandbox, &["-p", "team"]);
    session.client().export(&ids("record", 1));
    let received = backend.wait_for(|received| !received.is_empty(), DEADLINE);
    assert_eq!(received[0].header("authorization"), "Bearer sk-from-the-keyring");
    let holds = |bytes: &[u8]| text(bytes).contains("sk-from-the-keyring");
    for process in [session.keeper, session.worker()] {
        assert!(!holds(&environ(process.pid)) && !holds(&cmdline(process.pid)));
    }
    session.end();
    sandbox.wait_for_end();
}

#[test]
#[ignore = "needs gnome-keyring, a session bus and tmux; scripts/test.sh runs it"]
fn setup_asks_for_what_a_backend_needs() {
    let (mut sandbox, backend) = (Sandbox::new(), Backend::start());
    let _bus = Bus::start(&mut sandbox);
    let keyring = Keyring::start(&sandbox);
    let terminal = Terminal::start(&sandbox, "SHELL=/bin/zsh ccrun setup honeycomb --name work");
    terminal.wait_for("endpoint (https://api.honeycomb.io for the US");
    terminal.enter(&backend.endpoint());
    terminal.wait_for("[claude-code-metrics]:");
    terminal.press("Enter");
    terminal.wait_for("an ingest key that may create datasets");
    terminal.wait_for("input is hidden");
    terminal.enter_hidden("sk-setup-7391");
    terminal.wait_for("Make `work` the default profile? [y/N]");
    terminal.enter("y");
    terminal.wait_for("` in ~/.zshrc? [y/N]");
    terminal.enter("n");
    assert_eq!(terminal.end(), 0);
    let screen = terminal.screen();
    assert!(screen.contains("stored the key as `honeycomb/api-key`") && screen.contains("done: run `ccrun claude`"));
    assert!(!screen.contains("7391") && !sandbox.home().join(".zshrc").exists());
    assert_eq!(keyring.looked_up("honeycomb/api-key"), "sk-setup-7391");
    let received = backend.received();
    assert!(!received.is_empty());
    assert!(received.iter().all(|request| request.header("x-honeycomb-team") == "sk-setup-7391"));

    let profile = std::fs::read_to_string(sandbox.home().join(".config/ccrun/profiles/work.toml")).unwrap();
    assert!(!profile.contains("metrics_dataset"), "defaults are not written to the profile: {profile}");

    // A rejected key is not kept, and the previous one is restored.
    for _ in 0..16 {
        backend.reply(Reply::http(401, "unknown API key"));
    }
    let endpoint = format!("endpoint={}", backend.endpoint());
    let words = ["setup", "honeycomb", "--name", "other", "--var", &endpoint, "--replace"];
    let output = run_with(&sandbox, &words, "sk-mistyped\n");
    let shown = text(&output.stdout);
    assert!(!output.status.success() && shown.contains("unknown API key"), "{shown}");
    assert_eq!(keyring.looked_up("honeycomb/api-key"), "sk-setup-7391");
    assert!(!sandbox.home().join(".config/ccrun/profiles/other.toml").exists());
}

#[test]
#[ignore = "needs gnome-keyring, a session bus and tmux; scripts/test.sh runs it"]
fn setup_asks_for_every_variable_and_again_for_a_rejected_key() {
    let (mut sandbox, backend) = (Sandbox::new(), Backend::start());
    let _bus = Bus::start(&mut sandbox);
    let keyring = Keyring::start(&sandbox);
    backend.reply_with(|request| match request.header("x-honeycomb-team") {
        "sk-setup-7391" => Reply::accept(),
        _ => Reply::http(401, "unknown API key"),
    });
    let terminal = Terminal::start(&sandbox, "SHELL=/bin/zsh ccrun setup honeycomb --no-default --no-alias");
    terminal.wait_for("EU):");
    terminal.enter(&backend.endpoint());
    terminal.wait_for("[claude-code-metrics]:");
    terminal.enter("mine");
    terminal.wait_for("input is hidden");
    terminal.enter_hidden("sk-mistyped");
    terminal.wait_for("Type the key again? [y/N]");
    assert!(!sandbox.home().join(".config/ccrun/profiles/honeycomb.toml").exists(), "a rejected key is not kept");
    terminal.enter("y");
    wait_until("setup to ask for the key again", || terminal.screen().matches("input is hidden").count() == 2);
    terminal.enter_hidden("sk-setup-7391");
    assert_eq!(terminal.end(), 0, "{}", terminal.screen());
    assert_eq!(keyring.looked_up("honeycomb/api-key"), "sk-setup-7391");
    let profile = std::fs::read_to_string(sandbox.home().join(".config/ccrun/profiles/honeycomb.toml")).unwrap();
    assert!(profile.contains("\"metrics_dataset\" = \"mine\""), "{profile}");
}
