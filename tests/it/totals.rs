//! `temporality = "cumulative"`: totals over all sessions, whatever is killed, and whoever sends them.

use crate::support::backend::Backend;
use crate::support::sandbox::{DEADLINE, Sandbox};
use crate::support::series::{export, series, sum_of, tokens_at};
use crate::support::session::Session;

/// A session whose destination wants totals.
fn start(sandbox: &Sandbox, backend: &Backend) -> Session {
    sandbox.profile("totals", profile(backend));
    Session::start(sandbox, &["-p", "totals"])
}

fn profile(backend: &Backend) -> String {
    format!("[destination.own]\nendpoint = \"{}\"\ntemporality = \"cumulative\"\nbatch = \"1ms\"\n", backend.endpoint())
}

/// Whether the backend has so many input tokens.
fn has(tokens: f64) -> impl Fn(&[crate::support::backend::Received]) -> bool {
    move |received| sum_of(&series(received), "claude_code.token.usage") == tokens
}

#[test]
fn a_series_begins_with_nothing_and_goes_on_from_session_to_session() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    for (number, sum) in [5.0, 12.0].into_iter().enumerate() {
        let session = start(&sandbox, &backend);
        let mut client = session.client();
        export(&mut client, &[("opus", if number == 0 { 5 } else { 7 })], 0);
        backend.wait_for(has(sum), DEADLINE);
        drop(client);
        session.end();
        sandbox.wait_for_end();
    }
    let all = series(&backend.received());
    let of_tokens: Vec<_> = all.iter().filter(|(name, _)| name.starts_with("claude_code.")).collect();
    assert_eq!(of_tokens.len(), 1, "{all:?}");
    let points = of_tokens[0].1;
    assert!(points.iter().all(|point| point.0 == points[0].0), "one start: {points:?}");
    assert_eq!(tokens_at(&backend), 12.0);
    assert!(sandbox.queue().is_empty());
}
