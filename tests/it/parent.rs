//! The launcher as the program's parent: with `CI`, with `--wait`, and, in `needs_root`, as pid 1.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};

use ccrun::process::{Process, start_time};

use crate::support::backend::{Backend, Reply};
use crate::support::emitter::{Emitter, ids, ids_of};
use crate::support::sandbox::{Sandbox, kill, parent, pids, text, wait_until};
use crate::support::terminal::Terminal;

/// Says what it was given, waits for its stdin to be closed, and ends as no failure of ours does.
const PROGRAM: [&str; 3] = ["sh", "-c", r#"echo "$$ $OTEL_EXPORTER_OTLP_ENDPOINT"; cat; exit 7"#];

/// Starts it to a backend with these options and gives it, its pid, and a client of its collector.
fn start(sandbox: &Sandbox, backend: &Backend, options: &[&str]) -> (Child, i32, Emitter) {
    let endpoint = format!("endpoint={}", backend.endpoint());
    start_with(sandbox, &[&["-p", "otlp", "--var", &endpoint], options].concat())
}

/// Starts it with these options alone.
fn start_with(sandbox: &Sandbox, options: &[&str]) -> (Child, i32, Emitter) {
    let mut launcher = sandbox.ccrun(options).args(PROGRAM).stdin(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(launcher.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let (pid, endpoint) = line.trim().split_once(' ').unwrap();
    (launcher, pid.parse().unwrap(), Emitter::new(endpoint))
}

fn pid(launcher: &Child) -> i32 {
    i32::try_from(launcher.id()).unwrap()
}

#[test]
fn in_a_job_all_is_delivered_before_the_program_has_ended_for_others() {
    for (variable, options) in [("1", [].as_slice()), ("", &["--wait"]), ("false", &["--wait"])] {
        let (mut sandbox, backend) = (Sandbox::new(), Backend::start());
        sandbox.set("CI", variable);
        let (mut launcher, program, mut client) = start(&sandbox, &backend, options);
        assert_eq!(parent(program), pid(&launcher));
        client.export(&ids("record", 3));
        // Connections that stay open are no reason to wait.
        drop(launcher.stdin.take());
        assert_eq!(launcher.wait().unwrap().code(), Some(7));
        // At once: nobody is there any more, and all has arrived.
        assert!(sandbox.collectors().is_empty());
        assert_eq!(ids_of(&backend.received()), ids("record", 3));
        std::fs::remove_dir_all(sandbox.state()).unwrap();
        drop(client);
    }
}

#[test]
fn without_a_job_the_program_is_the_process() {
    for variable in ["", "0", "false"] {
        let mut sandbox = Sandbox::new();
        sandbox.set("CI", variable);
        let child = sandbox.ccrun(["sh", "-c", "echo $$"]).spawn().unwrap();
        let expected = format!("{}\n", child.id());
        assert_eq!(text(&child.wait_with_output().unwrap().stdout), expected);
    }
}

#[test]
fn exit_codes_are_the_programs_and_a_shells_for_signals() {
    let mut sandbox = Sandbox::new();
    sandbox.set("CI", "true");
    for (script, code) in [("exit 0", 0), ("exit 255", 255), ("kill -TERM $$", 143), ("kill -KILL $$", 137)] {
        let output = sandbox.run(["sh", "-c", script]);
        assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(code), ""), "{script}");
    }
    assert_eq!(sandbox.run(["no-such-program"]).status.code(), Some(127));
    let plain = sandbox.write("project/plain", "text");
    let output = sandbox.run([plain]);
    assert_eq!(output.status.code(), Some(126));
    assert!(text(&output.stderr).contains("Permission denied"), "{}", text(&output.stderr));
}

#[test]
fn signals_are_passed_on() {
    let mut sandbox = Sandbox::new();
    sandbox.set("CI", "true");
    let signals = ["HUP", "INT", "QUIT", "USR1", "USR2", "ALRM", "WINCH", "CONT", "IO", "TERM"];
    let traps = signals.map(|signal| format!("trap 'echo {signal}' {signal};")).concat();
    // `wait` is what a trap interrupts at once. The reader of the pipe ends with it.
    let reader = "exec 3<&0; cat <&3 >/dev/null &";
    let script = format!("{traps} {reader} echo ready; while kill -0 $! 2>/dev/null; do wait $!; done; exit 3");
    let mut launcher = sandbox.ccrun(["sh", "-c", &script]).stdin(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(launcher.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "ready");
    for signal in signals {
        kill(pid(&launcher), signal);
        assert_eq!(lines.next().unwrap().unwrap(), signal);
    }
    drop(launcher.stdin.take());
    assert_eq!(launcher.wait().unwrap().code(), Some(3));
}

#[test]
fn a_launcher_that_is_killed_leaves_the_collector_to_the_usual_rule() {
    let (mut sandbox, backend) = (Sandbox::new(), Backend::start());
    sandbox.set("CI", "true");
    let (mut launcher, program, mut client) = start(&sandbox, &backend, &[]);
    let stdin = launcher.stdin.take();
    kill(pid(&launcher), "KILL");
    launcher.wait().unwrap();
    client.export(&ids("before", 1));
    drop(client);
    let alive = Process { pid: program, started: start_time(program) };
    assert!(alive.lives() && sandbox.collectors().len() == 2);
    drop(stdin);
    sandbox.wait_for_end();
    assert_eq!(ids_of(&backend.received()), ids("before", 1));
}

#[test]
fn a_worker_that_takes_anothers_place_hears_the_end_too() {
    let (mut sandbox, backend) = (Sandbox::new(), Backend::start());
    sandbox.set("CI", "true");
    let (mut launcher, _, mut client) = start(&sandbox, &backend, &[]);
    client.export(&ids("record", 1));
    drop(client);
    let worker = sandbox.collectors()[1];
    kill(worker, "KILL");
    wait_until("another worker", || sandbox.collectors().get(1).is_some_and(|now| *now != worker));
    drop(launcher.stdin.take());
    assert_eq!(launcher.wait().unwrap().code(), Some(7));
    assert!(sandbox.collectors().is_empty());
    let mut delivered = ids_of(&backend.received());
    // One that was killed may have delivered what it had no time to note.
    delivered.dedup();
    assert_eq!(delivered, ids("record", 1));
}

/// Whoever ignores SIGCHLD has the kernel reap its children, and can wait for none: there is nothing to stay for.
#[test]
fn where_the_kernel_reaps_the_program_is_the_process() {
    let sandbox = Sandbox::new();
    let ignore =
        "import os,signal,sys; signal.signal(signal.SIGCHLD,signal.SIG_IGN); os.execvp(sys.argv[1],sys.argv[1:])";
    if !sandbox.command("python3").arg("--version").status().is_ok_and(|status| status.success()) {
        return;
    }
    for options in [&[][..], &["--wait"]] {
        let mut command = sandbox.command("python3");
        command.args(["-c", ignore, "ccrun"]).args(options).args(["sh", "-c", "echo $$ $CCRUN_SESSION; exit 3"]);
        let child = command.spawn().unwrap();
        let pid = child.id().to_string();
        let output = child.wait_with_output().unwrap();
        assert_eq!((text(&output.stderr).as_str(), output.status.code()), ("", Some(3)), "{options:?}");
        let stdout = text(&output.stdout);
        assert_eq!(stdout.split_whitespace().next(), Some(pid.as_str()), "{options:?}");
        assert_eq!(stdout.split_whitespace().count(), 2, "{options:?}");
    }
    sandbox.wait_for_end();
}

#[test]
fn a_backend_that_hangs_is_waited_for_no_longer_than_the_profile_says() {
    let (mut sandbox, backend) = (Sandbox::new(), Backend::start());
    backend.reply(Reply::accept().held());
    sandbox.set("CI", "true");
    sandbox.profile("slow", "extends = \"otlp\"\n[collector]\ndrain_timeout = \"1s\"\n");
    let (mut launcher, _, mut client) = start(&sandbox, &backend, &["-p", "slow"]);
    client.export(&ids("record", 1));
    drop((client, launcher.stdin.take()));
    assert_eq!(launcher.wait().unwrap().code(), Some(7));
    assert!(sandbox.collectors().is_empty());
    assert_eq!(sandbox.queue().len(), 1, "what is left is kept");
}

#[test]
fn whoever_asks_again_while_it_drains_is_obeyed() {
    let (mut sandbox, backend) = (Sandbox::new(), Backend::start());
    backend.reply(Reply::accept().held());
    sandbox.set("CI", "true");
    sandbox.profile("slow", "extends = \"otlp\"\n[collector]\ndrain_timeout = \"10m\"\n");
    let (mut launcher, program, mut client) = start(&sandbox, &backend, &["-p", "slow"]);
    client.export(&ids("record", 1));
    drop((client, launcher.stdin.take()));
    wait_until("the program to be reaped", || !std::path::Path::new(&format!("/proc/{program}")).exists());
    kill(pid(&launcher), "TERM");
    assert_eq!(launcher.wait().unwrap().code(), Some(7));
}

#[test]
fn an_editor_that_is_waited_for_has_its_session_as_long_as_somebody_sends() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    sandbox.write("home/.config/ccrun/config.toml", "editors = [\"editor\"]\n");
    let fifo = sandbox.home().join("fifo");
    assert!(sandbox.command("mkfifo").arg(&fifo).status().unwrap().success());
    // It leaves a window behind, which sends later.
    sandbox
        .program("editor", "#!/bin/sh\n(read line < \"$1\") >/dev/null 2>&1 &\necho $! $OTEL_EXPORTER_OTLP_ENDPOINT\n");
    let endpoint = format!("endpoint={}", backend.endpoint());
    // Unless told otherwise it hears Claude Code alone.
    sandbox.profile("all", "extends = \"otlp\"\n[collector]\naccept = [\"*\"]\n");
    let mut command = sandbox.ccrun(["--wait", "-p", "all", "--var", &endpoint, "editor"]);
    let mut launcher = command.arg(&fifo).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(launcher.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let (window, endpoint) = line.trim().split_once(' ').unwrap();
    let window: i32 = window.parse().unwrap();
    wait_until("the editor to be reaped", || pids().filter(|other| parent(*other) == pid(&launcher)).count() == 0);
    assert_ne!(parent(window), 0);
    Emitter::new(endpoint).export(&ids("record", 1));
    assert!(launcher.try_wait().unwrap().is_none());
    std::fs::write(&fifo, "go\n").unwrap();
    assert_eq!(launcher.wait().unwrap().code(), Some(0));
    assert!(sandbox.collectors().is_empty());
    assert_eq!(ids_of(&backend.received()), ids("record", 1));
}

#[test]
fn a_shim_on_the_path_is_seen_through_the_parent_too() {
    let mut sandbox = Sandbox::new();
    sandbox.set("CI", "true");
    let shim = sandbox.write("one/claude", "#!/bin/sh\nexec ccrun claude \"$@\"\n");
    std::fs::set_permissions(&shim, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    sandbox.program("claude", "#!/bin/sh\necho the real one \"$@\"\n");
    let script = format!("PATH={}:$PATH exec ccrun claude -p hi", shim.parent().unwrap().display());
    let output = sandbox.command("sh").args(["-c", &script]).output().unwrap();
    assert_eq!(text(&output.stderr), "");
    assert!(text(&output.stdout).starts_with("the real one --settings "), "{}", text(&output.stdout));
    assert_eq!(sandbox.settings().len(), 1);
}

#[test]
fn what_a_closed_reader_and_a_missing_stdin_are_to_others_they_are_here() {
    let mut sandbox = Sandbox::new();
    sandbox.set("CI", "true");
    let script = "ccrun sh -c 'yes; echo $? >&2' | head -n 1";
    let output = sandbox.command("bash").args(["-c", script]).output().unwrap();
    assert_eq!((text(&output.stdout), text(&output.stderr)), ("y\n".to_owned(), "141\n".to_owned()));
    let mut child = sandbox.ccrun(["cat"]).stdin(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(child.stdin.as_mut().unwrap(), b"through\n").unwrap();
    drop(child.stdin.take());
    let mut out = String::new();
    child.stdout.as_mut().unwrap().read_to_string(&mut out).unwrap();
    assert_eq!((out.as_str(), child.wait().unwrap().code()), ("through\n", Some(0)));
}

/// Needs a terminal, and tmux for it.
pub fn stops_and_goes_on(sandbox: &Sandbox, options: &str) {
    sandbox.program("counter", "#!/bin/sh\ntrap 'echo interrupted' INT\nread line\necho \"got $line\"\n");
    let terminal = Terminal::start(sandbox, "PS1='ready> ' bash --norc -i");
    terminal.wait_for("ready>");
    terminal.enter(&format!("ccrun {options} counter"));
    wait_until("the program", || sandbox.collectors().len() == 2);
    terminal.press("C-z");
    terminal.wait_for("Stopped");
    terminal.enter("fg");
    terminal.enter("a line");
    terminal.wait_for("got a line");
    terminal.enter("echo code $?; exit");
    terminal.wait_for("code 0");
    terminal.end();
}

#[test]
fn what_is_not_delivered_is_said_before_the_job_is_over() {
    let (mut sandbox, mut backend) = (Sandbox::new(), Backend::start());
    backend.stop();
    sandbox.set("CI", "true");
    let endpoint = backend.endpoint();
    sandbox.profile(
        "mine",
        format!("[collector]\ndrain_timeout = \"1s\"\n[destination.own]\nendpoint = \"{endpoint}\"\n"),
    );
    let (launcher, _, mut client) = start_with(&sandbox, &["-p", "mine"]);
    client.export(&ids("record", 1));
    let output = launcher.wait_with_output().unwrap();
    let expected = format!(
        "ccrun: what a session with profile `mine` had for `own` is not delivered yet (127.0.0.1:{} refused the \
         connection: does anything listen there?): `ccrun doctor -p mine` finds out why, `ccrun queue status` shows it\n",
        backend.port()
    );
    assert_eq!((text(&output.stderr), output.status.code()), (expected, Some(7)));
    assert_eq!(text(&sandbox.run(["-p", "local", "true"]).stderr), "", "and not again");
}

#[test]
fn a_collector_that_does_not_come_to_its_end_is_told_of() {
    let (mut sandbox, backend) = (Sandbox::new(), Backend::start());
    sandbox.set("CI", "true");
    let (launcher, _, mut client) = start(&sandbox, &backend, &[]);
    client.export(&ids("record", 1));
    for collector in sandbox.collectors() {
        kill(collector, "KILL");
    }
    let output = launcher.wait_with_output().unwrap();
    let expected =
        "ccrun: not all of its telemetry is known to be delivered: see `ccrun queue status` and `ccrun doctor`\n";
    assert_eq!((text(&output.stderr).as_str(), output.status.code()), (expected, Some(7)));
}

/// Needs a terminal, and tmux for it.
pub fn sees_the_size_of_its_window(sandbox: &Sandbox, options: &str) {
    let script = "#!/bin/sh\ntrap 'echo now $(stty size)' WINCH\ntrap 'kill $!; exit 5' INT\ntail -f /dev/null &\n\
        echo first $(stty size)\nwhile kill -0 $!; do wait $!; done\n";
    sandbox.program("watcher", script);
    let terminal = Terminal::start(sandbox, &format!("ccrun {options} watcher"));
    terminal.wait_for("first ");
    for (columns, rows) in [(100, 30), (132, 43)] {
        terminal.resize(columns, rows);
        terminal.wait_for(&format!("now {rows} {columns}"));
    }
    terminal.press("C-c");
    assert_eq!(terminal.end(), 5);
}
