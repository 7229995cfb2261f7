//! State directories that cannot be written: full, read-only, somebody else's. The program starts all the same, and
//! what was acknowledged is not lost.
//!
//! A file system of a test's own is mounted in a mount namespace of its own, which goes with its last process. From
//! outside it is reached through `/proc/PID/root`.

#[path = "needs_root/doctor.rs"]
mod doctor;
#[path = "needs_root/inside.rs"]
mod inside;
#[path = "needs_root/unprivileged.rs"]
mod unprivileged;

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::backend::{Backend, Reply};
use crate::support::claude::finish;
use crate::support::emitter::{Emitter, ids, ids_of};
use crate::support::sandbox::{DEADLINE, Sandbox, text, wait_until};
use crate::support::session::Session;

/// Says that it runs, whether it was told of a collector, and ends as no failure of ours does.
const PROGRAM: [&str; 3] = ["sh", "-c", r#"echo "started ${OTEL_EXPORTER_OTLP_ENDPOINT-without}"; exit 7"#];

#[test]
#[ignore = "needs root and mount namespaces; scripts/test.sh runs it"]
fn a_disk_that_is_full_at_the_first_launch() {
    let sandbox = Sandbox::new();
    std::fs::create_dir_all(sandbox.state()).unwrap();
    assert_off(&sandbox, &format!("{}; {}", tmpfs(&sandbox), fill(&sandbox)), "No space left on device");
}

#[test]
#[ignore = "needs root and mount namespaces; scripts/test.sh runs it"]
fn a_disk_that_is_full_at_a_later_launch() {
    let sandbox = Sandbox::new();
    used(&sandbox);
    let (state, saved) = (sandbox.state(), sandbox.home().join("saved"));
    std::fs::rename(&state, &saved).unwrap();
    std::fs::create_dir(&state).unwrap();
    let copy = format!("cp -a '{}/.' '{}'", saved.display(), state.display());
    assert_off(&sandbox, &format!("{}; {copy}; {}", tmpfs(&sandbox), fill(&sandbox)), "No space left on device");
}

#[test]
#[ignore = "needs root and mount namespaces; scripts/test.sh runs it"]
fn a_state_directory_that_is_read_only() {
    let sandbox = Sandbox::new();
    used(&sandbox);
    assert_off(&sandbox, &read_only(&sandbox.state()), "Read-only file system");
}

#[test]
#[ignore = "needs root and mount namespaces; scripts/test.sh runs it"]
fn a_home_that_is_read_only_and_empty() {
    let sandbox = Sandbox::new();
    assert_off(&sandbox, &read_only(&sandbox.home()), "Read-only file system");
}

#[test]
#[ignore = "needs root and mount namespaces; scripts/test.sh runs it"]
fn a_state_directory_that_is_somebody_elses() {
    let sandbox = Sandbox::new();
    used(&sandbox);
    chown(sandbox.state(), Some(12345), None).unwrap();
    assert_off(&sandbox, "true", "it belongs to another user");
}

#[test]
#[ignore = "needs root and mount namespaces; scripts/test.sh runs it"]
fn a_disk_that_fills_up_during_a_session() {
    let (sandbox, mut backend) = (Sandbox::new(), Backend::start());
    std::fs::create_dir_all(sandbox.state()).unwrap();
    backend.stop();
    let session = session_on_tmpfs(&sandbox, &backend);
    let mut disk = Disk::of(&session, &sandbox);
    let mut load = Load { client: session.client(), acknowledged: Vec::new(), sent: 0 };
    assert_eq!(load.send(), 200);
    // There may be room for some more in files that are there.
    wait_until("the disk to be full", || {
        disk.fill();
        load.send() == 503
    });
    // A client that is asked to try again for too long would hold up its program's exit.
    wait_until("an answer that no client tries again", || {
        disk.fill();
        load.send() == 500
    });
    disk.free();
    assert_eq!(load.send(), 200);
    backend.restart();
    let Load { client, acknowledged, .. } = load;
    drop(client);
    session.end();
    sandbox.wait_for_end();
    assert_eq!(ids_of(&backend.received()), acknowledged);
}

#[test]
#[ignore = "needs root and mount namespaces; scripts/test.sh runs it"]
fn a_delivery_that_a_full_disk_cannot_note_is_not_repeated() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    std::fs::create_dir_all(sandbox.state()).unwrap();
    backend.reply(Reply::accept().held());
    let session = session_on_tmpfs(&sandbox, &backend);
    let mut disk = Disk::of(&session, &sandbox);
    let mut load = Load { client: session.client(), acknowledged: Vec::new(), sent: 0 };
    assert_eq!(load.send(), 200);
    backend.wait_for(|received| received.len() == 1, DEADLINE);
    // Nothing can be acknowledged any more when the backend has the batch, and nothing be noted.
    wait_until("the disk to be full", || {
        disk.fill();
        load.send() == 503
    });
    backend.release(1);
    // By then a forwarder that had forgotten would have come again, and again.
    wait_until("the disk to have been full for a while", || {
        disk.fill();
        load.send() == 500
    });
    disk.free();
    assert_eq!(load.send(), 200);
    let Load { client, acknowledged, .. } = load;
    drop(client);
    session.end();
    sandbox.wait_for_end();
    assert_eq!(ids_of(&backend.received()), acknowledged);
}

