//! `ccrun wrap`, and a link that stands for it: Claude Code as an editor's extension runs it.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::support::backend::Backend;
use crate::support::claude::{finish, pid};
use crate::support::sandbox::{Sandbox, kill, text, wait_until};

/// Prints its arguments, one a line, and some of its environment.
const CLAUDE: &str = "#!/bin/sh\nprintf '%s\\n' \"$0\" \"$@\"\necho \"session $CCRUN_SESSION\"\n\
                      echo \"endpoint $OTEL_EXPORTER_OTLP_ENDPOINT\"\n";

/// A Claude Code outside the PATH, as an extension bundles it.
fn bundled(sandbox: &Sandbox, script: &str) -> PathBuf {
    executable(sandbox, "extension/native-binary/claude", script)
}

fn executable(sandbox: &Sandbox, path: &str, script: &str) -> PathBuf {
    let path = sandbox.write(path, script);
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    path
}

/// A link to `ccrun` whose name means `ccrun wrap`.
fn link(sandbox: &Sandbox) -> PathBuf {
    let link = sandbox.home().join("ccrun-wrap");
    symlink(sandbox.home().parent().unwrap().join("bin/ccrun"), &link).unwrap();
    link
}

/// Both forms of the wrapper.
fn wrappers(sandbox: &Sandbox) -> [Command; 2] {
    [sandbox.ccrun(["wrap"]), sandbox.command(link(sandbox))]
}

/// The printed lines without the settings file, and the path of that file.
fn said(command: &mut Command) -> (Vec<String>, Option<PathBuf>) {
    let output = command.output().unwrap();
    assert_eq!((text(&output.stderr).as_str(), output.status.code()), ("", Some(0)));
    let mut words: Vec<_> = text(&output.stdout).lines().map(str::to_owned).collect();
    let end = words.iter().rposition(|word| word.starts_with("session ")).unwrap();
    words.truncate(end);
    let settings = words.iter().position(|word| word == "--settings").map(|at| PathBuf::from(words.remove(at + 1)));
    (words, settings)
}

#[test]
fn the_given_program_runs_with_a_settings_file_in_front() {
    let sandbox = Sandbox::new();
    sandbox.program("claude", "#!/bin/sh\necho another\n");
    let claude = bundled(&sandbox, CLAUDE);
    let claude = claude.to_str().unwrap();
    for mut wrapper in wrappers(&sandbox) {
        let arguments = ["--output-format", "stream-json", "--append-system-prompt", "a b\n\"c\" $d", "", "-p", "--"];
        let (words, settings) = said(wrapper.arg(claude).args(arguments));
        let expected = [claude, "--settings"].into_iter().chain(arguments).collect::<Vec<_>>().join("\n");
        assert_eq!(words.join("\n"), expected);
        assert!(settings.unwrap().is_file());
    }
}

#[test]
fn a_script_gets_the_settings_file_after_its_path() {
    let sandbox = Sandbox::new();
    let cli = sandbox.write("extension/claude-code/cli.js", "");
    let cli = cli.to_str().unwrap();
    // An old extension runs a script with the editor's own executable as node. Then it is not an editor.
    for (node, options) in [("node", &["--no-warnings"][..]), ("node", &[]), ("code", &[])] {
        let node = executable(&sandbox, &format!("elsewhere/{node}"), CLAUDE);
        let mut command = sandbox.ccrun(["wrap", node.to_str().unwrap()]);
        let (words, settings) = said(command.args(options).args([cli, "--verbose", "-p"]));
        let expected = [node.to_str().unwrap()].into_iter().chain(options.iter().copied());
        let expected: Vec<_> = expected.chain([cli, "--settings", "--verbose", "-p"]).collect();
        assert_eq!(words, expected);
        assert!(settings.is_some());
    }
    // A bare name is searched on the PATH, and a program to inspect it must not run.
    sandbox.program("node", CLAUDE);
    let dry = text(&sandbox.run(["wrap", "--dry-run", "node", cli, "-p"]).stdout);
    let found = sandbox.home().parent().unwrap().join("bin/node");
    let expected = format!("program {}\nargument {cli}\nargument --settings\nargument <settings>\n", found.display());
    assert!(dry.starts_with(&expected), "{dry}");
    sandbox.wait_for_end();
    let store = rusqlite::Connection::open(sandbox.state().join("store-2.db")).unwrap();
    let programs: String =
        store.query_row("SELECT group_concat(DISTINCT program) FROM session", [], |row| row.get(0)).unwrap();
    assert_eq!(programs, "claude");
}

