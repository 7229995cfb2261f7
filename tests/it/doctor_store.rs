//! What `ccrun doctor` reports about undelivered data.

use std::os::unix::fs::PermissionsExt;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::doctor_destination::examine;
use crate::support::backend::{Backend, Reply};
use crate::support::emitter::ids;
use crate::support::sandbox::{Sandbox, wait_until};
use crate::support::session::Session;

/// The findings about the store with this profile.
fn look(sandbox: &Sandbox, profile: &str) -> Vec<Value> {
    let found = examine(sandbox, &["-p", profile, "--timeout", "1m"]);
    found.into_iter().filter(|found| found["group"] == "store").collect()
}

#[track_caller]
fn says(found: &[Value], id: &str, level: &str, cause: &str, fix: &str) {
    let is_it = |one: &&Value| {
        let has = |key: &str, words: &str| one[key].as_str().unwrap_or_default().contains(words);
        one["id"] == id && one["level"] == level && has("summary", cause) && has("fix", fix)
    };
    assert!(found.iter().any(|one| is_it(&one)), "no finding `{id}`, `{level}`, `{cause}`, `{fix}`: {found:#?}");
}

#[track_caller]
fn is_well(found: &[Value]) {
    assert!(found.iter().all(|one| one["level"] == "ok"), "{found:#?}");
}

/// Runs a session that exports one record, until it is delivered or has a reason for not being delivered.
fn session(sandbox: &Sandbox, backend: &Backend) {
    let session = Session::to(sandbox, &backend.endpoint());
    session.client().export(&ids("record", 1));
    wait_until("the backend to receive a request", || !backend.received().is_empty());
    session.end_saying();
    sandbox.wait_for_end();
}

fn to(backend: &Backend) -> String {
    format!("endpoint={}", backend.endpoint())
}

#[test]
fn an_empty_machine_is_ok_and_stays_empty() {
    let sandbox = Sandbox::new();
    let found = look(&sandbox, "local");
    is_well(&found);
    says(&found, "store.database", "ok", "nothing has been recorded yet", "");
    assert!(!sandbox.state().exists());
}

#[test]
fn delivered_data_is_ok() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    session(&sandbox, &backend);
    let found = look(&sandbox, "local");
    is_well(&found);
    says(&found, "store.waiting", "ok", "nothing waits for delivery", "");
}

#[test]
fn held_data_is_reported_with_the_backends_reason() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    backend.reply_always(Reply::http(404, "no such page"));
    sandbox.profile(
        "mine",
        format!(
            "[destination.d]\nendpoint = \"{}\"\nbatch = \"1ms\"\n[collector]\ndrain_timeout = \"1s\"\n",
            backend.endpoint()
        ),
    );
    let session = Session::start(&sandbox, &["-p", "mine"]);
    session.client().export(&ids("record", 1));
    wait_until("the reason", || sandbox.queue().iter().any(|entry| entry["last_error"].is_string()));
    session.end();
    sandbox.wait_for_end();
    let found = look(&sandbox, "local");
    says(&found, "store.waiting", "warning", "for `d` 1 batch (", "`ccrun queue flush`");
    says(&found, "store.waiting", "warning", "of 1 session waits since 20", "once that is fixed");
    says(&found, "store.waiting", "warning", ": 404 not found: no such page", "once that is fixed");

    // After a change of the destination, data for the old one is not delivered to the new one.
    sandbox.profile("mine", "[destination.d]\nendpoint = \"http://127.0.0.1:9\"\n");
    let found = look(&sandbox, "local");
    says(
        &found,
        "store.orphaned",
        "warning",
        "orphaned: its profile was changed",
        "`ccrun queue flush -p PROFILE --to",
    );
}

#[test]
fn permanently_rejected_data_is_reported_with_the_backends_reason() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    backend.reply_always(Reply::http(400, "no field of that name"));
    session(&sandbox, &backend);
    let found = look(&sandbox, "local");
    says(&found, "store.refused", "warning", "`otlp` permanently rejected what 1 batch", "`ccrun queue retry`");
    says(&found, "store.refused", "warning", ": 400 bad request: no field of that name", "");
}

#[test]
fn rejected_records_are_reported() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    backend.reply_always(Reply::partial(1, "the quota of the day is used up"));
    // A request without any accepted record would be kept as a dead letter instead.
    let session = Session::to(&sandbox, &backend.endpoint());
    session.client().export(&ids("record", 2));
    session.end_saying();
    sandbox.wait_for_end();
    let found = look(&sandbox, "local");
    says(
        &found,
        "store.rejected",
        "warning",
        "permanently rejected 1 records of sessions since yesterday: the quota",
        "`ccrun sessions ",
    );
}

#[test]
fn a_session_whose_collector_was_killed_is_named() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    let mut session = Session::to(&sandbox, &backend.endpoint());
    session.client().export(&ids("record", 1));
    backend.wait_for(|received| !received.is_empty(), crate::support::sandbox::DEADLINE);
    let id = session.id.clone();
    session.end_worker(Signal::SIGKILL);
    session.kill_both();
    let found = look(&sandbox, "local");
    says(
        &found,
        "store.killed",
        "warning",
        &format!("the collector of the session {id} was killed"),
        "`ccrun queue flush`",
    );
    drop(session);
    let output = sandbox.ccrun(["queue", "flush", "-p", "otlp", "--var", &to(&backend)]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    is_well(&look(&sandbox, "local"));
}

#[test]
fn an_invalid_store_is_reported_before_and_after_it_is_renamed() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    sandbox.write("home/.local/state/ccrun/store-2.db", "a page of something else\n".repeat(1000));
    let found = look(&sandbox, "local");
    says(&found, "store.database", "failed", "is damaged", "`ccrun queue flush`");
    session(&sandbox, &backend);
    let found = look(&sandbox, "local");
    says(&found, "store.database", "ok", "is readable", "");
    says(&found, "store.aside", "warning", "the damaged file is `~/.local/state/ccrun/store-2.damaged-", "remove `");
}

#[test]
fn an_invalid_state_directory_is_reported() {
    let sandbox = Sandbox::new();
    sandbox.write("home/.local/state/ccrun", "a file");
    says(
        &look(&sandbox, "local"),
        "store.place",
        "failed",
        "`~/.local/state/ccrun` is not a directory",
        "CCRUN_STATE_DIR",
    );
}

#[test]
fn an_unwritable_state_directory_is_reported() {
    if nix::unistd::geteuid().is_root() {
        // Root can write anywhere except on read-only file systems.
        let mut sandbox = Sandbox::new();
        sandbox.set("CCRUN_STATE_DIR", "/proc/ccrun");
        let found = look(&sandbox, "local");
        assert!(found.iter().any(|one| one["id"] == "store.place"), "{found:#?}");
        return;
    }
    let sandbox = Sandbox::new();
    std::fs::create_dir_all(sandbox.state()).unwrap();
    std::fs::set_permissions(sandbox.state(), std::fs::Permissions::from_mode(0o500)).unwrap();
    says(
        &look(&sandbox, "local"),
        "store.place",
        "failed",
        "you have no write permission for `~/.local/state/ccrun`",
        "CCRUN_STATE_DIR",
    );
    std::fs::set_permissions(sandbox.state(), std::fs::Permissions::from_mode(0o700)).unwrap();
}