/// As a container runs it: pid 1, with nothing that outlives it.
#[test]
#[ignore = "needs root and mount namespaces; scripts/test.sh runs it"]
fn as_pid_1_it_reaps_delivers_and_passes_on_how_the_program_ended() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    if !has(&sandbox, "curl") {
        return;
    }
    let endpoint = format!("endpoint={}", backend.endpoint());
    // An orphan is its child as soon as its parent has gone, and a zombie until it is reaped.
    let script = r#"sh -c 'sh -c "echo \$\$ >orphan; exit" & exit'
        until [ -s orphan ]; do :; done
        while [ -d /proc/$(cat orphan) ]; do :; done
        echo "$PPID"; ccrun_post; exit 9"#;
    sandbox.program(
        "ccrun_post",
        "#!/bin/sh\nprintf '' | curl -s -o /dev/null -w '%{http_code}\\n' -X POST -H 'Content-Type: application/x-protobuf' \
         --data-binary @- \"$OTEL_EXPORTER_OTLP_ENDPOINT/v1/logs\"\n",
    );
    let mut command = sandbox.command("unshare");
    command.args(["-pf", "--mount-proc", "ccrun", "-p", "otlp", "--var", &endpoint, "sh", "-c", script]);
    let output = finish(command.spawn().unwrap());
    assert_eq!(text(&output.stderr), "");
    assert_eq!((text(&output.stdout).as_str(), output.status.code()), ("1\n200\n", Some(9)));
    for (script, code) in [("kill -TERM $$", 143), ("exit 0", 0)] {
        let mut command = sandbox.command("unshare");
        command.args(["-pf", "--mount-proc", "ccrun", "sh", "-c", script]);
        assert_eq!(finish(command.spawn().unwrap()).status.code(), Some(code), "{script}");
    }
    assert!(sandbox.collectors().is_empty());
}

/// As a job's step runs it: its secrets in the environment, no keyring, no terminal, and a disk that is gone with it.
#[test]
#[ignore = "needs root and mount namespaces; scripts/test.sh runs it"]
fn a_job_has_delivered_everything_when_its_disk_goes() {
    let (mut sandbox, backend) = (Sandbox::new(), Backend::start());
    sandbox.set("CI", "true").set("OTLP_TOKEN", "sk-of-the-job");
    std::fs::create_dir_all(sandbox.state()).unwrap();
    let headers = "[destination.otlp.headers]\nAuthorization = { env = \"OTLP_TOKEN\", format = \"Bearer {}\" }\n";
    sandbox.profile("job", format!("extends = \"otlp\"\n[vars]\nendpoint = \"{}\"\n{headers}", backend.endpoint()));
    let mut command = isolated(&sandbox, &tmpfs(&sandbox));
    command.args(["-p", "job"]);
    let session = Session::start_by(command);
    let mut client = session.client();
    client.export(&ids("record", 5));
    drop(client);
    // The namespace goes with its last process, and the disk with it.
    session.end();
    assert!(sandbox.collectors().is_empty());
    let received = backend.received();
    assert_eq!(ids_of(&received), ids("record", 5));
    assert!(received.iter().all(|one| one.header("authorization") == "Bearer sk-of-the-job"));
    assert!(!sandbox.state().join("store-1.db").exists());
}

