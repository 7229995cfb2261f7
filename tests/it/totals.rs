//! `temporality = "cumulative"`: totals across all sessions, in spite of kills, for any client.

use nix::sys::signal::Signal;

use crate::support::backend::{Backend, Received, Reply};
use crate::support::sandbox::{DEADLINE, Sandbox, wait_until};
use crate::support::series::{Point, deltas_at, export, series, sum_of, tokens_at};
use crate::support::session::Session;

/// A session whose destination takes totals.
fn start(sandbox: &Sandbox, backend: &Backend) -> Session {
    sandbox.profile("totals", profile(backend));
    Session::start(sandbox, &["-p", "totals"])
}

/// A profile that waits only briefly for a backend that is down.
fn profile(backend: &Backend) -> String {
    let destination = "temporality = \"cumulative\"\nbatch = \"1ms\"\n";
    format!(
        "[collector]\ndrain_timeout = \"2s\"\n[destination.own]\nendpoint = \"{}\"\n{destination}",
        backend.endpoint()
    )
}

/// Whether the backend has counted this number of input tokens.
fn has(tokens: i64) -> impl Fn(&[Received]) -> bool {
    move |received| sum_of(&series(received), "claude_code.token.usage") == tokens
}

/// The one series of a metric.
fn only_series(backend: &Backend, metric: &str) -> Vec<Point> {
    let all = series(&backend.received());
    let mut found = all.iter().filter(|(name, _)| name.split(' ').next() == Some(metric));
    let points = found.next().map(|(_, points)| points.clone()).unwrap();
    assert!(found.next().is_none(), "{all:?}");
    points
}

#[test]
fn a_series_starts_at_zero_and_continues_across_sessions() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    for (tokens, sum) in [(5, 5), (7, 12)] {
        let session = start(&sandbox, &backend);
        let mut client = session.client();
        export(&mut client, &[("opus", tokens)], 0);
        backend.wait_for(has(sum), DEADLINE);
        drop(client);
        let before = backend.received().len();
        session.end();
        sandbox.wait_for_end();
        assert!(backend.received().len() > before, "the end of a session sends its totals");
    }
    let points = only_series(&backend, "claude_code.token.usage");
    assert!(points.iter().all(|point| point.0 == points[0].0), "the start time never changes: {points:?}");
    assert_eq!((points[0].2, points.last().unwrap().2), (0, 12));
    assert_eq!(tokens_at(&backend), 12);
    assert!(sandbox.queue().is_empty());
    let counters = series(&backend.received());
    assert!(sum_of(&counters, "ccrun.export.received") > 0, "{counters:?}");
}

#[test]
fn two_sessions_kills_and_an_outage_leave_exactly_the_sum() {
    let (sandbox, mut backend) = (Sandbox::new(), Backend::start());
    let (mut one, two) = (start(&sandbox, &backend), start(&sandbox, &backend));
    let mut clients = [one.client(), two.client()];
    export(&mut clients[0], &[("opus", 1), ("haiku", 2)], 0);
    export(&mut clients[1], &[("opus", 4)], 0);
    backend.wait_for(has(7), DEADLINE);
    // A worker dies with data in flight, and its successor finds it.
    backend.stop();
    export(&mut clients[0], &[("opus", 8)], 1);
    one.end_worker(Signal::SIGKILL);
    let mut again = one.client();
    export(&mut again, &[("opus", 16)], 2);
    export(&mut clients[1], &[("haiku", 32)], 1);
    wait_until("both wait", || sandbox.queue().len() == 2);
    backend.restart();
    backend.wait_for(has(63), DEADLINE);
    // Keeper and worker die, and only the other session is left.
    backend.reply_always(Reply::http(503, "busy"));
    export(&mut again, &[("opus", 64)], 3);
    wait_until("it waits", || sandbox.queue().iter().any(|entry| entry["session"] == one.id.as_str()));
    one.kill_both();
    export(&mut clients[1], &[("opus", 128)], 2);
    backend.reply_always(Reply::accept());
    drop(clients);
    one.end();
    two.end();
    sandbox.wait_for_end();
    let flushed = sandbox.run(["queue", "flush"]);
    assert!(flushed.status.success(), "{flushed:?}");
    assert_eq!(tokens_at(&backend), 255);
    assert_eq!(sandbox.report()["total"]["input_tokens"], 255);
    assert!(sandbox.queue().is_empty());
}

