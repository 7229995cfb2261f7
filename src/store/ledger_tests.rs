use opentelemetry_proto::tonic::metrics::v1::AggregationTemporality;
use proptest::prelude::*;

use super::*;
use crate::otlp::Signal;
use crate::usage::extract;
use crate::usage::samples::*;

const OPUS: &str = "claude-opus-5-5";

fn ledger() -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    connection
        .execute_batch(
            "CREATE TABLE session (id TEXT PRIMARY KEY, parent TEXT, profile TEXT NOT NULL, team TEXT,
                program TEXT NOT NULL, project TEXT NOT NULL, branch TEXT, started_at INTEGER NOT NULL, ended_at INTEGER);
             INSERT INTO session VALUES
                ('one', NULL, 'local', NULL, 'claude', '/projects/a', 'main', 0, NULL),
                ('two', 'one', 'team', 'platform', 'claude', '/projects/a/b', NULL, 0, NULL),
                ('three', NULL, 'team', 'platform', 'claude', '/projects/ab', 'main', 0, NULL);",
        )
        .unwrap();
    create(&connection).unwrap();
    connection
}

fn take(connection: &Connection, session: &str, requests: &[(Signal, Vec<u8>)]) {
    for (signal, body) in requests {
        insert(connection, session, &extract(*signal, body, morning()).unwrap().usage).unwrap();
    }
}

fn all(connection: &Connection) -> Report {
    report(connection, &Query::default(), &TimeZone::UTC).unwrap()
}

fn tokens(report: &Report) -> [i64; 4] {
    let total = &report.total;
    [total.input_tokens, total.output_tokens, total.cache_read_tokens, total.cache_creation_tokens]
}

fn asked(session: &str, sequence: i64, after: u64, model: &str) -> (Signal, Vec<u8>) {
    let own = api_request(model, [101, 12, 10_004, 1003], 0.007_659_8);
    (Signal::Logs, logs(vec![event(session, sequence, after, "api_request", own)]))
}

fn measured(session: &str, times: [u64; 2], temporality: AggregationTemporality) -> (Signal, Vec<u8>) {
    let list = token_metrics(session, times, OPUS, [101, 12, 10_004, 1003], 0.007_659_8, temporality);
    (Signal::Metrics, metrics(list))
}

const DELTA: AggregationTemporality = AggregationTemporality::Delta;
const CUMULATIVE: AggregationTemporality = AggregationTemporality::Cumulative;

#[test]
fn a_repeated_export_counts_once() {
    let ledger = ledger();
    for _ in 0..3 {
        take(&ledger, "one", &[asked("c", 1, 5, OPUS), measured("c", [0, 9], DELTA), measured("d", [0, 9], DELTA)]);
    }
    let report = all(&ledger);
    assert_eq!(tokens(&report), [202, 24, 20_008, 2006]);
    assert_eq!((report.total.cost, report.total.requests), (15_319_600, 1));
}

#[test]
fn events_count_where_any_came_and_metrics_elsewhere() {
    let ledger = ledger();
    take(&ledger, "one", &[measured("c", [0, 9], DELTA), measured("c", [9, 18], DELTA), asked("c", 1, 5, OPUS)]);
    assert_eq!(tokens(&all(&ledger)), [101, 12, 10_004, 1003]);
    take(&ledger, "one", &[measured("d", [0, 9], DELTA)]);
    let report = all(&ledger);
    assert_eq!(tokens(&report), [202, 24, 20_008, 2006]);
    assert_eq!((report.sessions, report.claude_sessions, report.claude_sessions_without_events), (1, 2, 1));
}

#[test]
fn what_only_metrics_count_is_said_to_be_missing_without_them() {
    let ledger = ledger();
    take(&ledger, "one", &[asked("c", 1, 5, OPUS)]);
    assert_eq!(all(&ledger).claude_sessions_without_metrics, 1);
    take(&ledger, "one", &[measured("c", [0, 9], DELTA)]);
    let report = all(&ledger);
    assert_eq!((report.claude_sessions_without_metrics, report.claude_sessions_without_events), (0, 0));
}

#[test]
fn an_edit_that_both_sources_know_counts_once() {
    let ledger = ledger();
    let decided = || vec![text("tool_name", "Edit"), text("decision", "accept")];
    let metric = metrics(vec![delta("code_edit_tool.decision", vec![point("c", [0, 9], 1.0, decided())])]);
    take(&ledger, "one", &[(Signal::Metrics, metric)]);
    let event = (Signal::Logs, logs(vec![event("c", 0, 1, "tool_decision", decided())]));
    for request in [event, asked("c", 1, 5, OPUS)] {
        take(&ledger, "one", &[request]);
        assert_eq!(all(&ledger).total.edits_accepted, 1);
    }
}

