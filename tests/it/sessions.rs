//! `ccrun sessions`, as its user sees it.

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::backend::{Backend, Reply};
use crate::support::emitter::ids;
use crate::support::sandbox::{Sandbox, text, wait_until};
use crate::support::session::Session;

/// The output of `ccrun sessions --json`.
fn sessions(sandbox: &Sandbox) -> Vec<Value> {
    let output = sandbox.run(["sessions", "--json"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The output of a command that succeeds.
fn said<const N: usize>(sandbox: &Sandbox, arguments: [&str; N]) -> String {
    let output = sandbox.run(arguments);
    assert_eq!((text(&output.stderr).as_str(), output.status.code()), ("", Some(0)));
    text(&output.stdout)
}

/// A session that sends to this endpoint at once, and waits only briefly when it ends.
fn begin(sandbox: &Sandbox, endpoint: &str) -> Session {
    let profile =
        format!("[collector]\ndrain_timeout = \"1s\"\n[destination.own]\nendpoint = \"{endpoint}\"\nbatch = \"1ms\"\n");
    sandbox.profile("mine", profile);
    Session::start(sandbox, &["-p", "mine"])
}

#[test]
fn without_sessions_the_list_is_empty() {
    let sandbox = Sandbox::new();
    assert_eq!(said(&sandbox, ["sessions"]), "no session yet\n");
    assert!(sessions(&sandbox).is_empty());
    let output = sandbox.run(["sessions", "0123"]);
    let expected = "ccrun: there is no session `0123`: `ccrun sessions --all` lists all\n";
    assert_eq!((text(&output.stderr).as_str(), output.status.code()), (expected, Some(1)));
    let output = sandbox.run(["sessions", "../../etc/passwd"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(!sandbox.state().exists(), "listing creates no files");
}

#[test]
fn a_session_is_listed_while_running_and_afterwards() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    let session = begin(&sandbox, &backend.endpoint());
    session.client().export(&ids("record", 3));
    wait_until("the delivery to be recorded", || sessions(&sandbox)[0]["destinations"][0]["delivered"] == 3);
    let running = sessions(&sandbox).remove(0);
    let log = sandbox.state().join(format!("logs/{}.log", session.id));
    let destinations = json!([{"name": "own", "received": 3, "delivered": 3, "dropped": 0, "queue": []}]);
    let expected = json!({
        "id": session.id, "parent": null, "state": "running", "profile": "mine", "team": null, "program": "sh",
        "project": sandbox.project(), "branch": null, "started": running["started"], "ended": null, "received": 3,
        "refused": 0, "rejected": 0, "dropped_batches": 0, "message": null, "destinations": destinations, "log": log,
    });
    assert_eq!(running, expected);
    let id = session.id.clone();
    session.end();
    sandbox.wait_for_end();
    let ended = sessions(&sandbox).remove(0);
    assert!(ended["state"] == "ended" && ended["ended"].is_string(), "{ended}");

    let table = said(&sandbox, ["sessions"]);
    let row: Vec<_> = table.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(row[..4], [id.as_str(), "ended", "mine", "sh"]);
    assert_eq!(row[7..], ["3", "3"], "the row ends with received and delivered: {table}");
    let detail = said(&sandbox, ["sessions", &id[..8]]);
    for expected in ["3 records", log.to_str().unwrap(), "worker started", "everything is delivered"] {
        assert!(detail.contains(expected), "{detail}");
    }
    let one: Value = serde_json::from_str(&said(&sandbox, ["sessions", &id, "--json"])).unwrap();
    assert!(one["log_lines"].as_array().unwrap().len() >= 3, "{one}");
}

#[test]
fn undelivered_data_is_shown_with_the_reason() {
    let (sandbox, mut backend) = (Sandbox::new(), Backend::start());
    backend.stop();
    let session = begin(&sandbox, &backend.endpoint());
    session.client().export(&ids("record", 2));
    session.end();
    sandbox.wait_for_end();
    let found = sessions(&sandbox).remove(0);
    let own = &found["destinations"][0];
    assert_eq!(
        (&own["delivered"], &own["queue"][0]["state"], &own["queue"][0]["batches"]),
        (&json!(0), &json!("ended"), &json!(1))
    );
    assert!(own["queue"][0]["last_error"].as_str().unwrap().contains("refused the connection"), "{found}");
    assert!(own["queue"][0]["next_try"].is_string(), "{found}");
    let table = said(&sandbox, ["sessions"]);
    assert!(
        table.contains("1 batch left for own (127.0.0.1:") && table.contains("; the next attempt is in "),
        "{table}"
    );
}

/// The time of the next attempt, and the seconds until then that a person sees.
fn next_attempt(sandbox: &Sandbox) -> Option<(String, u64)> {
    let queue = sessions(sandbox)[0]["destinations"][0]["queue"][0].clone();
    let table = said(sandbox, ["sessions"]);
    let left = table.split("; the next attempt is in ").nth(1)?.split(' ').next()?.parse().ok()?;
    assert!(!queue["last_error"].as_str()?.contains("next attempt"), "{queue}");
    Some((queue["next_try"].as_str()?.to_owned(), left))
}

#[test]
fn the_next_attempt_without_credentials_is_shown() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    let destination = format!("[destination.own]\nendpoint = \"{}\"\nbatch = \"1ms\"\n", backend.endpoint());
    sandbox.profile("mine", destination + "headers.authorization = { command = [\"false\"] }\n");
    let session = Session::start(&sandbox, &["-p", "mine"]);
    session.client().export(&ids("record", 1));
    let mut before: Option<(String, u64)> = None;
    wait_until("the next attempt to come closer", || {
        let Some((moment, left)) = next_attempt(&sandbox) else { return false };
        let (first, most) = before.get_or_insert((moment.clone(), left));
        if *first != moment {
            before = Some((moment, left));
            return false;
        }
        left < *most
    });
    wait_until("the queue to show the attempt", || said(&sandbox, ["queue", "status"]).contains("  in "));
    assert!(backend.received().is_empty());
}

#[test]
fn late_deliveries_count_for_the_session_that_received_the_data() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    backend.reply_always(Reply::http(401, "who are you"));
    let mut running = [begin(&sandbox, &backend.endpoint()), begin(&sandbox, &backend.endpoint())];
    let clients = running.each_ref().map(Session::client);
    for (name, mut client) in ["one", "two"].into_iter().zip(clients) {
        client.export(&ids(name, 7));
    }
    running.iter_mut().for_each(Session::kill_both);
    backend.reply_always(Reply::accept());
    assert_eq!(said(&sandbox, ["queue", "flush"]), "everything is delivered\n");
    let found = sessions(&sandbox);
    assert_eq!(found.len(), 2);
    for session in found {
        let own = &session["destinations"][0];
        let counts = (&session["received"], &own["received"], &own["delivered"], &own["dropped"]);
        assert_eq!(counts, (&json!(7), &json!(7), &json!(7), &json!(0)), "{session}");
    }
    let table = said(&sandbox, ["sessions"]);
    for row in table.lines().skip(1) {
        let row: Vec<_> = row.split_whitespace().collect();
        assert_eq!(row[7..9], ["7", "7"], "{table}");
    }
}

#[test]
fn rejections_are_shown_with_the_backends_message() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    let session = begin(&sandbox, &backend.endpoint());
    backend.reply(Reply::http(400, "no\u{1b}[31m"));
    session.client().export(&ids("refused", 2));
    wait_until("the refusal", || sessions(&sandbox)[0]["destinations"][0]["queue"][0]["state"] == "refused");
    backend.reply(Reply::partial(1, "too old"));
    session.client().export(&ids("partial", 3));
    // What is received is counted beside what is delivered, on a busy machine a moment later.
    let is_recorded = |session: &Value| session["rejected"] == 1 && session["received"] == 5;
    wait_until("the delivery to be recorded", || is_recorded(&sessions(&sandbox)[0]));
    let found = sessions(&sandbox).remove(0);
    let own = &found["destinations"][0];
    assert_eq!(found["message"], "too old");
    assert_eq!(
        (&own["delivered"], &own["dropped"], &own["queue"][0]["state"]),
        (&json!(2), &json!(3), &json!("refused"))
    );
    let table = said(&sandbox, ["sessions"]);
    assert!(table.contains("1 batch left for own (permanently rejected: ") && !table.contains('\u{1b}'), "{table}");
    assert!(table.contains("1 record rejected: too old"), "{table}");
}

#[test]
fn a_session_with_a_killed_collector_is_marked_until_the_next_one_cleans_up() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    let mut session = begin(&sandbox, &backend.endpoint());
    session.client().export(&ids("record", 1));
    session.kill_keeper();
    assert_eq!(sessions(&sandbox)[0]["state"], "running", "its worker is alive");
    session.end_worker(Signal::SIGKILL);
    assert_eq!(sessions(&sandbox)[0]["state"], "killed");
    assert!(sandbox.run(["queue", "flush"]).status.success());
    assert_eq!(sessions(&sandbox)[0]["state"], "ended");
    assert_eq!(sessions(&sandbox)[0]["destinations"][0]["delivered"], 1);
}

#[test]
fn the_newest_sessions_are_shown_with_their_parents() {
    let mut sandbox = Sandbox::new();
    sandbox.set("CI", "true");
    sandbox.run(["-p", "local", "true"]);
    sandbox.run(["-p", "local", "sh", "-c", "ccrun -p local true; exit 0"]);
    let all = sessions(&sandbox);
    assert_eq!(all.len(), 3);
    let programs: Vec<_> = all.iter().map(|session| session["program"].as_str().unwrap()).collect();
    assert_eq!(programs, ["true", "sh", "true"]);
    assert_eq!(all[0]["parent"], all[1]["id"]);
    let table = said(&sandbox, ["sessions", "--limit", "1"]);
    assert!(table.contains(&format!("inside {}", all[1]["id"].as_str().unwrap())), "{table}");
    assert!(table.ends_with("older sessions are not shown: use `--all`\n") && table.lines().count() == 3, "{table}");
}