#[test]
fn an_extension_without_its_own_claude_gets_the_usual_one() {
    let sandbox = Sandbox::new();
    sandbox.program("claude", CLAUDE);
    for mut wrapper in wrappers(&sandbox) {
        let (words, settings) = said(wrapper.args(["--", "--output-format", "stream-json"].iter().skip(1)));
        assert_eq!(words[1..], ["--settings", "--output-format", "stream-json"]);
        assert!(settings.is_some());
    }
    let (words, _) = said(&mut sandbox.ccrun(["wrap", "claude", "-p", "hi"]));
    assert_eq!(words[1..], ["--settings", "-p", "hi"]);
}

/// Users do not read an extension's log.
#[test]
fn notices_wait_for_a_launch_that_is_visible() {
    let sandbox = Sandbox::new();
    sandbox.program("claude", CLAUDE);
    let claude = bundled(&sandbox, CLAUDE);
    sandbox.write("home/.local/state/ccrun/notice", "something to be said\n");
    said(sandbox.ccrun(["wrap"]).arg(&claude).arg("-p"));
    said(sandbox.command(link(&sandbox)).arg("-p"));
    assert!(text(&sandbox.run(["claude"]).stderr).contains("something to be said"));
}

#[test]
fn settings_of_the_extension_are_merged_and_subcommands_get_none() {
    let sandbox = Sandbox::new();
    let claude = bundled(&sandbox, CLAUDE);
    let claude = claude.to_str().unwrap();
    let wrap = |words: &[&str]| said(sandbox.ccrun(["wrap", claude]).args(words));
    let (words, settings) = wrap(&["--verbose", "--settings", r#"{"model":"m"}"#, "-p"]);
    assert_eq!(words[1..], ["--settings", "--verbose", "-p"]);
    let settings: serde_json::Value = serde_json::from_slice(&std::fs::read(settings.unwrap()).unwrap()).unwrap();
    assert_eq!(settings["model"], "m");
    assert_eq!(wrap(&["daemon", "run"]), (vec![claude.to_owned(), "daemon".to_owned(), "run".to_owned()], None));
}

#[test]
fn the_profile_of_the_working_directory_applies() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    sandbox.profile("team", format!("[destination.d]\nendpoint = \"{}\"\n", backend.endpoint()));
    sandbox.write("project/.ccrun.toml", "profile = \"team\"\n");
    assert!(sandbox.run(["trust", "--yes"]).status.success());
    let claude = bundled(&sandbox, CLAUDE);
    let (words, settings) = said(sandbox.ccrun(["wrap", "-p", "local"]).arg(&claude).current_dir(sandbox.home()));
    assert_eq!((words.len(), settings.is_some()), (2, true));
    said(sandbox.ccrun(["wrap"]).arg(&claude).current_dir(sandbox.project()));
    said(sandbox.ccrun(["wrap"]).arg(&claude).current_dir(sandbox.home()));
    sandbox.wait_for_end();
    assert_eq!(sessions(&sandbox, "profile"), ["local", "team", "local"]);
}

/// A column of the sessions table, oldest session first.
fn sessions(sandbox: &Sandbox, column: &str) -> Vec<String> {
    let store = rusqlite::Connection::open(sandbox.state().join("store-2.db")).unwrap();
    let query = format!("SELECT coalesce({column}, '') FROM session ORDER BY started_at, rowid");
    let mut statement = store.prepare(&query).unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

#[test]
fn streams_signals_and_exit_codes_are_the_programs_own() {
    let sandbox = Sandbox::new();
    let claude = bundled(&sandbox, "#!/bin/sh\necho $$ >&2\ncat\nexit 7\n");
    for mut wrapper in wrappers(&sandbox) {
        let wrapper = wrapper.arg(&claude).stdin(Stdio::piped());
        let mut child = wrapper.spawn().unwrap();
        let bytes: Vec<u8> = (0..=255).cycle().take(300_000).collect();
        let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let sent = bytes.clone();
        let writer = std::thread::spawn(move || stdin.write_all(&sent).unwrap());
        let mut received = Vec::new();
        stdout.read_to_end(&mut received).unwrap();
        writer.join().unwrap();
        assert!(received == bytes, "{} of {} bytes", received.len(), bytes.len());
        let own = child.id();
        let output = child.wait_with_output().unwrap();
        assert_eq!((text(&output.stderr), output.status.code()), (format!("{own}\n"), Some(7)));

        let mut child = wrapper.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stderr.as_mut().unwrap()).read_line(&mut line).unwrap();
        kill(pid(&child), "TERM");
        assert_eq!(child.wait().unwrap().signal(), Some(15));
    }
    sandbox.wait_for_end();
}

#[test]
fn after_any_failure_claude_runs_and_one_line_is_printed() {
    let mut sandbox = Sandbox::new();
    let claude = bundled(&sandbox, CLAUDE);
    sandbox.profile("broken", "nonsense = 1\n[also]\nbroken = true\n");
    for mut wrapper in wrappers(&sandbox) {
        let output = wrapper.env("CCRUN_PROFILE", "broken").arg(&claude).arg("-p").output().unwrap();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(out.contains("\n-p\n") && out.contains("endpoint \n") && output.status.success(), "{out}");
        assert!(err.starts_with("ccrun: telemetry is off for this session: ") && err.lines().count() == 1, "{err}");
    }
    let output = sandbox.ccrun(["wrap", "--require", "-p", "broken"]).arg(&claude).output().unwrap();
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(2), ""));
    let output = sandbox.ccrun(["wrap", "/nonexistent/claude", "-p"]).output().unwrap();
    assert_eq!(output.status.code(), Some(127));
    assert_eq!(text(&output.stderr), "ccrun: /nonexistent/claude: No such file or directory (os error 2)\n");
    sandbox.set("CCRUN_OFF", "1");
    let (words, settings) = said(sandbox.ccrun(["wrap"]).arg(&claude).arg("-p"));
    assert_eq!((words, settings), (vec![claude.to_str().unwrap().to_owned(), "-p".to_owned()], None));
}

