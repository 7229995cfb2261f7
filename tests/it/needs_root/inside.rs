//! The open files of a collector, which only root can see.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::support::claude::pid;
use crate::support::sandbox::{Sandbox, pids, text, wait_until};
use crate::support::session::Session;

#[test]
#[ignore = "needs root, to look into a collector; scripts/test.sh runs it"]
fn the_collector_holds_no_terminal_descriptors() {
    let sandbox = Sandbox::new();
    let script = "exec 9>inherited; exec ccrun cat";
    let mut child = sandbox.command("sh").args(["-c", script]).stdin(Stdio::piped()).spawn().unwrap();
    wait_until("the collector to start", || sandbox.collectors().len() == 2);
    for pid in sandbox.collectors() {
        let open = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
        let open: Vec<_> = open.filter_map(|entry| std::fs::read_link(entry.path()).ok()).collect();
        assert!(!open.iter().any(|path| path.ends_with("inherited")), "{open:?}");
        let streams: Vec<_> =
            (0..3).map(|stream| std::fs::read_link(format!("/proc/{pid}/fd/{stream}")).unwrap()).collect();
        assert_eq!(streams, ["/dev/null"; 3].map(std::path::PathBuf::from));
        assert_eq!(std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap(), std::path::Path::new("/"));
        // The command line is only the path of the binary and `collector`.
        let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap();
        assert_eq!(command.split(|byte| *byte == 0).count(), 3, "{}", text(&command));
    }
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
    sandbox.wait_for_end();
}

#[test]
#[ignore = "needs root, to look into a collector; scripts/test.sh runs it"]
fn a_session_lasts_as_long_as_a_process_carries_its_endpoint() {
    let sandbox = Sandbox::new();
    let fifo = sandbox.home().join("fifo");
    assert!(sandbox.command("mkfifo").arg(&fifo).status().unwrap().success());
    // The program leaves a child process that has the environment, and that waits until the test ends it.
    let script = r#"sh -c 'read line < "$0"' "$0" </dev/null >/dev/null 2>&1 & echo $!"#;
    let output = sandbox.ccrun(["sh", "-c", script]).arg(&fifo).output().unwrap();
    let left_behind: i32 = text(&output.stdout).trim().parse().unwrap();
    let worker = *sandbox.collectors().last().unwrap();
    // By now both checks would have ended the session without the process, so the worker waits for it to exit.
    wait_until("the worker to wait for the process", || waits_for(worker, left_behind));
    assert_eq!(sandbox.collectors().len(), 2);
    std::fs::write(&fifo, "go\n").unwrap();
    sandbox.wait_for_end();
}

/// With thousands of processes, the collector scans them once, when nothing else shows that the session is alive. It
/// never does so before or after. The test counts the worker's reads.
#[test]
#[ignore = "needs root, to look into a collector; scripts/test.sh runs it"]
fn many_processes_are_scanned_once() {
    let sandbox = Sandbox::new();
    let crowd = Crowd::gather();
    let mut session = Session::start(&sandbox, &[]);
    let worker = session.worker().pid;
    let before = reads(worker);
    outlive_another(&sandbox);
    assert!(reads(worker) - before < CROWD, "no scan while the program is running");

    let mut carrier = sandbox.command("cat");
    let carrier = carrier.env("OTEL_EXPORTER_OTLP_ENDPOINT", &session.endpoint).stdin(Stdio::piped());
    let mut carrier = carrier.spawn().unwrap();
    let before = reads(worker);
    session.end();
    wait_until("the worker to wait for the process", || waits_for(worker, pid(&carrier)));
    let look = reads(worker) - before;
    let everybody = u64::try_from(pids().count()).unwrap();
    assert!((CROWD..8 * everybody).contains(&look), "{look} reads for {everybody} processes");
    outlive_another(&sandbox);
    assert!(reads(worker) - before < look + CROWD, "no scan while it waits for the process");
    drop(crowd);
    drop(carrier.stdin.take());
    assert!(carrier.wait().unwrap().success());
    sandbox.wait_for_end();
}

/// Waits until a session that started later has scanned twice and ended.
fn outlive_another(sandbox: &Sandbox) {
    let before = sandbox.collectors();
    Session::start(sandbox, &[]).end();
    wait_until("the later session to end", || sandbox.collectors() == before);
}

/// The number of reads by a process.
fn reads(pid: i32) -> u64 {
    let counts = std::fs::read_to_string(format!("/proc/{pid}/io")).unwrap();
    counts.lines().find_map(|line| line.strip_prefix("syscr: ")).unwrap().parse().unwrap()
}

const CROWD: u64 = 2000;

/// Thousands of unrelated processes. They exit when the value is dropped.
struct Crowd(Child);

impl Crowd {
    fn gather() -> Self {
        let script = format!("i=0; while [ $i -lt {CROWD} ]; do sleep 600 & i=$((i+1)); done; echo all; wait");
        let mut shell = Command::new("sh");
        let shell = shell.args(["-c", &script]).env_clear().env("PATH", "/usr/bin:/bin").process_group(0);
        let mut crowd = Self(shell.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap());
        let mut line = String::new();
        BufReader::new(crowd.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "all\n");
        crowd
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        let _ = killpg(Pid::from_raw(pid(&self.0)), Signal::SIGKILL);
        drop(self.0.wait());
    }
}

/// Whether a process holds a descriptor of the other process.
pub(super) fn waits_for(worker: i32, other: i32) -> bool {
    let entries = std::fs::read_dir(format!("/proc/{worker}/fdinfo")).into_iter().flatten().flatten();
    entries.filter_map(|entry| std::fs::read_to_string(entry.path()).ok()).any(|information| {
        information.lines().any(|line| line.strip_prefix("Pid:").is_some_and(|pid| pid.trim() == other.to_string()))
    })
}
