//! Limits set by the caller: file size, length of arguments, umask. The program still runs, under exactly the same
//! limits.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};

use crate::support::backend::Backend;
use crate::support::emitter::{ids, ids_of};
use crate::support::sandbox::{Sandbox, text, wait_until};
use crate::support::session::Session;

/// `ccrun` with the arguments appended here, started by a shell that has set a limit.
fn limited(sandbox: &Sandbox, limit: &str) -> Command {
    let mut command = sandbox.command("sh");
    command.args(["-c", &format!("{limit}; exec \"$@\""), "sh", "ccrun"]);
    command
}

#[track_caller]
fn assert_off(output: &Output, reason: &str) {
    let complaint = text(&output.stderr);
    assert!(complaint.contains("telemetry is off for this session") && complaint.contains(reason), "{complaint}");
    assert_eq!(complaint.lines().count(), 1, "{complaint}");
}

/// A command that prints the blocked and the ignored signals of its process.
const MASKS: &str = "grep -E '^Sig(Blk|Ign)' /proc/self/status";

#[test]
fn the_program_runs_when_no_file_can_be_written() {
    let sandbox = Sandbox::new();
    sandbox.program("claude", "#!/bin/sh\necho \"started $1\"\nexit 7\n");
    for program in [["claude", "-p", "x"], ["sh", "-c", "echo started; exit 7"]] {
        for options in [[].as_slice(), &["--wait"]] {
            let output = limited(&sandbox, "ulimit -f 0").args(options).args(program).output().unwrap();
            assert_off(&output, "File too large");
            assert_eq!(output.status.code(), Some(7));
            assert!(text(&output.stdout).starts_with("started"), "{}", text(&output.stdout));
        }
    }
}

#[test]
fn the_file_size_limit_still_applies_to_the_program() {
    let sandbox = Sandbox::new();
    let script = format!("{MASKS}; echo more than nothing >file; echo alive");
    let expected = sandbox.command("sh").args(["-c", MASKS]).output().unwrap();
    for options in [[].as_slice(), &["--wait"]] {
        let output = limited(&sandbox, "ulimit -f 0").args(options).args(["bash", "-c", &script]).output().unwrap();
        assert_eq!(text(&output.stdout), text(&expected.stdout), "the signal has its default action");
        let ended = output.status.code().or_else(|| std::os::unix::process::ExitStatusExt::signal(&output.status));
        assert!([Some(25), Some(128 + 25)].contains(&ended), "SIGXFSZ ends the program: {ended:?}");
    }
    // If the caller ignores the signal, the program ignores it too.
    let output = limited(&sandbox, "ulimit -f 0; trap '' XFSZ").args(["bash", "-c", &script]).output().unwrap();
    assert!(text(&output.stdout).ends_with("alive\n"), "{}", text(&output.stderr));
}

#[test]
fn a_collector_survives_a_file_size_limit() {
    let (sandbox, mut backend) = (Sandbox::new(), Backend::start());
    let endpoint = format!("endpoint={}", backend.endpoint());
    sandbox.profile("otlp", "[destination.otlp]\nbatch = \"1ms\"\n");
    backend.stop();
    let mut command = limited(&sandbox, "ulimit -f 300");
    command.args(["-p", "otlp", "--var", &endpoint]);
    let mut session = Session::start_by(command);
    let (worker, mut client) = (session.worker(), session.client());
    let mut acknowledged = BTreeSet::new();
    let mut number = 0;
    wait_until("an export to be rejected", || {
        number += 1;
        let records = ids(&format!("record-{number}-{}", "x".repeat(2000)), 5);
        let answer = client.send(&records).unwrap();
        assert!([200, 503].contains(&answer.status), "{answer:?}");
        acknowledged.extend(records.into_iter().filter(|_| answer.status == 200));
        answer.status == 503
    });
    assert!(!acknowledged.is_empty());
    assert_eq!(session.worker(), worker, "the worker survives the limit");
    drop(client);
    session.end();
    sandbox.wait_for_end();
    backend.restart();
    // A flush without the limit delivers the rest.
    let output = sandbox.run(["queue", "flush"]);
    let received: BTreeSet<_> = ids_of(&backend.received()).into_iter().collect();
    assert!(
        received.is_superset(&acknowledged),
        "{} of {}: {}",
        received.len(),
        acknowledged.len(),
        text(&output.stderr)
    );
}

