//! `ccrun env`: the variables that a program would get, for people, programs and shells.

use std::collections::BTreeMap;
use std::process::Output;

use serde_json::Value;

use crate::support::sandbox::{Sandbox, text};

/// Values that must survive evaluation by every shell.
const NASTY: [(&str, &str); 11] = [
    ("A_QUOTE", "it's \"quoted\""),
    ("B_QUOTES", "''a'''"),
    ("C_COMMAND", "$(touch pwned) `touch pwned` ${HOME} $HOME"),
    ("D_BACKSLASH", "\\a\\\\b\\'\\\n\\"),
    ("E_LINES", "\none\n\ntwo\n\n"),
    ("F_EMOJI", "👩‍💻 größer 日本"),
    ("G_SPACES", "  a   b\t* ? [a] {b,c} ~ #d  "),
    ("H_END", "'; touch pwned; '"),
    ("I_BANG", "!! !$ %1 & | < > ^ = -n"),
    ("J_EMPTY", ""),
    ("K_CONTROL", "\u{1b}[31m\r\u{7}\u{7f}\u{202e}"),
];

fn out(output: &Output, code: i32) -> String {
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{stdout}\n{stderr}");
    stdout
}

fn variables(sandbox: &Sandbox, arguments: &[&str]) -> BTreeMap<String, Value> {
    let output = sandbox.run(["env", "--format", "json"].iter().chain(arguments));
    let entries: Vec<Value> = serde_json::from_str(&out(&output, 0)).unwrap();
    entries.into_iter().map(|entry| (entry["name"].as_str().unwrap().to_owned(), entry)).collect()
}

/// A profile without a destination that sets these variables.
fn gateway(sandbox: &Sandbox, values: &[(&str, &str)]) {
    let line = |(name, value): &(&str, &str)| {
        let escaped: Vec<_> = value.replace("${", "$${").chars().map(|c| format!("\\U{:08x}", u32::from(c))).collect();
        format!("{name} = \"{}\"\n", escaped.concat())
    };
    sandbox.profile("gateway", format!("[env]\n{}", values.iter().map(line).collect::<String>()));
}

#[test]
fn env_shows_the_environment_of_a_launch_without_starting_anything() {
    let sandbox = Sandbox::new();
    sandbox.profile("team", "extends = \"otlp\"\n[content]\nuser_prompts = true\n[env]\nA = \"b\"\n");
    let endpoint = ["--var", "endpoint=https://h"];
    let shown = out(&sandbox.run(["env", "-p", "team", "-r", "x=y z", "-e", "C=d"].iter().chain(&endpoint)), 0);
    for line in [
        "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:<port>/<token>",
        "CCRUN_SESSION=<session>",
        "OTEL_LOG_USER_PROMPTS=1",
        "OTEL_RESOURCE_ATTRIBUTES=x=y%20z",
        "A=b",
        "C=d",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line} is missing from {shown}");
    }
    assert!(!sandbox.state().exists());
    assert!(sandbox.collectors().is_empty());
    // A launch sets the same names, and the same values where they do not depend on the session.
    let launched =
        sandbox.run(["-p", "team", "-e", "C=d", "-r", "x=y z"].iter().chain(&endpoint).chain(&["--", "env"]));
    let launched = out(&launched, 0);
    for line in shown.lines().filter(|line| !line.starts_with("CLAUDE_CODE_RELAUNCH_RESUME_HINT_FLAGS=")) {
        let (name, value) = line.split_once('=').unwrap();
        let given = launched
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{name}=")))
            .unwrap_or_else(|| panic!("{name}"));
        assert!(value.contains('<') || given == value, "{line}: {given}");
    }
    assert_eq!(sandbox.run(["env", "-p", "missing"]).status.code(), Some(2));
}

