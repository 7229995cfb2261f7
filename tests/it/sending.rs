//! What becomes of a request, line by line of what the specification and the design say of sending.

use std::collections::BTreeMap;

use ccrun::otlp::Signal;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, number_data_point::Value,
};
use prost::Message;

use crate::support::backend::{Backend, Received, Reply};
use crate::support::emitter::{ids, ids_in, ids_of};
use crate::support::sandbox::{DEADLINE, Sandbox, wait_until};
use crate::support::session::Session;
use crate::support::telemetry::sums;

/// A profile with one destination, which sends when its session ends, and at once what it finds then.
fn patient(backend: &Backend) -> String {
    format!("[destination.own]\nendpoint = \"{}\"\nbatch = \"1h\"\n", backend.endpoint())
}

/// The same, which sends at once what it is given.
fn prompt(backend: &Backend) -> String {
    patient(backend).replace("1h", "1ms")
}

/// Starts a session with that profile.
fn start(sandbox: &Sandbox, profile: &str) -> Session {
    sandbox.profile("own", profile);
    Session::start(sandbox, &["-p", "own"])
}

/// Exports these, a request for each, in a session that then ends, and gives what arrived by then.
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

/// Each of these alone.
fn singly(ids: &[String]) -> Vec<Vec<String>> {
    ids.iter().map(|id| vec![id.clone()]).collect()
}

/// What the backend was given and did not refuse, sorted.
fn accepted(received: &[Received], is_refused: impl Fn(&Received) -> bool) -> Vec<String> {
    ids_of(&received.iter().filter(|received| !is_refused(received)).cloned().collect::<Vec<_>>())
}

fn has(received: &Received, word: &str) -> bool {
    ids_in(received).iter().any(|id| id.contains(word))
}

/// A value of the store's one session.
fn of_session<T: rusqlite::types::FromSql>(sandbox: &Sandbox, column: &str) -> T {
    let store = rusqlite::Connection::open(sandbox.state().join("store-1.db")).unwrap();
    store.query_row(&format!("SELECT {column} FROM session"), [], |row| row.get(0)).unwrap()
}

#[test]
fn small_requests_are_gathered_and_the_end_of_a_session_does_not_wait() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    let all = ids("record", 20);
    let received = send_in_a_session(&sandbox, &backend, &patient(&backend), &singly(&all));
    assert_eq!(received.len(), 1);
    assert_eq!(ids_in(&received[0]), all, "in their order");
}

#[test]
fn a_413_splits_down_to_one_record() {
    splits(&|_| Reply::http(413, "too much"), "http/protobuf");
}

#[test]
fn resource_exhausted_without_retry_info_splits_like_413() {
    splits(&|_| Reply::grpc(8, "too much"), "grpc");
}

fn splits(refusal: &'static (impl Fn(&Received) -> Reply + Sync), protocol: &str) {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    let is_refused = |received: &Received| ids_in(received).len() > 1;
    backend.reply_with(move |received| if is_refused(received) { refusal(received) } else { Reply::accept() });
    let profile = format!("{}protocol = \"{protocol}\"\n", patient(&backend));
    let received = send_in_a_session(&sandbox, &backend, &profile, &[ids("a", 5), ids("b", 1), ids("c", 2)]);
    let mut all = [ids("a", 5), ids("b", 1), ids("c", 2)].concat();
    all.sort();
    assert_eq!(accepted(&received, is_refused), all, "each record once");
    assert_eq!(ids_in(&received[0]).len(), 8, "first all together, then what was gathered, then what came together");
    assert!(sandbox.queue().is_empty());
}

#[test]
fn a_single_record_that_is_too_large_is_a_dead_letter_with_the_reason() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    backend.reply_with(|received| if has(received, "large") { Reply::http(413, "too much") } else { Reply::accept() });
    let requests = [ids("a", 2), [ids("b", 2), ids("large", 1), ids("c", 2)].concat()];
    let received = send_in_a_session(&sandbox, &backend, &patient(&backend), &requests);
    let mut others = [ids("a", 2), ids("b", 2), ids("c", 2)].concat();
    others.sort();
    assert_eq!(accepted(&received, |received| has(received, "large")), others);
    let queue = sandbox.queue();
    assert_eq!((queue.len(), &queue[0]["state"], &queue[0]["batches"]), (1, &"refused".into(), &1.into()));
    assert_eq!(queue[0]["last_error"], "413 payload too large: too much");
}

#[test]
fn a_quota_over_grpc_is_no_reason_to_give_anything_up() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    backend.reply_always(Reply::grpc(8, "quota"));
    let profile = format!("{}protocol = \"grpc\"\n", prompt(&backend));
    let session = start(&sandbox, &profile);
    session.client().export(&ids("record", 2));
    wait_until("the reason", || sandbox.queue().first().is_some_and(|entry| entry["next_try"].is_string()));
    backend.reply_always(Reply::accept());
    backend.clear();
    session.end();
    sandbox.wait_for_end();
    assert_eq!(ids_of(&backend.received()), ids("record", 2));
    assert!(sandbox.queue().is_empty(), "what had been parted is delivered, and nothing was given up");
}

#[test]
fn one_that_is_refused_for_good_takes_no_other_with_it() {
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
fn prometheus_500_by_its_words_is_a_dead_letter() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    let words = "invalid temporality and type combination for metric \"claude_code.cost.usage\"\n";
    backend.reply_always(Reply::http(500, words));
    send_in_a_session(&sandbox, &backend, &patient(&backend), &[ids("record", 1)]);
    let queue = sandbox.queue();
    assert_eq!((queue.len(), &queue[0]["state"]), (1, &"refused".into()));
    assert!(queue[0]["last_error"].as_str().unwrap().ends_with(words.trim()), "{queue:?}");
}

