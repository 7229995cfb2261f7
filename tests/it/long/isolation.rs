//! Many sessions at once, with destinations that must not affect each other.

use std::collections::{BTreeMap, BTreeSet};
use std::thread::scope;

use crate::support::backend::{Backend, Received, Reply};
use crate::support::emitter::{ids, ids_in, ids_of};
use crate::support::sandbox::{DEADLINE, Sandbox, wait_until};
use crate::support::session::Session;
use crate::support::telemetry::items;

/// The number of concurrent sessions.
const SESSIONS: usize = 20;

/// The number of requests that each session exports.
const REQUESTS: usize = 10;

#[test]
#[ignore = "takes long; scripts/test.sh --all runs it"]
fn twenty_sessions_deliver_while_another_destination_is_down() {
    let (sandbox, up, down) = (Sandbox::new(), Backend::start(), Backend::start());
    down.reply_always(Reply::http(503, "down"));
    let destination =
        |name: &str, backend: &Backend| format!("[destination.{name}]\nendpoint = \"{}\"\n", backend.endpoint());
    sandbox.profile("two", destination("a-down", &down) + &destination("b-up", &up));
    let sessions: Vec<_> = (0..SESSIONS).map(|_| Session::start(&sandbox, &["-p", "two"])).collect();
    let expected: BTreeMap<String, BTreeSet<String>> =
        sessions.iter().map(|session| (session.id.clone(), ids(&session.id, REQUESTS).into_iter().collect())).collect();
    scope(|scope| {
        for session in &sessions {
            scope.spawn(|| {
                let mut client = session.client();
                ids(&session.id, REQUESTS).chunks(1).for_each(|id| assert_eq!(client.export(id), 0));
            });
        }
    });
    let all: usize = SESSIONS * REQUESTS;
    up.wait_for(|received| ids_of(received).len() == all, DEADLINE);
    sessions.into_iter().for_each(Session::end);
    sandbox.wait_for_end();
    assert_eq!(by_session(&up.received()), expected);
    assert_eq!(ids_of(&up.received()).len(), all, "no record arrives twice");
    let tried = down.received().len();
    // At most one first attempt and one last attempt for each session, and the retries of the session whose turn it
    // was.
    assert!(tried <= 3 * SESSIONS, "{tried} requests to a destination that is down");
    let queue = sandbox.queue();
    assert_eq!(queue.len(), SESSIONS);
    assert!(queue.iter().all(|entry| entry["destination"] == "a-down" && entry["state"] == "ended"), "{queue:?}");

    down.reply_always(Reply::accept());
    down.clear();
    assert!(sandbox.run(["queue", "flush"]).status.success());
    assert_eq!(by_session(&down.received()), expected);
    assert_eq!(ids_of(&down.received()).len(), all, "no record arrives twice");
    assert!(down.received().len() <= 2, "a flush combines the undelivered data");
    assert!(sandbox.queue().is_empty());
}

/// The ids that arrived, by the session in their resource.
fn by_session(received: &[Received]) -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for received in received {
        let sessions =
            items(std::slice::from_ref(received)).into_iter().map(|item| item.resource["ccrun.session"].clone());
        for (session, id) in sessions.zip(ids_in(received)) {
            found.entry(session).or_default().insert(id);
        }
    }
    found
}

#[test]
#[ignore = "takes long; scripts/test.sh --all runs it"]
fn a_delivery_by_one_session_ends_the_back_off_of_all() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    backend.reply(Reply::http(503, "busy").header("retry-after", "900"));
    let waits = Session::to(&sandbox, &backend.endpoint());
    waits.client().export(&ids("waits", 1));
    wait_until("the first attempt", || sandbox.queue().iter().any(|entry| entry["next_try"].is_string()));
    // The end of this session tries at once.
    let ends = Session::to(&sandbox, &backend.endpoint());
    ends.client().export(&ids("ends", 1));
    ends.end();
    backend.wait_for(|received| received.len() == 3, DEADLINE);
    assert_eq!(ids_of(&backend.received()), ["ends-0", "waits-0", "waits-0"]);
}