/// Commands run only for shell formats and with `--reveal`.
#[test]
fn commands_run_only_for_formats_that_print_their_values() {
    let sandbox = Sandbox::new();
    let command = "[\"sh\", \"-c\", \"echo x >> $HOME/ran; echo platform\"]";
    sandbox.profile("team", format!("[vars]\nteam = {{ command = {command} }}\n[env]\nTEAM = \"${{team}}\"\n"));
    for (options, ran) in [
        (["--format", "table"].as_slice(), 0),
        (&["--json", "--explain"], 0),
        (&["--reveal"], 1),
        (&["--format", "shell"], 2),
    ] {
        let shown = out(&sandbox.run(["env", "-p", "team"].iter().chain(options)), 0);
        let lines = std::fs::read_to_string(sandbox.home().join("ran")).unwrap_or_default().lines().count();
        assert_eq!(lines, ran, "{options:?}: {shown}");
        assert_eq!((shown.contains("fetched"), shown.contains("platform")), (ran == 0, ran > 0), "{shown}");
    }
}

#[test]
fn secrets_are_masked_unless_revealed_and_never_revealed_to_claude() {
    let mut sandbox = Sandbox::new();
    sandbox.set("TOKEN", "sk-secret").set("KEY", "sk-inherited").set("OTEL_EXPORTER_OTLP_HEADERS", "k=sk-header");
    sandbox.profile("team", "[env]\nKEY = [{ env = \"TOKEN\" }, { file = \"key\" }]\n");
    for format in [["--format", "table"].as_slice(), &["--json"], &["--explain"], &["--explain", "--json"]] {
        let shown = out(&sandbox.run(["env", "-p", "team"].iter().chain(format)), 0);
        assert!(!shown.contains("sk-") && shown.contains("<the variable TOKEN, else the file /"), "{shown}");
    }
    let output = sandbox.run(["env", "-p", "team", "--format", "shell"]);
    assert!(out(&output, 1).is_empty());
    assert!(text(&output.stderr).contains("`KEY` is <the variable TOKEN"), "{output:?}");
    let shown = out(&sandbox.run(["env", "-p", "team", "--explain", "--reveal"]), 0);
    assert!(
        shown.contains("KEY=sk-secret\n") && shown.contains("    overrides the environment: sk-inherited\n"),
        "{shown}"
    );
    let shown = out(&sandbox.run(["env", "-p", "team", "--format", "shell", "--reveal"]), 0);
    assert!(shown.contains("export KEY=sk-secret;\n"), "{shown}");
    sandbox.set("CLAUDECODE", "1");
    let output = sandbox.run(["env", "-p", "team", "--reveal"]);
    assert!(out(&output, 1).is_empty() && text(&output.stderr).lines().count() == 1, "{output:?}");
    out(&sandbox.run(["env", "-p", "team"]), 0);
}

#[test]
fn each_variable_is_explained() {
    let mut sandbox = Sandbox::new();
    sandbox.set("OTEL_LOG_TOOL_DETAILS", "1").set("OTEL_SDK_DISABLED", "true");
    let team = sandbox.profile("team", "[content]\nuser_prompts = true\n[env]\nANTHROPIC_MODEL = \"opus\"\n");
    let settings = r#"{"env": {"ANTHROPIC_MODEL": "son\u001bnet", "OTEL_LOG_USER_PROMPTS": "0"}}"#;
    let user = sandbox.write("home/.claude/settings.json", settings);
    sandbox.write("project/.claude/settings.json", "{");
    std::os::unix::fs::symlink(&user, sandbox.project().join(".claude/settings.local.json")).unwrap();
    let output = sandbox.run(["env", "-p", "team", "--explain", "-r", "a=b"]);
    let shown = out(&output, 0);
    let (team, user) = (team.display(), user.display());
    for part in [
        format!("OTEL_LOG_USER_PROMPTS=1\n    from {team}:2:16 (content.user_prompts)\n    overrides {user}: 0\n"),
        "OTEL_LOG_TOOL_DETAILS=0\n    from default\n    overrides the environment: 1\n".to_owned(),
        format!(
            "ANTHROPIC_MODEL=opus\n    from {team}:4:19 (env.ANTHROPIC_MODEL)\n    but Claude Code takes it from {user}: …\n"
        ),
        "OTEL_SDK_DISABLED is removed\n    from ccrun\n    overrides the environment: …\n".to_owned(),
        "OTEL_RESOURCE_ATTRIBUTES=a=b\n    from --resource:2:7 (resource.a)\n".to_owned(),
    ] {
        assert!(shown.contains(&part), "{part} is missing from {shown}");
    }
    let notes = text(&output.stderr);
    assert!(
        notes.lines().count() == 2 && notes.contains("not valid JSON (line 1") && notes.contains("is a link"),
        "{notes}"
    );
    let all = variables(&sandbox, &["-p", "team", "--explain"]);
    assert_eq!(all["OTEL_LOG_USER_PROMPTS"]["overrides"][0]["value"], "0");
    assert_eq!(all["ANTHROPIC_MODEL"]["overruled_by"]["place"], user.to_string());
    assert_eq!(all["OTEL_SDK_DISABLED"]["value"], Value::Null);
}

