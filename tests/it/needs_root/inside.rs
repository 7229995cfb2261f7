//! What a collector holds open, which nobody but root can see.

use std::process::Stdio;

use crate::support::sandbox::{Sandbox, text, wait_until};

#[test]
#[ignore = "needs root, to look into a collector; scripts/test.sh runs it"]
fn the_collector_keeps_nothing_of_the_terminal() {
    let sandbox = Sandbox::new();
    let script = "exec 9>inherited; exec ccrun cat";
    let mut child = sandbox.command("sh").args(["-c", script]).stdin(Stdio::piped()).spawn().unwrap();
    wait_until("the collector to run", || sandbox.collectors().len() == 2);
    for pid in sandbox.collectors() {
        let open = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
        let open: Vec<_> = open.filter_map(|entry| std::fs::read_link(entry.path()).ok()).collect();
        assert!(!open.iter().any(|path| path.ends_with("inherited")), "{open:?}");
        let streams: Vec<_> =
            (0..3).map(|stream| std::fs::read_link(format!("/proc/{pid}/fd/{stream}")).unwrap()).collect();
        assert_eq!(streams, ["/dev/null"; 3].map(std::path::PathBuf::from));
        assert_eq!(std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap(), std::path::Path::new("/"));
        // The command line is the binary's path and `collector`, nothing else.
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
    // The program leaves a process behind that carries the environment and waits to be told to go.
    let script = r#"sh -c 'read line < "$0"' "$0" </dev/null >/dev/null 2>&1 & echo $!"#;
    let output = sandbox.ccrun(["sh", "-c", script]).arg(&fifo).output().unwrap();
    let left_behind: i32 = text(&output.stdout).trim().parse().unwrap();
    let worker = *sandbox.collectors().last().unwrap();
    // Both looks would have found nobody by then, had they not found the process: its end is what is waited for.
    wait_until("the worker to wait for the process", || waits_for(worker, left_behind));
    assert_eq!(sandbox.collectors().len(), 2);
    std::fs::write(&fifo, "go\n").unwrap();
    sandbox.wait_for_end();
}

/// Whether a process holds a descriptor that means the other.
pub(super) fn waits_for(worker: i32, other: i32) -> bool {
    let entries = std::fs::read_dir(format!("/proc/{worker}/fdinfo")).into_iter().flatten().flatten();
    entries.filter_map(|entry| std::fs::read_to_string(entry.path()).ok()).any(|information| {
        information.lines().any(|line| line.strip_prefix("Pid:").is_some_and(|pid| pid.trim() == other.to_string()))
    })
}