#[test]
fn nested_wrappers_run_one_claude_with_one_settings_file() {
    let mut sandbox = Sandbox::new();
    let claude = bundled(&sandbox, CLAUDE);
    let ccrun = sandbox.home().parent().unwrap().join("bin/ccrun");
    let wrapper = executable(&sandbox, "elsewhere/wrapper", "#!/bin/sh\nexec \"$@\"\n");
    let shim = executable(&sandbox, "shim/claude", "#!/bin/sh\nexec ccrun claude \"$@\"\n");
    let forking = executable(&sandbox, "forking/claude", "#!/bin/sh\nccrun claude \"$@\"\n");
    sandbox.link("claude", &claude);
    let link = link(&sandbox);
    for layers in [
        vec![&wrapper, &claude],
        vec![&wrapper, &wrapper, &claude],
        vec![&link, &link, &claude],
        vec![&ccrun],
        vec![&wrapper, &link, &claude],
        vec![&shim],
        vec![&forking],
    ] {
        let before = sandbox.settings().len();
        let mut command = sandbox.command(&link);
        command.args(&layers);
        if layers == [&ccrun] {
            command.arg("wrap").arg(&claude);
        }
        let (words, settings) = said(command.args(["--model", "m", "-p"]));
        assert_eq!(words[1..], ["--settings", "--model", "m", "-p"], "{layers:?}");
        assert!(settings.is_some_and(|file| file.is_file()), "{layers:?}");
        assert_eq!(sandbox.settings().len(), before + 1, "{layers:?}: one session");
    }
    // This chain of wrappers never ends by itself.
    let endless = executable(&sandbox, "endless/claude", "#!/bin/sh\nexec ccrun wrap \"$0\" \"$@\"\n");
    let output = finish(sandbox.ccrun(["wrap"]).arg(&endless).spawn().unwrap());
    assert_eq!(output.status.code(), Some(126), "{}", text(&output.stderr));
    // Claude Code restarts itself in the same process.
    let relaunching = "#!/bin/sh\n[ \"$RELAUNCHED\" ] && exec printf '%s\\n' \"$@\"\n\
                       RELAUNCHED=1 exec \"$WRAPPER\" \"$0\" \"$@\"\n";
    let relaunching = executable(&sandbox, "relaunching/claude", relaunching);
    sandbox.set("WRAPPER", link.to_str().unwrap());
    let before = sandbox.settings();
    let output = sandbox.ccrun(["wrap"]).arg(&relaunching).arg("-p").output().unwrap();
    assert_eq!(text(&output.stderr), "");
    let settings = sandbox.settings().into_iter().find(|file| !before.contains(file)).unwrap();
    assert_eq!(text(&output.stdout), format!("--settings\n{}\n-p\n", settings.display()));
    assert_eq!(sandbox.settings().len(), before.len() + 1);
}

