//! The fate of a request under each rule of the specification and the design.

mod counters;
mod too_large;

use crate::support::backend::{Backend, Received, Reply};
use crate::support::emitter::{ids, ids_in, ids_of};
use crate::support::sandbox::{DEADLINE, Sandbox, wait_until};
use crate::support::session::Session;

/// A profile with one destination that sends only when the session ends.
fn patient(backend: &Backend) -> String {
    format!("[destination.own]\nendpoint = \"{}\"\nbatch = \"1h\"\n", backend.endpoint())
}

/// A profile with one destination that sends at once.
fn prompt(backend: &Backend) -> String {
    patient(backend).replace("1h", "1ms")
}

/// Starts a session with this profile.
fn start(sandbox: &Sandbox, profile: &str) -> Session {
    sandbox.profile("own", profile);
    Session::start(sandbox, &["-p", "own"])
}

/// Exports each group of ids as one request in a session, ends the session, and returns what arrived.
fn send_in_a_session(sandbox: &Sandbox, backend: &Backend, profile: &str, requests: &[Vec<String>]) -> Vec<Received> {
    let session = start(sandbox, profile);
    let mut client = session.client();
    for request in requests {
        assert_eq!(client.export(request), 0);
    }
    drop(client);
    session.end();
    sandbox.wait_for_end();
    backend.received()
}

/// Each id as its own group.
fn singly(ids: &[String]) -> Vec<Vec<String>> {
    ids.iter().map(|id| vec![id.clone()]).collect()
}

/// The ids that the backend received and did not reject, sorted.
fn accepted(received: &[Received], is_refused: impl Fn(&Received) -> bool) -> Vec<String> {
    ids_of(&received.iter().filter(|received| !is_refused(received)).cloned().collect::<Vec<_>>())
}

fn has(received: &Received, word: &str) -> bool {
    ids_in(received).iter().any(|id| id.contains(word))
}

/// A column of the store's only session.
fn of_session<T: rusqlite::types::FromSql>(sandbox: &Sandbox, column: &str) -> T {
    let store = rusqlite::Connection::open(sandbox.state().join("store-2.db")).unwrap();
    store.query_row(&format!("SELECT {column} FROM session"), [], |row| row.get(0)).unwrap()
}

#[test]
fn small_requests_are_batched_and_sent_when_the_session_ends() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    let all = ids("record", 20);
    let received = send_in_a_session(&sandbox, &backend, &patient(&backend), &singly(&all));
    assert_eq!(received.len(), 1);
    assert_eq!(ids_in(&received[0]), all, "the records keep their order");
}

#[test]
fn a_permanently_rejected_batch_affects_no_other() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    let is_refused = |received: &Received| has(received, "record-7");
    backend.reply_with(move |received| if is_refused(received) { Reply::http(400, "no") } else { Reply::accept() });
    let mut all = ids("record", 10);
    let received = send_in_a_session(&sandbox, &backend, &patient(&backend), &singly(&all));
    all.remove(7);
    assert_eq!(accepted(&received, is_refused), all);
    let queue = sandbox.queue();
    assert_eq!((queue.len(), &queue[0]["state"], &queue[0]["batches"]), (1, &"refused".into(), &1.into()));
}

#[test]
fn a_prometheus_500_that_is_a_rejection_is_a_dead_letter() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    let words = "invalid temporality and type combination for metric \"claude_code.cost.usage\"\n";
    backend.reply_always(Reply::http(500, words));
    send_in_a_session(&sandbox, &backend, &patient(&backend), &[ids("record", 1)]);
    let queue = sandbox.queue();
    assert_eq!((queue.len(), &queue[0]["state"]), (1, &"refused".into()));
    assert!(queue[0]["last_error"].as_str().unwrap().ends_with(words.trim()), "{queue:?}");
}

