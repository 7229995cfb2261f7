//! A later version opens the state that an earlier one left: it reports what is there, and delivers what waits.
//!
//! `tests/fixtures/state-VERSION.tar.gz` is the state directory of that version. `scripts/upgrade-fixture.sh` makes the one
//! of this version, before a release.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::backend::{Backend, Reply};
use crate::support::emitter::{ids, ids_of};
use crate::support::sandbox::{DEADLINE, Sandbox, text, wait_until};
use crate::support::series;
use crate::support::session::Session;

/// The destination of the waiting data. The backend has another port in each run, so it takes the role of a proxy.
const ENDPOINT: &str = "http://backend.test:4318";

/// Ids of records that the backend refused, that waited when their session ended, and when it was killed.
const REFUSED: (&str, usize) = ("refused", 2);
const ENDED: (&str, usize) = ("ended", 3);
const KILLED: (&str, usize) = ("killed", 2);

fn sandbox(backend: &Backend) -> Sandbox {
    let mut sandbox = Sandbox::new();
    sandbox.set("HTTP_PROXY", backend.endpoint());
    let destination = format!("[destination.own]\nendpoint = \"{ENDPOINT}\"\nbatch = \"1ms\"\n");
    sandbox.profile("own", destination + "[collector]\ndrain_timeout = \"100ms\"\n");
    sandbox
}

fn session(sandbox: &Sandbox) -> Session {
    Session::start(sandbox, &["-p", "own"])
}

/// Leaves a state with everything that a later version must understand.
fn leave(sandbox: &Sandbox, backend: &mut Backend) {
    backend.reply_always(Reply::http(400, "no"));
    let refused = session(sandbox);
    refused.client().export(&ids(REFUSED.0, REFUSED.1));
    wait_until("the refusal", || states(sandbox).contains("refused"));
    refused.end_saying();
    sandbox.wait_for_end();
    backend.stop();
    let ended = session(sandbox);
    ended.client().export(&ids(ENDED.0, ENDED.1));
    series::export(&mut ended.client(), &[("claude-opus-5-5", 200), ("claude-haiku-5", 50)], 1);
    ended.end_saying();
    sandbox.wait_for_end();
    let mut killed = session(sandbox);
    killed.client().export(&ids(KILLED.0, KILLED.1));
    killed.kill_both();
}

/// The states of what is queued.
fn states(sandbox: &Sandbox) -> BTreeSet<String> {
    sandbox.queue().iter().map(|entry| entry["state"].as_str().unwrap().to_owned()).collect()
}

/// The tokens of the whole ledger.
fn tokens(sandbox: &Sandbox) -> i64 {
    sandbox.report_with(&["--since", "2026-01-01"])["total"]["tokens"].as_i64().unwrap()
}

