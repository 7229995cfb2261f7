use std::time::Duration;

use opentelemetry_proto::tonic::metrics::v1::AggregationTemporality;
use proptest::prelude::*;
use rusqlite::Connection;

use super::*;
use crate::otlp::Signal;
use crate::store::write_soon;
use crate::usage::samples::*;
use crate::usage::{Measure, extract};

const OPUS: &str = "claude-opus-5-5";
const HOUR: u64 = 3_600_000;

pub(crate) type Request = (Signal, Vec<u8>);

/// The origin of the samples.
pub(crate) fn origin(session: &str) -> Origin<'_> {
    Origin {
        session,
        profile: "local",
        project: "/projects/a",
        branch: "main",
        user: "me",
        persons: true,
        ..Origin::default()
    }
}

/// Adds requests to the ledger, received at nine in the morning.
pub(crate) fn take(connection: &Connection, origin: &Origin<'_>, requests: &[Request]) {
    let transaction = connection.unchecked_transaction().unwrap();
    add(&transaction, origin, requests);
    transaction.commit().unwrap();
}

fn add(connection: &Connection, origin: &Origin<'_>, requests: &[Request]) {
    for (signal, body) in requests {
        insert(connection, origin, &[extract(*signal, body, morning().as_millisecond())]).unwrap();
    }
}

/// An answered request of one of Claude's sessions, this many milliseconds after nine.
pub(crate) fn asked(session: &str, sequence: i64, after: u64, model: &str) -> Request {
    let own = api_request(model, [101, 12, 10_004, 1003], 0.007_659_8);
    (Signal::Logs, logs(vec![event(session, sequence, after, "api_request", own)]))
}

/// The same usage in metrics.
pub(crate) fn measured(session: &str, times: [u64; 2], temporality: AggregationTemporality) -> Request {
    let list = token_metrics(session, times, OPUS, [101, 12, 10_004, 1003], 0.007_659_8, temporality);
    (Signal::Metrics, metrics(list))
}

fn count(connection: &Connection, table: &str) -> i64 {
    connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

/// A table's rows, in order and as text.
fn rows(connection: &Connection, table: &str) -> Vec<String> {
    let mut statement = connection.prepare(&format!("SELECT * FROM {table}")).unwrap();
    let columns = statement.column_count();
    let row = |row: &rusqlite::Row<'_>| {
        (0..columns).map(|index| Ok(format!("{:?}", row.get_ref(index)?))).collect::<rusqlite::Result<Vec<_>>>()
    };
    let mut rows: Vec<_> =
        statement.query_map([], |found| Ok(row(found)?.join(" "))).unwrap().map(Result::unwrap).collect();
    rows.sort();
    rows
}

/// The total of a family's sums.
fn total(connection: &Connection, family: Family, measure: Measure) -> i64 {
    of_names(connection, family, measure).iter().map(|(_, amount)| amount).sum()
}

/// The same by name.
fn of_names(connection: &Connection, family: Family, measure: Measure) -> Vec<(String, i64)> {
    let mut sums = std::collections::BTreeMap::new();
    sums::blocks(connection, family, |_, blob| {
        block::each(blob, |entry, told| {
            let amounts = told.iter().filter(|(index, _)| *index == measure.index());
            *sums.entry(entry.name).or_insert(0) += amounts.map(|(_, amount)| amount).sum::<i64>();
        });
        Ok(())
    })
    .unwrap();
    let name = |id: i64| {
        let find = "SELECT coalesce((SELECT text FROM text WHERE id = ?1), '')";
        connection.query_row(find, [id], |row| row.get(0)).unwrap()
    };
    sums.into_iter().map(|(id, amount)| (name(id), amount)).collect()
}

#[test]
fn a_repeated_fact_changes_nothing_even_a_day_later() {
    let ledger = empty().unwrap();
    let midnight = 15 * HOUR;
    let twice = |after| {
        let mut own = api_request(OPUS, [1; 4], 1.0);
        own.push(text("request_id", "req_1"));
        (Signal::Logs, logs(vec![event("c", 1, after, "api_request", own)]))
    };
    for request in [asked("c", 7, 5, OPUS), twice(midnight - 1000), twice(midnight + 1000)] {
        for session in ["one", "one", "two"] {
            take(&ledger, &origin(session), std::slice::from_ref(&request));
        }
    }
    assert_eq!((count(&ledger, "request"), total(&ledger, Family::Model, Measure::Requests)), (2, 2));
}

