//! Acknowledged data is delivered in spite of kills, and only to its own destination.

use nix::sys::signal::Signal;

use crate::support::backend::{Backend, Reply};
use crate::support::emitter::{ids, ids_of};
use crate::support::sandbox::{DEADLINE, Sandbox, text, wait_until};
use crate::support::session::Session;

#[test]
fn a_killed_worker_is_replaced_on_the_same_port() {
    replaced_after(Signal::SIGKILL);
}

#[test]
fn a_terminated_worker_is_replaced_on_the_same_port() {
    replaced_after(Signal::SIGTERM);
}

/// A client notices the loss of a worker only by the end of one connection.
fn replaced_after(signal: Signal) {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    let mut session = Session::to(&sandbox, &backend.endpoint());
    let mut client = session.client();
    let all = ids("record", 4);
    assert_eq!(client.export(&all[..1]), 0);
    let first = session.worker();
    session.end_worker(signal);
    assert_eq!(client.export(&all[1..2]), 1, "one connection ends, and the next is accepted at once");
    assert_ne!(session.worker(), first);
    // A new client finds the same endpoint, also with compression and chunks.
    assert_eq!(session.client().gzip().chunked().export(&all[2..3]), 0);
    assert_eq!(client.export(&all[3..]), 0);
    drop(client);
    session.end();
    sandbox.wait_for_end();
    assert_delivered(&backend, &all);
    assert_nothing_left(&sandbox);
}

#[test]
fn a_worker_without_its_keeper_runs_to_the_end() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    let mut session = Session::to(&sandbox, &backend.endpoint());
    let mut client = session.client();
    let all = ids("record", 3);
    client.export(&all[..1]);
    session.kill_keeper();
    assert_eq!(client.export(&all[1..2]), 0, "the worker holds the connection");
    assert_eq!(session.client().export(&all[2..]), 0, "the worker holds the port");
    drop(client);
    session.end();
    sandbox.wait_for_end();
    assert_delivered(&backend, &all);
    assert_nothing_left(&sandbox);
}

#[test]
fn what_was_acknowledged_survives_keeper_and_worker() {
    let (sandbox, mut backend) = (Sandbox::new(), Backend::start());
    backend.stop();
    let mut session = Session::to(&sandbox, &backend.endpoint());
    let all = ids("record", 50);
    let mut client = session.client();
    all.chunks(5).for_each(|few| assert_eq!(client.export(few), 0));
    session.kill_both();
    backend.restart();
    assert_eq!(flush(&sandbox), (true, "everything is delivered\n".to_owned()));
    assert_eq!(ids_of(&backend.received()), sorted(all));
    assert_nothing_left(&sandbox);
    session.end();
}

#[test]
fn a_session_killed_with_nothing_waiting_leaves_nothing() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    let mut session = Session::to(&sandbox, &backend.endpoint());
    session.client().export(&ids("record", 1));
    wait_until("the delivery", || sandbox.queue().is_empty());
    session.kill_both();
    assert!(flush(&sandbox).0);
    assert_nothing_left(&sandbox);
    assert_eq!(ids_of(&backend.received()), ids("record", 1));
}

#[test]
fn a_crash_loop_ends_after_five_tries() {
    let (sandbox, mut backend) = (Sandbox::new(), Backend::start());
    backend.stop();
    let mut session = Session::to(&sandbox, &backend.endpoint());
    let all = ids("record", 6);
    for id in &all {
        session.client().export(std::slice::from_ref(id));
        session.end_worker(Signal::SIGKILL);
    }
    let log = sandbox.state().join("logs").join(format!("{}.log", session.id));
    wait_until("the keeper to give up", || std::fs::read_to_string(&log).is_ok_and(|log| log.contains("giving up")));
    // It keeps the port while the program lives, which does not notice.
    assert!(session.keeper.lives());
    session.end();
    sandbox.wait_for_end();
    backend.restart();
    assert!(flush(&sandbox).0);
    assert_delivered(&backend, &all);
    assert_nothing_left(&sandbox);
}

#[test]
fn the_next_session_delivers_what_a_killed_one_left() {
    let (sandbox, mut backend) = (Sandbox::new(), Backend::start());
    backend.stop();
    let mut first = Session::to(&sandbox, &backend.endpoint());
    first.client().export(&ids("first", 3));
    first.kill_both();
    backend.restart();
    // The second session's profile has no destination, which does not matter for the first one's data.
    let second = Session::start(&sandbox, &["-p", "local"]);
    backend.wait_for(|received| ids_of(received) == ids("first", 3), DEADLINE);
    second.end();
    sandbox.wait_for_end();
    assert_nothing_left(&sandbox);
}

