use std::collections::BTreeMap;

use rusqlite::Connection;

use super::shown::MOST;
use super::*;
use crate::ledger::tests::{asked, measured, origin, take};
use crate::ledger::{DAY, Forget, Origin, QUARTER, empty, forget, prune};
use crate::otlp::Signal;
use crate::report::Dimension;
use crate::report::ledger::LedgerSource;
use crate::usage::samples::*;

const OPUS: &str = "claude-opus-5-5";
const HOUR: u64 = 3_600_000;

/// The quarter of an hour of nine in the morning.
fn nine() -> i64 {
    morning().as_millisecond().div_euclid(QUARTER)
}

fn found(ledger: &Connection, by: &[Dimension]) -> BTreeMap<Series, Found> {
    series(&LedgerSource::new(ledger).unwrap().lasting(by).unwrap(), by)
}

const ABOUT: About<'_> = About { is_up: true, read_at: None, rest: 0, version: "1" };

/// The samples of a show that are not about `ccrun` itself.
fn samples(shown: &mut Shown, last: Option<u64>) -> Vec<String> {
    let text = exposition(shown.show(last).1, &ABOUT, Format::Prometheus);
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.starts_with("ccrun_"));
    lines.map(str::to_owned).collect()
}

/// The value of the one sample of cost.
fn cost(shown: &mut Shown, last: Option<u64>) -> Option<String> {
    let samples = samples(shown, last);
    let mut costs = samples.iter().filter(|sample| sample.starts_with("claude_code_cost_usage_USD_total"));
    let found = costs.next().map(|sample| sample.rsplit_once(' ').unwrap().1.to_owned());
    assert!(costs.next().is_none(), "{samples:?}");
    found
}

/// A show of everything by these dimensions, after which nothing is at zero.
fn all(ledger: &Connection, by: &[Dimension]) -> Vec<String> {
    let mut shown = Shown::new(None, b"key", i64::MAX);
    shown.take(found(ledger, by));
    samples(&mut shown, None)
}

#[test]
fn usage_has_the_names_that_prometheus_gives_it_over_otlp() {
    let ledger = empty().unwrap();
    take(&ledger, &origin("one"), &[asked("a", 1, 0, OPUS), asked("b", 2, HOUR, OPUS)]);
    let points = vec![point("a", [0, 9], 1.5, vec![text("type", "user")])];
    let active =
        sum("active_time.total", opentelemetry_proto::tonic::metrics::v1::AggregationTemporality::Delta, points);
    take(&ledger, &origin("one"), &[(Signal::Metrics, metrics(vec![active]))]);
    assert_eq!(
        all(&ledger, &[]),
        [
            "claude_code_session_count_total 2",
            "claude_code_cost_usage_USD_total{model=\"claude-opus-5-5\"} 0.0153196",
            "claude_code_token_usage_tokens_total{model=\"claude-opus-5-5\",type=\"cacheCreation\"} 2006",
            "claude_code_token_usage_tokens_total{model=\"claude-opus-5-5\",type=\"cacheRead\"} 20008",
            "claude_code_token_usage_tokens_total{model=\"claude-opus-5-5\",type=\"input\"} 202",
            "claude_code_token_usage_tokens_total{model=\"claude-opus-5-5\",type=\"output\"} 24",
            "claude_code_active_time_seconds_total{type=\"cli\"} 0",
            "claude_code_active_time_seconds_total{type=\"user\"} 1.5",
        ]
    );
}

