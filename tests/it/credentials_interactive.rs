//! An interactive command runs once, on the terminal, before the program starts.

use std::io::Write;
use std::process::{Child, Stdio};

use crate::support::emitter::{Emitter, ids, ids_of};
use crate::support::keys::{Locked, reasons};
use crate::support::sandbox::{Sandbox, text, wait_until};

/// A session with its own terminal.
struct OnTerminal {
    terminal: Child,
    endpoint: String,
    gate: std::path::PathBuf,
}

/// A helper that asks on the terminal and logs that it did.
const LOGIN: &str = "#!/bin/sh\necho run >> ~/runs\nprintf 'key? ' >&2\nread key\necho \"$key\"\n";

impl OnTerminal {
    /// Starts a session and answers the prompt of its helper.
    fn start(sandbox: &Sandbox, answer: &str) -> Self {
        let (told, gate) = (sandbox.home().join("told"), sandbox.home().join("gate"));
        drop(std::fs::remove_file(&told));
        drop(std::fs::remove_file(&gate));
        nix::unistd::mkfifo(&gate, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let tell = "echo $OTEL_EXPORTER_OTLP_ENDPOINT > ~/telling; mv ~/telling ~/told; read line < ~/gate";
        let command = format!("exec ccrun -p team sh -c '{tell}'");
        let mut terminal = sandbox.command("script");
        terminal.args(["-q", "-e", "-c", &command, "/dev/null"]).env("SHELL", "/bin/sh");
        let mut terminal = terminal.stdin(Stdio::piped()).spawn().unwrap();
        // The terminal buffers input until it is read.
        terminal.stdin.as_mut().unwrap().write_all(format!("{answer}\n").as_bytes()).unwrap();
        wait_until("the session to start", || told.exists());
        let endpoint = std::fs::read_to_string(told).unwrap().trim().to_owned();
        Self { terminal, endpoint, gate }
    }

    fn client(&self) -> Emitter {
        Emitter::new(&self.endpoint)
    }

    /// Ends the program and returns what the terminal showed.
    fn end(mut self) -> String {
        std::fs::write(&self.gate, "go\n").unwrap();
        drop(self.terminal.stdin.take());
        text(&self.terminal.wait_with_output().unwrap().stdout)
    }
}

fn runs(sandbox: &Sandbox) -> usize {
    std::fs::read_to_string(sandbox.home().join("runs")).unwrap_or_default().lines().count()
}

fn profile(sandbox: &Sandbox, locked: &Locked, ttl: &str) {
    let source = format!("{{ command = [\"login\"], format = \"Bearer {{}}\", interactive = true, ttl = \"{ttl}\" }}");
    sandbox.profile("team", locked.destination(&source) + "[collector]\ndrain_timeout = \"100ms\"\n");
}

#[test]
fn an_interactive_command_runs_before_the_program_and_again_at_the_next_launch() {
    let (sandbox, locked) = (Sandbox::new(), Locked::start());
    sandbox.program("login", LOGIN);
    locked.accept("sesame");
    profile(&sandbox, &locked, "1s");
    let session = OnTerminal::start(&sandbox, "sesame");
    assert_eq!(runs(&sandbox), 1);
    let (mut client, mut all) = (session.client(), Vec::new());
    wait_until("the answer to expire", || {
        let more = ids(&format!("record-{}", all.len()), 1);
        client.export(&more);
        all.extend(more);
        reasons(&sandbox).iter().any(|reason| reason.contains("the command `login` will be run at the next launch"))
    });
    drop(client);
    let shown = session.end();
    assert!(shown.contains("key? ") && !shown.contains("ccrun:"), "{shown}");
    sandbox.wait_for_end();

    // Without a terminal there is no prompt, and the data stays queued.
    let without = sandbox.command("setsid").args(["-w", "ccrun", "-p", "team", "true"]).output().unwrap();
    assert_eq!(without.status.code(), Some(0));
    let said = text(&without.stderr);
    let expected = "telemetry for destination `d` waits for the next launch: the command `login` is interactive, \
                    and there is no terminal";
    assert!(said.contains(expected), "{said}");
    sandbox.wait_for_end();
    assert_eq!(runs(&sandbox), 1, "data of an earlier session causes no prompt");

    profile(&sandbox, &locked, "1h");
    let session = OnTerminal::start(&sandbox, "sesame");
    wait_until("all records to arrive", || ids_of(&locked.accepted()).len() >= all.len());
    all.sort();
    assert_eq!((ids_of(&locked.accepted()), runs(&sandbox)), (all, 2));
    session.end();
}

#[test]
fn a_rejected_interactive_value_waits_for_the_next_launch() {
    let (sandbox, locked) = (Sandbox::new(), Locked::start());
    sandbox.program("login", LOGIN);
    locked.accept("sesame");
    profile(&sandbox, &locked, "1h");
    let session = OnTerminal::start(&sandbox, "wrong");
    let all = ids("record", 1);
    session.client().export(&all);
    let expected = "bad key: the command `login` will be run at the next launch";
    wait_until("the reason", || reasons(&sandbox).iter().any(|reason| reason.contains(expected)));
    session.end();
    sandbox.wait_for_end();
    assert_eq!(runs(&sandbox), 1);
}

#[test]
fn a_variable_of_the_program_can_come_from_an_interactive_command() {
    let sandbox = Sandbox::new();
    sandbox.program("login", LOGIN);
    sandbox.profile("team", "[env]\nKEY = { command = [\"login\"], interactive = true }\n");
    let mut terminal = sandbox.command("script");
    terminal
        .args(["-q", "-e", "-c", "exec ccrun -p team sh -c 'echo \"<$KEY>\"'", "/dev/null"])
        .env("SHELL", "/bin/sh");
    let mut terminal = terminal.stdin(Stdio::piped()).spawn().unwrap();
    terminal.stdin.as_mut().unwrap().write_all(b"sesame\n").unwrap();
    wait_until("the helper to start", || runs(&sandbox) == 1);
    let shown = text(&terminal.wait_with_output().unwrap().stdout);
    assert!(shown.contains("<sesame>"), "{shown}");
}