#[test]
fn the_next_sessions_totals_include_data_from_an_outage() {
    let (sandbox, mut backend) = (Sandbox::new(), Backend::start());
    backend.stop();
    let session = start(&sandbox, &backend);
    let mut client = session.client();
    for nth in 0..5 {
        export(&mut client, &[("opus", 10)], nth);
    }
    drop(client);
    session.end();
    sandbox.wait_for_end();
    let left = sandbox.queue();
    assert_eq!((left.len(), &left[0]["state"], &left[0]["batches"]), (1, &"ended".into(), &1.into()), "{left:?}");
    backend.restart();
    assert!(sandbox.run(["queue", "flush"]).status.success());
    let points = only_series(&backend, "claude_code.token.usage");
    assert_eq!(points.iter().map(|point| point.2).collect::<Vec<_>>(), [0, 50], "no backlog of old points");
}

#[test]
fn one_destination_gets_totals_and_another_gets_deltas() {
    let (sandbox, totals, deltas) = (Sandbox::new(), Backend::start(), Backend::start());
    let other = format!("[destination.deltas]\nendpoint = \"{}\"\nbatch = \"1ms\"\n", deltas.endpoint());
    sandbox.profile("both", profile(&totals) + &other);
    let session = Session::start(&sandbox, &["-p", "both"]);
    let mut client = session.client();
    let record = crate::support::emitter::ids("record", 1);
    for nth in 0..3 {
        export(&mut client, &[("opus", 10)], nth);
    }
    client.export(&record);
    drop(client);
    session.end();
    sandbox.wait_for_end();
    assert_eq!(tokens_at(&totals), 30);
    assert_eq!(deltas_at(&deltas), [10, 10, 10]);
    for backend in [&totals, &deltas] {
        assert_eq!(
            crate::support::emitter::ids_of(&backend.received()),
            record,
            "both destinations get the logs unchanged"
        );
    }
}

#[test]
fn repeated_exports_count_once() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    let session = start(&sandbox, &backend);
    let request = crate::support::series::tokens(&[("opus", 5)], 0);
    let mut client = session.client();
    for _ in 0..3 {
        client.post(ccrun::otlp::Signal::Metrics, &request).unwrap();
    }
    drop(client);
    session.end();
    sandbox.wait_for_end();
    assert_eq!(tokens_at(&backend), 5);
}

#[test]
fn a_rejected_series_is_reported_and_delays_no_other() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    backend.reply_with(|received| {
        let is_bad = series([received]).keys().any(|name| name.contains("model=bad"));
        if is_bad { Reply::http(400, "out of order sample") } else { Reply::accept() }
    });
    let session = start(&sandbox, &backend);
    let id = session.id.clone();
    let mut client = session.client();
    export(&mut client, &[("bad", 1), ("opus", 5), ("haiku", 6)], 0);
    let good = |received: &[Received]| {
        let all =
            series(received.iter().filter(|received| series([*received]).keys().all(|name| !name.contains("bad"))));
        sum_of(&all, "claude_code.token.usage") == 11
    };
    backend.wait_for(good, DEADLINE);
    drop(client);
    session.end();
    sandbox.wait_for_end();
    let log = std::fs::read_to_string(sandbox.state().join(format!("logs/{id}.log"))).unwrap();
    assert!(log.contains("a series of `claude_code.token.usage` is left out of what `own` is given"), "{log}");
    // Once the backend accepts the series, it is complete.
    backend.reply_always(Reply::accept());
    backend.clear();
    let session = start(&sandbox, &backend);
    backend.wait_for(|received| series(received).values().flatten().map(|point| point.2).sum::<i64>() > 0, DEADLINE);
    session.end_saying();
}

