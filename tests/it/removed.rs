//! Files that are removed, moved or replaced while a session runs. Data acknowledged later is still on disk, and the
//! session is still listed as running.

use std::fs;
use std::path::PathBuf;

use crate::doctor_destination::examine;
use crate::support::backend::Backend;
use crate::support::emitter::{ids, ids_of};
use crate::support::sandbox::{Sandbox, text, wait_until};
use crate::support::session::Session;

/// The state that `ccrun sessions` shows for a session.
fn state(sandbox: &Sandbox, id: &str) -> String {
    let output = sandbox.run(["sessions", "--json"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let sessions: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    let found = sessions.iter().find(|session| session["id"] == id);
    found.map_or_else(String::new, |session| session["state"].as_str().unwrap().to_owned())
}

fn remove(path: &PathBuf) {
    // The collector may create a file in it at the same moment.
    wait_until("the path to be deleted", || match fs::symlink_metadata(path) {
        Err(_) => true,
        Ok(found) if found.is_dir() => fs::remove_dir_all(path).is_ok(),
        Ok(_) => fs::remove_file(path).is_ok(),
    });
}

#[test]
fn data_acknowledged_after_any_removal_is_delivered() {
    let removed = [
        &[""][..],
        &["spool"],
        &["spool/SESSION"],
        &["store-2.db"],
        &["store-2.db", "store-2.db-wal", "store-2.db-shm"],
        &["ledger-1.db", "ledger-1.db-wal", "ledger-1.db-shm"],
        &["key"],
        &["locks"],
        &["locks/SESSION"],
        &["store-2.lock", "ledger-1.lock"],
        &["logs", "settings"],
    ];
    std::thread::scope(|scope| {
        for names in removed {
            scope.spawn(move || {
                let (sandbox, mut backend) = (Sandbox::new(), Backend::start());
                let session = Session::to(&sandbox, &backend.endpoint());
                let (id, mut client) = (session.id.clone(), session.client());
                let all = ids("record", 4);
                client.export(&all[..1]);
                wait_until("the delivery", || sandbox.queue().is_empty());
                backend.stop();
                for name in names {
                    remove(&sandbox.state().join(name.replace("SESSION", &id)));
                }
                client.export(&all[1..2]);
                assert_eq!(state(&sandbox, &id), "running", "{names:?}");
                let log = sandbox.state().join("spool").join(&id);
                assert!(fs::read_dir(&log).unwrap().count() > 0, "{names:?}: acknowledged data is on disk");
                // Another session runs, which cleans up after ended ones.
                assert!(sandbox.run(["-p", "local", "true"]).status.success());
                client.export(&all[2..3]);
                backend.restart();
                client.export(&all[3..]);
                assert_eq!(state(&sandbox, &id), "running", "{names:?}");
                drop(client);
                session.end_saying();
                sandbox.wait_for_end();
                let mut delivered = ids_of(&backend.received());
                delivered.dedup();
                assert_eq!(delivered, all, "{names:?}");
                assert_eq!((sandbox.queue().len(), state(&sandbox, &id).as_str()), (0, "ended"), "{names:?}");
            });
        }
    });
}

#[test]
fn an_idle_session_without_its_lock_is_still_running() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    let session = Session::to(&sandbox, &backend.endpoint());
    let id = session.id.clone();
    session.client().export(&ids("record", 1));
    wait_until("the delivery", || sandbox.queue().is_empty());
    remove(&sandbox.state().join("locks"));
    wait_until("the lock to be recreated", || sandbox.state().join("locks").join(&id).exists());
    wait_until("the session to be listed as running", || state(&sandbox, &id) == "running");
    remove(&sandbox.state());
    assert!(sandbox.run(["-p", "local", "true"]).status.success());
    wait_until("the session to be listed again", || state(&sandbox, &id) == "running");
    session.end();
    sandbox.wait_for_end();
    assert_eq!(state(&sandbox, &id), "ended");
}

#[test]
fn a_session_survives_files_replaced_by_other_types() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    let session = Session::to(&sandbox, &backend.endpoint());
    let mut client = session.client();
    let all = ids("record", 6);
    client.export(&all[..1]);
    wait_until("the delivery", || sandbox.queue().is_empty());
    // A directory replaces the store.
    for name in ["store-2.db", "store-2.db-wal", "store-2.db-shm"] {
        remove(&sandbox.state().join(name));
    }
    fs::create_dir(sandbox.state().join("store-2.db")).unwrap();
    client.export(&all[1..2]);
    wait_until("the delivery", || ids_of(&backend.received()).contains(&all[1]));
    // A link replaces the session's log, and a file replaces the directory of logs.
    let log = sandbox.state().join("spool").join(&session.id);
    let elsewhere = sandbox.home().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    remove(&log);
    std::os::unix::fs::symlink(&elsewhere, &log).unwrap();
    remove(&sandbox.state().join("logs"));
    fs::write(sandbox.state().join("logs"), "").unwrap();
    client.export(&all[2..4]);
    wait_until("the delivery", || ids_of(&backend.received()).contains(&all[3]));
    // The state directory is moved as a whole.
    fs::rename(sandbox.state(), sandbox.home().join("moved")).unwrap();
    client.export(&all[4..]);
    drop(client);
    session.end_saying();
    sandbox.wait_for_end();
    let mut delivered = ids_of(&backend.received());
    delivered.dedup();
    assert_eq!(delivered, all);
}

#[test]
fn lost_telemetry_is_reported_by_the_next_launch_and_by_doctor() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    let session = Session::to(&sandbox, &backend.endpoint());
    let id = session.id.clone();
    let mut client = session.client();
    // Even root cannot use a file as a directory.
    let spool = sandbox.state().join("spool");
    fs::write(&spool, "").unwrap();
    wait_until("the collector to give up", || ![200, 503].contains(&client.send(&ids("lost", 1)).unwrap().status));
    let unkept = || {
        let found = examine(&sandbox, &["-p", "local", "--timeout", "1m"]);
        found.into_iter().filter(|found| found["id"] == "store.unkept").collect::<Vec<_>>()
    };
    let found = unkept();
    assert!(found.len() == 1 && found[0]["summary"].as_str().unwrap().contains(&id), "{found:?}");
    fs::remove_file(&spool).unwrap();
    client.export(&ids("kept", 1));
    drop(client);
    session.end_saying();
    sandbox.wait_for_end();
    let launch = || text(&sandbox.run(["-p", "local", "true"]).stderr);
    let said = launch();
    assert!(said.contains(&format!("telemetry of session {id} is lost: it could not be stored (")), "{said}");
    sandbox.wait_for_end();
    assert!(!launch().contains("could not be stored"), "once");
    assert_eq!(unkept(), found, "doctor reports it for a day");
    sandbox.wait_for_end();
}