#[test]
fn the_same_export_of_two_sessions_counts_twice() {
    let ledger = ledger();
    for session in ["one", "two"] {
        take(&ledger, session, &[asked("c", 1, 5, OPUS)]);
    }
    let report = all(&ledger);
    assert_eq!((report.total.requests, report.sessions, report.claude_sessions), (2, 2, 1));
}

#[test]
fn a_cumulative_series_counts_what_it_reached() {
    let ledger = ledger();
    let reached = |times, value: f64| {
        let points = vec![point("c", times, value, vec![text("type", "user")])];
        (Signal::Metrics, metrics(vec![sum("active_time.total", CUMULATIVE, points)]))
    };
    take(&ledger, "one", &[reached([0, 1], 1.5), reached([0, 2], 4.0), reached([0, 2], 4.0), reached([0, 1], 1.5)]);
    assert_eq!(all(&ledger).total.active_user, 4000);
    take(&ledger, "one", &[reached([7, 8], 1.0)]);
    assert_eq!(all(&ledger).total.active_user, 5000);
}

#[test]
fn a_settled_session_keeps_its_numbers() {
    let ledger = ledger();
    take(&ledger, "one", &[asked("c", 1, 5, OPUS)]);
    take(&ledger, "two", &[asked("c", 1, 5, OPUS)]);
    settle(&ledger, "one").unwrap();
    take(&ledger, "two", &[asked("c", 1, 5, OPUS)]);
    assert_eq!(all(&ledger).total.requests, 2);
    let seen: Vec<String> =
        vec![ledger.query_row("SELECT group_concat(session) FROM usage_seen", [], |r| r.get(0)).unwrap()];
    assert_eq!(seen, ["two"]);
}

#[test]
fn strings_beyond_a_thousand_are_others() {
    let ledger = ledger();
    let models: Vec<_> = (0..1100).map(|n| asked("c", n, 5, &format!("model-{n}"))).collect();
    take(&ledger, "one", &models);
    take(&ledger, "one", &[asked("another", 0, 5, "model-0")]);
    take(&ledger, "two", &[asked("c", 0, 5, "of-two")]);
    let report = all(&ledger);
    assert_eq!(report.total.requests, 1102);
    assert_eq!((report.models[0].key.model.as_str(), report.models[0].amounts.requests), ("(other)", 101));
    assert_eq!(report.models.iter().filter(|model| model.key.model == "of-two").count(), 1);
    assert_eq!(report.claude_sessions, 2);
}

#[test]
fn queries_select() {
    let ledger = ledger();
    let hour = 3_600_000;
    take(&ledger, "one", &[asked("c", 1, 0, OPUS)]);
    take(&ledger, "two", &[asked("d", 1, hour, OPUS), asked("d", 2, hour, OPUS)]);
    take(
        &ledger,
        "three",
        &[asked("e", 1, 2 * hour, OPUS), asked("e", 2, 2 * hour, OPUS), asked("e", 3, 2 * hour, OPUS)],
    );
    take(&ledger, "unknown", &[asked("f", 1, 40 * hour, OPUS)]);
    let requests = |query: Query| report(&ledger, &query, &TimeZone::UTC).unwrap().total.requests;
    let at = |text: &str| Some(text.parse().unwrap());
    assert_eq!(requests(Query::default()), 7);
    assert_eq!(requests(Query { project: Some("/projects/a".into()), ..Query::default() }), 3);
    assert_eq!(requests(Query { project: Some("/projects/ab/".into()), ..Query::default() }), 3);
    assert_eq!(requests(Query { profile: Some("team".into()), ..Query::default() }), 5);
    assert_eq!(requests(Query { team: Some("platform".into()), ..Query::default() }), 5);
    assert_eq!(requests(Query { branch: Some("main".into()), ..Query::default() }), 4);
    assert_eq!(requests(Query { session: Some("two".into()), ..Query::default() }), 2);
    assert_eq!(requests(Query { session: Some("e".into()), ..Query::default() }), 3);
    assert_eq!(requests(Query { since: at("2026-11-20T10:00:00Z"), ..Query::default() }), 6);
    assert_eq!(requests(Query { until: at("2026-11-20T10:00:00Z"), ..Query::default() }), 1);
    assert_eq!(
        requests(Query { since: at("2026-11-20T10:15:00Z"), until: at("2026-11-20T11:01:00Z"), ..Query::default() }),
        3
    );
}

