//! No failure of `ccrun` affects the program: its pid, arguments, streams, exit code and children are its own.

use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;

use crate::support::sandbox::{Sandbox, kill, parent, pids, text, wait_until};

#[test]
fn the_exit_code_is_the_programs_own() {
    let sandbox = Sandbox::new();
    for code in [0, 3, 255] {
        let output = sandbox.run(["sh", "-c", &format!("exit {code}")]);
        assert_eq!(output.status.code(), Some(code));
        assert_eq!(text(&output.stderr), "");
    }
    let output = sandbox.run(["sh", "-c", "kill -TERM $$"]);
    assert_eq!(output.status.signal(), Some(15));
}

#[test]
fn arguments_are_the_programs_own() {
    let sandbox = Sandbox::new();
    let arguments = ["a b", "it's", "\"quoted\"", "", "--profile", "-p", "--", "$HOME", "é\n"];
    let output = sandbox.run(["sh", "-c", r#"printf '<%s>' "$@""#, "sh"].into_iter().chain(arguments));
    let expected = arguments.map(|argument| format!("<{argument}>")).concat();
    assert_eq!(text(&output.stdout), expected);
}

#[test]
fn the_programs_options_are_passed_on_and_a_verb_can_be_a_program() {
    let sandbox = Sandbox::new();
    sandbox.program("report", "#!/bin/sh\necho \"program $*\"\n");
    assert_eq!(text(&sandbox.run(["--", "report", "--json"]).stdout), "program --json\n");
    assert_eq!(text(&sandbox.run(["run", "report", "--json"]).stdout), "program --json\n");
    assert_eq!(text(&sandbox.run(["run", "-p", "local", "--", "report", "-p"]).stdout), "program -p\n");
}

#[test]
fn the_program_is_the_process() {
    let sandbox = Sandbox::new();
    let mut child = sandbox.ccrun(["sh", "-c", "echo $$; cat"]).stdin(Stdio::piped()).spawn().unwrap();
    let pid = i32::try_from(child.id()).unwrap();
    wait_until("the collector to start", || sandbox.collectors().len() == 2);
    let children = || -> Vec<String> {
        let children = pids().filter(|candidate| parent(*candidate) == pid);
        children.map(|child| std::fs::read_to_string(format!("/proc/{child}/comm")).unwrap_or_default()).collect()
    };
    // Until the shell's child has become `cat`, it is a shell.
    wait_until("the shell's child to become `cat`", || children() == ["cat\n"]);
    drop(child.stdin.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(text(&output.stdout), format!("{pid}\n"));
    sandbox.wait_for_end();
}

#[test]
fn the_environment_is_complete_and_no_inherited_variable_applies() {
    let mut sandbox = Sandbox::new();
    sandbox.set("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "https://elsewhere").set("OTEL_SDK_DISABLED", "true");
    sandbox.set("OTEL_EXPORTER_OTLP_HEADERS", "key=theirs").set("OTEL_RESOURCE_ATTRIBUTES", "team.id=forged,mine=1");
    sandbox.profile("local", "[team]\nid = \"plat form\"\n[content]\nuser_prompts = true\n");
    let output = sandbox.run(["--", "env"]);
    let environment = text(&output.stdout);
    let value = |name: &str| {
        let line = environment.lines().find_map(|line| line.strip_prefix(&format!("{name}=")));
        line.unwrap_or_default().to_owned()
    };
    assert_eq!(value("CLAUDE_CODE_ENABLE_TELEMETRY"), "1");
    assert_eq!(value("OTEL_EXPORTER_OTLP_PROTOCOL"), "http/protobuf");
    assert_eq!(value("OTEL_METRICS_EXPORTER"), "otlp");
    assert_eq!(value("OTEL_TRACES_EXPORTER"), "none");
    assert_eq!(value("OTEL_LOG_USER_PROMPTS"), "1");
    assert_eq!(value("OTEL_LOG_ASSISTANT_RESPONSES"), "0");
    assert_eq!(value("OTEL_RESOURCE_ATTRIBUTES"), "mine=1,team.id=plat%20form");
    assert_eq!(value("CCRUN_SESSION").len(), 16);
    let endpoint = value("OTEL_EXPORTER_OTLP_ENDPOINT");
    let token = endpoint.rsplit('/').next().unwrap();
    assert!(endpoint.starts_with("http://127.0.0.1:") && token.len() == 32, "{endpoint}");
    assert_eq!(value("OTEL_EXPORTER_OTLP_HEADERS"), format!("x-ccrun-token={token}"));
    for gone in ["OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "OTEL_SDK_DISABLED", "theirs", "CCRUN_PROFILE"] {
        assert!(!environment.contains(gone), "{gone}");
    }
}

#[test]
fn a_session_remembers_its_parent() {
    let sandbox = Sandbox::new();
    let output = sandbox.run(["sh", "-c", "echo $CCRUN_SESSION; exec ccrun sh -c 'echo $CCRUN_SESSION'"]);
    let ids = text(&output.stdout);
    let (outer, inner) = ids.trim_end().split_once('\n').unwrap();
    assert_ne!(outer, inner);
    sandbox.wait_for_end();
    let store = rusqlite::Connection::open(sandbox.state().join("store-2.db")).unwrap();
    let parent: String =
        store.query_row("SELECT parent FROM session WHERE id = ?1", [inner], |row| row.get(0)).unwrap();
    assert_eq!(parent, outer);
}

#[test]
fn a_program_that_cannot_run_gives_the_exit_code_of_a_shell() {
    let sandbox = Sandbox::new();
    let missing = sandbox.run(["no-such-program"]);
    assert_eq!(missing.status.code(), Some(127));
    assert_eq!(text(&missing.stderr), "ccrun: no-such-program: not found\n");
    let file = sandbox.write("project/plain", "text");
    let plain = sandbox.run([file]);
    assert_eq!(plain.status.code(), Some(126));
    assert!(text(&plain.stderr).contains("Permission denied"), "{}", text(&plain.stderr));
    let claude = sandbox.run(["claude"]);
    assert_eq!(claude.status.code(), Some(127));
    assert!(text(&claude.stderr).contains("install Claude Code"), "{}", text(&claude.stderr));
}

#[test]
fn claude_gets_one_settings_file_in_front() {
    let sandbox = Sandbox::new();
    sandbox.program("claude", "#!/bin/sh\nfor word; do echo \"$word\"; done\ncat \"$2\"\n");
    let output = sandbox.run(["claude", "--settings", r#"{"model":"m","env":{"MINE":"1"}}"#, "-p", "say hi"]);
    let stdout = text(&output.stdout);
    let mut lines = stdout.lines();
    assert_eq!(lines.next(), Some("--settings"));
    assert!(lines.next().unwrap().starts_with(sandbox.state().to_str().unwrap()));
    assert_eq!(lines.by_ref().take(2).collect::<Vec<_>>(), ["-p", "say hi"]);
    let settings: serde_json::Value = serde_json::from_str(lines.next().unwrap()).unwrap();
    assert_eq!(settings["model"], "m");
    assert_eq!(settings["env"]["MINE"], "1");
    assert_eq!(settings["otelHeadersHelper"], "");
    assert_eq!(lines.next(), None);

    sandbox.wait_for_end();
    let ended = std::fs::read_to_string(&sandbox.settings()[0]).unwrap();
    let ended: serde_json::Value = serde_json::from_str(&ended).unwrap();
    let expected = serde_json::json!({"model": "m", "env": {"MINE": "1", "CLAUDE_CODE_ENABLE_TELEMETRY": "0"}});
    assert_eq!(ended, expected);
    let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&sandbox.settings()[0]).unwrap());
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn closed_streams_do_not_prevent_the_start() {
    let sandbox = Sandbox::new();
    let script = "ccrun sh -c 'echo started > started' <&- >&- 2>&-";
    assert!(sandbox.command("sh").args(["-c", script]).status().unwrap().success());
    assert_eq!(std::fs::read_to_string(sandbox.project().join("started")).unwrap(), "started\n");
    sandbox.wait_for_end();
}

#[test]
fn off_runs_the_program_without_anything_else() {
    let mut sandbox = Sandbox::new();
    sandbox.set("CCRUN_OFF", "1").set("OTEL_EXPORTER_OTLP_ENDPOINT", "https://mine");
    let environment = text(&sandbox.run(["--", "env"]).stdout);
    assert!(environment.contains("OTEL_EXPORTER_OTLP_ENDPOINT=https://mine\n"), "{environment}");
    assert!(!environment.contains("CCRUN_SESSION"), "{environment}");
    assert!(sandbox.collectors().is_empty());
    assert!(!sandbox.state().exists());
}

type Inject = fn(&mut Sandbox);

#[test]
fn after_any_failure_the_program_starts_with_telemetry_off_and_one_line() {
    let file = |sandbox: &mut Sandbox| drop(sandbox.write("home/file", ""));
    let faults: [(&str, Inject, &str); 5] = [
        (
            "an unknown profile",
            |sandbox| {
                sandbox.set("CCRUN_PROFILE", "sigbot");
            },
            "there is no profile `sigbot`",
        ),
        ("a broken profile", |sandbox| drop(sandbox.profile("local", "[signals]\nmetrics = 1\n")), "local.toml:2:11: "),
        ("no TOML", |sandbox| drop(sandbox.profile("local", "[signals\n")), "invalid TOML"),
        (
            "a state directory that cannot be",
            |sandbox| {
                let path = sandbox.home().join("file/state");
                sandbox.set("CCRUN_STATE_DIR", path.to_str().unwrap());
            },
            "file/state`: Not a directory",
        ),
        (
            "a profile that is a directory",
            |sandbox| drop(sandbox.write("home/.config/ccrun/profiles/local.toml/x", "")),
            "it is not a regular file",
        ),
    ];
    for (fault, inject, message) in faults {
        let mut sandbox = Sandbox::new();
        file(&mut sandbox);
        inject(&mut sandbox);
        let output = sandbox.run(["sh", "-c", "echo $CLAUDE_CODE_ENABLE_TELEMETRY $OTEL_LOGS_EXPORTER; exit 3"]);
        assert_eq!(output.status.code(), Some(3), "{fault}");
        assert_eq!(text(&output.stdout), "0 none\n", "{fault}");
        let stderr = text(&output.stderr);
        assert!(stderr.contains(message) && stderr.lines().count() == 1, "{fault}: {stderr}");
        assert!(stderr.starts_with("ccrun: telemetry is off for this session: "), "{fault}: {stderr}");

        let output = sandbox.run(["--require", "sh", "-c", "echo started"]);
        assert_eq!(output.status.code(), Some(2), "{fault}");
        assert_eq!(text(&output.stdout), "", "{fault}");
        assert!(text(&output.stderr).contains("the program was not started"), "{fault}");
        assert!(sandbox.collectors().is_empty(), "{fault}");
    }
}

#[test]
fn a_profile_can_be_required() {
    let mut sandbox = Sandbox::new();
    sandbox.profile("gateway", "require = true\n");
    sandbox.write("home/file", "");
    let path = sandbox.home().join("file/state");
    sandbox.set("CCRUN_STATE_DIR", path.to_str().unwrap());
    let output = sandbox.run(["-p", "gateway", "sh", "-c", "echo started"]);
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(2), ""));
}

#[test]
fn an_invalid_profile_can_still_be_required() {
    let sandbox = Sandbox::new();
    let refused = |arguments: &[&str]| {
        for dry in [&[][..], &["--dry-run"]] {
            let words = dry.iter().chain(arguments).copied().chain(["sh", "-c", "echo started"]);
            let output = sandbox.run(words);
            let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
            assert_eq!((output.status.code(), stdout.as_str()), (Some(2), ""), "{arguments:?}: {stderr}");
        }
    };
    for mistake in
        ["[signals\n", "unknown = 1\n", "[destination.d]\nendpoint = \"${x}\"\n", "[team]\nid = { keyring = \"k\" }\n"]
    {
        sandbox.profile("gateway", format!("require = true\n{mistake}"));
        refused(&["-p", "gateway"]);
    }
    sandbox.profile("gateway", b"require = true\n# \xff\n");
    refused(&["-p", "gateway"]);
    // As a base, as an overlay, and as the default.
    sandbox.profile("mine", "extends = \"gateway\"\n");
    refused(&["-p", "mine"]);
    refused(&["-p", "local", "-p", "gateway"]);
    sandbox.write("home/.config/ccrun/config.toml", "profile = \"mine\"\n");
    refused(&[]);
    sandbox.write("home/.config/ccrun/config.toml", "profile = \"mine\"\noff = [\n");
    refused(&[]);
    sandbox.write("home/.config/ccrun/config.toml", "");
    sandbox.profile("gateway", "# require = true\n[signals\n");
    let output = sandbox.run(["-p", "gateway", "sh", "-c", "echo started"]);
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(0), "started\n"));
}

#[test]
fn a_session_ends_with_its_program_however_it_ends() {
    let sandbox = Sandbox::new();
    let mut child = sandbox.ccrun(["cat"]).stdin(Stdio::piped()).spawn().unwrap();
    wait_until("the collector to start", || sandbox.collectors().len() == 2);
    kill(i32::try_from(child.id()).unwrap(), "KILL");
    child.wait().unwrap();
    sandbox.wait_for_end();
    assert_eq!(std::fs::read_dir(sandbox.state().join("locks")).unwrap().count(), 0);
}

#[test]
fn an_option_without_effect_is_an_error() {
    let sandbox = Sandbox::new();
    for arguments in
        [&["-p", "local", "sessions"][..], &["--require", "queue", "status"], &["--no-such-option", "true"]]
    {
        let output = sandbox.run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(text(&output.stdout).is_empty() && !text(&output.stderr).is_empty(), "{arguments:?}");
    }
}

#[test]
fn a_deleted_working_directory_does_not_prevent_the_start() {
    let sandbox = Sandbox::new();
    let script = "mkdir gone; cd gone; rmdir ../gone; exec ccrun echo started";
    let output = sandbox.command("sh").args(["-c", script]).output().unwrap();
    assert_eq!((text(&output.stdout), output.status.code()), ("started\n".to_owned(), Some(0)), "{output:?}");
}
