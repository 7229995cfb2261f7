//! Editors: which variables a desktop's VS Code passes on, and when the sessions end that they belong to.

use std::io::ErrorKind;

use ccrun::system::process::Process;

use crate::support::backend::Backend;
use crate::support::claude::{finish, pid};
use crate::support::code::{Code, Window};
use crate::support::emitter::{Emitter, ids, ids_of};
use crate::support::sandbox::{DEADLINE, Sandbox, text, wait_until};

/// A profile that sends to a backend at once, including content, by which the tests identify the records.
fn profile(sandbox: &Sandbox, name: &str, backend: &Backend) {
    let destination = format!("[destination.d]\nendpoint = \"{}\"\nbatch = \"1ms\"\n", backend.endpoint());
    let kinds = ["user_prompts", "assistant_responses", "tool_details", "tool_content", "raw_api_bodies"];
    let content = kinds.map(|kind| format!("{kind} = true\n")).concat();
    sandbox.profile(name, format!("{destination}[resource]\n\"of.{name}\" = \"1\"\n[content]\n{content}"));
}

/// Two backends, each with a profile.
fn profiles(sandbox: &Sandbox) -> [Backend; 2] {
    let backends = [Backend::start(), Backend::start()];
    for (name, backend) in ["one", "two"].into_iter().zip(&backends) {
        profile(sandbox, name, backend);
    }
    backends
}

/// Waits until a backend has exactly these records.
fn arrived(backend: &Backend, prefix: &str, count: usize) {
    backend.wait_for(|received| ids_of(received).len() >= count, DEADLINE);
    assert_eq!(ids_of(&backend.received()), ids(prefix, count));
}

/// The ids of the sessions with running collectors.
fn running(sandbox: &Sandbox) -> Vec<String> {
    let locks = std::fs::read_dir(sandbox.state().join("locks")).into_iter().flatten();
    let mut ids: Vec<_> = locks.map(|lock| lock.unwrap().file_name().into_string().unwrap()).collect();
    ids.sort();
    ids
}