#[test]
fn days_are_local() {
    let ledger = ledger();
    take(&ledger, "one", &[asked("c", 1, 0, OPUS), asked("c", 2, 15 * 3_600_000 - 1, OPUS)]);
    for (offset, days) in [(0, 1), (1, 2), (-10, 2)] {
        let zone = TimeZone::fixed(jiff::tz::offset(offset));
        let report = report(&ledger, &Query::default(), &zone).unwrap();
        assert_eq!(report.days.len(), days, "{offset}");
        assert_eq!(report.days.iter().map(|day| day.amounts.requests).sum::<i64>(), 2);
    }
}

#[test]
fn groups_add_up_to_the_total() {
    let ledger = ledger();
    take(&ledger, "one", &[asked("c", 1, 0, OPUS), measured("d", [0, 9], DELTA)]);
    take(&ledger, "two", &[asked("d", 1, 90_000_000, "other")]);
    let report = all(&ledger);
    let whole = report.total.clone();
    let sum = |amounts: Vec<&crate::usage::report::Amounts>| {
        amounts.into_iter().fold(crate::usage::report::Amounts::default(), |sum, amounts| sum.plus(amounts))
    };
    assert_eq!(sum(report.days.iter().map(|group| &group.amounts).collect()), whole);
    assert_eq!(sum(report.models.iter().map(|group| &group.amounts).collect()), whole);
    assert_eq!(sum(report.projects.iter().map(|group| &group.amounts).collect()), whole);
    assert_eq!(sum(report.branches.iter().map(|group| &group.amounts).collect()), whole);
    assert_eq!(sum(report.profiles.iter().map(|group| &group.amounts).collect()), whole);
}

#[test]
fn absurd_amounts_do_not_end_all_reports() {
    let ledger = ledger();
    for batch in 0..3 {
        let absurd = (0..5000).map(|n| point("c", [n, 10_000 + batch], f64::INFINITY, vec![])).collect();
        take(&ledger, "one", &[(Signal::Metrics, metrics(vec![delta("commit.count", absurd)]))]);
    }
    assert_eq!(all(&ledger).total.commits, i64::MAX);
}

/// Requests of a lively session: two of Claude's sessions, both sources, both temporalities, two models.
fn lively() -> Vec<(Signal, Vec<u8>)> {
    let mut requests = vec![];
    for step in 0..4 {
        let after = 600_000 * u64::try_from(step).unwrap();
        requests.push(asked("c", step, after, if step % 2 == 0 { OPUS } else { "claude-haiku-5" }));
        requests.push(measured("c", [after, after + 10], DELTA));
        requests.push(measured("metrics-only", [after, after + 10], DELTA));
        let tokens = [100 * (step + 1), 10 * (step + 1), 0, 7];
        let list = token_metrics("cumulative", [0, after + 10], OPUS, tokens, 0.25, CUMULATIVE);
        requests.push((Signal::Metrics, metrics(list)));
    }
    requests
}

fn once(order: &[usize]) -> Report {
    let (ledger, requests) = (ledger(), lively());
    for index in order {
        take(&ledger, "one", &requests[index % requests.len()..=index % requests.len()]);
    }
    all(&ledger)
}

#[test]
fn a_lively_session_adds_up() {
    let report = once(&(0..16).collect::<Vec<_>>());
    assert_eq!(tokens(&report), [4 * 101 * 2 + 400, 4 * 12 * 2 + 40, 4 * 10_004 * 2, 4 * 1003 * 2 + 7]);
    assert_eq!(report.total.cost, 8 * 7_659_800 + 250_000_000);
}

proptest! {
    #[test]
    fn any_repetition_and_order_gives_the_same_totals(
        order in Just((0..16).collect::<Vec<usize>>()).prop_shuffle(),
        again in proptest::collection::vec((0..16_usize, 0..16_usize), 0..20),
    ) {
        let straight = once(&(0..16).collect::<Vec<_>>());
        let mut shuffled = order;
        for (place, index) in again {
            shuffled.insert(place, index);
        }
        let report = once(&shuffled);
        prop_assert_eq!(&report.total, &straight.total);
        prop_assert_eq!(&report.models, &straight.models);
        prop_assert_eq!(&report.claude_sessions, &straight.claude_sessions);
    }
}