#[test]
fn requests_tools_and_edits_are_counted() {
    let ledger = crate::report::ledger::tests::ledger();
    let decided = |number, decision: &str, source: &str| {
        let own = vec![text("tool_name", "Edit"), text("decision", decision), text("source", source)];
        event("c", number, 1, "tool_decision", own)
    };
    let records = vec![decided(0, "accept", "config"), decided(1, "accept", "user_temporary")];
    take(&ledger, &origin("three"), &[(Signal::Logs, logs(records))]);
    let mut shown = Shown::new(None, b"key", i64::MAX);
    shown.take(found(&ledger, &[]));
    let text = exposition(shown.show(None).1, &ABOUT, Format::Prometheus);
    for sample in [
        "claude_code_code_edit_tool_decision_total{tool_name=\"Edit\",decision=\"accept\",source=\"user_accept\"} 1",
        "claude_code_code_edit_tool_decision_total{tool_name=\"Edit\",decision=\"automatic\",source=\"automatic\"} 1",
        "claude_code_code_edit_tool_decision_total{tool_name=\"Edit\",decision=\"reject\",source=\"user_reject\"} 0",
        "ccrun_requests_total{model=\"claude-haiku-5\"} 1",
        "ccrun_requests_total{model=\"claude-opus-5-5\"} 3",
        "ccrun_prompts_total 1",
        "ccrun_tool_calls_total{tool_name=\"Bash\",success=\"false\"} 1",
        "ccrun_tool_calls_total{tool_name=\"Bash\",success=\"true\"} 1",
    ] {
        assert!(text.lines().any(|line| line == sample), "{sample}: {text}");
    }
    assert!(!text.contains("/home/me") && !text.contains("platform"), "no label that was not asked for: {text}");
}

#[test]
fn the_larger_of_events_and_metrics_counts() {
    use opentelemetry_proto::tonic::metrics::v1::AggregationTemporality::Delta;
    let ledger = empty().unwrap();
    take(&ledger, &origin("one"), &[asked("c", 1, 5, OPUS), measured("c", [0, 9], Delta)]);
    take(&ledger, &origin("one"), &[measured("c", [9, 18], Delta), measured("only-metrics", [0, 9], Delta)]);
    let samples = all(&ledger, &[]);
    assert_eq!(
        samples[..2],
        [
            "claude_code_session_count_total 2".to_owned(),
            "claude_code_cost_usage_USD_total{model=\"claude-opus-5-5\"} 0.0229794".to_owned(),
        ]
    );
    assert!(samples.last().unwrap().ends_with("type=\"output\"} 36"), "{samples:?}");
}

#[test]
fn labels_are_those_that_were_asked_for() {
    let ledger = crate::report::ledger::tests::ledger();
    let costs = |by: &[Dimension]| {
        let mut costs = all(&ledger, by);
        costs.retain(|sample| sample.starts_with("claude_code_cost"));
        costs
    };
    let name = "claude_code_cost_usage_USD_total";
    let opus = "model=\"claude-opus-5-5\"";
    assert_eq!(
        costs(&[Dimension::Project, Dimension::Team]),
        [
            format!("{name}{{project=\"/home/me/api\",team_id=\"platform\",model=\"claude-haiku-5\"}} 0.0076598"),
            format!("{name}{{project=\"/home/me/api\",team_id=\"platform\",{opus}}} 0.0076598"),
            format!("{name}{{project=\"/home/me/web\",{opus}}} 0.0153196"),
        ]
    );
    for (dimension, label) in LABELS {
        assert_eq!(label_of(dimension), label);
        assert!(dimension.is_of_sessions(), "{label}");
        assert!(!costs(&[dimension]).is_empty(), "{label}");
    }
    let persons = all(&ledger, &[Dimension::Person]);
    assert!(persons.iter().all(|sample| sample.contains("person=\"me\"")), "{persons:?}");
}