#[test]
fn foreign_text_is_escaped_for_the_terminal() {
    let sandbox = Sandbox::new();
    gateway(&sandbox, &NASTY);
    for format in ["table", "json"] {
        let shown = out(&sandbox.run(["env", "-p", "gateway", "--format", format, "--explain"]), 0);
        assert!(!shown.contains(['\u{1b}', '\r', '\u{7}', '\u{7f}', '\u{202e}']), "{shown:?}");
    }
    let all = variables(&sandbox, &["-p", "gateway"]);
    for (name, value) in NASTY {
        assert_eq!(all[name]["value"], value);
    }
}

/// Lets a shell evaluate the output, and checks the variables of a program that it starts.
#[expect(clippy::print_stderr, reason = "the output of the tests must show what was skipped")]
fn read_back(sandbox: &Sandbox, shell: &str, script: &str) {
    if sandbox.command("sh").args(["-c", &format!("command -v {shell}")]).output().unwrap().stdout.is_empty() {
        eprintln!("skipped: {shell} is not installed");
        return;
    }
    let output = sandbox.command(shell).args(["-c", &format!("{script}\nenv -0")]).output().unwrap();
    let given = out(&output, 0);
    assert_eq!(text(&output.stderr), "", "{shell}");
    for (name, value) in
        NASTY.into_iter().chain([("CLAUDE_CODE_ENABLE_TELEMETRY", "0"), ("OTEL_LOGS_EXPORTER", "none")])
    {
        let found = given.split('\0').find_map(|entry| entry.strip_prefix(&format!("{name}=")));
        assert_eq!(found, Some(value), "{name} in {shell}");
    }
    assert!(!given.contains("OTEL_EXPORTER_OTLP_ENDPOINT"), "{shell}");
    assert!(!sandbox.project().join("pwned").exists(), "{shell}");
}

#[test]
fn shells_evaluate_to_the_original_values() {
    let mut sandbox = Sandbox::new();
    sandbox.set("OTEL_EXPORTER_OTLP_ENDPOINT", "https://elsewhere");
    gateway(&sandbox, &NASTY);
    for shell in ["sh", "bash", "dash", "zsh"] {
        read_back(&sandbox, shell, "eval \"$(ccrun env -p gateway --format shell)\"");
    }
    read_back(&sandbox, "bash", "set -eu; source <(ccrun env -p gateway --format shell)");
    read_back(&sandbox, "zsh", "setopt rc_quotes; eval \"$(ccrun env -p gateway --format shell)\"");
    for script in ["ccrun env -p gateway --format fish | source", "eval (ccrun env -p gateway --format fish)"] {
        read_back(&sandbox, "fish", script);
    }
}

#[test]
fn what_a_format_cannot_express_is_an_error() {
    let sandbox = Sandbox::new();
    for format in ["shell", "fish", "dotenv"] {
        let output = sandbox.run(["env", "-e", "A;touch pwned=1", "--format", format]);
        assert!(out(&output, 1).is_empty(), "{output:?}");
        out(&sandbox.run(["env", "--format", format, "--explain"]), 1);
    }
    let output = sandbox.run(["env", "-e", "A=${HOME}", "--format", "dotenv"]);
    // `${…}` would refer to a variable of the profile.
    assert_eq!(output.status.code(), Some(2));
    let output = sandbox.run(["env", "-e", "A=$${HOME}", "--format", "dotenv"]);
    assert!(out(&output, 1).is_empty() && text(&output.stderr).contains("`A` contains `${`"), "{output:?}");
    let shown = out(&sandbox.run(["env", "-e", "A=it's", "-e", "B=x y\nz", "--format", "dotenv"]), 0);
    assert!(shown.starts_with("A=\"it's\"\nB='x y\nz'\nCLAUDE_CODE_ENABLE_TELEMETRY=0\n"), "{shown}");
}