fn succeed(sandbox: &Sandbox, words: &[&str]) -> String {
    let output = sandbox.run(words);
    assert!(output.status.success(), "{words:?}: {}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

/// Checks that a state made by [`leave`] is understood.
#[track_caller]
fn assert_opens(sandbox: &Sandbox, backend: &Backend) {
    assert_eq!(states(sandbox), ["ended", "refused"].map(str::to_owned).into());
    assert_eq!(tokens(sandbox), 250);
    let sessions: Value = serde_json::from_str(&succeed(sandbox, &["sessions", "--all", "--json"])).unwrap();
    let profiles: Vec<_> = sessions.as_array().unwrap().iter().map(|session| &session["profile"]).collect();
    assert_eq!(profiles, [&Value::from("own"); 3]);

    let delivered = || ids_of(&backend.received()).into_iter().collect::<BTreeSet<_>>();
    let all = |parts: &[(&str, usize)]| parts.iter().flat_map(|(name, count)| ids(name, *count)).collect();
    succeed(sandbox, &["queue", "flush"]);
    assert_eq!(delivered(), all(&[ENDED, KILLED]));
    assert_eq!(states(sandbox), ["refused".to_owned()].into());
    succeed(sandbox, &["queue", "retry"]);
    succeed(sandbox, &["queue", "flush"]);
    assert_eq!(delivered(), all(&[ENDED, KILLED, REFUSED]));
    assert!(sandbox.queue().is_empty() && tokens(sandbox) == 250);

    // It goes on from there.
    let next = session(sandbox);
    next.client().export(&ids("next", 1));
    series::export(&mut next.client(), &[("claude-opus-5-5", 7)], 2);
    backend.wait_for(|received| ids_of(received).contains(&ids("next", 1)[0]), DEADLINE);
    next.end_saying();
    sandbox.wait_for_end();
    assert_eq!(tokens(sandbox), 257);
    let export = sandbox.home().join("usage.ccrun-ledger");
    succeed(sandbox, &["ledger", "export", export.to_str().unwrap()]);
}

/// Also writes the fixture, if it is asked for.
#[test]
fn the_state_of_this_version_is_opened() {
    let mut backend = Backend::start();
    let sandbox = sandbox(&backend);
    leave(&sandbox, &mut backend);
    if let Ok(file) = std::env::var("TEST_STATE_FIXTURE") {
        // Others' memory of the store, which must not be copied, is made again.
        let pack = "tar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 --exclude='*-shm' -cf - . | gzip -9n >\"$1\"";
        let mut command = sandbox.command("sh");
        let packed = command.args(["-c", pack, "sh", &file]).current_dir(sandbox.state()).status().unwrap();
        assert!(packed.success());
    }
    backend.reply_always(Reply::accept());
    backend.restart();
    backend.clear();
    assert_opens(&sandbox, &backend);
}

#[test]
fn the_states_of_earlier_versions_are_opened() {
    let fixtures: Vec<_> = fixtures();
    assert!(!fixtures.is_empty());
    for fixture in fixtures {
        let backend = Backend::start();
        let sandbox = sandbox(&backend);
        unpack(&sandbox, &fixture);
        assert_opens(&sandbox, &backend);
    }
}

/// The session that was running at the upgrade and one of the upgraded program use the same store, spool and ledger.
#[test]
fn an_upgrade_under_a_running_session_loses_nothing_of_an_earlier_state() {
    for fixture in fixtures() {
        let backend = Backend::start();
        let sandbox = sandbox(&backend);
        unpack(&sandbox, &fixture);
        let older = session(&sandbox);
        older.client().export(&ids("older", 2));
        upgrade(&sandbox);
        let newer = session(&sandbox);
        for (session, name, tokens) in [(&older, "upgraded", 3), (&newer, "newer", 4)] {
            session.client().export(&ids(name, 2));
            series::export(&mut session.client(), &[("claude-opus-5-5", tokens)], 1);
        }
        let listed: Value = serde_json::from_str(&succeed(&sandbox, &["sessions", "--json"])).unwrap();
        let running = listed.as_array().unwrap().iter().filter(|session| session["state"] == "running");
        assert_eq!(running.count(), 2);
        newer.end_saying();
        older.client().export(&ids("last", 1));
        older.end_saying();
        sandbox.wait_for_end();
        assert_eq!(tokens(&sandbox), 257);
        succeed(&sandbox, &["queue", "retry"]);
        succeed(&sandbox, &["queue", "flush"]);
        let own = [("older", 2), ("upgraded", 2), ("newer", 2), ("last", 1)];
        let expected: BTreeSet<_> =
            own.iter().chain(&[ENDED, KILLED, REFUSED]).flat_map(|(name, n)| ids(name, *n)).collect();
        assert_eq!(ids_of(&backend.received()).into_iter().collect::<BTreeSet<_>>(), expected);
        assert!(sandbox.queue().is_empty());
    }
}

/// Replaces the program as `install.sh` and dpkg do, with other bytes of the same program.
fn upgrade(sandbox: &Sandbox) {
    let own = sandbox.home().with_file_name("bin").join("ccrun");
    let mut other = std::fs::read(&own).unwrap();
    other.extend_from_slice(b"newer");
    let new = sandbox.program("new", "");
    std::fs::write(&new, other).unwrap();
    std::fs::rename(&new, &own).unwrap();
}

fn unpack(sandbox: &Sandbox, fixture: &Path) {
    std::fs::create_dir_all(sandbox.state()).unwrap();
    let mut unpack = sandbox.command("tar");
    unpack.arg("-xzf").arg(fixture).current_dir(sandbox.state());
    assert!(unpack.status().unwrap().success());
}

fn fixtures() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let files = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("state-")).collect()
}