#[test]
#[ignore = "needs root and mount namespaces; scripts/test.sh runs it"]
fn without_a_port_telemetry_is_off_and_one_line_says_why() {
    let sandbox = Sandbox::new();
    if !has(&sandbox, "python3") || !has(&sandbox, "ip") {
        return;
    }
    // A range of one port, which is taken.
    let script = "set -e; ip link set lo up; echo 40000 40000 >/proc/sys/net/ipv4/ip_local_port_range; exec \"$@\"";
    let hold = "import socket,subprocess,sys; s=socket.socket(); s.bind(('127.0.0.1',40000)); s.listen(); \
                sys.exit(subprocess.call(sys.argv[1:]))";
    let mut command = sandbox.command("unshare");
    command.args(["-n", "sh", "-c", script, "sh", "python3", "-c", hold, "ccrun"]).args(PROGRAM);
    let output = finish(command.spawn().unwrap());
    let complaint = text(&output.stderr);
    assert_eq!((text(&output.stdout).as_str(), output.status.code()), ("started without\n", Some(7)), "{complaint}");
    assert!(complaint.contains("Address already in use") && complaint.lines().count() == 1, "{complaint}");
}

#[test]
#[ignore = "needs root and mount namespaces; scripts/test.sh runs it"]
fn without_proc_the_program_starts_and_what_it_exports_arrives() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    let endpoint = format!("endpoint={}", backend.endpoint());
    let script = "mount -t tmpfs tmpfs /proc; exec ccrun \"$@\"";
    for wait in [false, true] {
        let mut command = sandbox.command("unshare");
        command.args(["-m", "sh", "-c", script, "sh", "-p", "otlp", "--var", &endpoint]);
        command.args(wait.then_some("--wait")).args(["sh", "-c", "echo $OTEL_EXPORTER_OTLP_ENDPOINT; cat; exit 5"]);
        let mut program = command.stdin(std::process::Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(program.stdout.as_mut().unwrap()), &mut line).unwrap();
        let record = ids(if wait { "waited" } else { "record" }, 1);
        Emitter::new(line.trim()).export(&record);
        drop(program.stdin.take());
        let output = finish(program);
        assert_eq!((text(&output.stderr).as_str(), output.status.code()), ("", Some(5)));
        backend.wait_for(|received| ids_of(received).contains(&record[0]), DEADLINE);
    }
}

/// A filesystem of another machine's, as far as anybody can tell by asking what it is.
#[test]
#[ignore = "needs root and mount namespaces; scripts/test.sh runs it"]
fn state_on_another_machine_is_kept_on_this_one_and_one_line_says_so_once() {
    let sandbox = Sandbox::new();
    std::fs::create_dir_all(sandbox.state()).unwrap();
    let local = sandbox.write("local/runtime/keep", "");
    let (local, state) = (local.parent().unwrap().parent().unwrap().display().to_string(), sandbox.state());
    let fuse = "fd=9,rootmode=40000,user_id=12345,group_id=12345";
    let mounts = format!(
        "mount --bind '{local}' /var/tmp; exec 9<>/dev/fuse; mount -i -t fuse -o {fuse} remote '{}'",
        state.display()
    );
    for said in [1, 0] {
        let output = finish(isolated(&sandbox, &mounts).args(PROGRAM).spawn().unwrap());
        let complaint = text(&output.stderr);
        assert!(text(&output.stdout).starts_with("started http://127.0.0.1:"), "{complaint}");
        assert_eq!(complaint.lines().count(), said, "{complaint}");
        assert!(said == 0 || complaint.contains("is on another machine"), "{complaint}");
        sandbox.wait_for_end();
    }
    let store = Path::new(&local).join(format!("ccrun-{}", nix::unistd::geteuid())).join("store-1.db");
    assert!(store.exists());
}

/// A session whose state is on a small file system of its own.
fn session_on_tmpfs(sandbox: &Sandbox, backend: &Backend) -> Session {
    let mut command = isolated(sandbox, &tmpfs(sandbox));
    command.args(["-p", "otlp", "--var", &format!("endpoint={}", backend.endpoint())]);
    Session::start_by(command)
}

/// A client that remembers what was acknowledged.
struct Load {
    client: Emitter,
    acknowledged: Vec<String>,
    sent: usize,
}