#[test]
fn two_flushes_at_once_deliver_each_batch_once() {
    let (sandbox, mut backend) = (Sandbox::new(), Backend::start());
    backend.stop();
    let mut all = Vec::new();
    for number in 0..4 {
        let mut session = Session::to(&sandbox, &backend.endpoint());
        let mut client = session.client();
        for id in ids(&format!("session-{number}"), 10) {
            client.export(std::slice::from_ref(&id));
            all.push(id);
        }
        session.kill_both();
    }
    // One flush is held up with the batches that it has taken. The other delivers the rest, if any, and exits.
    backend.reply(Reply::accept().held());
    backend.restart();
    let mut flushes: Vec<_> = (0..2).map(|_| sandbox.ccrun(["queue", "flush"]).spawn().unwrap()).collect();
    wait_until("one flush to exit", || flushes.iter_mut().any(|flush| flush.try_wait().unwrap().is_some()));
    backend.release(1);
    for flush in flushes {
        let output = flush.wait_with_output().unwrap();
        assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    }
    assert_eq!(ids_of(&backend.received()), sorted(all));
    assert_nothing_left(&sandbox);
}

#[test]
fn a_flush_leaves_a_running_sessions_data_alone() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    backend.reply(Reply::http(503, "busy").header("retry-after", "900"));
    let session = Session::to(&sandbox, &backend.endpoint());
    session.client().export(&ids("record", 1));
    wait_until("the first attempt", || sandbox.queue().iter().any(|entry| !entry["last_error"].is_null()));
    let waiting = "1 batch is left to running sessions\n";
    assert_eq!(flush(&sandbox), (true, waiting.to_owned()));
    assert_eq!(backend.received().len(), 1, "only the session itself tried to deliver");
    assert_eq!(sandbox.queue()[0]["state"], "running");
    session.end();
    backend.wait_for(|received| received.len() == 2, DEADLINE);
    sandbox.wait_for_end();
    assert_nothing_left(&sandbox);
}

#[test]
fn data_for_one_destination_goes_to_no_other() {
    let (sandbox, mut backend, other) = (Sandbox::new(), Backend::start(), Backend::start());
    backend.stop();
    let profile = |endpoint: &str, key: &str| {
        let destination = format!("[destination.own]\nendpoint = \"{endpoint}\"\nheaders.x-key = \"{key}\"\n");
        sandbox.profile("mine", destination)
    };
    profile(&backend.endpoint(), "first");
    let mut session = Session::start(&sandbox, &["-p", "mine"]);
    session.client().export(&ids("record", 3));
    session.kill_both();
    backend.restart();

    profile(&other.endpoint(), "first");
    assert_kept(&sandbox);
    let path = profile(&backend.endpoint(), "second");
    assert_kept(&sandbox);
    std::fs::remove_file(&path).unwrap();
    assert_kept(&sandbox);
    // Another session delivers what a flush would.
    let passing = Session::start(&sandbox, &["-p", "local"]);
    passing.end();
    sandbox.wait_for_end();
    assert_kept(&sandbox);
    assert!(backend.received().is_empty() && other.received().is_empty());

    profile(&backend.endpoint(), "first");
    assert!(flush(&sandbox).0);
    let received = backend.received();
    assert_eq!(ids_of(&received), ids("record", 3));
    assert!(received.iter().all(|request| request.headers["x-key"] == "first"));
    assert_nothing_left(&sandbox);
}

#[test]
fn data_redirected_by_an_overlay_is_kept_for_that_overlay() {
    let (sandbox, mut backend, other) = (Sandbox::new(), Backend::start(), Backend::start());
    backend.stop();
    let destination = |endpoint: &str| format!("[destination.own]\nendpoint = \"{endpoint}\"\nbatch = \"1ms\"\n");
    sandbox.profile("mine", destination(&other.endpoint()));
    let overlay = sandbox.profile("over", destination(&backend.endpoint()));
    let mut session = Session::start(&sandbox, &["-p", "mine", "-p", "over"]);
    session.client().export(&ids("record", 3));
    session.kill_both();
    backend.restart();
    // The profile itself also has a destination of that name.
    std::fs::rename(&overlay, overlay.with_extension("gone")).unwrap();
    assert_kept(&sandbox);
    sandbox.profile("over", destination(&other.endpoint()));
    assert_kept(&sandbox);
    assert!(other.received().is_empty());
    std::fs::rename(overlay.with_extension("gone"), &overlay).unwrap();
    assert!(flush(&sandbox).0);
    assert_eq!((ids_of(&backend.received()), other.received().len()), (ids("record", 3), 0));
}

