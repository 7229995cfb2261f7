//! Totals in the store, batch by batch and request by request.

mod property;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point;
use opentelemetry_proto::tonic::metrics::v1::{AggregationTemporality, NumberDataPoint};
use prost::Message;

use super::*;
use crate::otlp::Signal;
use crate::store::backlog::Waiting;
use crate::store::counters;
use crate::store::deliveries::{self, Floors, Which};
use crate::store::failure::Failure;
use crate::store::fixture::{Fixture, recipient};
use crate::store::waiting::{self};
use crate::totals::{Installation, PLACE};
use crate::usage::samples::{metrics, sum, text};

const INSTALLATION: Installation = Installation([7; 16]);

/// Noon of some day, in Unix milliseconds.
const NOON: i64 = 1_795_262_400_000;

fn whose() -> Whose {
    Whose { fingerprint: vec![1, 2, 3], profile: "team".to_owned(), destination: "backend".to_owned() }
}

/// A request of integers by name, over an interval that ends at `now`, in Unix milliseconds, and `nth` nanoseconds.
fn deltas(by_name: &[(&str, i64)], now: i64, nth: u64) -> Vec<u8> {
    let time = (now * 1_000_000).cast_unsigned() + nth;
    let point = |(name, value): &(&str, i64)| NumberDataPoint {
        attributes: vec![text("name", name)],
        start_time_unix_nano: time - 1_000_000_000,
        time_unix_nano: time,
        value: Some(number_data_point::Value::AsInt(*value)),
        ..NumberDataPoint::default()
    };
    metrics(vec![sum("count", AggregationTemporality::Delta, by_name.iter().map(point).collect())])
}

/// Folds everything that waits for a session.
fn fold_all(fixture: &Fixture, session: &str, now: i64) -> u64 {
    let (route, mut points) = (fixture.route(&[session]), 0);
    loop {
        let batches = next(&fixture.store, &fixture.source(), &route, &FoldFloors::new()).unwrap();
        if batches.is_empty() {
            return points;
        }
        for batch in &batches {
            let of = &route.subscriptions[batch.recipient];
            points += fold(&fixture.store, &whose(), of, batch, INSTALLATION, now).unwrap().points;
        }
    }
}

fn bring(fixture: &mut Fixture, session: &str, body: &[u8], now: i64) {
    fixture.keep(session, Signal::Metrics, body, now);
}

fn left(fixture: &Fixture) -> Vec<Waiting> {
    waiting::waiting(&fixture.store, &fixture.source()).unwrap()
}

/// The name, start, time and value of each point.
fn points(request: &[u8]) -> Vec<(String, u64, u64, i64)> {
    let request = ExportMetricsServiceRequest::decode(request).unwrap();
    let scopes = request.resource_metrics.iter().flat_map(|resource| &resource.scope_metrics);
    let mut found = Vec::new();
    for metric in scopes.flat_map(|scope| &scope.metrics) {
        let Some(Data::Sum(sum)) = &metric.data else { continue };
        assert_eq!(sum.aggregation_temporality, AggregationTemporality::Cumulative as i32);
        for point in &sum.data_points {
            let value = match point.value {
                Some(number_data_point::Value::AsInt(value)) => value,
                _ => i64::MIN,
            };
            let name = format!("{:?}", point.attributes[0].value);
            found.push((name, point.start_time_unix_nano, point.time_unix_nano, value));
        }
    }
    found
}

/// The totals after some batches, each from a session and at a given time.
fn folded(batches: &[(&str, i64, Vec<u8>)]) -> (Fixture, State) {
    let mut fixture = Fixture::cumulative();
    for (session, now, body) in batches {
        bring(&mut fixture, session, body, *now);
        fold_all(&fixture, session, *now);
    }
    let state = state(&fixture.store, &whose()).unwrap().unwrap();
    (fixture, state)
}

