//! `ccrun queue`, as its user sees it.

use serde_json::Value;

use crate::support::backend::{Backend, Reply};
use crate::support::emitter::{ids, ids_of};
use crate::support::sandbox::{Sandbox, text};
use crate::support::session::Session;

fn destination(name: &str, endpoint: &str) -> String {
    format!("[destination.{name}]\nendpoint = \"{endpoint}\"\n")
}

/// Leaves records of an ended session with the profile `own`, for a backend that has stopped.
fn leave(sandbox: &Sandbox, endpoint: &str, name: &str, count: usize) {
    sandbox.profile("own", destination("own", endpoint));
    let mut session = Session::start(sandbox, &["-p", "own"]);
    session.client().export(&ids(name, count));
    session.kill_both();
}

/// The stdout, the stderr and the exit code of a command.
fn said<const N: usize>(sandbox: &Sandbox, arguments: [&str; N]) -> (String, String, i32) {
    let output = sandbox.run(arguments);
    (text(&output.stdout), text(&output.stderr), output.status.code().unwrap())
}

fn states(queue: &[Value]) -> Vec<(&str, u64)> {
    queue.iter().map(|entry| (entry["state"].as_str().unwrap(), entry["batches"].as_u64().unwrap())).collect()
}

#[test]
fn orphaned_batches_go_to_the_named_destination() {
    let (sandbox, old, new) = (Sandbox::new(), Backend::start(), Backend::start());
    leave(&sandbox, &old.endpoint(), "record", 3);
    let logs = destination("logs", &new.endpoint()) + "signals = [\"logs\"]\n";
    let metrics = destination("metrics", &new.endpoint()) + "signals = [\"metrics\"]\n";
    sandbox.profile("own", logs + &metrics);
    assert_eq!(states(&sandbox.queue()), [("orphaned", 1)]);

    let (_, stderr, code) = said(&sandbox, ["queue", "flush", "-p", "own", "--to", "log"]);
    assert_eq!(
        (stderr.as_str(), code),
        ("ccrun: the profile `own` has no destination `log`: it has `logs`, `metrics`\n", 1)
    );
    assert_eq!(
        said(&sandbox, ["queue", "flush", "-p", "own", "--to", "metrics"]).2,
        1,
        "the destination accepts no logs"
    );
    assert!(new.received().is_empty());
    let (stdout, stderr, code) = said(&sandbox, ["queue", "flush", "-p", "own", "--to", "logs"]);
    assert_eq!((stdout.as_str(), stderr.as_str(), code), ("everything is delivered\n", "", 0));
    assert_eq!(ids_of(&new.received()), ids("record", 3));
    assert!(old.received().is_empty() && sandbox.queue().is_empty());
}

#[test]
fn rejected_batches_are_requeued_and_delivered() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    assert_eq!(said(&sandbox, ["queue", "retry"]).0, "nothing was rejected\n");
    backend.reply_always(Reply::http(400, "no"));
    leave(&sandbox, &backend.endpoint(), "record", 2);
    assert!(sandbox.run(["queue", "flush"]).status.success());
    assert_eq!(states(&sandbox.queue()), [("refused", 1)]);
    backend.reply_always(Reply::accept());
    backend.clear();
    let waits = "1 batch waits again: `ccrun queue flush` delivers what ended sessions left\n";
    assert_eq!(said(&sandbox, ["queue", "retry"]), (waits.to_owned(), String::new(), 0));
    assert_eq!(states(&sandbox.queue()), [("ended", 1)]);
    assert!(sandbox.run(["queue", "flush"]).status.success());
    assert_eq!(ids_of(&backend.received()), ids("record", 2));
    assert!(sandbox.queue().is_empty());
}