impl Load {
    /// Sends a record and gives the answer's status.
    fn send(&mut self) -> u16 {
        self.sent += 1;
        // In the order of their numbers as texts, too.
        let records = ids(&format!("record-{:05}", self.sent), 1);
        let answer = self.client.send(&records).unwrap();
        assert_eq!(answer.status == 503, answer.headers.contains_key("retry-after"));
        if answer.status == 200 {
            self.acknowledged.extend(records);
        }
        answer.status
    }
}

/// The small file system of a session.
struct Disk {
    filler: PathBuf,
}

impl Disk {
    fn of(session: &Session, sandbox: &Sandbox) -> Self {
        Self { filler: PathBuf::from(format!("/proc/{}/root{}/filler", session.pid(), sandbox.state().display())) }
    }

    /// Leaves no room at all.
    fn fill(&mut self) {
        let mut filler = File::options().create(true).append(true).open(&self.filler).unwrap();
        let error = loop {
            if let Err(error) = filler.write_all(&[0; 4096]) {
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::StorageFull);
    }

    fn free(&self) {
        std::fs::remove_file(&self.filler).unwrap();
    }
}

/// Leaves a state directory that a session has used.
fn used(sandbox: &Sandbox) {
    let backend = Backend::start();
    let mut session = Session::to(sandbox, &backend.endpoint());
    session.client().export(&ids("record", 1));
    session.kill_both();
}

/// After `mounts` the program starts without telemetry and one line says why; with `--require` it does not start.
#[track_caller]
fn assert_off(sandbox: &Sandbox, mounts: &str, reason: &str) {
    let output = isolated(sandbox, mounts).args(["-p", "otlp"]).args(PROGRAM).output().unwrap();
    let complaint = text(&output.stderr);
    assert_eq!(text(&output.stdout), "started without\n", "{complaint}");
    assert_eq!(output.status.code(), Some(7));
    assert!(complaint.starts_with("ccrun: telemetry is off for this session: "), "{complaint}");
    assert!(complaint.contains(reason) && complaint.lines().count() == 1, "{complaint}");

    let output = isolated(sandbox, mounts).args(["-p", "otlp", "--require"]).args(PROGRAM).output().unwrap();
    let complaint = text(&output.stderr);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(2), String::new()), "{complaint}");
    assert!(complaint.starts_with("ccrun: the program was not started: "), "{complaint}");
    assert!(complaint.contains(reason), "{complaint}");

    // Claude Code has settings files that could switch its telemetry on: it is told in the way that beats them.
    sandbox.program("claude", "#!/bin/sh\nprintf '%s\\n' \"$@\"\n");
    let output = isolated(sandbox, mounts).args(["-p", "otlp", "claude", "-p", "a prompt"]).output().unwrap();
    let arguments = text(&output.stdout);
    let lines: Vec<_> = arguments.lines().collect();
    assert_eq!((lines[0], &lines[2..]), ("--settings", &["-p", "a prompt"][..]), "{arguments}");
    assert!(lines[1].contains(r#""CLAUDE_CODE_ENABLE_TELEMETRY":"0""#), "{arguments}");
    assert_eq!(text(&output.stderr).lines().count(), 1);
    sandbox.wait_for_end();
}

/// `ccrun` in a mount namespace of its own, once `mounts` was done there.
fn isolated(sandbox: &Sandbox, mounts: &str) -> Command {
    let mut command = sandbox.command("unshare");
    let script = format!("set -e; {mounts}; exec ccrun \"$@\"");
    command.args(["-m", "sh", "-c", &script, "sh"]);
    command
}

/// Whether the machine has a program that a test wants; says so if not.
#[expect(clippy::print_stderr, reason = "whoever runs the tests has to see what was skipped")]
fn has(sandbox: &Sandbox, program: &str) -> bool {
    let found = sandbox.command("sh").args(["-c", &format!("command -v {program}")]).status().unwrap().success();
    if !found {
        eprintln!("skipped: {program} is not installed");
    }
    found
}

fn tmpfs(sandbox: &Sandbox) -> String {
    format!("mount -t tmpfs -o size=4m,mode=700 tmpfs '{}'", sandbox.state().display())
}

fn fill(sandbox: &Sandbox) -> String {
    format!("cat /dev/zero >'{}/filler' 2>/dev/null || true", sandbox.state().display())
}

fn read_only(directory: &Path) -> String {
    let directory = directory.display();
    format!("mount --bind '{directory}' '{directory}'; mount -o remount,bind,ro '{directory}'")
}