#[test]
fn repeated_points_count_once_and_a_series_counts_its_last_value() {
    let ledger = empty().unwrap();
    for _ in 0..3 {
        take(&ledger, &origin("one"), &[measured("c", [0, 9], AggregationTemporality::Delta)]);
    }
    assert_eq!(total(&ledger, Family::Twin, Measure::OutputTokens), 12);
    let reached = |times, value: f64| {
        let points = vec![point("c", times, value, vec![text("type", "user")])];
        (Signal::Metrics, metrics(vec![sum("active_time.total", AggregationTemporality::Cumulative, points)]))
    };
    let requests = [reached([1, 2], 1.5), reached([1, 3], 4.0), reached([1, 3], 4.0), reached([1, 2], 1.5)];
    take(&ledger, &origin("one"), &requests);
    assert_eq!(total(&ledger, Family::Counter, Measure::ActiveUser), 4000);
    take(&ledger, &origin("one"), &[reached([7, 8], 1.0)]);
    assert_eq!(total(&ledger, Family::Counter, Measure::ActiveUser), 5000);
}

#[test]
fn no_content_is_stored() {
    const CANARY: &str = "canary-7f3a";
    let secret = |key: &str| text(key, CANARY);
    let tool = ["tool_parameters", "tool_input", "error", "full_command", "file_path"].map(secret).to_vec();
    let ledger = empty().unwrap();
    let requests = [
        event("c", 0, 0, "user_prompt", ["prompt", "prompt_text", "command_name"].map(secret).to_vec()),
        event("c", 1, 0, "assistant_response", vec![secret("response")]),
        event("c", 2, 0, "tool_result", [tool.clone(), vec![text("tool_name", "Bash")]].concat()),
        event("c", 3, 0, "tool_decision", [tool, vec![text("tool_name", "Bash"), text("decision", "accept")]].concat()),
        event("c", 4, 0, "api_error", vec![secret("error")]),
        event("c", 5, 0, "api_request_body", vec![secret("body")]),
    ];
    take(&ledger, &origin("one"), &[(Signal::Logs, logs(requests.to_vec()))]);
    assert_eq!(count(&ledger, "tool_call"), 1);
    let tables = ["text", "prompt", "allowance", "position"];
    assert!(tables.iter().flat_map(|table| rows(&ledger, table)).all(|row| !row.contains(CANARY)));
}

#[test]
fn texts_beyond_a_thousand_per_session_are_grouped() {
    let ledger = empty().unwrap();
    let models: Vec<_> = (0..1100).map(|n| asked("c", n, 5, &format!("model-{n}"))).collect();
    take(&ledger, &origin("one"), &models);
    take(&ledger, &origin("two"), &[asked("d", 0, 5, "of-two")]);
    let sums = of_names(&ledger, Family::Model, Measure::Requests);
    let named = |name: &str| sums.iter().find(|(found, _)| found == name).unwrap().1;
    assert!(named("(other)") >= 100);
    assert_eq!((named("of-two"), named("model-1")), (1, 1));
    assert_eq!(total(&ledger, Family::Model, Measure::Requests), 1101);
}

#[test]
fn a_forgotten_person_stays_forgotten() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger-1.db");
    let write = |work: &dyn Fn(&Connection)| {
        let done = |connection: &Connection| {
            work(connection);
            Ok(Some(()))
        };
        write_soon(&path, LEDGER, Duration::from_secs(10), done).unwrap().unwrap();
    };
    let of = |person: &str, sequence: i64| {
        let mut own = api_request(OPUS, [1; 4], 1.0);
        own.push(text("user.email", person));
        (Signal::Logs, logs(vec![event(person, sequence, 5, "api_request", own)]))
    };
    let both = [of("gone@example.org", 1), of("kept@example.org", 2)];
    write(&|ledger| add(ledger, &origin("one"), &both));
    let now = morning().as_millisecond() + 1000;
    write(&|ledger| {
        ledger.pragma_update(None, "secure_delete", true).unwrap();
        let forgotten = forget(ledger, Forget::Person("gone@example.org"), now).unwrap();
        assert_eq!(forgotten, Forgotten { facts: 1, counters: 0 });
    });
    // No trace of them is left in the file.
    let ledger = crate::store::open(&path).unwrap();
    ledger.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    assert!(!contains(&std::fs::read(&path).unwrap(), b"gone@example.org"));
    assert!(contains(&std::fs::read(&path).unwrap(), b"kept@example.org"));

    take(&ledger, &origin("one"), &both);
    assert_eq!(total(&ledger, Family::Model, Measure::Requests), 1);
    let later = event("gone@example.org", 9, 2000, "api_request", vec![text("user.email", "gone@example.org")]);
    take(&ledger, &origin("one"), &[(Signal::Logs, logs(vec![later]))]);
    assert_eq!(total(&ledger, Family::Model, Measure::Requests), 2, "usage after the deletion is counted");
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[test]
fn expired_facts_are_deleted_with_their_sums() {
    let ledger = empty().unwrap();
    take(&ledger, &origin("one"), &[asked("c", 1, 0, OPUS), asked("d", 2, 48 * HOUR, OPUS)]);
    // The sample from two days later is in the future of its own clock, and counts from when it arrived.
    let today = morning().as_millisecond().div_euclid(DAY);
    let transaction = ledger.unchecked_transaction().unwrap();
    assert_eq!(prune(&transaction, Some(today + 1), today).unwrap(), 2);
    assert_eq!((count(&transaction, "request"), count(&transaction, "sum"), count(&transaction, "context")), (0, 0, 0));
}

