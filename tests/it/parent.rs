//! The launcher as the program's parent: with `CI`, with `--wait`, and as pid 1 (in `needs_root`).

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};

use ccrun::system::process::{Process, start_time};

use crate::support::backend::{Backend, Reply};
use crate::support::emitter::{Emitter, ids, ids_of};
use crate::support::sandbox::{Sandbox, kill, parent, pids, text, wait_until};
use crate::support::terminal::Terminal;

/// Prints its pid and endpoint, waits until its stdin is closed, and exits with a code that `ccrun` itself never uses.
const PROGRAM: [&str; 3] = ["sh", "-c", r#"echo "$$ $OTEL_EXPORTER_OTLP_ENDPOINT"; cat; exit 7"#];

/// Starts the program with a backend and these options. Returns it, its pid, and a client of its collector.
fn start(sandbox: &Sandbox, backend: &Backend, options: &[&str]) -> (Child, i32, Emitter) {
    let endpoint = format!("endpoint={}", backend.endpoint());
    start_with(sandbox, &[&["-p", "otlp", "--var", &endpoint], options].concat())
}

/// Starts the program with only these options.
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
fn in_a_job_everything_is_delivered_before_ccrun_exits() {
    for (variable, options) in [("1", [].as_slice()), ("", &["--wait"]), ("false", &["--wait"])] {
        let (mut sandbox, backend) = (Sandbox::new(), Backend::start());
        sandbox.set("CI", variable);
        let (mut launcher, program, mut client) = start(&sandbox, &backend, options);
        assert_eq!(parent(program), pid(&launcher));
        client.export(&ids("record", 3));
        // Open connections do not delay the end.
        drop(launcher.stdin.take());
        assert_eq!(launcher.wait().unwrap().code(), Some(7));
        // When `ccrun` exits, everything has been delivered and no collector is left.
        assert!(sandbox.collectors().is_empty());
        assert_eq!(ids_of(&backend.received()), ids("record", 3));
        std::fs::remove_dir_all(sandbox.state()).unwrap();
        drop(client);
    }
}

#[test]
fn outside_a_job_ccrun_becomes_the_program() {
    for variable in ["", "0", "false"] {
        let mut sandbox = Sandbox::new();
        sandbox.set("CI", variable);
        let child = sandbox.ccrun(["sh", "-c", "echo $$"]).spawn().unwrap();
        let expected = format!("{}\n", child.id());
        assert_eq!(text(&child.wait_with_output().unwrap().stdout), expected);
    }
}

#[test]
fn the_exit_code_is_the_programs_or_a_shells_for_a_signal() {
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
    // A trap interrupts `wait` at once. The reader of the pipe ends with the shell.
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
fn after_a_killed_launcher_the_session_ends_with_the_program() {
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
fn a_replacement_worker_is_told_that_the_program_ended() {
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
    // A killed worker may have delivered records before it could record that.
    delivered.dedup();
    assert_eq!(delivered, ids("record", 1));
}

/// If SIGCHLD is ignored, the kernel reaps children, so the launcher cannot wait for one and becomes the program.
#[test]
fn if_the_kernel_reaps_children_ccrun_becomes_the_program() {
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
fn a_hanging_backend_is_awaited_for_the_profiles_drain_timeout() {
    let (mut sandbox, backend) = (Sandbox::new(), Backend::start());
    backend.reply(Reply::accept().held());
    sandbox.set("CI", "true");
    sandbox.profile("slow", "extends = \"otlp\"\n[collector]\ndrain_timeout = \"1s\"\n");
    let (mut launcher, _, mut client) = start(&sandbox, &backend, &["-p", "slow"]);
    client.export(&ids("record", 1));
    drop((client, launcher.stdin.take()));
    assert_eq!(launcher.wait().unwrap().code(), Some(7));
    assert!(sandbox.collectors().is_empty());
    assert_eq!(sandbox.queue().len(), 1, "undelivered data is kept");
}

#[test]
fn a_signal_while_draining_ends_ccrun() {
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
fn an_awaited_editors_session_lasts_while_anything_sends() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    sandbox.write("home/.config/ccrun/config.toml", "editors = [\"editor\"]\n");
    let fifo = sandbox.home().join("fifo");
    assert!(sandbox.command("mkfifo").arg(&fifo).status().unwrap().success());
    // The editor leaves a window that exports later.
    sandbox
        .program("editor", "#!/bin/sh\n(read line < \"$1\") >/dev/null 2>&1 &\necho $! $OTEL_EXPORTER_OTLP_ENDPOINT\n");
    let endpoint = format!("endpoint={}", backend.endpoint());
    // By default, an editor's session accepts only Claude Code.
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
fn a_shim_is_also_detected_by_a_parent() {
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
fn closed_readers_and_a_missing_stdin_behave_as_usual() {
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

/// Suspends and resumes a program. Needs tmux.
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

/// The message in a job about undelivered data.
const KEPT: &str = "ccrun: undelivered telemetry is kept in ~/.local/state/ccrun; it is lost with this machine: keep \
                    that directory, or run `ccrun queue flush --wait 5m` before\n";

#[test]
fn undelivered_data_is_reported_before_the_job_ends() {
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
        "ccrun: telemetry of a session with profile `mine` for `own` is not delivered yet (127.0.0.1:{} refused the \
         connection: does anything listen there?): `ccrun doctor -p mine` finds out why, `ccrun queue status` shows it\n{KEPT}",
        backend.port()
    );
    assert_eq!((text(&output.stderr), output.status.code()), (expected, Some(7)));
    assert_eq!(text(&sandbox.run(["-p", "local", "true"]).stderr), "", "the message is not repeated");
}

#[test]
fn a_collector_that_does_not_finish_is_reported() {
    let (mut sandbox, backend) = (Sandbox::new(), Backend::start());
    sandbox.set("CI", "true");
    let (launcher, _, mut client) = start(&sandbox, &backend, &[]);
    client.export(&ids("record", 1));
    for collector in sandbox.collectors() {
        kill(collector, "KILL");
    }
    let output = launcher.wait_with_output().unwrap();
    let endpoint = backend.endpoint();
    let expected = format!(
        "ccrun: some telemetry may be undelivered: see `ccrun queue status` and `ccrun doctor -p otlp --var \
         'endpoint={endpoint}'`\n{KEPT}"
    );
    assert_eq!((text(&output.stderr), output.status.code()), (expected, Some(7)));
}

/// Checks that the program sees changes of the window size. Needs tmux.
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

#[test]
fn an_option_and_a_variable_set_the_drain_timeout() {
    let (mut sandbox, backend) = (Sandbox::new(), Backend::start());
    sandbox.set("CI", "true");
    sandbox.profile("slow", "extends = \"otlp\"\n[collector]\ndrain_timeout = \"10m\"\n");
    // The profile's ten minutes are longer than the test allows.
    backend.reply_always(Reply::accept().held());
    for (option, variable) in [(Some("--drain-timeout=100ms"), "10m"), (None, "100ms")] {
        sandbox.set("CCRUN_DRAIN_TIMEOUT", variable);
        let options: Vec<_> = ["-p", "slow"].into_iter().chain(option).collect();
        let (mut launcher, _, mut client) = start(&sandbox, &backend, &options);
        client.export(&ids("record", 1));
        drop((client, launcher.stdin.take()));
        let output = launcher.wait_with_output().unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(7), "{said}");
        assert!(said.ends_with(KEPT), "{said}");
        assert!(
            said.contains("`ccrun doctor -p otlp -p slow --var 'endpoint=http"),
            "the message shows the whole command: {said}"
        );
    }
    sandbox.set("CCRUN_DRAIN_TIMEOUT", "soon");
    let output = sandbox.run(["true"]);
    let said = text(&output.stderr);
    assert!(said.starts_with("ccrun: CCRUN_DRAIN_TIMEOUT is `soon` and is ignored: write it as 30s"), "{said}");
}
