//! Metrics of other programs, of every type.

use super::points::Measured::{Change, Count, Durations, Each, Level, Sizes};
use super::points::Program;
use crate::support::prometheus::{Prometheus, same};
use crate::support::sandbox::{Sandbox, wait_until};
use crate::support::session::Session;

/// The shipped profile with short intervals and these keys of a destination.
pub(super) fn profile(sandbox: &Sandbox, prometheus: &Prometheus, keys: &str) {
    let profile = format!(
        "extends = \"prometheus\"\n[vars]\nprometheus_url = \"{}\"\n[destination.prometheus]\nbatch = \"1ms\"\n{keys}",
        prometheus.url()
    );
    sandbox.profile("team", profile);
}

/// A session with a program in it.
fn start(sandbox: &Sandbox) -> (Session, Program) {
    let session = Session::start(sandbox, &["-p", "team"]);
    let program = Program::new(session.client());
    (session, program)
}

fn end(sandbox: &Sandbox, (session, program): (Session, Program)) {
    drop(program);
    session.end();
    sandbox.wait_for_end();
    assert!(sandbox.queue().is_empty(), "{:?}", sandbox.queue());
}

#[test]
#[ignore = "needs TEST_PROMETHEUS; scripts/test.sh runs it"]
fn every_type_of_metric_adds_up_over_sessions() {
    let (sandbox, prometheus) = (Sandbox::new(), Prometheus::start());
    profile(&sandbox, &prometheus, "");
    let mut first = start(&sandbox);
    first.1.export([
        ("work.done", Count(5)),
        ("work.open", Change(7)),
        ("work.load", Level(0.5)),
        ("work.duration", Durations([1, 2, 0], 1.25)),
        ("work.size", Sizes([1, 0, 0, 2], 24.0)),
    ]);
    prometheus.wait_for("work_done_total", 5.0);
    first.1.export([("work.done", Count(3)), ("work.open", Change(-4))]);
    prometheus.wait_for("work_done_total", 8.0);
    end(&sandbox, first);
    let mut second = start(&sandbox);
    second.1.export([
        ("work.done", Count(2)),
        ("work.open", Change(1)),
        ("work.load", Level(0.75)),
        ("work.duration", Durations([0, 1, 3], 10.5)),
        ("work.size", Sizes([0, 2, 1, 0], 14.0)),
    ]);
    end(&sandbox, second);
    for (query, expected) in [
        ("work_done_total", 10.0),
        ("work_open", 4.0),
        ("max(work_load)", 0.75),
        ("work_duration_seconds_count", 7.0),
        ("work_duration_seconds_sum", 11.75),
        (r#"work_duration_seconds_bucket{le="0.1"}"#, 1.0),
        (r#"work_duration_seconds_bucket{le="1.0"} or work_duration_seconds_bucket{le="1"}"#, 4.0),
        (r#"work_duration_seconds_bucket{le="+Inf"}"#, 7.0),
        ("histogram_count(work_size_bytes)", 6.0),
        ("histogram_sum(work_size_bytes)", 38.0),
        ("histogram_fraction(1, 4, work_size_bytes)", 0.5),
        ("resets(work_done_total[1h])", 0.0),
        ("resets(work_duration_seconds_count[1h])", 0.0),
        ("resets(work_size_bytes[1h])", 0.0),
    ] {
        let found = prometheus.value(query, None);
        assert!(found.is_some_and(|found| same(found, expected)), "{query}: {found:?}, expected {expected}");
    }
}

#[test]
#[ignore = "needs TEST_PROMETHEUS; scripts/test.sh runs it"]
fn an_update_or_another_process_does_not_end_a_series() {
    let (sandbox, prometheus) = (Sandbox::new(), Prometheus::start());
    profile(&sandbox, &prometheus, "");
    for (version, process) in [("1.0", "101"), ("1.1", "102")] {
        let (session, program) = start(&sandbox);
        let mut program = program.described([("service.version", version), ("process.pid", process)]);
        program.export([("work.done", Count(2))]);
        end(&sandbox, (session, program));
    }
    assert_eq!(prometheus.value("work_done_total", None), Some(4.0));
    assert_eq!(prometheus.value("resets(work_done_total[1h])", None), Some(0.0));
}

/// Its first point would lie before points of other series that were already sent, and Prometheus accepts no old
/// points.
#[test]
#[ignore = "needs TEST_PROMETHEUS; scripts/test.sh runs it"]
fn a_late_series_also_starts_at_zero() {
    let (sandbox, mut prometheus) = (Sandbox::new(), Prometheus::start());
    profile(&sandbox, &prometheus, "");
    let mut session = start(&sandbox);
    session.1.export([("work.done", Count(5))]);
    prometheus.wait_for("work_done_total", 5.0);
    session.1.export([("work.done", Count(1)), ("work.other", Count(7))]);
    prometheus.wait_for("work_other_total", 7.0);
    prometheus.kill();
    session.1.export([("work.third", Count(9))]);
    wait_until("an attempt", || sandbox.queue().iter().any(|entry| entry["last_error"].is_string()));
    prometheus.restart();
    end(&sandbox, session);
    for (name, value) in [("work_done_total", 6.0), ("work_other_total", 7.0), ("work_third_total", 9.0)] {
        let series = prometheus.samples(name);
        let samples = &series[0].samples;
        assert!(same(samples[0].1, 0.0) && same(samples.last().unwrap().1, value), "{name}: {samples:?}");
    }
}

/// The totals are split into several requests.
#[test]
#[ignore = "needs TEST_PROMETHEUS; scripts/test.sh runs it"]
fn thousands_of_series_arrive() {
    let (sandbox, prometheus) = (Sandbox::new(), Prometheus::start());
    profile(&sandbox, &prometheus, "");
    let mut session = start(&sandbox);
    for round in 1..=2 {
        session.1.export([("work.done", Each(15_000))]);
        prometheus.wait_for("sum(work_done_total)", f64::from(15_000 * round));
    }
    end(&sandbox, session);
    assert_eq!(prometheus.value("count(work_done_total)", None), Some(15_000.0));
    assert_eq!(prometheus.value("sum(resets(work_done_total[1h]))", None), Some(0.0));
}

/// Prometheus identifies a series by job, instance and the point's attributes. Series that differ only in something
/// else must stay separate.
#[test]
#[ignore = "needs TEST_PROMETHEUS; scripts/test.sh runs it"]
fn separate_series_are_separate_in_prometheus() {
    let (sandbox, prometheus) = (Sandbox::new(), Prometheus::start());
    profile(&sandbox, &prometheus, "headers.x-key = { env = \"TEST_KEY\" }\n");
    sandbox.profile("other", "extends = \"team\"\n");
    let start = |name: &str, key: &str, hosted: &str| {
        let mut command = sandbox.ccrun(["-p", name]);
        command.env("TEST_KEY", key);
        let session = Session::start_by(command);
        let program = Program::new(session.client()).described([("host.name", hosted)]);
        (session, program)
    };
    let mut all = [("team", "a", "x"), ("team", "b", "x"), ("other", "a", "x"), ("team", "a", "y")]
        .map(|(name, key, hosted)| start(name, key, hosted));
    for round in 1..=3 {
        for (_, program) in &mut all {
            program.export([("work.done", Count(1))]);
        }
        prometheus.wait_for("sum(work_done_total)", f64::from(4 * round));
    }
    assert_eq!(prometheus.value("sum(resets(work_done_total[1h]))", None), Some(0.0));
    for (session, program) in all {
        drop(program);
        session.end();
    }
    sandbox.wait_for_end();
    assert!(sandbox.queue().is_empty(), "{:?}", sandbox.queue());
}

/// Checks that a series starts again from zero, and that Prometheus detects it.
fn restarts(keys: &str, between: impl Fn(&Sandbox)) {
    let (sandbox, prometheus) = (Sandbox::new(), Prometheus::start());
    profile(&sandbox, &prometheus, keys);
    for count in [7, 2] {
        let mut session = start(&sandbox);
        session.1.export([("work.done", Count(count))]);
        end(&sandbox, session);
        between(&sandbox);
    }
    let found = prometheus.samples("work_done_total");
    assert_eq!(found.len(), 1, "{found:#?}");
    let samples: Vec<_> = found[0].samples.iter().map(|(_, value)| *value).collect();
    let mut changes = samples.clone();
    changes.dedup();
    assert_eq!(changes, [0.0, 7.0, 0.0, 2.0], "{samples:?}");
    assert_eq!(prometheus.value("resets(work_done_total[1h])", None), Some(1.0));
}

#[test]
#[ignore = "needs TEST_PROMETHEUS; scripts/test.sh runs it"]
fn an_expired_series_restarts() {
    // The series expires before the session ends.
    restarts("series_ttl = \"1s\"\n", |_| {});
}

#[test]
#[ignore = "needs TEST_PROMETHEUS; scripts/test.sh runs it"]
fn a_lost_store_restarts_the_series() {
    restarts("", |sandbox| {
        for file in std::fs::read_dir(sandbox.state()).unwrap().flatten() {
            if file.file_name().to_string_lossy().starts_with("store-") {
                std::fs::remove_file(file.path()).unwrap();
            }
        }
    });
}