/// Everything that a snapshot would send, including zeros, as if each request was acknowledged.
fn snapshot(connection: &Connection, now: i64, before: i64) -> Vec<(String, u64, u64, i64)> {
    let state = state(connection, &whose()).unwrap().unwrap();
    let mut wanted = Wanted { after: [0; PLACE], above: 0, series: 1000, bytes: 1 << 20 };
    let mut all = Vec::new();
    while let Some(chunk) = take(connection, state.id, wanted, now, before).unwrap() {
        all.extend(points(&chunk.body));
        if chunk.is_zero {
            begun(connection, state.id, &chunk.places).unwrap();
        } else {
            wanted.after = *chunk.places.last().unwrap();
        }
    }
    acknowledge(connection, state.id, state.generation, true, now).unwrap();
    all
}

fn values(points: &[(String, u64, u64, i64)]) -> Vec<i64> {
    points.iter().map(|point| point.3).collect()
}

#[test]
fn sessions_add_up_and_each_waits_for_a_snapshot_with_its_data() {
    let one = deltas(&[("a", 5)], NOON, 0);
    let (mut fixture, state) = folded(&[("one", NOON, one.clone()), ("two", NOON, deltas(&[("a", 7)], NOON, 1))]);
    assert_eq!((state.series, state.is_awaited), (1, true));
    assert_eq!(left(&fixture).iter().map(|waiting| waiting.batches).collect::<Vec<_>>(), [1, 1]);
    let busy = Failure { reason: "503 busy".to_owned(), next_try: Some(NOON + 1) };
    failed(&fixture.store, state.id, &busy, NOON).unwrap();
    assert!(left(&fixture).iter().all(|waiting| waiting.failure.as_ref() == Some(&busy)));
    // Deltas that arrive during a snapshot are not in it.
    bring(&mut fixture, "two", &deltas(&[("a", 1)], NOON, 2), NOON);
    fold_all(&fixture, "two", NOON);
    acknowledge(&fixture.store, state.id, state.generation, true, NOON).unwrap();
    assert_eq!(left(&fixture).iter().map(|waiting| waiting.recipient.session.as_str()).collect::<Vec<_>>(), ["two"]);
    assert_eq!(values(&snapshot(&fixture.store, NOON, 0)), [0, 13]);
    assert!(left(&fixture).is_empty());
    // The same batch again adds nothing; its session learns that the totals have it.
    bring(&mut fixture, "one", &one, NOON);
    assert_eq!(fold_all(&fixture, "one", NOON), 1);
    assert_eq!(values(&snapshot(&fixture.store, NOON + 1, 0)), [13]);
}

#[test]
fn a_purged_recipient_stops_waiting_and_its_data_stays_in_the_total() {
    let (fixture, _) = folded(&[("one", NOON, deltas(&[("a", 5)], NOON, 0))]);
    assert_eq!(left(&fixture).len(), 1);
    assert_eq!(waiting::purge(&fixture.store, &fixture.source(), &recipient("one"), NOON).unwrap(), 1);
    assert_eq!(left(&fixture).len(), 0);
    let counts = counters::claim(&fixture.store, &recipient("one")).unwrap()[0].counts;
    assert_eq!((counts.received, counts.delivered, counts.dropped), (1, 0, 1));
    assert_eq!(values(&snapshot(&fixture.store, NOON, 0)), [0, 5]);
}

#[test]
fn a_clock_that_was_far_ahead_leaves_no_start_in_the_future() {
    let ahead = NOON + 1000 * 86_400_000;
    let nanoseconds = |at: i64| (at * 1_000_000).cast_unsigned();
    // Its points are sent while the clock is wrong, or only once it is right again.
    for is_sent in [true, false] {
        let (mut fixture, state) = folded(&[("one", ahead, deltas(&[("a", 5)], ahead, 0))]);
        if is_sent {
            assert_eq!(values(&snapshot(&fixture.store, ahead, 0)), [0, 5]);
            // A series forgotten at that point is a floor for later series.
            fixture.store.execute("UPDATE totals SET floor = latest", []).unwrap();
            bring(&mut fixture, "one", &deltas(&[("b", 1)], NOON, 0), NOON);
            fold_all(&fixture, "one", NOON);
        }
        for now in [NOON, NOON + 60_000] {
            let points = snapshot(&fixture.store, now, 0);
            assert!(!points.is_empty(), "{is_sent}");
            for (name, start, time, _) in points {
                assert!(start <= time && time <= nanoseconds(now + 10), "{name} {is_sent}: {start} {time}");
            }
        }
        let later = snapshot(&fixture.store, NOON + 120_000, 0);
        assert!(later.iter().all(|point| point.1 <= nanoseconds(NOON + 10)), "the start does not move again");
        assert_eq!(state.series, 1);
    }
}