#[test]
fn a_ledger_without_persons_stores_none() {
    let ledger = empty().unwrap();
    let prompt = event("c", 0, 0, "user_prompt", vec![text("user.email", "a@b"), text("user.id", "f8cc")]);
    take(&ledger, &Origin { persons: false, ..origin("one") }, &[(Signal::Logs, logs(vec![prompt]))]);
    let person: i64 = ledger.query_row("SELECT person FROM context", [], |row| row.get(0)).unwrap();
    assert_eq!(person, 0);
    assert!(rows(&ledger, "text").iter().all(|row| !row.contains("a@b") && !row.contains("f8cc")));
}

/// Requests of a varied session: sessions with events, with metrics, with both, over midnight, with tools and edits.
fn lively(step: usize) -> Request {
    let number = i64::try_from(step).unwrap();
    let after = 1_700_000 * u64::try_from(step).unwrap() % (20 * HOUR);
    let model = if step.is_multiple_of(2) { OPUS } else { "claude-haiku-5" };
    match step % 6 {
        0 => asked("c", number, after, model),
        1 => measured("c", [after, after + 10], AggregationTemporality::Delta),
        2 => measured("d", [after, after + 10], AggregationTemporality::Delta),
        3 => {
            let list =
                token_metrics("e", [0, after], OPUS, [number, 1, 0, 7], 0.25, AggregationTemporality::Cumulative);
            (Signal::Metrics, metrics(list))
        }
        4 => {
            let own = vec![text("tool_name", "Edit"), text("decision", "accept"), text("source", "user_permanent")];
            (Signal::Logs, logs(vec![event("c", number, after, "tool_decision", own)]))
        }
        _ => {
            let own = vec![text("tool_name", "Bash"), text("success", "false"), text("prompt.id", "p")];
            (
                Signal::Logs,
                logs(vec![
                    event("d", number, after, "tool_result", own),
                    event("d", number, after, "user_prompt", vec![]),
                ]),
            )
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// The sums equal those of the facts, in any order and with any repetition.
    #[test]
    fn the_sums_always_equal_those_of_the_facts(steps in proptest::collection::vec(0..40_usize, 1..60)) {
        let ledger = empty().unwrap();
        for step in &steps {
            take(&ledger, &origin(if step.is_multiple_of(3) { "one" } else { "two" }), &[lively(*step)]);
        }
        let tables = Family::ALL.map(Family::table).into_iter().chain(["balance"]);
        let state = || tables.clone().map(|table| rows(&ledger, table)).collect::<Vec<_>>();
        let before = state();
        let days: std::collections::BTreeSet<i64> = {
            let mut days = ledger.prepare("SELECT day FROM request UNION SELECT day FROM tool_call").unwrap();
            days.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
        };
        for of_some_days in [true, false] {
            let transaction = ledger.unchecked_transaction().unwrap();
            if of_some_days { sums::rebuild_days(&transaction, &days) } else { rebuild(&transaction) }.unwrap();
            transaction.commit().unwrap();
            prop_assert_eq!(state(), before.clone());
        }
        let by = |family| Measure::ALL.map(|measure| total(&ledger, family, measure));
        prop_assert_eq!(by(Family::Prompt), by(Family::Model));
    }
}
