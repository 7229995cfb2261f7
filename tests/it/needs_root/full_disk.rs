//! A full disk, at a launch and during a session. The program still starts, and no acknowledged data is lost.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;

use ccrun::otlp::Signal;

use super::{Load, assert_off, isolated, tmpfs, used};
use crate::support::backend::{Backend, Reply};
use crate::support::emitter::ids_of;
use crate::support::sandbox::{DEADLINE, Sandbox, text, wait_until};
use crate::support::series;
use crate::support::session::Session;

#[test]
#[ignore = "needs root and mount namespaces; scripts/test.sh runs it"]
fn a_full_disk_at_the_first_launch() {
    let sandbox = Sandbox::new();
    std::fs::create_dir_all(sandbox.state()).unwrap();
    assert_off(&sandbox, &format!("{}; {}", tmpfs(&sandbox), fill(&sandbox)), "No space left on device");
}

#[test]
#[ignore = "needs root and mount namespaces; scripts/test.sh runs it"]
fn a_full_disk_at_a_later_launch() {
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
fn a_disk_that_fills_up_during_a_session() {
    let (sandbox, mut backend) = (Sandbox::new(), Backend::start());
    std::fs::create_dir_all(sandbox.state()).unwrap();
    backend.stop();
    let session = session_on_tmpfs(&sandbox, &backend);
    let mut disk = Disk::of(&session, &sandbox);
    let mut load = Load { client: session.client(), acknowledged: Vec::new(), sent: 0 };
    assert_eq!(load.send(), 200);
    // Existing files may still have some space.
    wait_until("the disk to be full", || {
        disk.fill();
        load.send() == 503
    });
    // A long retry delay would delay the exit of the client's program.
    wait_until("an answer that tells clients not to retry", || {
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
fn usage_on_a_disk_that_fills_up_is_counted_once() {
    let sandbox = Sandbox::new();
    std::fs::create_dir_all(sandbox.state()).unwrap();
    let mut command = isolated(&sandbox, &tmpfs(&sandbox));
    let session = Session::start_by({
        command.args(["-p", "local"]);
        command
    });
    let pid = session.pid().to_string();
    let asked = || {
        let words = ["-t", &pid, "-m", "ccrun", "report", "--json"];
        sandbox.command("nsenter").args(words).output().unwrap()
    };
    let report = || {
        let output = asked();
        assert!(output.status.success(), "{}", text(&output.stderr));
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        (report["total"]["input_tokens"].as_i64().unwrap(), text(&output.stderr))
    };
    let mut disk = Disk::of(&session, &sandbox);
    let (mut client, mut acknowledged, mut nth) = (session.client(), 0, 0);
    let mut send = |acknowledged: &mut i64| {
        nth += 1;
        let status = client.post(Signal::Metrics, &series::tokens(&[("model", 7)], nth)).unwrap().status;
        *acknowledged += if status == 200 { 7 } else { 0 };
        status
    };
    assert_eq!(send(&mut acknowledged), 200);
    wait_until("the first request to be counted", || report().0 == 7);
    for refused in [503, 500] {
        wait_until("the disk to be full", || {
            disk.fill();
            send(&mut acknowledged) == refused
        });
    }
    // Without any space, `SQLite` may not even read. Then a message says so.
    let full = asked();
    assert!(full.status.success() || text(&full.stderr).contains("the disk"), "{full:?}");
    disk.free();
    assert_eq!(send(&mut acknowledged), 200);
    wait_until("all requests to be counted", || report().0 == acknowledged);
    assert_eq!(report(), (acknowledged, String::new()));
    // An open connection would keep the session alive.
    drop(client);
    session.end();
    sandbox.wait_for_end();
}

#[test]
#[ignore = "needs root and mount namespaces; scripts/test.sh runs it"]
fn a_delivery_that_cannot_be_recorded_on_a_full_disk_is_not_repeated() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    std::fs::create_dir_all(sandbox.state()).unwrap();
    backend.reply(Reply::accept().held());
    // Long enough to fill the segments that already exist.
    sandbox.profile("otlp", "[destination.otlp]\ntimeout = \"5m\"\n");
    let session = session_on_tmpfs(&sandbox, &backend);
    let mut disk = Disk::of(&session, &sandbox);
    let mut load = Load { client: session.client(), acknowledged: Vec::new(), sent: 0 };
    assert_eq!(load.send(), 200);
    backend.wait_for(|received| received.len() == 1, DEADLINE);
    // Once the backend has the batch, neither acknowledgements nor deliveries can be recorded.
    wait_until("the disk to be full", || {
        disk.fill();
        load.send() == 503
    });
    backend.release(1);
    // Meanwhile, a forwarder that had forgotten the delivery would have repeated it.
    wait_until("the disk to stay full for a while", || {
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

/// A session with its state on a small file system.
fn session_on_tmpfs(sandbox: &Sandbox, backend: &Backend) -> Session {
    let mut command = isolated(sandbox, &tmpfs(sandbox));
    command.args(["-p", "otlp", "--var", &format!("endpoint={}", backend.endpoint())]);
    Session::start_by(command)
}

/// The small file system of a session.
struct Disk {
    filler: PathBuf,
}

impl Disk {
    fn of(session: &Session, sandbox: &Sandbox) -> Self {
        Self { filler: PathBuf::from(format!("/proc/{}/root{}/filler", session.pid(), sandbox.state().display())) }
    }

    /// Fills it completely.
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

fn fill(sandbox: &Sandbox) -> String {
    format!("cat /dev/zero >'{}/filler' 2>/dev/null || true", sandbox.state().display())
}
