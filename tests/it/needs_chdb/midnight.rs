//! Usage around midnight: every hour and day of every schema has what the ledger has, from deltas and from running totals,
//! however often it was delivered.

use ccrun::otlp::Signal;
use jiff::{Timestamp, ToSpan};
use serde_json::{Value, json};

use super::sources::{name, report, rows, sources};
use crate::support::chdb::{Chdb, Schema, USER};
use crate::support::crafted::{MINUTE, Series, Temporality, event, logs, metrics, send};
use crate::support::sandbox::{Sandbox, wait_until};
use crate::support::session::Session;

/// The zone whose midnight it is. It is not a whole number of hours from UTC.
const ZONE: &str = "Asia/Kolkata";

/// Two sessions of Claude Code.
const FIRST: &str = "7a64b203-14d5-4676-b6c2-e55abef40001";
const SECOND: &str = "7a64b203-14d5-4676-b6c2-e55abef40002";

/// Minutes before or after midnight at which something is counted.
const MINUTES: [i64; 9] = [-190, -31, -16, -14, -1, 0, 6, 44, 130];

/// A midnight of [`ZONE`] in the last days, in Unix milliseconds.
pub(super) fn midnight() -> i64 {
    let day = Timestamp::now().in_tz(ZONE).unwrap().checked_sub(1.day()).unwrap();
    day.start_of_day().unwrap().timestamp().as_millisecond()
}

/// Events of both sessions. The last moment before midnight and the first one after it have some.
fn events(midnight: i64) -> Value {
    let mut records = Vec::new();
    for (index, minute) in (1..).zip(MINUTES) {
        let at = midnight + minute * MINUTE;
        let session = if index % 3 == 0 { SECOND } else { FIRST };
        let cost = 0.062_517 * f64::from(index);
        let request = json!({
            "model": if index % 2 == 0 { "claude-haiku-5" } else { "claude-opus-5-5" }, "input_tokens": 100 * index,
            "output_tokens": 7, "cache_read_tokens": 1, "cache_creation_tokens": 2, "cost_usd": cost, "duration_ms": 250,
            "request_id": format!("request-{index}"), "query_source": "repl_main_thread",
            "prompt.id": format!("prompt-of-{session}"),
        });
        let tool = json!({
            "tool_name": "Write", "success": index % 4 != 0, "duration_ms": 3, "tool_use_id": format!("tool-{index}"),
        });
        let decision = json!({
            "tool_name": "Write", "decision": "accept", "source": "user_temporary", "tool_use_id": format!("tool-{index}"),
        });
        let number = usize::try_from(4 * index).unwrap();
        let before = i64::from(minute != 0);
        records.extend([
            event(session, "user_prompt", at - before, number, json!({"prompt_length": 12})),
            event(session, "api_request", at, number + 1, request),
            event(session, "tool_decision", at, number + 2, decision),
            event(session, "tool_result", at + 1, number + 3, tool),
        ]);
    }
    let failed = json!({"model": "claude-opus-5-5", "status_code": 529, "error": "overloaded", "attempt": 1});
    records.push(event(FIRST, "api_error", midnight - 1, 100, failed));
    logs(&records)
}

/// Counts at each of [`MINUTES`], as deltas since the one before, or as running totals.
fn sums(midnight: i64, temporality: Temporality) -> Vec<Series> {
    let counted = |each: f64| {
        let (mut total, mut points) = (0.0, Vec::new());
        let mut start = midnight - 200 * MINUTE;
        for (index, minute) in (1_u32..).zip(MINUTES) {
            let (at, amount) = (midnight + minute * MINUTE, each * f64::from(index));
            total += amount;
            let is_delta = temporality == Temporality::Delta;
            points.push((start, at, if is_delta { amount } else { total }));
            if is_delta {
                start = at;
            }
        }
        points
    };
    vec![
        ("active_time.total", json!({"type": "user"}), counted(1.000_4)),
        ("active_time.total", json!({"type": "cli"}), counted(1.001_7)),
        ("lines_of_code.count", json!({"type": "added", "model": "claude-opus-5-5"}), counted(3.0)),
        ("lines_of_code.count", json!({"type": "removed", "model": "claude-opus-5-5"}), counted(2.0)),
        ("commit.count", json!({}), counted(1.0)),
        ("pull_request.count", json!({}), counted(1.0)),
    ]
}

/// A part of each series: the points in these places.
fn part(series: &[Series], places: std::ops::Range<usize>) -> Vec<Series> {
    series.iter().map(|(name, own, points)| (*name, own.clone(), points[places.clone()].to_vec())).collect()
}