#[test]
fn times_increase_even_if_the_clock_jumps() {
    let (fixture, _) = folded(&[("one", NOON, deltas(&[("a", 5)], NOON, 0))]);
    let times = |now| snapshot(&fixture.store, now, 0).iter().map(|point| point.2).max().unwrap();
    let first = times(NOON);
    assert_eq!(first, (NOON * 1_000_000).cast_unsigned());
    assert_eq!(times(NOON - 3_600_000), first + 1_000_000, "the clock was set back");
    assert_eq!(times(NOON - 1), first + 2_000_000);
    assert_eq!(times(NOON + 5), first + 5_000_000);
    let long_before = NOON - 100 * 86_400_000;
    assert_eq!(times(long_before), (long_before * 1_000_000).cast_unsigned(), "it was wrong by days");
}

#[test]
fn a_series_that_returns_restarts_after_its_last_report() {
    let (mut fixture, _) = folded(&[("one", NOON, deltas(&[("a", 5)], NOON, 0))]);
    let reported = snapshot(&fixture.store, NOON + 500, 0);
    assert_eq!(values(&reported), [0, 5]);
    assert!(snapshot(&fixture.store, NOON + 600, NOON + 1).is_empty(), "forgotten");
    let after = state(&fixture.store, &whose()).unwrap().unwrap();
    assert_eq!((after.series, after.forgotten), (0, 1));
    bring(&mut fixture, "one", &deltas(&[("a", 2)], NOON + 700, 0), NOON + 700);
    fold_all(&fixture, "one", NOON + 700);
    let again = snapshot(&fixture.store, NOON + 800, 0);
    assert_eq!(values(&again), [0, 2]);
    assert!(again[0].1 > reported[1].2 && again[0].2 > reported[1].2, "{reported:?} {again:?}");
}

#[test]
fn unsent_series_do_not_expire() {
    let (fixture, _) = folded(&[("one", NOON, deltas(&[("a", 5)], NOON, 0))]);
    assert_eq!(values(&snapshot(&fixture.store, NOON + 86_400_000, NOON + 1)), [0, 5]);
}

#[test]
fn a_rejected_series_is_isolated_and_skipped_for_a_while() {
    let both = deltas(&[("a", 5), ("b", 6)], NOON, 0);
    let (fixture, state) = folded(&[("one", NOON, both)]);
    let first = snapshot(&fixture.store, NOON, 0);
    assert_eq!(first.len(), 4);
    let wanted = Wanted { after: [0; PLACE], above: 0, series: 1000, bytes: 1 << 20 };
    let both = take(&fixture.store, state.id, wanted, NOON, 0).unwrap().unwrap().places;
    assert_eq!(both.len(), 2);
    refused(&fixture.store, state.id, &both[0], NOON).unwrap();
    let next = |now| take(&fixture.store, state.id, wanted, now, 0).unwrap().unwrap().places;
    assert_eq!(next(NOON), both[1..]);
    assert_eq!(next(NOON + FIRST_REST), both[..1], "alone, so that it affects no other series");
    passed(&fixture.store, state.id, &both[..1]).unwrap();
    assert_eq!(next(NOON + FIRST_REST), both);
}