#[test]
fn purge_deletes_only_undeliverable_batches_unless_all_is_given() {
    let (sandbox, mut backend) = (Sandbox::new(), Backend::start());
    let gone = Backend::start();
    leave(&sandbox, &gone.endpoint(), "orphan", 1);
    backend.reply_always(Reply::http(400, "no"));
    leave(&sandbox, &backend.endpoint(), "refused", 1);
    said(&sandbox, ["queue", "flush"]);
    backend.stop();
    leave(&sandbox, &backend.endpoint(), "ended", 1);
    let states_now = || {
        let queue = sandbox.queue();
        let mut states: Vec<_> = states(&queue).into_iter().map(|(state, _)| state.to_owned()).collect();
        states.sort();
        states
    };
    assert_eq!(states_now(), ["ended", "orphaned", "refused"]);
    let (stdout, stderr, code) = said(&sandbox, ["queue", "purge"]);
    let nowhere = "ccrun: nothing was deleted: there is no terminal to confirm on; use `--yes`\n";
    assert_eq!((stdout.lines().count(), stderr.as_str(), code), (3, nowhere, 1), "{stdout}");
    assert_eq!(said(&sandbox, ["queue", "purge", "--dead", "--yes"]).0, "deleted 1 batch\n");
    assert_eq!(states_now(), ["ended", "orphaned"]);
    assert_eq!(said(&sandbox, ["queue", "purge", "--yes"]).0, "deleted 1 batch\n");
    assert_eq!(states_now(), ["ended"]);
    assert_eq!(said(&sandbox, ["queue", "purge", "--yes"]).0, "there is nothing to delete\n");
    assert_eq!(said(&sandbox, ["queue", "purge", "--all", "--yes"]).0, "deleted 1 batch\n");
    assert!(states_now().is_empty());
}

#[test]
fn claudes_own_shell_can_neither_purge_nor_redirect() {
    let (mut sandbox, mut backend) = (Sandbox::new(), Backend::start());
    backend.stop();
    leave(&sandbox, &backend.endpoint(), "record", 1);
    sandbox.set("CLAUDECODE", "1");
    for (verb, arguments) in [
        ("queue purge", vec!["queue", "purge", "--all", "--yes"]),
        ("queue flush --to", vec!["queue", "flush", "--to", "own"]),
    ] {
        let output = sandbox.run(arguments);
        let expected = format!("ccrun: `{verb}` is disabled inside a Claude session: run it in your own terminal\n");
        assert_eq!((text(&output.stderr), output.status.code()), (expected, Some(1)));
    }
    assert_eq!(states(&sandbox.queue()), [("ended", 1)]);
}

#[test]
fn a_waiting_flush_continues_until_everything_is_delivered() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    backend.reply(Reply::http(503, "busy").header("retry-after", "1"));
    leave(&sandbox, &backend.endpoint(), "record", 2);
    let (stdout, stderr, code) = said(&sandbox, ["queue", "flush", "--wait", "1m"]);
    assert_eq!((stdout.as_str(), stderr.as_str(), code), ("everything is delivered\n", "", 0));
    assert_eq!(backend.received().len(), 2);
}

#[test]
fn a_flush_waits_for_running_sessions() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    sandbox.profile("own", destination("own", &backend.endpoint()) + "batch = \"1s\"\n");
    let session = Session::start(&sandbox, &["-p", "own"]);
    session.client().export(&ids("record", 1));
    assert_eq!(said(&sandbox, ["queue", "flush", "--wait", "1m"]).0, "everything is delivered\n");
    assert_eq!(backend.received().len(), 1);
}

#[test]
fn a_flush_that_times_out_reports_the_next_attempt() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    backend.reply_always(Reply::http(503, "busy").header("retry-after", "800"));
    leave(&sandbox, &backend.endpoint(), "record", 2);
    let (stdout, stderr, code) = said(&sandbox, ["queue", "flush", "--wait", "10m"]);
    assert_eq!((stderr.as_str(), code), ("ccrun: not everything could be delivered\n", 1));
    assert!(stdout.contains("503 service unavailable: busy"), "{stdout}");
    let queue = sandbox.queue();
    assert!(queue[0]["next_try"].is_string(), "{queue:?}");
    assert_eq!(backend.received().len(), 1, "the flush does not wait in vain");
}