/// A sandbox whose ledger and whose stores have the same usage around a midnight.
pub(super) fn filled(chdb: &Chdb, midnight: i64, temporality: Temporality) -> Sandbox {
    let (mut sandbox, collector) = (Sandbox::new(), chdb.collector());
    sandbox.set("TZ", ZONE);
    sandbox.profile(
        "team",
        format!("[team]\nid = \"platform\"\n[destination.team]\nendpoint = \"{}\"\nbatch = \"1ms\"\n", collector.http),
    );
    sources(&sandbox, chdb, USER);
    let session = Session::start(&sandbox, &["-p", "team"]);
    let (events, series) = (events(midnight), sums(midnight, temporality));
    for _ in 0..2 {
        // The second time, all of it is known.
        send(&session, Signal::Logs, &events);
        for (index, _) in MINUTES.iter().enumerate() {
            send(&session, Signal::Metrics, &metrics(FIRST, temporality, &part(&series, index..index + 1)));
        }
    }
    // Another process begins at zero, and its points of one second come in any order.
    let (start, at) = (midnight + 131 * MINUTE, midnight + 140 * MINUTE);
    let points = match temporality {
        Temporality::Delta => [(start, at, 3.0), (at, at + 300, 1.0), (at + 300, at + 600, 2.0)],
        Temporality::Cumulative => [(start, at + 300, 4.0), (start, at, 3.0), (start, at + 600, 6.0)],
    };
    for point in points {
        let again = [("commit.count", json!({}), vec![point])];
        send(&session, Signal::Metrics, &metrics(FIRST, temporality, &again));
    }
    session.end();
    sandbox.wait_for_end();
    wait_until("all data to be delivered", || sandbox.run(["queue", "flush"]).status.success());
    sandbox
}

/// Minutes of a quarter of an hour.
const QUARTER: i64 = 15;

/// Ranges that cut days, hours and quarters of hours, in minutes after midnight.
const RANGES: [(Option<i64>, Option<i64>); 6] = [
    (None, None),
    (Some(0), None),
    (None, Some(0)),
    (Some(-15), Some(15)),
    (Some(-2), Some(45)),
    (Some(-190), Some(6)),
];

/// Takes out what the ledger has only by quarters of hours.
fn without_counters(row: &mut Value) {
    for column in
        ["active_user_seconds", "active_cli_seconds", "lines_added", "lines_removed", "commits", "pull_requests"]
    {
        assert!(row.as_object_mut().unwrap().remove(column).is_some(), "{column}: {row}");
    }
}

/// Checks that all stores tell what the ledger tells, in a zone and in these ranges.
fn agree(sandbox: &mut Sandbox, midnight: i64, zone: &str, ranges: &[(Option<i64>, Option<i64>)]) {
    let at = |minute: i64| Timestamp::from_millisecond(midnight + minute * MINUTE).unwrap().to_string();
    sandbox.set("TZ", zone);
    for (since, until) in ranges {
        let is_aligned = since.iter().chain(until).all(|minute| minute % QUARTER == 0);
        let since = since.map(|minute| ["--since".to_owned(), at(minute)]);
        let until = until.map(|minute| ["--until".to_owned(), at(minute)]);
        let range: Vec<_> = since.iter().chain(&until).flatten().map(String::as_str).collect();
        for by in ["day", "hour", "day,session"] {
            let ask = |from: &[&str]| {
                let mut report = report(sandbox, &[from, &range, &["--by", by]].concat());
                if !is_aligned {
                    report["rows"].as_array_mut().unwrap().iter_mut().for_each(without_counters);
                    without_counters(&mut report["total"]);
                }
                report
            };
            let of_ledger = ask(&[]);
            for schema in Schema::ALL {
                let (of_store, what) =
                    (ask(&["--from", name(schema)]), format!("{} by {by} in {zone} {range:?}", name(schema)));
                assert_eq!(rows(&of_store, by), rows(&of_ledger, by), "{what}");
                assert_eq!(of_store["total"], of_ledger["total"], "{what}");
            }
        }
    }
}

/// Delivers everything in the tables again.
fn double(chdb: &Chdb) {
    for table in [
        "otel.otel_logs",
        "otel.otel_metrics_sum",
        "default.otel_logs",
        "default.otel_metrics_sum",
        "signoz_logs.logs_v2",
        "signoz_metrics.samples_v4",
    ] {
        let count = |of: &str| chdb.run(&format!("SELECT count() FROM {of}")).trim().parse::<u64>().unwrap();
        let before = count(table);
        chdb.run(&format!("INSERT INTO {table} SELECT * FROM {table}"));
        assert!(before > 0 && count(table) == 2 * before, "{table}: {before}");
    }
}

/// Checks both days of the ledger, so that not all are wrong alike.
fn both_days(sandbox: &Sandbox) {
    let days = report(sandbox, &["--by", "day"]);
    let of = |index: usize, column: &str| days["rows"][index][column].as_f64().unwrap();
    assert_eq!((of(0, "commits"), of(1, "commits")), (15.0, 36.0), "{days:?}");
    assert_eq!((of(0, "requests"), of(1, "requests")), (5.0, 4.0), "{days:?}");
}

/// Checks everything, before and after a second delivery.
fn all_agree(temporality: Temporality) {
    let (chdb, midnight) = (Chdb::start(&Schema::ALL), midnight());
    let mut sandbox = filled(&chdb, midnight, temporality);
    both_days(&sandbox);
    agree(&mut sandbox, midnight, ZONE, &RANGES);
    for zone in ["UTC", "Pacific/Chatham"] {
        agree(&mut sandbox, midnight, zone, &RANGES[..1]);
    }
    double(&chdb);
    agree(&mut sandbox, midnight, ZONE, &RANGES[..2]);
}

#[test]
#[ignore = "needs TEST_CHDB and TEST_OTELCOL; scripts/test.sh runs it"]
fn deltas_around_midnight_are_in_their_hours() {
    all_agree(Temporality::Delta);
}

#[test]
#[ignore = "needs TEST_CHDB and TEST_OTELCOL; scripts/test.sh runs it"]
fn a_running_total_over_midnight_belongs_to_both_days() {
    all_agree(Temporality::Cumulative);
}