fn wait_for_sessions(sandbox: &Sandbox, windows: &[&Window<'_>]) {
    let mut expected: Vec<_> = windows.iter().map(|window| window.session().to_owned()).collect();
    expected.sort();
    wait_until("exactly these sessions to run", || running(sandbox) == expected);
}

const RUNNING: &str = "ccrun: `code` is already running: open windows keep the environment that they were opened \
                       with, and only a new window has this session's; `ccrun wire code` gives every \
                       window its own sessions\n";

#[test]
fn a_new_window_joins_the_new_session_and_an_open_folder_keeps_its_own() {
    let sandbox = Sandbox::new();
    let [first, second] = profiles(&sandbox);
    let code = Code::new(&sandbox, "code");
    assert_eq!(code.open(&["-p", "one"], "a"), "", "the first launch prints nothing");
    assert_eq!(code.open(&["-p", "two"], "b"), RUNNING);
    let [a, b] = ["a", "b"].map(|folder| code.window(folder));
    assert_ne!(a.session(), b.session());
    // The window is only focused, and the third session has no process.
    assert_eq!(code.open(&["-p", "two"], "a"), RUNNING);
    assert_eq!(code.window("a").session(), a.session());
    a.client().export(&ids("a", 2));
    b.client().export(&ids("b", 3));
    arrived(&first, "a", 2);
    arrived(&second, "b", 3);
    wait_for_sessions(&sandbox, &[&a, &b]);

    // Closing a window ends the session that only this window used. The first session belongs to the editor itself.
    code.ask("--close", "b");
    wait_for_sessions(&sandbox, &[&a]);
    a.client().export(&ids("a", 2));
    code.ask("--close", "a");
    assert!(!code.is_running());
    sandbox.wait_for_end();
    assert_eq!(ids_of(&first.received()).len(), 4);
    assert_eq!(ids_of(&second.received()), ids("b", 3));
}

#[test]
fn a_reload_does_not_end_the_session() {
    let sandbox = Sandbox::new();
    let [_first, second] = profiles(&sandbox);
    let code = Code::new(&sandbox, "code");
    code.open(&["-p", "one"], "a");
    code.open(&["-p", "two"], "b");
    code.open(&["-p", "two"], "c");
    let [before, other] = ["b", "c"].map(|folder| code.window(folder));
    let process = Process { pid: before.pid, started: None };
    code.ask("--reload", "b");
    let after = code.window("b");
    assert!(!process.lives() && after.pid != before.pid);
    assert_eq!((after.session(), after.endpoint()), (before.session(), before.endpoint()));
    // By the time a session ends that lost its window later, the collector has checked this one twice.
    code.ask("--close", "c");
    wait_until("the other session to end", || !running(&sandbox).contains(&other.session().to_owned()));
    after.client().export(&ids("record", 1));
    arrived(&second, "record", 1);
    for folder in ["a", "b"] {
        code.ask("--close", folder);
    }
    sandbox.wait_for_end();
}

#[test]
fn telemetry_of_a_plain_launch_belongs_to_the_session_of_its_token_or_is_rejected() {
    let sandbox = Sandbox::new();
    let [first, second] = profiles(&sandbox);
    let code = Code::new(&sandbox, "code");
    code.open(&["-p", "one"], "a");
    code.open_plainly("plain");
    let [a, plain] = ["a", "plain"].map(|folder| code.window(folder));
    assert_eq!(plain.session(), a.session(), "this launch does not override the first one's variable");
    plain.client().export(&ids("record", 1));
    arrived(&first, "record", 1);
    for folder in ["a", "plain"] {
        code.ask("--close", folder);
    }
    sandbox.wait_for_end();
    let error = plain.client().send(&ids("late", 1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);

    // Another session may have the port by now, but not the token.
    code.open(&["-p", "two"], "b");
    let b = code.window("b");
    let (host, _) = b.endpoint().rsplit_once('/').unwrap();
    let (_, stale) = plain.endpoint().rsplit_once('/').unwrap();
    let mut stale = Emitter::new(&format!("{host}/{stale}")).named("claude-code");
    assert_eq!(stale.send(&ids("late", 1)).unwrap().status, 401);
    b.client().export(&ids("own", 1));
    arrived(&second, "own", 1);
    arrived(&first, "record", 1);
    code.ask("--close", "b");
    sandbox.wait_for_end();
}

#[test]
fn ccrun_in_a_stale_environment_starts_a_new_session() {
    let sandbox = Sandbox::new();
    let [first, second] = profiles(&sandbox);
    let code = Code::new(&sandbox, "code");
    code.open(&["-p", "one"], "a");
    let a = code.window("a");
    code.ask("--close", "a");
    sandbox.wait_for_end();
    sandbox.program("claude", "#!/bin/sh\nenv\n");
    let run = |options: &[&str]| {
        let output = a.command("ccrun").args(options).arg("claude").output().unwrap();
        assert_eq!((text(&output.stderr).as_str(), output.status.code()), ("", Some(0)));
        text(&output.stdout)
    };
    // An endpoint from an old `ccrun` session is not a setup of the user's, so the default profile applies.
    let environment = run(&[]);
    let value = |name: &str| environment.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    let (session, endpoint) = (value("CCRUN_SESSION").unwrap(), value("OTEL_EXPORTER_OTLP_ENDPOINT").unwrap());
    assert!(session != a.session() && endpoint != a.endpoint());
    assert_eq!(value("OTEL_RESOURCE_ATTRIBUTES"), Some(""), "the old service name does not apply");
    assert!(run(&["-p", "two"]).contains("\nOTEL_RESOURCE_ATTRIBUTES=of.two=1\n"));
    sandbox.wait_for_end();
    let store = rusqlite::Connection::open(sandbox.state().join("store-2.db")).unwrap();
    let found: (String, String) = store
        .query_row("SELECT profile, parent FROM session WHERE id = ?1", [session], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    assert_eq!(found, ("local".to_owned(), a.session().to_owned()));
    assert!(first.received().is_empty() && second.received().is_empty());
}

#[test]
fn a_waiting_editor_is_awaited() {
    let sandbox = Sandbox::new();
    let [first, _second] = profiles(&sandbox);
    let code = Code::new(&sandbox, "code");
    let words = code.words("a");
    let mut command = sandbox.ccrun(["--wait", "-p", "one"]);
    let mut launcher = command.args(&words).arg("--wait").spawn().unwrap();
    wait_until("the window", || {
        code.data
            .join("windows")
            .read_dir()
            .is_ok_and(|mut entries| entries.any(|entry| entry.unwrap().path().join("environment").exists()))
    });
    let a = code.window("a");
    a.client().export(&ids("record", 1));
    arrived(&first, "record", 1);
    assert!(launcher.try_wait().unwrap().is_none());
    assert!(Process { pid: pid(&launcher), started: None }.lives());
    code.ask("--close", "a");
    let output = finish(launcher);
    assert_eq!((text(&output.stderr).as_str(), output.status.code()), ("", Some(0)));
    assert!(sandbox.collectors().is_empty());
}

#[test]
fn two_editors_at_once_keep_their_sessions_apart() {
    let sandbox = Sandbox::new();
    let [first, second] = profiles(&sandbox);
    let code = Code::new(&sandbox, "code");
    let codium = Code::new(&sandbox, "codium").with_data("codium-data");
    assert_eq!(code.open(&["-p", "one"], "a"), "");
    assert_eq!(codium.open(&["-p", "two"], "a"), "", "another user data directory means another instance");
    let [one, two] = [code.window("a"), codium.window("a")];
    one.client().export(&ids("one", 2));
    two.client().export(&ids("two", 2));
    // Other programs in the editors' terminals also export, but their telemetry is not Claude Code's and is rejected.
    Emitter::new(one.endpoint()).export(&ids("server", 1));
    arrived(&first, "one", 2);
    arrived(&second, "two", 2);
    code.ask("--close", "a");
    wait_for_sessions(&sandbox, &[&two]);
    two.client().export(&ids("two", 2));
    codium.ask("--close", "a");
    sandbox.wait_for_end();
    assert_eq!(ids_of(&first.received()), ids("one", 2));
    assert_eq!(ids_of(&second.received()).len(), 4);
}

#[test]
fn a_window_without_the_session_is_noted_in_one_line() {
    let mut sandbox = Sandbox::new();
    sandbox.program("code", "#!/bin/sh\n");
    let said = |sandbox: &Sandbox, words: &[&str]| text(&sandbox.ccrun(["code"]).args(words).output().unwrap().stderr);
    assert_eq!(said(&sandbox, &["."]), "");
    let remote = said(&sandbox, &["--remote", "ssh-remote+box\u{1b}[31m", "/x"]);
    assert!(remote.starts_with("ccrun: the window is on `ssh-remote+box\\u{1b}[31m`, ") && remote.lines().count() == 1);
    let container = said(&sandbox, &["--folder-uri", "vscode-remote://dev-container%2B7b22/w"]);
    assert!(container.contains("`dev-container+7b22`"), "{container}");
    // The lock of a killed instance.
    sandbox.write("home/.config/Code/code.lock", "2147483647");
    assert_eq!(said(&sandbox, &["."]), "");
    sandbox.set("VSCODE_IPC_HOOK_CLI", "/nonexistent.sock");
    assert!(said(&sandbox, &["."]).contains("the editor's server of this terminal"));
    assert_eq!(said(&sandbox, &["--version"]), "");
    sandbox.wait_for_end();
}

#[test]
fn no_note_is_printed_for_a_wired_editor() {
    let sandbox = Sandbox::new();
    let _backends = profiles(&sandbox);
    let code = Code::new(&sandbox, "code");
    code.open(&["-p", "one"], "a");
    assert_eq!(code.open(&["-p", "one"], "b"), RUNNING);
    let settings = "{\n  // as it should be\n  \"claudeCode.claudeProcessWrapper\": \"/x/ccrun-wrap\"\n}\n";
    sandbox.write("home/.config/Code/User/settings.json", settings);
    assert_eq!(code.open(&["-p", "one"], "c"), "");
    for folder in ["a", "b", "c"] {
        code.ask("--close", folder);
    }
    sandbox.wait_for_end();
}

/// The wrapper in a window starts a separate session, inside or outside an editor's session, with the profile of the
/// window's project.
#[test]
fn an_extensions_claude_has_its_own_session_in_every_window() {
    let sandbox = Sandbox::new();
    let [first, second] = profiles(&sandbox);
    let code = Code::new(&sandbox, "code");
    sandbox.program(
        "claude-of-the-extension",
        "#!/bin/sh\nread line\necho \"$CCRUN_SESSION $OTEL_RESOURCE_ATTRIBUTES\"\n",
    );
    code.open(&["-p", "one"], "a");
    let a = code.window("a");
    sandbox.write("project/a/.ccrun.toml", "profile = \"two\"\n");
    assert!(a.command("ccrun").args(["trust", "--yes"]).status().unwrap().success());
    let claude = sandbox.home().parent().unwrap().join("bin/claude-of-the-extension");
    let mut wrapped = a.command("ccrun");
    wrapped.arg("wrap").arg(&claude).args(["--output-format", "stream-json"]);
    let mut child = wrapped.stdin(std::process::Stdio::piped()).spawn().unwrap();
    drop(child.stdin.take());
    let output = finish(child);
    let said = text(&output.stdout);
    let (session, attributes) = said.trim_end().split_once(' ').unwrap();
    assert_ne!(session, a.session());
    assert_eq!((attributes, text(&output.stderr).as_str()), ("of.two=1", ""));
    code.ask("--close", "a");
    sandbox.wait_for_end();
    assert!(first.received().is_empty() && second.received().is_empty());
}