#[test]
fn a_rejected_zero_is_skipped_unless_the_total_is_rejected_too() {
    let (fixture, state) = folded(&[("one", NOON, deltas(&[("a", 5)], NOON, 0))]);
    let wanted = Wanted { after: [0; PLACE], above: 0, series: 1000, bytes: 1 << 20 };
    let next = |now| take(&fixture.store, state.id, wanted, now, 0).unwrap();
    let zero = next(NOON).unwrap();
    assert!(zero.is_zero);
    without_zero(&fixture.store, state.id, &zero.places[0]).unwrap();
    assert!(!next(NOON).unwrap().is_zero);
    refused(&fixture.store, state.id, &zero.places[0], NOON).unwrap();
    assert_eq!(next(NOON), None);
    let again = next(NOON + 4 * FIRST_REST).unwrap();
    assert!(again.is_zero, "a destination that rejected everything has no zero yet");
    without_zero(&fixture.store, state.id, &zero.places[0]).unwrap();
    passed(&fixture.store, state.id, &zero.places).unwrap();
    assert!(!next(NOON + 4 * FIRST_REST).unwrap().is_zero);
}

#[test]
fn above_the_limit_the_least_recently_changed_series_are_removed() {
    let mut fixture = Fixture::cumulative();
    let names: Vec<_> = (0..MAXIMUM_SERIES + 2).map(|number| number.to_string()).collect();
    for (nth, names) in (0..).zip(names.chunks(5000)) {
        let values: Vec<_> = names.iter().map(|name| (name.as_str(), 1)).collect();
        bring(&mut fixture, "one", &deltas(&values, NOON, 0), NOON);
        fold_all(&fixture, "one", NOON + nth);
    }
    let state = state(&fixture.store, &whose()).unwrap().unwrap();
    assert_eq!((state.series, state.forgotten), (MAXIMUM_SERIES, 2));
    acknowledge(&fixture.store, state.id, state.generation, true, NOON + 5).unwrap();
    let counts = counters::claim(&fixture.store, &recipient("one")).unwrap()[0].counts;
    assert_eq!((counts.delivered, counts.dropped), (MAXIMUM_SERIES, 2), "a series that was never sent is dropped");
}

#[test]
fn other_data_is_delivered_unchanged_after_the_deltas_are_counted() {
    let mut fixture = Fixture::cumulative();
    let delta = sum("delta", AggregationTemporality::Delta, vec![]);
    let cumulative = sum("cumulative", AggregationTemporality::Cumulative, vec![NumberDataPoint::default()]);
    let body = [deltas(&[("a", 5)], NOON, 0), metrics(vec![delta, cumulative.clone()])].concat();
    bring(&mut fixture, "one", &body, NOON);
    bring(&mut fixture, "one", &deltas(&[("a", 5)], NOON, 1), NOON);
    let (route, source, floors) = (fixture.route(&["one"]), fixture.source(), Floors::new());
    let which = Which { bytes: 1 << 20, batches: 10, is_deferred: false, is_untried: false, floors: &floors };
    let found = || deliveries::next(&fixture.store, &source, &route, which).unwrap().delivery;
    assert!(found().is_none(), "not before");
    let batch = next(&fixture.store, &source, &route, &FoldFloors::new()).unwrap().remove(0);
    for points in [1, 0] {
        let folded = fold(&fixture.store, &whose(), &route.subscriptions[0], &batch, INSTALLATION, NOON).unwrap();
        assert_eq!(folded.points, points, "once");
    }
    let rest = found().unwrap();
    assert_eq!((&rest.body[..], rest.parts[0].records), (&metrics(vec![cumulative])[..], 1));
    assert_eq!(
        left(&fixture).iter().map(|left| left.batches).sum::<u64>(),
        3,
        "this batch, another one, and a snapshot"
    );
    deliveries::delivered(&fixture.store, &source, &route, &rest, (0, None), NOON).unwrap();
    assert_eq!(fold_all(&fixture, "one", NOON), 1);
    assert!(found().is_none());
    assert_eq!(left(&fixture).len(), 1, "a snapshot");
}