#[test]
fn a_partial_success_is_counted_with_its_message_and_not_retried() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    backend.reply_always(Reply::partial(2, "too old"));
    let received = send_in_a_session(&sandbox, &backend, &patient(&backend), &[ids("record", 3)]);
    assert_eq!(received.len(), 1);
    assert!(sandbox.queue().is_empty());
    assert_eq!(of_session::<i64>(&sandbox, "rejected"), 2);
    assert_eq!(of_session::<String>(&sandbox, "message"), "too old");
}

#[test]
fn a_connection_that_ends_without_an_answer_is_tried_again() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    backend.reply(Reply::close());
    let session = start(&sandbox, &prompt(&backend));
    session.client().export(&ids("record", 1));
    let received = backend.wait_for(|received| received.len() == 2, DEADLINE);
    assert_eq!(ids_of(&received), ["record-0", "record-0"]);
}

#[test]
fn data_is_held_while_a_person_can_fix_the_problem() {
    let elsewhere = Backend::start();
    let away = format!("{}/login?ticket=1", elsewhere.endpoint());
    let replies = [
        (Reply::http(302, "").header("location", &away), "302 found, and redirects are not followed"),
        (Reply::http(404, "no such path"), "404 not found: no such path"),
        (
            Reply::http(200, "<html><title>Sign in</title>").header("content-type", "text/html"),
            "200 ok, but with a page where an answer to otlp belongs",
        ),
        (Reply::http(200, r#"{"error":"bad key"}"#).header("content-type", "application/json"), "bad key"),
        (Reply::http(500, "disk full"), "500 internal server error: disk full"),
    ];
    for (reply, expected) in replies {
        let (sandbox, backend) = (Sandbox::new(), Backend::start());
        backend.reply_always(reply);
        let mut session = start(&sandbox, &prompt(&backend));
        session.client().export(&ids("record", 2));
        wait_until("the reason", || sandbox.queue()[0]["next_try"].is_string());
        session.kill_both();
        let queue = sandbox.queue();
        assert_eq!((queue.len(), &queue[0]["state"]), (1, &"ended".into()));
        assert!(queue[0]["last_error"].as_str().unwrap().contains(expected), "{queue:?}");
        backend.reply_always(Reply::accept());
        backend.clear();
        assert!(sandbox.run(["queue", "flush"]).status.success());
        assert_eq!(ids_of(&backend.received()), ids("record", 2));
    }
    assert!(elsewhere.received().is_empty(), "redirects are never followed");
}

#[test]
fn a_success_counts_with_any_body() {
    let text = |body: &str| Reply::http(200, body).header("content-type", "text/plain");
    let json = |body: &str| Reply::http(202, body).header("content-type", "application/json");
    let long = Reply::partial(1, &"a long reason ".repeat(8192));
    let replies = [long, text("OK"), json("\"OK\""), json("[]"), json(r#"{"code":"ok"}"#), Reply::accept().endless()];
    for protocol in ["http/protobuf", "grpc"] {
        let (sandbox, backend) = (Sandbox::new(), Backend::start());
        let session = start(&sandbox, &format!("{}protocol = \"{protocol}\"\n", prompt(&backend)));
        let mut client = session.client();
        let replies = if protocol == "grpc" { &replies[..1] } else { &replies };
        for (number, reply) in replies.iter().enumerate() {
            backend.reply(reply.clone());
            client.export(&ids(&format!("record-{number}"), 2));
            backend.wait_for(|received| received.len() > number, DEADLINE);
        }
        drop(client);
        session.end();
        sandbox.wait_for_end();
        assert_eq!(backend.received().len(), replies.len(), "no record is sent again");
        assert_eq!(sandbox.queue(), [] as [serde_json::Value; 0]);
    }
}

#[test]
fn a_rejected_batch_does_not_hold_up_the_next_ones() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    backend.reply_with(|received| if has(received, "odd") { Reply::http(500, "odd") } else { Reply::accept() });
    let session = start(&sandbox, &prompt(&backend));
    let mut client = session.client();
    client.export(&ids("odd", 1));
    backend.wait_for(|received| !received.is_empty(), DEADLINE);
    let all = ids("record", 3);
    for id in &all {
        client.export(std::slice::from_ref(id));
        let passes = |received: &Received| has(received, id) && !has(received, "odd");
        backend.wait_for(|received| received.iter().any(passes), DEADLINE);
    }
    wait_until("the other batches to be delivered", || sandbox.queue()[0]["batches"] == 1);
    backend.reply_always(Reply::accept());
    backend.clear();
    drop(client);
    session.end();
    sandbox.wait_for_end();
    assert_eq!(ids_of(&backend.received()), ["odd-0"], "the end of the session retries the batch");
}

#[test]
fn sessions_share_the_back_off_of_a_destination() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    backend.reply_always(Reply::http(503, "busy").header("retry-after", "900"));
    let first = start(&sandbox, &prompt(&backend));
    first.client().export(&ids("first", 1));
    wait_until("the first attempt", || sandbox.queue().iter().any(|entry| entry["next_try"].is_string()));
    let others: Vec<_> = (0..3).map(|_| start(&sandbox, &prompt(&backend))).collect();
    for (number, other) in others.iter().enumerate() {
        other.client().export(&ids(&format!("other-{number}"), 1));
    }
    // The end of each session tries once at once, so no session has tried before.
    first.end();
    others.into_iter().for_each(Session::end);
    sandbox.wait_for_end();
    let received = backend.received();
    assert_eq!(received.len(), 1 + 4, "{:?}", ids_of(&received));
    // Once the destination recovers, the data of both sessions is sent together.
    backend.reply_always(Reply::accept());
    backend.clear();
    assert!(sandbox.run(["queue", "flush"]).status.success());
    assert_eq!(backend.received().iter().map(|received| ids_in(received).len()).collect::<Vec<_>>(), [4]);
}

#[test]
fn a_slow_destination_delays_neither_another_nor_the_acknowledgement() {
    let (sandbox, slow, quick) = (Sandbox::new(), Backend::start(), Backend::start());
    slow.reply_always(Reply::accept().held());
    let destination = |name: &str, backend: &Backend| {
        format!("[destination.{name}]\nendpoint = \"{}\"\nbatch = \"1ms\"\ntimeout = \"1h\"\n", backend.endpoint())
    };
    let session = start(&sandbox, &(destination("a-slow", &slow) + &destination("b-quick", &quick)));
    let mut client = session.client();
    let all = ids("record", 3);
    for (number, id) in all.iter().enumerate() {
        client.export(std::slice::from_ref(id));
        slow.wait_for(|received| !received.is_empty(), DEADLINE);
        quick.wait_for(|received| ids_of(received).len() == number + 1, DEADLINE);
    }
    assert_eq!(slow.received().len(), 1, "the first request is still unanswered");
    slow.release(3);
    slow.wait_for(|received| ids_of(received) == all, DEADLINE);
}

#[test]
fn a_success_that_rejects_every_record_is_a_dead_letter_and_not_sent_again() {
    for protocol in ["http/protobuf", "grpc"] {
        let (sandbox, backend) = (Sandbox::new(), Backend::start());
        backend.reply_always(Reply::partial(3, "no such tenant"));
        let profile = format!("{}protocol = \"{protocol}\"\n", patient(&backend));
        let received = send_in_a_session(&sandbox, &backend, &profile, &[ids("record", 3)]);
        assert_eq!(ids_of(&received), ids("record", 3), "once");
        let queue = sandbox.queue();
        assert_eq!((queue.len(), &queue[0]["state"], &queue[0]["batches"]), (1, &"refused".into(), &1.into()));
        let reason = queue[0]["last_error"].as_str().unwrap();
        assert!(reason.contains("every record was rejected: no such tenant"), "{reason}");
    }
}