#[test]
fn never_retry_a_partial_success_but_count_it_and_keep_its_message() {
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
fn what_a_person_mends_is_held_until_it_is_mended() {
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
        (Reply::accept().endless(), "200 ok, but the answer was longer than 64 KiB"),
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
fn a_batch_that_is_refused_while_others_pass_goes_behind_them() {
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
    wait_until("all others to be delivered", || sandbox.queue()[0]["batches"] == 1);
    backend.reply_always(Reply::accept());
    backend.clear();
    drop(client);
    session.end();
    sandbox.wait_for_end();
    assert_eq!(ids_of(&backend.received()), ["odd-0"], "the end of the session tries it once more");
}

#[test]
fn sessions_share_what_is_known_against_a_destination() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    backend.reply_always(Reply::http(503, "busy").header("retry-after", "900"));
    let first = start(&sandbox, &prompt(&backend));
    first.client().export(&ids("first", 1));
    wait_until("the first attempt", || sandbox.queue().iter().any(|entry| entry["next_try"].is_string()));
    let others: Vec<_> = (0..3).map(|_| start(&sandbox, &prompt(&backend))).collect();
    for (number, other) in others.iter().enumerate() {
        other.client().export(&ids(&format!("other-{number}"), 1));
    }
    // The end of each tries once at once, so that nothing else can have been tried before.
    first.end();
    others.into_iter().for_each(Session::end);
    sandbox.wait_for_end();
    let received = backend.received();
    assert_eq!(received.len(), 1 + 4, "{:?}", ids_of(&received));
    // Of what they left all goes together, once the destination is well.
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
    assert_eq!(slow.received().len(), 1, "it has not answered the first one yet");
    slow.release(3);
    slow.wait_for(|received| ids_of(received) == all, DEADLINE);
}

/// A request of one metric with so many points.
fn metrics(points: u64) -> Vec<u8> {
    let point =
        |time| NumberDataPoint { time_unix_nano: time, value: Some(Value::AsInt(1)), ..NumberDataPoint::default() };
    let sum = Sum {
        data_points: (1..=points).map(point).collect(),
        aggregation_temporality: AggregationTemporality::Delta.into(),
        is_monotonic: true,
    };
    let metric = Metric { name: "work".to_owned(), data: Some(Data::Sum(sum)), ..Metric::default() };
    let scope_metrics = vec![ScopeMetrics { metrics: vec![metric], ..ScopeMetrics::default() }];
    let resource_metrics = vec![ResourceMetrics { scope_metrics, ..ResourceMetrics::default() }];
    ExportMetricsServiceRequest { resource_metrics }.encode_to_vec()
}

#[test]
fn counters_ride_with_metrics_and_count_everything_once() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    let count = |name: &str| sums(&backend.received(), &format!("ccrun.export.{name}"), "signal");
    let numbers = |pairs: &[(&str, f64)]| -> BTreeMap<String, f64> {
        pairs.iter().map(|(signal, number)| ((*signal).to_owned(), *number)).collect()
    };
    send_in_a_session(&sandbox, &backend, &prompt(&backend), &[ids("record", 3)]);
    assert_eq!(count("received"), numbers(&[]), "there is no traffic for their sake");
    backend.reply(Reply::http(503, "busy").header("retry-after", "900"));
    for (points, told) in
        [(2, numbers(&[("logs", 3.0), ("metrics", 2.0)])), (4, numbers(&[("logs", 3.0), ("metrics", 6.0)]))]
    {
        let session = start(&sandbox, &patient(&backend));
        session.client().post(Signal::Metrics, &metrics(points)).unwrap();
        session.end();
        sandbox.wait_for_end();
        if points == 2 {
            // The refused attempt was told the same, and has taken nothing.
            backend.clear();
            assert!(sandbox.run(["queue", "flush"]).status.success());
            assert_eq!(count("received"), numbers(&[]), "what others deliver tells nothing of its own");
            // A launch is told of what was left; the next session's is to say nothing.
            assert!(sandbox.run(["-p", "local", "true"]).status.success());
            sandbox.wait_for_end();
        } else {
            assert_eq!(count("received"), told);
        }
    }
    assert_eq!(count("delivered"), numbers(&[("logs", 3.0), ("metrics", 2.0)]));
    assert_eq!(count("held"), numbers(&[("metrics", 2.0)]));
    assert_eq!(count("dropped"), numbers(&[]));
    let services = crate::support::telemetry::everything(&backend.received());
    let ours = services.iter().filter(|item| item.name.starts_with("ccrun.export."));
    assert!(
        ours.clone().all(|item| item.resource["service.name"] == "ccrun" && item.attributes["destination"] == "own")
    );
    assert!(ours.count() > 0);
}

#[test]
fn a_backend_that_does_not_like_our_counters_gets_its_metrics_without() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    let is_counted = |received: &Received| received.body.windows(12).any(|bytes| bytes == b"ccrun.export");
    backend.reply_with(move |received| if is_counted(received) { Reply::http(400, "no") } else { Reply::accept() });
    let session = start(&sandbox, &patient(&backend));
    session.client().post(Signal::Metrics, &metrics(2)).unwrap();
    session.end();
    sandbox.wait_for_end();
    assert_eq!(backend.received().iter().map(is_counted).collect::<Vec<_>>(), [true, false]);
    assert!(sandbox.queue().is_empty());
}
