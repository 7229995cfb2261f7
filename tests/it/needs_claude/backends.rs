//! A backend that is down does not affect the user, and gets everything later.

use super::profile;
use crate::support::backend::{Backend, Reply};
use crate::support::claude::{Client, USAGE};
use crate::support::sandbox::{DEADLINE, text, wait_until};
use crate::support::telemetry::{events, items, sums};
use ccrun::doctor::live::model::Script;

/// The fault of a backend.
#[derive(Clone, Copy)]
enum Fault {
    /// It accepts connections and never answers.
    Silent,
    /// Nothing listens on its port.
    Absent,
}

/// What delivers the data later.
#[derive(Clone, Copy)]
enum Courier {
    NextSession,
    Flush,
}

fn keeps_and_delivers(fault: Fault, courier: Courier) {
    let (mut backend, client) = (Backend::start(), Client::new(Script::text("the answer").usage(USAGE)));
    client.profile("team", profile(&backend, "http/protobuf") + "[collector]\ndrain_timeout = \"1s\"\n");
    match fault {
        Fault::Silent => backend.reply_always(Reply::hang()),
        Fault::Absent => backend.stop(),
    }
    // The backend answers only after the client has ended, so the client did not wait for it.
    let output = client.ask(&["-p", "team"], "a question");
    assert_eq!((text(&output.stdout), text(&output.stderr)), ("the answer\n".to_owned(), String::new()));
    assert_eq!(output.status.code(), Some(0));
    let asked = client.questions();
    let waiting = client.queue();
    assert_eq!((waiting.len(), &waiting[0]["profile"]), (1, &"team".into()));
    let session = waiting[0]["session"].as_str().unwrap().to_owned();

    client.wait_for_end();
    let waiting = client.queue();
    assert_eq!((waiting.len(), &waiting[0]["state"]), (1, &"ended".into()));
    assert!(waiting[0]["batches"].as_u64() >= Some(2), "events and metrics: {waiting:?}");
    assert_eq!(client.report()["total"]["requests"], asked);

    backend.clear();
    match fault {
        Fault::Silent => backend.reply_always(Reply::accept()),
        Fault::Absent => backend.restart(),
    }
    match courier {
        Courier::NextSession => assert!(client.ask(&["-p", "local"], "another question").status.success()),
        Courier::Flush => {
            let output = client.run(["queue", "flush"]);
            assert!(output.status.success(), "{output:?}");
        }
    }
    wait_until("all data to be delivered", || client.queue().is_empty());
    let received = backend.received();
    assert!(items(&received).iter().all(|item| item.resource["ccrun.session"] == session));
    assert_eq!(events(&received, "api_request").len(), asked);
    let tokens = USAGE.cache_creation * u64::try_from(asked).unwrap();
    assert_eq!(sums(&received, "token.usage", "type")["cacheCreation"].to_string(), tokens.to_string());
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn data_for_a_silent_backend_arrives_with_the_next_session() {
    keeps_and_delivers(Fault::Silent, Courier::NextSession);
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn data_for_a_silent_backend_arrives_when_flushed() {
    keeps_and_delivers(Fault::Silent, Courier::Flush);
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn data_for_an_absent_backend_arrives_with_the_next_session() {
    keeps_and_delivers(Fault::Absent, Courier::NextSession);
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn data_for_an_absent_backend_arrives_when_flushed() {
    keeps_and_delivers(Fault::Absent, Courier::Flush);
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn a_backend_that_comes_back_during_the_session_gets_everything_once() {
    let (mut backend, client) = (Backend::start(), Client::new(Script::text("the answer").usage(USAGE).stalling()));
    client.profile("team", profile(&backend, "grpc"));
    backend.stop();
    let child = client.stall(&["-p", "team"], "a question");
    wait_until("data to be queued", || client.queue().iter().any(|entry| entry["last_error"].is_string()));
    backend.restart();
    client.model.release();
    assert!(crate::support::claude::finish(child).status.success());
    backend.wait_for(|received| super::complete(received, client.questions()), DEADLINE);
    wait_until("all data to be delivered", || client.queue().is_empty());
    assert_eq!(events(&backend.received(), "user_prompt").len(), 1);
}
