//! `--dry-run` and `-v`: what a launch would do, and why.

use crate::support::sandbox::{Sandbox, text};

#[test]
fn a_dry_run_prints_the_launch_and_starts_nothing() {
    let mut sandbox = Sandbox::new();
    sandbox.set("KEY", "sk-secret").set("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "https://elsewhere");
    let program = sandbox.program("claude", "#!/bin/sh\ntouch started\n");
    let helper = sandbox.program("helper", "#!/bin/sh\ntouch helped\necho helped\n");
    let profile = format!(
        "[team]\nid = {{ command = [{helper:?}] }}\n[destination.d]\nendpoint = \"https://h\"\n\
         [destination.d.headers]\nauthorization = {{ env = \"KEY\" }}\n\
         [env]\nA = \"b\"\nTOKEN = [{{ env = \"KEY\" }}, {{ file = \"/etc/key\" }}]\n[settings]\nmodel = \"m\"\n"
    );
    sandbox.profile("team", profile);
    let words = ["claude", "--settings", r#"{"apiKeyHelper":"sk-own"}"#, "-p", "say\nhi"];
    let output = sandbox.run(["--dry-run", "-p", "team"].into_iter().chain(words));
    let (shown, said) = (text(&output.stdout), text(&output.stderr));
    assert_eq!((output.status.code(), said.as_str()), (Some(0), ""));
    for line in [
        &format!("program {}", program.display()),
        "argument --settings\nargument <settings>\nargument -p\nargument say\\nhi",
        "profile team\ndestination d https://h",
        "settings: telemetry variables, apiKeyHelper, model",
        "A=b",
        "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:<port>/<token>",
        "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT is removed",
        "KEY is removed",
    ] {
        assert!(shown.contains(&format!("{line}\n")), "{line} is missing from {shown}");
    }
    assert!(!shown.contains("sk-") && shown.contains("TOKEN=<the variable KEY, else the file /etc/key>"), "{shown}");
    assert!(!sandbox.state().exists() && sandbox.collectors().is_empty());
    for name in ["started", "helped"] {
        assert!(!sandbox.project().join(name).exists(), "{name}");
    }
    let output = sandbox.run(["--dry-run", "-p", "missing", "claude"]);
    assert!(text(&output.stdout).contains("no session\n") && text(&output.stderr).contains("telemetry would be off"));
    assert_eq!(sandbox.run(["--dry-run", "--require", "-p", "missing", "claude"]).status.code(), Some(2));
    assert_eq!(sandbox.run(["--dry-run", "no-such-program"]).status.code(), Some(127));
}

#[test]
fn verbose_prints_the_choices() {
    let sandbox = Sandbox::new();
    let program = sandbox.program("claude", "#!/bin/sh\necho \"$CCRUN_SESSION\" \"$2\"\n");
    let output = sandbox.run(["-v", "claude"]);
    let stdout = text(&output.stdout);
    let (session, settings) = stdout.trim().split_once(' ').unwrap();
    let expected = format!(
        "ccrun: program: `{}`\nccrun: profile: `local`, session: {session}\n\
         ccrun: settings file: `{settings}`\n",
        program.display()
    );
    assert_eq!(text(&output.stderr), expected);
}
