//! Messages about earlier sessions, and stores that are damaged or missing.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;

use crate::support::backend::{Backend, Reply};
use crate::support::emitter::{ids, ids_of};
use crate::support::sandbox::{Sandbox, text, wait_until};
use crate::support::session::Session;

#[test]
fn undelivered_data_is_reported_once_at_the_next_launch() {
    let (mut sandbox, mut backend) = (Sandbox::new(), Backend::start());
    backend.stop();
    // If the backend is down, the end of the session waits only this long.
    sandbox.set("CCRUN_PROFILE", "mine");
    let destination =
        format!("[collector]\ndrain_timeout = \"1s\"\n[destination.own]\nendpoint = \"{}\"\n", backend.endpoint());
    sandbox.profile("mine", destination);
    let session = Session::start(&sandbox, &[]);
    let log = sandbox.state().join(format!("logs/{}.log", session.id));
    assert_eq!(session.client().export(&ids("record", 1)), 0);
    session.end();
    sandbox.wait_for_end();
    let launch = || text(&sandbox.run(["-p", "local", "true"]).stderr);
    let said = launch();
    let expected = format!(
        "ccrun: telemetry of a session with profile `mine` for `own` is not delivered yet (127.0.0.1:{} refused the \
         connection: does anything listen there?): `ccrun doctor -p mine` finds out why, `ccrun queue status` shows it\n",
        backend.port()
    );
    assert_eq!(said, expected);
    let logged = std::fs::read_to_string(&log).unwrap();
    assert!(logged.contains("worker started for `sh` with profile `mine`"), "{logged}");
    assert!(logged.contains("is not delivered yet"), "{logged}");
    assert_eq!((mode(&log), mode(log.parent().unwrap())), (0o600, 0o700));
    sandbox.wait_for_end();
    assert_eq!(launch(), "");
    sandbox.wait_for_end();
}

#[test]
fn data_delivered_in_the_meantime_is_not_reported_at_the_next_launch() {
    let (sandbox, mut backend) = (Sandbox::new(), Backend::start());
    let destination = |name: &str, endpoint: &str| {
        let text = format!("[collector]\ndrain_timeout = \"1s\"\n[destination.own]\nendpoint = \"{endpoint}\"\n");
        sandbox.profile(name, text);
    };
    destination("back", &backend.endpoint());
    destination("down", &Backend::start().endpoint());
    backend.stop();
    // Both run at the same time. Otherwise the second would report on the first.
    let sessions = ["back", "down"].map(|profile| {
        let session = Session::start(&sandbox, &["-p", profile]);
        session.client().export(&ids(profile, 1));
        session
    });
    for session in sessions {
        session.end();
    }
    sandbox.wait_for_end();
    backend.restart();
    assert!(!sandbox.run(["queue", "flush"]).status.success());
    assert_eq!(ids_of(&backend.received()), ids("back", 1));
    let launch = || text(&sandbox.run(["-p", "local", "true"]).stderr);
    let said = launch();
    assert!(said.contains("profile `down`") && !said.contains("profile `back`"), "{said}");
    sandbox.wait_for_end();
    let session = Session::start(&sandbox, &["-p", "down"]);
    session.client().export(&ids("down", 1));
    session.end();
    sandbox.wait_for_end();
    assert!(sandbox.run(["queue", "purge", "--all", "--yes"]).status.success());
    assert_eq!(launch(), "");
    sandbox.wait_for_end();
}

#[test]
fn the_log_records_when_deliveries_start_to_fail_and_when_they_recover() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    for _ in 0..2 {
        backend.reply(Reply::http(503, "busy"));
    }
    let session = Session::to(&sandbox, &backend.endpoint());
    let log = sandbox.state().join(format!("logs/{}.log", session.id));
    session.client().export(&ids("record", 1));
    wait_until("the delivery", || sandbox.queue().is_empty());
    backend.reply(Reply::http(401, "who are you"));
    session.client().export(&ids("other", 1));
    wait_until("the delivery", || sandbox.queue().is_empty());
    session.end();
    sandbox.wait_for_end();
    let logged = std::fs::read_to_string(&log).unwrap();
    let noted: Vec<_> = logged.lines().filter_map(|line| Some(line.split_once("deliveries to `otlp` ")?.1)).collect();
    let expected = ["are held: 503", "pass again", "wait for credentials: 401", "pass again"];
    assert!(noted.len() == 4 && expected.iter().zip(&noted).all(|(start, line)| line.starts_with(start)), "{logged}");
}

#[test]
fn the_log_records_for_how_long_storing_failed() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    let session = Session::to(&sandbox, &backend.endpoint());
    let log = sandbox.state().join(format!("logs/{}.log", session.id));
    let mut client = session.client();
    client.export(&ids("before", 1));
    wait_until("the delivery", || sandbox.queue().is_empty());
    // Even root cannot use a file as a directory.
    let spool = sandbox.state().join("spool");
    std::fs::remove_dir_all(&spool).unwrap();
    std::fs::write(&spool, "").unwrap();
    for _ in 0..2 {
        assert_eq!(client.send(&ids("after", 1)).unwrap().status, 503);
    }
    std::fs::remove_file(&spool).unwrap();
    client.export(&ids("after", 1));
    drop(client);
    session.end();
    sandbox.wait_for_end();
    let logged = std::fs::read_to_string(&log).unwrap();
    assert_eq!(logged.matches("exports cannot be stored: ").count(), 1, "{logged}");
    assert_eq!(logged.matches("exports are stored again, after ").count(), 1, "{logged}");
}

