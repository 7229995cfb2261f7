//! Commands of Claude Code that start no session run without one.

use crate::support::sandbox::{Sandbox, text};

/// Prints its arguments, a variable of the profile, and its session.
const CLAUDE: &str = "#!/bin/sh\necho \"$* in <$MINE> of <$CCRUN_SESSION>\"\nexit 7\n";

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.program("claude", CLAUDE);
    sandbox.profile("team", "[env]\nMINE = \"1\"\n[destination.own]\nendpoint = \"http://127.0.0.1:9\"\n");
    sandbox
}

#[test]
fn commands_without_a_session_run_unchanged() {
    let sandbox = sandbox();
    for (words, mine) in [
        (&["--version"][..], ""),
        (&["-v"], ""),
        (&["--help"], ""),
        (&["-h"], ""),
        (&["mcp", "list"], "1"),
        (&["doctor"], "1"),
        (&["plugin", "list"], "1"),
        (&["auth", "status"], "1"),
        (&["install", "latest"], "1"),
        (&["update"], "1"),
        (&["setup-token"], "1"),
        (&["auto-mode", "config"], "1"),
        (&["purge", "--settings", "x"], "1"),
        (&["import", "codex"], "1"),
        (&["agents", "--json"], "1"),
        (&["gateway"], "1"),
        (&["stop", "3f0a"], "1"),
    ] {
        for before in [&["-p", "team"][..], &["-p", "team", "--wait"], &["-p", "team", "--direct"]] {
            let output = sandbox.run([before, &["claude"], words].concat());
            let expected = format!("{} in <{mine}> of <>\n", words.join(" "));
            assert_eq!((text(&output.stdout), text(&output.stderr)), (expected, String::new()), "{words:?}");
            assert_eq!(output.status.code(), Some(7), "{words:?}");
        }
    }
    assert!(sandbox.collectors().is_empty() && sandbox.settings().is_empty());
    assert_eq!(text(&sandbox.run(["sessions", "--json"]).stdout), "[]\n");
    let output = sandbox.run(["-p", "team", "claude", "-p", "mcp"]);
    assert!(text(&output.stdout).starts_with("--settings "), "a prompt starts a session");
}

#[test]
fn an_extension_that_asks_for_the_version_starts_no_session() {
    let sandbox = sandbox();
    let claude = sandbox.home().with_file_name("bin").join("claude");
    let output = sandbox.run(["wrap", claude.to_str().unwrap(), "--version"]);
    assert_eq!(text(&output.stdout), "--version in <> of <>\n");
    assert!(sandbox.settings().is_empty());
}

#[test]
fn a_missing_profile_is_reported_and_the_command_still_runs() {
    let sandbox = sandbox();
    let output = sandbox.run(["-p", "nope", "claude", "mcp", "list"]);
    let said = text(&output.stderr);
    assert_eq!(text(&output.stdout), "mcp list in <> of <>\n");
    assert!(said.starts_with("ccrun: the profile does not apply: ") && said.contains("nope"), "{said}");
    let output = sandbox.run(["-p", "nope", "--require", "claude", "mcp", "list"]);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(2), String::new()));
    // `--version` does not use a profile.
    let output = sandbox.run(["-p", "nope", "--require", "claude", "--version"]);
    assert_eq!((text(&output.stdout), text(&output.stderr)), ("--version in <> of <>\n".to_owned(), String::new()));
}

#[test]
fn a_shim_for_claude_runs_once() {
    let sandbox = sandbox();
    let real = sandbox.write("real/claude", CLAUDE);
    std::fs::set_permissions(&real, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    sandbox.program("claude", "#!/bin/sh\nexec ccrun claude \"$@\"\n");
    let path = format!("{}:{}", sandbox.home().with_file_name("bin").display(), real.parent().unwrap().display());
    let mut command = sandbox.ccrun(["claude", "--version"]);
    let output = command.env("PATH", format!("{path}:/usr/bin:/bin")).output().unwrap();
    assert_eq!(text(&output.stdout), "--version in <> of <>\n", "{}", text(&output.stderr));
}

#[test]
fn a_dry_run_shows_the_commands_environment() {
    let sandbox = sandbox();
    let shown = |words: &[&str]| text(&sandbox.run([&["--dry-run", "-p", "team", "claude"], words].concat()).stdout);
    let management = shown(&["mcp", "list"]);
    assert!(management.contains("no session\n") && management.contains("MINE=1\n"), "{management}");
    assert!(!management.contains("OTEL_") && !management.contains("--settings"), "{management}");
    let question = shown(&["--version"]);
    assert!(question.contains("no session\n") && !question.contains("MINE"), "{question}");
}