#[test]
fn long_arguments_reach_the_program() {
    let sandbox = Sandbox::new();
    sandbox.program("claude", "#!/bin/sh\necho \"$CLAUDE_CODE_ENABLE_TELEMETRY\"\nfor word; do echo ${#word}; done\n");
    for lengths in [[70_000, 70_000], [131_050, 10]] {
        let words = lengths.map(|length| "x".repeat(length));
        let output = sandbox.run(["claude", "-p", &words[0], "--append-system-prompt", &words[1]]);
        assert_eq!(text(&output.stderr), "");
        let printed = text(&output.stdout);
        let lines: Vec<_> = printed.lines().collect();
        // `--settings` and its file come first.
        assert_eq!(lines[0], "1");
        assert_eq!(lines[4..], [&lengths[0].to_string(), "22", &lengths[1].to_string()]);
    }
}

#[test]
fn attributes_that_are_too_long_are_added_by_the_collector() {
    let (mut sandbox, backend) = (Sandbox::new(), Backend::start());
    sandbox.set("OTEL_RESOURCE_ATTRIBUTES", "mine=1");
    let attributes: Vec<_> = (0..300).map(|number| format!("\"a{number}\" = \"{}\"\n", "é".repeat(200))).collect();
    sandbox.profile("long", format!("extends = \"otlp\"\n[resource]\n{}", attributes.concat()));
    let session = Session::start(&sandbox, &["-p", "long", "--var", &format!("endpoint={}", backend.endpoint())]);
    let environment = std::fs::read(format!("/proc/{}/environ", session.pid())).unwrap();
    assert!(text(&environment).contains("\0OTEL_RESOURCE_ATTRIBUTES=mine=1\0"));
    session.client().export(&ids("record", 1));
    session.end();
    sandbox.wait_for_end();
    let received = backend.received();
    let item = crate::support::telemetry::items(&received).remove(0);
    assert_eq!((item.resource["a299"].as_str(), item.resource["a0"].as_str()), (&*"é".repeat(200), &*"é".repeat(200)));
}

#[test]
fn a_program_that_fits_only_without_telemetry_starts_without_it() {
    let mut sandbox = Sandbox::new();
    sandbox.program("claude", "#!/bin/sh\necho \"$CLAUDE_CODE_ENABLE_TELEMETRY $#\"\n");
    // Arguments and environment together may be at most a quarter of this (execve(2)).
    let limit = "ulimit -s 1024";
    let large = vec!["x".repeat(100_000); 2];
    // `ccrun` repeats this value in a second variable, for sessions inside this one.
    sandbox.set("OTEL_SERVICE_NAME", "y".repeat(50_000));
    for options in [[].as_slice(), &["--wait"]] {
        let output = limited(&sandbox, limit).args(options).arg("claude").args(&large).output().unwrap();
        assert_off(&output, "exceed the system's limit");
        assert_eq!(text(&output.stdout), "0 4\n");
        assert!(output.status.success());
    }
    let output = limited(&sandbox, limit).args(["--require", "claude"]).args(&large).output().unwrap();
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(2), ""));
    assert!(text(&output.stderr).contains("exceed the system's limit"), "{}", text(&output.stderr));
}

#[test]
fn an_umask_that_restricts_the_owner_makes_nothing_unusable() {
    for mask in ["0177", "0777"] {
        let sandbox = Sandbox::new();
        let output = limited(&sandbox, &format!("umask {mask}")).args(["sh", "-c", "umask; umask"]).output().unwrap();
        assert_eq!((text(&output.stderr).as_str(), text(&output.stdout)), ("", format!("{mask}\n").repeat(2)));
        sandbox.wait_for_end();
        for made in [".local", ".local/state", ".local/state/ccrun", ".local/state/ccrun/settings"] {
            let mode = std::fs::metadata(sandbox.home().join(made)).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o700, "{made}");
        }
        let output = sandbox.run(["sh", "-c", "echo $OTEL_EXPORTER_OTLP_ENDPOINT"]);
        assert!(text(&output.stdout).starts_with("http://"), "{}", text(&output.stderr));
        sandbox.wait_for_end();
        let mut files = sandbox.command("find");
        files.args([".", "-type", "f", "!", "-perm", "-0600"]).current_dir(sandbox.home());
        let unusable = files.output().unwrap();
        assert_eq!(text(&unusable.stdout), "");
    }
}

#[test]
fn a_relative_state_directory_is_rejected() {
    for (variable, value) in [("CCRUN_STATE_DIR", "state"), ("HOME", "home")] {
        let mut sandbox = Sandbox::new();
        sandbox.set(variable, value);
        let output = sandbox.run(["sh", "-c", "echo started"]);
        assert_off(&output, &format!("{variable} is `{value}`: the path must be absolute"));
        assert_eq!(text(&output.stdout), "started\n");
        assert_eq!(std::fs::read_dir(sandbox.project()).unwrap().count(), 0);
    }
}