#[test]
fn data_redirected_by_a_project_file_is_kept_until_it_is_trusted_again() {
    let (sandbox, mut backend, other) = (Sandbox::new(), Backend::start(), Backend::start());
    backend.stop();
    let destination = |endpoint: &str| format!("[destination.own]\nendpoint = \"{endpoint}\"\nbatch = \"1ms\"\n");
    sandbox.profile("mine", destination(&other.endpoint()));
    sandbox.write("project/.ccrun.toml", destination(&backend.endpoint()));
    let trust = || assert!(sandbox.run(["trust", "--yes"]).status.success());
    trust();
    let mut session = Session::start(&sandbox, &["-p", "mine"]);
    session.client().export(&ids("record", 3));
    session.kill_both();
    backend.restart();
    assert!(sandbox.run(["untrust"]).status.success());
    assert_kept(&sandbox);
    // A session of another project runs, whose project file is trusted.
    sandbox.write("another/.ccrun.toml", destination(&other.endpoint()));
    let another = sandbox.project().with_file_name("another");
    let elsewhere = |arguments: &[&str]| sandbox.ccrun(arguments).current_dir(&another).output().unwrap();
    assert!(elsewhere(&["trust", "--yes"]).status.success());
    assert!(elsewhere(&["-p", "mine", "true"]).status.success());
    sandbox.wait_for_end();
    assert_kept(&sandbox);
    assert!(backend.received().is_empty() && other.received().is_empty());
    trust();
    assert!(flush(&sandbox).0);
    assert_eq!((ids_of(&backend.received()), other.received().len()), (ids("record", 3), 0));
}

/// Checks that a flush does not deliver the data, and reports it.
#[track_caller]
fn assert_kept(sandbox: &Sandbox) {
    let output = sandbox.run(["queue", "flush"]);
    assert!(!output.status.success());
    assert_eq!(text(&output.stderr), "ccrun: not everything could be delivered\n");
    let queue = sandbox.queue();
    assert_eq!(queue.len(), 1);
    assert_eq!((&queue[0]["profile"], &queue[0]["batches"]), (&"mine".into(), &1.into()));
    assert_eq!(queue[0]["state"], "orphaned");
}

/// Whether `queue flush` succeeded, and its output.
fn flush(sandbox: &Sandbox) -> (bool, String) {
    let output = sandbox.run(["queue", "flush"]);
    assert_eq!(text(&output.stderr), "");
    (output.status.success(), text(&output.stdout))
}

/// Checks that exactly these records arrived. Duplicates are allowed if a worker dies after the backend's answer and
/// before it has recorded it.
#[track_caller]
fn assert_delivered(backend: &Backend, ids: &[String]) {
    let mut delivered = ids_of(&backend.received());
    delivered.dedup();
    assert_eq!(delivered, ids);
}

/// Checks that no delivery, no lock and no process is left.
#[track_caller]
fn assert_nothing_left(sandbox: &Sandbox) {
    assert_eq!(sandbox.collectors(), [0; 0]);
    assert_eq!(sandbox.queue(), Vec::<serde_json::Value>::new());
    let locks: Vec<_> =
        std::fs::read_dir(sandbox.state().join("locks")).unwrap().map(|lock| lock.unwrap().path()).collect();
    assert_eq!(locks, Vec::<std::path::PathBuf>::new());
}

fn sorted(mut ids: Vec<String>) -> Vec<String> {
    ids.sort();
    ids
}

#[test]
fn a_starting_session_keeps_its_settings() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    Session::to(&sandbox, &backend.endpoint()).end();
    sandbox.wait_for_end();
    // Its lock is created but not yet locked, and the store does not list it yet.
    let settings = r#"{"env":{"OTEL_EXPORTER_OTLP_ENDPOINT":"http://127.0.0.1:1/t"}}"#;
    let path = sandbox.write("home/.local/state/ccrun/settings/begins.json", settings);
    sandbox.write("home/.local/state/ccrun/locks/begins", "");
    assert!(flush(&sandbox).0);
    assert_eq!(std::fs::read_to_string(path).unwrap(), settings);
}

#[test]
fn a_key_left_empty_by_a_power_cut_is_replaced_and_reported() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    let all = ids("record", 2);
    for (number, id) in all.iter().enumerate() {
        let session = Session::to(&sandbox, &backend.endpoint());
        session.client().export(std::slice::from_ref(id));
        session.end();
        sandbox.wait_for_end();
        if number == 0 {
            std::fs::write(sandbox.state().join("key"), "").unwrap();
        }
    }
    assert_eq!(ids_of(&backend.received()), all);
    let output = sandbox.run(["true"]);
    let said = text(&output.stderr);
    assert!(output.status.success() && said.contains("key was damaged") && said.contains("`[redact]`"), "{said}");
    assert!(said.contains("`ccrun queue flush --to NAME`"), "{said}");
    assert_eq!(text(&sandbox.run(["true"]).stderr), "");
}
