//! Faults that only root can create. In this file: state directories that are read-only, remote or owned by another
//! user. The program still starts.
//!
//! Tests mount file systems in a private mount namespace, which ends with its last process. The test reaches it through
//! `/proc/PID/root`.

mod container;
mod doctor;
mod full_disk;
mod inside;
mod power;
mod unprivileged;

use std::os::unix::fs::chown;
use std::path::Path;
use std::process::Command;

use crate::support::backend::Backend;
use crate::support::claude::finish;
use crate::support::emitter::{Emitter, ids};
use crate::support::sandbox::{Sandbox, text};
use crate::support::session::Session;

/// Prints whether it has a collector, and exits with a code that `ccrun` itself never uses.
const PROGRAM: [&str; 3] = ["sh", "-c", r#"echo "started ${OTEL_EXPORTER_OTLP_ENDPOINT-without}"; exit 7"#];

#[test]
#[ignore = "needs root and mount namespaces; scripts/test.sh runs it"]
fn a_read_only_state_directory() {
    let sandbox = Sandbox::new();
    used(&sandbox);
    assert_off(&sandbox, &read_only(&sandbox.state()), "Read-only file system");
}

#[test]
#[ignore = "needs root and mount namespaces; scripts/test.sh runs it"]
fn a_read_only_empty_home() {
    let sandbox = Sandbox::new();
    assert_off(&sandbox, &read_only(&sandbox.home()), "Read-only file system");
}

#[test]
#[ignore = "needs root and mount namespaces; scripts/test.sh runs it"]
fn another_users_state_directory() {
    let sandbox = Sandbox::new();
    used(&sandbox);
    chown(sandbox.state(), Some(12345), None).unwrap();
    assert_off(&sandbox, "true", "it belongs to another user");
}

/// A file system of a type that is always remote.
#[test]
#[ignore = "needs root and mount namespaces; scripts/test.sh runs it"]
fn remote_state_is_moved_to_this_machine_and_noted_once() {
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
        assert!(said == 0 || complaint.contains("is on a network file system"), "{complaint}");
        sandbox.wait_for_end();
    }
    let store = Path::new(&local).join(format!("ccrun-{}", nix::unistd::geteuid())).join("store-2.db");
    assert!(store.exists());
}

#[test]
#[ignore = "needs root and mount namespaces; scripts/test.sh runs it"]
fn remote_state_without_a_local_alternative_is_reported() {
    let sandbox = Sandbox::new();
    std::fs::create_dir_all(sandbox.state()).unwrap();
    let fuse = "fd=9,rootmode=40000,user_id=12345,group_id=12345";
    let place = format!("/var/tmp/ccrun-{}", nix::unistd::geteuid());
    let mounts = format!(
        "mount -t tmpfs tmpfs /var/tmp; ln -s /elsewhere '{place}'; exec 9<>/dev/fuse; \
         mount -i -t fuse -o {fuse} remote '{}'",
        sandbox.state().display()
    );
    assert_off(&sandbox, &mounts, "no local place was found");
}

/// As with `sudo -E`.
#[test]
#[ignore = "needs root; scripts/test.sh runs it"]
fn root_creates_nothing_in_another_users_home() {
    let sandbox = Sandbox::new();
    unprivileged::give_away(&sandbox);
    assert_off(&sandbox, "true", "belongs to another user: name a directory of your own by CCRUN_STATE_DIR");
    for verb in [["profile", "new", "mine"].as_slice(), &["setup", "local"], &["wire", "code"], &["unwire", "code"]] {
        let output = sandbox.run(verb);
        let complaint = text(&output.stderr);
        assert!(complaint.contains("belongs to another user: run it as that user"), "{verb:?}: {complaint}");
        assert_eq!(output.status.code(), Some(1));
    }
    assert_eq!(std::fs::read_dir(sandbox.home()).unwrap().count(), 0);
    // Later launches by the user still work.
    let output = unprivileged::as_user_nobody(&sandbox).arg("ccrun").args(PROGRAM).output().unwrap();
    assert!(text(&output.stdout).starts_with("started http://"), "{}", text(&output.stderr));
    sandbox.wait_for_end();
}

/// Runs a session that leaves a state directory.
fn used(sandbox: &Sandbox) {
    let backend = Backend::start();
    let mut session = Session::to(sandbox, &backend.endpoint());
    session.client().export(&ids("record", 1));
    session.kill_both();
}

/// A client that records what was acknowledged.
struct Load {
    client: Emitter,
    acknowledged: Vec<String>,
    sent: usize,
}

impl Load {
    /// Sends a record and returns the status.
    fn send(&mut self) -> u16 {
        self.sent += 1;
        // The ids have leading zeros, so that they sort by number.
        let records = ids(&format!("record-{:05}", self.sent), 1);
        let answer = self.client.send(&records).unwrap();
        assert_eq!(answer.status == 503, answer.headers.contains_key("retry-after"));
        if answer.status == 200 {
            self.acknowledged.extend(records);
        }
        answer.status
    }
}

/// Checks that after `mounts`, the program starts without telemetry and prints one reason, and that it does not start
/// with `--require`.
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

    // A settings file could enable Claude Code's telemetry, so it is disabled in a way that takes precedence.
    sandbox.program("claude", "#!/bin/sh\nprintf '%s\\n' \"$@\"\n");
    let output = isolated(sandbox, mounts).args(["-p", "otlp", "claude", "-p", "a prompt"]).output().unwrap();
    let arguments = text(&output.stdout);
    let lines: Vec<_> = arguments.lines().collect();
    assert_eq!((lines[0], &lines[2..]), ("--settings", &["-p", "a prompt"][..]), "{arguments}");
    assert!(lines[1].contains(r#""CLAUDE_CODE_ENABLE_TELEMETRY":"0""#), "{arguments}");
    assert_eq!(text(&output.stderr).lines().count(), 1);
    sandbox.wait_for_end();
}

/// `ccrun` in a private mount namespace, after `mounts` has run there.
fn isolated(sandbox: &Sandbox, mounts: &str) -> Command {
    let mut command = sandbox.command("unshare");
    let script = format!("set -e; {mounts}; exec ccrun \"$@\"");
    command.args(["-m", "sh", "-c", &script, "sh"]);
    command
}

/// Whether a program is installed. Prints a note if it is not.
#[expect(clippy::print_stderr, reason = "the output of the tests must show what was skipped")]
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

fn read_only(directory: &Path) -> String {
    let directory = directory.display();
    format!("mount --bind '{directory}' '{directory}'; mount -o remount,bind,ro '{directory}'")
}