#[test]
fn a_crash_loop_is_explained() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    let mut session = Session::to(&sandbox, &backend.endpoint());
    let log = sandbox.state().join(format!("logs/{}.log", session.id));
    for _ in 0..6 {
        session.end_worker(Signal::SIGKILL);
    }
    // The keeper then holds the port while the program lives.
    wait_until("the keeper to give up", || std::fs::read_to_string(&log).is_ok_and(|log| log.contains("giving up")));
    let logged = std::fs::read_to_string(&log).unwrap();
    assert_eq!(logged.lines().filter(|line| line.ends_with("a worker exited by signal 9")).count(), 6, "{logged}");
    assert!(logged.ends_with("worker exited 6 times in 10 min; giving up\n"), "{logged}");
    let said = text(&sandbox.run(["-p", "local", "true"]).stderr);
    assert!(said.contains("exited 6 times and gave up") && said.contains(log.to_str().unwrap()), "{said}");
    session.end();
    sandbox.wait_for_end();
}

#[test]
fn an_invalid_store_is_renamed_and_reported() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    let garbage = "garbage ".repeat(4096);
    sandbox.write("home/.local/state/ccrun/store-2.db", &garbage);
    let session = Session::to(&sandbox, &backend.endpoint());
    assert_eq!(session.client().export(&ids("record", 2)), 0);
    session.end();
    sandbox.wait_for_end();
    assert_eq!(ids_of(&backend.received()), ids("record", 2));
    let aside = damaged(&sandbox);
    assert_eq!(std::fs::read_to_string(&aside).unwrap(), garbage);
    let said = text(&sandbox.run(["-p", "local", "true"]).stderr);
    let expected = format!(
        "ccrun: the store was damaged and was replaced: nothing could be read; the damaged file is `{}`\n",
        aside.display()
    );
    assert_eq!(said, expected);
    sandbox.wait_for_end();
}

/// Two collectors have the store open when garbage replaces it. Neither keeps writing to the deleted file.
#[test]
fn a_store_replaced_by_garbage_is_recreated_for_all_sessions() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    let sessions = [(); 2].map(|()| Session::to(&sandbox, &backend.endpoint()));
    let all = ids("record", 6);
    for (session, few) in sessions.iter().zip(all.chunks(1)) {
        assert_eq!(session.client().export(few), 0);
    }
    wait_until("the deliveries", || sandbox.queue().is_empty());
    let store = sandbox.state().join("store-2.db");
    std::fs::remove_file(sandbox.state().join("store-2.db-wal")).unwrap();
    std::fs::rename(sandbox.write("home/garbage", "garbage ".repeat(4096)), &store).unwrap();
    for (session, few) in sessions.iter().zip(all[2..].chunks(2)) {
        assert_eq!(session.client().export(few), 0);
    }
    for session in sessions {
        session.end();
    }
    sandbox.wait_for_end();
    let mut delivered = ids_of(&backend.received());
    delivered.dedup();
    assert_eq!(delivered, all);
    damaged(&sandbox);
}

#[test]
fn a_state_directory_deleted_during_a_session_is_recreated() {
    let (sandbox, mut backend) = (Sandbox::new(), Backend::start());
    let session = Session::to(&sandbox, &backend.endpoint());
    let mut client = session.client();
    let all = ids("record", 2);
    assert_eq!(client.export(&all[..1]), 0);
    wait_until("the delivery", || sandbox.queue().is_empty());
    backend.stop();
    // The collector may create a file in it at the same moment.
    wait_until("the directory to be deleted", || {
        let removed = std::fs::remove_dir_all(sandbox.state());
        removed.map_or_else(|error| error.kind() == std::io::ErrorKind::NotFound, |()| true)
    });
    assert_eq!(client.export(&all[1..]), 0);
    let log = sandbox.state().join("spool").join(&session.id);
    let segment = std::fs::read_dir(&log).unwrap().next().unwrap().unwrap().path();
    assert_eq!([&sandbox.state(), &log, &segment].map(|path| mode(path)), [0o700, 0o700, 0o600]);
    assert_eq!(sandbox.queue().len(), 1, "acknowledged records are on disk");
    backend.restart();
    drop(client);
    session.end();
    sandbox.wait_for_end();
    assert_eq!(ids_of(&backend.received()), all);
}

/// The only damaged database that was renamed.
fn damaged(sandbox: &Sandbox) -> PathBuf {
    let entries = std::fs::read_dir(sandbox.state()).unwrap().map(|entry| entry.unwrap().path());
    let is_database = |path: &PathBuf| {
        path.extension().is_some_and(|extension| {
            let extension = extension.to_str().unwrap();
            extension.starts_with("damaged-") && !extension.ends_with("-wal") && !extension.ends_with("-shm")
        })
    };
    let found: Vec<_> = entries.filter(is_database).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    found[0].clone()
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}