#[test]
fn the_wrapper_starts_its_own_session_inside_an_editors_session() {
    let sandbox = Sandbox::new();
    let claude = bundled(&sandbox, "#!/bin/sh\nenv\ncat \"$2\"\n");
    let link = link(&sandbox);
    sandbox.profile("outer", "[resource]\n\"service.name\" = \"outer\"\n\"of.outer\" = \"1\"\n");
    sandbox.profile("inner", "[resource]\n\"of.inner\" = \"1\"\n");
    sandbox.program("code", "#!/bin/sh\nenv\nunset CCRUN_PROFILE\nCCRUN_PROFILE=inner exec \"$@\"\n");
    let mut command = sandbox.ccrun(["-p", "outer", "code"]);
    let output = command.env("OTEL_RESOURCE_ATTRIBUTES", "mine=1").arg(&link).arg(&claude).arg("-p").output().unwrap();
    assert_eq!(text(&output.stderr), "");
    let stdout = text(&output.stdout);
    let values = |name: &str| -> Vec<&str> {
        stdout.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('=')).collect()
    };
    let [sessions, endpoints] = ["CCRUN_SESSION", "OTEL_EXPORTER_OTLP_ENDPOINT"].map(values);
    assert!(sessions.len() == 2 && sessions[0] != sessions[1] && endpoints[0] != endpoints[1], "{stdout}");
    assert_eq!(values("OTEL_RESOURCE_ATTRIBUTES"), ["mine=1,of.outer=1", "mine=1,of.inner=1"]);
    assert_eq!(values("OTEL_SERVICE_NAME"), ["outer"], "the outer profile's service name applies only to the editor");
    let settings: serde_json::Value = serde_json::from_str(stdout.lines().last().unwrap()).unwrap();
    assert_eq!(settings["env"]["OTEL_SERVICE_NAME"], "claude-code");
    assert_eq!(settings["env"]["OTEL_RESOURCE_ATTRIBUTES"], "mine=1,of.inner=1");
    assert_eq!(settings["env"]["OTEL_EXPORTER_OTLP_ENDPOINT"], endpoints[1]);
    sandbox.wait_for_end();
    assert_eq!(self::sessions(&sandbox, "parent"), ["", sessions[0]]);
}

#[test]
fn the_wrappers_arguments_contain_no_secret() {
    let mut sandbox = Sandbox::new();
    sandbox.set("KEY", "canary-of-a-header");
    sandbox.profile(
        "team",
        "[destination.d]\nendpoint = \"http://127.0.0.1:9\"\n[destination.d.headers]\nx-key = { env = \"KEY\" }\n\
         [env]\nOWN = { env = \"KEY\" }\n",
    );
    let claude = bundled(&sandbox, "#!/bin/sh\ntr '\\0' '\\n' < /proc/$$/cmdline\n");
    for mut wrapper in wrappers(&sandbox) {
        let output = wrapper.env("CCRUN_PROFILE", "team").arg(&claude).arg("-p").output().unwrap();
        let words = text(&output.stdout);
        assert!(words.contains("--settings\n") && !words.contains("canary") && !words.contains("127.0.0.1"), "{words}");
    }
}

/// The command line of a collector begins with the name of its binary.
#[test]
fn a_binary_with_the_wrappers_name_can_start_collectors() {
    let sandbox = Sandbox::new();
    let binary = sandbox.home().join("ccrun-wrap");
    std::fs::hard_link(sandbox.home().parent().unwrap().join("bin/ccrun"), &binary).unwrap();
    let claude = bundled(&sandbox, CLAUDE);
    let (words, settings) = said(sandbox.command(&binary).arg(&claude).arg("-p"));
    assert_eq!((words[2].as_str(), settings.is_some()), ("-p", true));
    let lock = || std::fs::read_dir(sandbox.state().join("locks")).unwrap().next().is_none();
    wait_until("the session to end", lock);
}