#[test]
fn both_formats_escape_what_stands_in_their_way() {
    let ledger = empty().unwrap();
    let origin = Origin { project: "/a \"b\"\\c\nd é", ..origin("one") };
    take(&ledger, &origin, &[asked("c", 1, 0, OPUS)]);
    let mut shown = Shown::new(None, b"key", i64::MAX);
    shown.take(found(&ledger, &[Dimension::Project]));
    let about = About { is_up: false, read_at: Some(1500), rest: 3, version: "1.2" };
    let sample =
        "claude_code_cost_usage_USD_total{project=\"/a \\\"b\\\"\\\\c\\nd é\",model=\"claude-opus-5-5\"} 0.0076598\n";
    let text = exposition(shown.show(None).1, &about, Format::Prometheus);
    let head = "# HELP claude_code_cost_usage_USD_total Cost in US dollars, by Claude Code's own estimate.\n\
                # TYPE claude_code_cost_usage_USD_total counter\n";
    assert!(text.contains(&format!("{head}{sample}")), "{text}");
    assert!(text.ends_with(
        "# HELP ccrun_build_info The version of ccrun.\n# TYPE ccrun_build_info gauge\nccrun_build_info{version=\"1.2\"} 1\n"
    ));
    assert!(!text.contains("EOF") && !text.contains("UNIT"), "{text}");
    let text = exposition(shown.show(None).1, &about, Format::OpenMetrics);
    let head = "# HELP claude_code_cost_usage_USD Cost in US dollars, by Claude Code's own estimate.\n\
                # TYPE claude_code_cost_usage_USD counter\n# UNIT claude_code_cost_usage_USD USD\n";
    assert!(text.contains(&format!("{head}{sample}")), "{text}");
    for part in [
        "# TYPE ccrun_up gauge\nccrun_up 0\n",
        "# UNIT ccrun_ledger_read_timestamp_seconds seconds\nccrun_ledger_read_timestamp_seconds 1.5\n",
        "ccrun_other_series 3\n",
        "# TYPE ccrun_build info\nccrun_build_info{version=\"1.2\"} 1\n# EOF\n",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn a_client_gets_the_format_that_it_prefers() {
    use Format::{OpenMetrics, Prometheus};
    let cases = [
        ("", Prometheus),
        ("*/*", Prometheus),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Prometheus),
        ("application/openmetrics-text", OpenMetrics),
        ("application/openmetrics-text; version=1.0.0; charset=utf-8", OpenMetrics),
        ("application/openmetrics-text;version=0.0.1", Prometheus),
        ("application/openmetrics-text;version=1.0.0;q=0", Prometheus),
        ("application/openmetrics-text;q=0.2,text/plain;q=0.5", Prometheus),
        (
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;\
             version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,\
             */*;q=0.2",
            OpenMetrics,
        ),
    ];
    for (accept, expected) in cases {
        assert_eq!(Format::accepted(accept), expected, "{accept}");
    }
}

#[test]
fn a_new_series_is_zero_at_first_for_each_scraper() {
    let ledger = empty().unwrap();
    let mut shown = Shown::new(None, b"key", nine());
    shown.take(found(&ledger, &[]));
    // One scraper has seen nothing yet, and another comes later.
    let (first, _) = shown.show(None);
    take(&ledger, &origin("one"), &[asked("a", 1, 0, OPUS)]);
    assert!(shown.take(found(&ledger, &[])));
    assert_eq!(cost(&mut shown, None).as_deref(), Some("0"), "the first show");
    assert_eq!(cost(&mut shown, None).as_deref(), Some("0.0076598"), "a new scraper");
    assert_eq!(cost(&mut shown, Some(first)).as_deref(), Some("0"), "one that has not seen it");
    let (last, _) = shown.show(Some(first));
    assert_eq!(cost(&mut shown, Some(last)).as_deref(), Some("0.0076598"));
    // It is not new for a later run.
    let mut later = Shown::new(Some(shown.keep()), b"key", nine() + 1);
    later.take(found(&ledger, &[]));
    assert_eq!(cost(&mut later, None).as_deref(), Some("0.0076598"));
}

#[test]
fn usage_from_before_the_first_run_is_not_an_increase() {
    let ledger = empty().unwrap();
    take(&ledger, &origin("one"), &[asked("a", 1, 0, OPUS)]);
    // What there is at the start is not new, even if it is recent.
    let mut shown = Shown::new(None, b"key", nine());
    shown.take(found(&ledger, &[]));
    assert_eq!(cost(&mut shown, None).as_deref(), Some("0.0076598"));
    let mut shown = Shown::new(None, b"key", nine() + 1);
    assert!(shown.take_none() && !shown.take_none());
    assert!(shown.take(found(&ledger, &[])));
    assert_eq!(cost(&mut shown, None).as_deref(), Some("0.0076598"));
    // A later import of older usage of another model.
    let (last, _) = shown.show(None);
    take(&ledger, &origin("one"), &[asked("b", 2, 0, "claude-haiku-5")]);
    shown.take(found(&ledger, &[]));
    assert!(samples(&mut shown, Some(last)).iter().all(|sample| !sample.ends_with(" 0")));
}

#[test]
fn a_counter_does_not_go_down_when_usage_is_forgotten_or_expires() {
    let ledger = empty().unwrap();
    let day = morning().as_millisecond().div_euclid(DAY);
    let of = |session: &str, sequence| [asked(session, sequence, 0, OPUS)];
    take(&ledger, &origin("one"), &[of("a", 1), of("b", 2), of("c", 3)].concat());
    let mut shown = Shown::new(None, b"key", nine() + 1);
    shown.take(found(&ledger, &[]));
    assert!(!shown.take(found(&ledger, &[])), "nothing has changed");
    assert_eq!(cost(&mut shown, None).as_deref(), Some("0.0229794"));
    forget(&ledger, Forget::Session("a"), i64::MAX).unwrap();
    assert!(shown.take(found(&ledger, &[])), "this would not show again");
    assert_eq!(cost(&mut shown, None).as_deref(), Some("0.0229794"));
    let kept = serde_json::to_vec(&shown.keep()).unwrap();
    assert!(!String::from_utf8_lossy(&kept).contains("opus"), "it keeps no names");
    forget(&ledger, Forget::Session("b"), i64::MAX).unwrap();
    take(&ledger, &origin("two"), &of("d", 4));
    // Also over a restart, during which one was forgotten and one was new.
    let mut later = Shown::new(serde_json::from_slice(&kept).ok(), b"key", nine() + 1);
    assert!(!later.take(found(&ledger, &[])));
    assert_eq!(cost(&mut later, None).as_deref(), Some("0.0229794"));
    take(&ledger, &origin("two"), &of("e", 5));
    later.take(found(&ledger, &[]));
    assert_eq!(cost(&mut later, None).as_deref(), Some("0.0306392"), "an increase is an increase");
    // What is gone altogether is not shown, and begins again.
    let transaction = ledger.unchecked_transaction().unwrap();
    prune(&transaction, Some(day + 1), day).unwrap();
    transaction.commit().unwrap();
    assert!(later.take(found(&ledger, &[])));
    assert_eq!(cost(&mut later, None), None);
    take(&ledger, &origin("two"), &of("f", 6));
    later.take(found(&ledger, &[]));
    assert_eq!(cost(&mut later, None).as_deref(), Some("0.0076598"));
}

#[test]
fn series_beyond_the_limit_are_added_up_in_one() {
    let value = |index: usize| format!("p{index:05}");
    let series = |index| Series { metric: 1, labels: vec![("project", value(index)), ("model", OPUS.to_owned())] };
    let found = |count: usize, amount| -> BTreeMap<Series, Found> {
        let found = |index| Found { amount, first: 0, last: i64::try_from(index).unwrap() };
        (0..count).map(|index| (series(index), found(index))).collect()
    };
    let count = |shown: &mut Shown| shown.show(None).1.count();
    let total = |shown: &mut Shown| -> i64 { shown.show(None).1.map(|(_, value)| value).sum() };
    let mut shown = Shown::new(None, b"key", 1);
    shown.take(found(MOST, 2));
    assert_eq!((shown.rest(), count(&mut shown), total(&mut shown)), (0, MOST, 40_000));
    assert!(shown.take(found(MOST + 5, 3)));
    assert_eq!((shown.rest(), count(&mut shown), total(&mut shown)), (5, MOST + 1, 60_015));
    let rest = Series { metric: 1, labels: vec![("project", "other".to_owned()), ("model", "other".to_owned())] };
    let of = |shown: &mut Shown, wanted: &Series| {
        shown.show(None).1.find(|(series, _)| *series == wanted).map(|(_, value)| value)
    };
    assert_eq!(of(&mut shown, &rest), Some(15));
    // A series stays where it is, even if there is room again and over a restart.
    let mut later = Shown::new(Some(shown.keep()), b"key", 1);
    let fewer: BTreeMap<_, _> = found(MOST + 5, 4).into_iter().skip(10).collect();
    later.take(fewer);
    assert_eq!((later.rest(), of(&mut later, &rest), of(&mut later, &series(MOST))), (5, Some(20), None));
    // At the first show, the latest are shown by themselves.
    let mut first = Shown::new(None, b"key", 1);
    first.take(found(MOST + 5, 1));
    assert_eq!((of(&mut first, &series(4)), of(&mut first, &series(5))), (None, Some(1)));
    assert_eq!(total(&mut first), 20_005);
}