#[test]
fn several_batches_are_folded_once_each_in_one_commit() {
    let mut fixture = Fixture::cumulative();
    for nth in 0..100 {
        bring(&mut fixture, "one", &deltas(&[("a", 1)], NOON, nth), NOON);
    }
    let (route, source) = (fixture.route(&["one"]), fixture.source());
    let found = || next(&fixture.store, &source, &route, &FoldFloors::new()).unwrap();
    let fold = |batches: &[Batch]| -> u64 {
        let fold = |batch| fold(&fixture.store, &whose(), &route.subscriptions[0], batch, INSTALLATION, NOON).unwrap();
        batches.iter().map(|batch| fold(batch).points).sum()
    };
    let first = found();
    assert!(first.len() > 1 && first.len() < 100, "bounded: {}", first.len());
    assert!(first.windows(2).all(|pair| pair[0].end == pair[1].from));
    // Another process has folded some of them in the meantime.
    assert_eq!(fold(&first[..10]), 10);
    assert_eq!(fold(&first), first.len() as u64 - 10);
    assert_eq!(fold(&found()), 100 - first.len() as u64);
    assert_eq!(found(), []);
    assert_eq!(values(&snapshot(&fixture.store, NOON + 1, 0)), [0, 100]);
}

#[test]
fn a_replaced_store_learns_what_was_counted() {
    let mut fixture = Fixture::cumulative();
    bring(&mut fixture, "one", &deltas(&[("a", 5)], NOON, 0), NOON);
    let (route, source) = (fixture.route(&["one"]), fixture.source());
    let batch = next(&fixture.store, &source, &route, &FoldFloors::new()).unwrap().remove(0);
    let floors = FoldFloors::from([(0, batch.end)]);
    let other = crate::store::empty().unwrap();
    assert!(next(&other, &source, &route, &floors).unwrap().is_empty());
    assert!(is_behind(&other, &route, &floors).unwrap());
    catch_up(&other, &route, &floors).unwrap();
    assert!(!is_behind(&other, &route, &floors).unwrap());
    assert!(next(&other, &source, &route, &FoldFloors::new()).unwrap().is_empty(), "no other process counts it either");
}

/// A session whose clock is three years ahead adds to two series: an existing one, and one of its own.
#[test]
fn a_clock_that_was_years_ahead_leaves_nothing_of_the_future() {
    let ahead = NOON + 1000 * 24 * 60 * 60 * 1000;
    let mut fixture = Fixture::cumulative();
    bring(&mut fixture, "one", &deltas(&[("a", 5)], NOON, 0), NOON);
    fold_all(&fixture, "one", NOON);
    drop(snapshot(&fixture.store, NOON, 0));
    bring(&mut fixture, "two", &deltas(&[("a", 5), ("b", 5)], ahead, 0), ahead);
    fold_all(&fixture, "two", ahead);
    drop(snapshot(&fixture.store, ahead, 0));
    // Once the clock is correct, no point starts after its own time or lies in the future.
    let now = NOON + 60_000;
    bring(&mut fixture, "one", &deltas(&[("c", 5)], now, 1), now);
    fold_all(&fixture, "one", now);
    for (name, start, time, _) in snapshot(&fixture.store, now, 0) {
        assert!(start <= time && time <= (now.cast_unsigned() + 1000) * 1_000_000, "{name}: {start} {time}");
    }
    let id = state(&fixture.store, &whose()).unwrap().unwrap().id;
    acknowledge(&fixture.store, id, i64::MAX, true, now).unwrap();
    let month = 31 * 24 * 60 * 60 * 1000;
    let wanted = Wanted { after: [0; PLACE], above: 0, series: 10, bytes: 1 << 20 };
    drop(take(&fixture.store, id, wanted, now + month, now + 1).unwrap());
    assert_eq!(state(&fixture.store, &whose()).unwrap().unwrap().series, 0, "series unchanged for a month are removed");
}

#[test]
fn a_large_batch_is_folded_in_pieces() {
    let mut fixture = Fixture::cumulative();
    let names: Vec<_> = (0..5000).map(|number| format!("{number:0100}")).collect();
    let values: Vec<_> = names.iter().map(|name| (name.as_str(), 1)).collect();
    bring(&mut fixture, "one", &deltas(&values, NOON, 0), NOON);
    assert_eq!(fold_all(&fixture, "one", NOON), 5000);
    assert_eq!(state(&fixture.store, &whose()).unwrap().unwrap().series, 5000);
}

/// The first time for which a refused series is left out, in milliseconds.
const FIRST_REST: i64 = 15_000;