#[test]
fn a_sender_that_dies_is_replaced() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    let (mut one, two) = (start(&sandbox, &backend), start(&sandbox, &backend));
    backend.reply_always(Reply::accept().held());
    export(&mut one.client(), &[("opus", 1)], 0);
    backend.wait_for(|received| !received.is_empty(), DEADLINE);
    let mut client = two.client();
    export(&mut client, &[("opus", 2)], 0);
    one.kill_both();
    backend.reply_always(Reply::accept());
    backend.wait_for(has(3), DEADLINE);
    drop(client);
    one.end();
    two.end();
    sandbox.wait_for_end();
    assert_eq!((tokens_at(&backend), sandbox.queue().len()), (3, 0));
}

#[test]
fn nothing_is_lost_or_counted_twice_for_any_answer() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    let hard = [
        Reply::http(401, "who?"),
        Reply::http(429, "slowly").header("retry-after", "1"),
        Reply::close(),
        Reply::http(413, "too large"),
        Reply::http(400, "no"),
        Reply::accept(),
        Reply::http(413, "too large"),
        Reply::partial(1, "one was odd"),
    ];
    for reply in hard {
        backend.reply(reply);
    }
    let session = start(&sandbox, &backend);
    let id = session.id.clone();
    let mut client = session.client();
    export(&mut client, &[("opus", 1), ("haiku", 2), ("sonnet", 4), ("other", 8)], 0);
    wait_until("the backend to accept everything", || sandbox.queue().is_empty());
    drop(client);
    session.end();
    sandbox.wait_for_end();
    let all = series(&backend.received()[backend.received().len() - 1..]);
    let tokens = all.iter().filter(|(name, _)| name.starts_with("claude_code."));
    assert_eq!(tokens.map(|(_, points)| points[0].2).sum::<i64>(), 15, "the last totals are complete");
    let shown = sandbox.run(["sessions", &id, "--json"]);
    let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
    let counts = &shown["destinations"][0];
    assert_eq!((&counts["received"], &counts["delivered"], &counts["dropped"]), (&4.into(), &4.into(), &0.into()));
}

#[test]
fn unchanged_totals_are_sent_again_while_a_session_runs() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    let session = start(&sandbox, &backend);
    let mut client = session.client();
    export(&mut client, &[("opus", 5)], 0);
    let is_again = |received: &[Received]| {
        let all = series(received);
        let tokens = all.iter().find(|(name, _)| name.starts_with("claude_code."));
        tokens.is_some_and(|(_, points)| points.iter().filter(|point| point.2 == 5).count() >= 2)
    };
    backend.wait_for(is_again, DEADLINE);
    assert_eq!(tokens_at(&backend), 5);
}

#[test]
fn orphaned_deltas_become_totals_when_redirected_to_a_cumulative_destination() {
    let (sandbox, mut backend) = (Sandbox::new(), Backend::start());
    backend.stop();
    let wants_totals = profile(&backend);
    sandbox.profile("totals", wants_totals.replace("temporality = \"cumulative\"\n", ""));
    let session = Session::start(&sandbox, &["-p", "totals"]);
    let mut client = session.client();
    for nth in 0..3 {
        export(&mut client, &[("opus", 10)], nth);
    }
    drop(client);
    session.end();
    sandbox.wait_for_end();
    sandbox.profile("totals", wants_totals);
    backend.restart();
    assert_eq!(sandbox.queue()[0]["state"], "orphaned");
    let flushed = sandbox.run(["queue", "flush", "-p", "totals", "--to", "own"]);
    assert!(flushed.status.success(), "{flushed:?}");
    assert_eq!((tokens_at(&backend), sandbox.queue().len()), (30, 0));
}
