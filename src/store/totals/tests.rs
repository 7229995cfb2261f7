//! Totals in the store, batch by batch and request by request.

mod property;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point;
use opentelemetry_proto::tonic::metrics::v1::{AggregationTemporality, NumberDataPoint};
use prost::Message;

use super::*;
use crate::otlp::Signal;
use crate::store::batches::{self, Recipient};
use crate::store::deliveries::tests::{recipient, store};
use crate::store::deliveries::{self, Which};
use crate::store::{sessions, tally};
use crate::totals::{Installation, PLACE, sift};
use crate::usage::samples::{metrics, sum, text};

const INSTALLATION: Installation = Installation([7; 16]);

/// Noon of some day, in Unix milliseconds.
const NOON: i64 = 1_795_262_400_000;

fn whose() -> Whose {
    Whose { fingerprint: vec![1, 2, 3], profile: "team".to_owned(), destination: "backend".to_owned() }
}

/// A request of integers by name, of an interval that ends at `now`, in Unix milliseconds, and `nth` nanoseconds.
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

/// Folds whatever waits for a recipient.
fn fold_all(connection: &Connection, to: &Recipient, now: i64) -> u64 {
    let mut points = 0;
    while let Some(batch) = next(connection, std::slice::from_ref(to)).unwrap() {
        let sifted = sift(&body(connection, &batch).unwrap().unwrap(), INSTALLATION).unwrap();
        points += fold(connection, &whose(), to, &batch, &sifted, now).unwrap().points;
    }
    points
}

fn bring(connection: &Connection, to: &Recipient, body: &[u8], now: i64) {
    batches::insert(connection, Signal::Metrics, body, now, std::slice::from_ref(to)).unwrap();
}

/// Name, start, time and value of each point.
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

/// The totals after some batches, each of a session and brought at a moment.
fn folded(batches: &[(&str, i64, Vec<u8>)]) -> (Connection, State) {
    let connection = store();
    for (session, now, body) in batches {
        bring(&connection, &recipient(session), body, *now);
        fold_all(&connection, &recipient(session), *now);
    }
    let state = state(&connection, &whose()).unwrap().unwrap();
    (connection, state)
}

/// All that a snapshot would send, zeros and all, as if each was acknowledged.
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
fn sessions_add_up_and_each_waits_until_a_snapshot_has_what_it_brought() {
    let one = deltas(&[("a", 5)], NOON, 0);
    let (connection, state) = folded(&[("one", NOON, one.clone()), ("two", NOON, deltas(&[("a", 7)], NOON, 1))]);
    assert_eq!((state.series, state.is_awaited), (1, true));
    let waiting = || batches::waiting(&connection).unwrap();
    assert_eq!(waiting().iter().map(|waiting| waiting.batches).collect::<Vec<_>>(), [1, 1]);
    failed(&connection, state.id, "503 busy", NOON).unwrap();
    assert!(waiting().iter().all(|waiting| waiting.last_error.as_deref() == Some("503 busy")));
    // What comes while a snapshot is on its way is not in it.
    bring(&connection, &recipient("two"), &deltas(&[("a", 1)], NOON, 2), NOON);
    fold_all(&connection, &recipient("two"), NOON);
    acknowledge(&connection, state.id, state.generation, true, NOON).unwrap();
    assert_eq!(waiting().iter().map(|waiting| waiting.recipient.session.as_str()).collect::<Vec<_>>(), ["two"]);
    assert_eq!(values(&snapshot(&connection, NOON, 0)), [0, 13]);
    assert!(waiting().is_empty());
    // The same once more is nothing new; its session is told that it is there.
    bring(&connection, &recipient("one"), &one, NOON);
    assert_eq!(fold_all(&connection, &recipient("one"), NOON), 1);
    assert_eq!(values(&snapshot(&connection, NOON + 1, 0)), [13]);
}

#[test]
fn whoever_is_purged_waits_no_longer_and_its_part_stays_in_the_total() {
    let (connection, _) = folded(&[("one", NOON, deltas(&[("a", 5)], NOON, 0))]);
    assert_eq!((batches::count(&connection).unwrap(), batches::waiting(&connection).unwrap().len()), (1, 1));
    assert_eq!(batches::purge(&connection, &recipient("one"), NOON).unwrap(), 1);
    assert_eq!((batches::count(&connection).unwrap(), batches::waiting(&connection).unwrap().len()), (0, 0));
    let counts = tally::claim(&connection, &recipient("one")).unwrap()[0].counts;
    assert_eq!((counts.received, counts.delivered, counts.dropped), (1, 0, 1));
    assert_eq!(values(&snapshot(&connection, NOON, 0)), [0, 5]);
}

#[test]
fn time_goes_on_whatever_the_clock_does() {
    let (connection, _) = folded(&[("one", NOON, deltas(&[("a", 5)], NOON, 0))]);
    let times = |now| snapshot(&connection, now, 0).iter().map(|point| point.2).max().unwrap();
    let first = times(NOON);
    assert_eq!(first, (NOON * 1_000_000).cast_unsigned());
    assert_eq!(times(NOON - 3_600_000), first + 1_000_000, "the clock was set back");
    assert_eq!(times(NOON - 1), first + 2_000_000);
    assert_eq!(times(NOON + 5), first + 5_000_000);
    let long_before = NOON - 100 * 86_400_000;
    assert_eq!(times(long_before), (long_before * 1_000_000).cast_unsigned(), "it was wrong by days");
}

#[test]
fn a_series_that_comes_back_begins_anew_after_what_was_told_of_it() {
    let (connection, _) = folded(&[("one", NOON, deltas(&[("a", 5)], NOON, 0))]);
    let told = snapshot(&connection, NOON + 500, 0);
    assert_eq!(values(&told), [0, 5]);
    assert!(snapshot(&connection, NOON + 600, NOON + 1).is_empty(), "forgotten");
    let after = state(&connection, &whose()).unwrap().unwrap();
    assert_eq!((after.series, after.forgotten), (0, 1));
    bring(&connection, &recipient("one"), &deltas(&[("a", 2)], NOON + 700, 0), NOON + 700);
    fold_all(&connection, &recipient("one"), NOON + 700);
    let again = snapshot(&connection, NOON + 800, 0);
    assert_eq!(values(&again), [0, 2]);
    assert!(again[0].1 > told[1].2 && again[0].2 > told[1].2, "{told:?} {again:?}");
}

#[test]
fn what_is_not_told_yet_is_not_forgotten_for_its_age() {
    let (connection, _) = folded(&[("one", NOON, deltas(&[("a", 5)], NOON, 0))]);
    assert_eq!(values(&snapshot(&connection, NOON + 86_400_000, NOON + 1)), [0, 5]);
}

#[test]
fn a_series_that_is_refused_stands_alone_and_is_left_out_for_a_while() {
    let both = deltas(&[("a", 5), ("b", 6)], NOON, 0);
    let (connection, state) = folded(&[("one", NOON, both)]);
    let first = snapshot(&connection, NOON, 0);
    assert_eq!(first.len(), 4);
    let wanted = Wanted { after: [0; PLACE], above: 0, series: 1000, bytes: 1 << 20 };
    let both = take(&connection, state.id, wanted, NOON, 0).unwrap().unwrap().places;
    assert_eq!(both.len(), 2);
    refused(&connection, state.id, &both[0], NOON).unwrap();
    let next = |now| take(&connection, state.id, wanted, now, 0).unwrap().unwrap().places;
    assert_eq!(next(NOON), both[1..]);
    assert_eq!(next(NOON + FIRST_REST), both[..1], "alone, for it would take others with it");
    passed(&connection, state.id, &both[..1]).unwrap();
    assert_eq!(next(NOON + FIRST_REST), both);
}

#[test]
fn a_zero_that_is_refused_is_done_without_unless_the_total_is_refused_as_well() {
    let (connection, state) = folded(&[("one", NOON, deltas(&[("a", 5)], NOON, 0))]);
    let wanted = Wanted { after: [0; PLACE], above: 0, series: 1000, bytes: 1 << 20 };
    let next = |now| take(&connection, state.id, wanted, now, 0).unwrap();
    let zero = next(NOON).unwrap();
    assert!(zero.is_zero);
    without_zero(&connection, state.id, &zero.places[0]).unwrap();
    assert!(!next(NOON).unwrap().is_zero);
    refused(&connection, state.id, &zero.places[0], NOON).unwrap();
    assert_eq!(next(NOON), None);
    let again = next(NOON + 4 * FIRST_REST).unwrap();
    assert!(again.is_zero, "whoever refuses everything has no zero yet");
    without_zero(&connection, state.id, &zero.places[0]).unwrap();
    passed(&connection, state.id, &zero.places).unwrap();
    assert!(!next(NOON + 4 * FIRST_REST).unwrap().is_zero);
}

#[test]
fn the_series_that_changed_least_recently_go_above_the_limit() {
    let connection = store();
    let names: Vec<_> = (0..MAXIMUM_SERIES + 2).map(|number| number.to_string()).collect();
    for (nth, names) in (0..).zip(names.chunks(5000)) {
        let values: Vec<_> = names.iter().map(|name| (name.as_str(), 1)).collect();
        bring(&connection, &recipient("one"), &deltas(&values, NOON, 0), NOON);
        fold_all(&connection, &recipient("one"), NOON + nth);
    }
    let state = state(&connection, &whose()).unwrap().unwrap();
    assert_eq!((state.series, state.forgotten), (MAXIMUM_SERIES, 2));
}

#[test]
fn what_is_no_delta_takes_the_place_of_its_batch() {
    let connection = store();
    let delta = sum("delta", AggregationTemporality::Delta, vec![]);
    let cumulative = sum("cumulative", AggregationTemporality::Cumulative, vec![NumberDataPoint::default()]);
    let with_points = deltas(&[("a", 5)], NOON, 0);
    let body = [with_points.clone(), metrics(vec![delta, cumulative.clone()])].concat();
    bring(&connection, &recipient("one"), &body, NOON);
    let batch = next(&connection, &[recipient("one")]).unwrap().unwrap();
    let sifted = sift(&body, INSTALLATION).unwrap();
    fold(&connection, &whose(), &recipient("one"), &batch, &sifted, NOON).unwrap();
    assert_eq!(next(&connection, &[recipient("one")]).unwrap(), None, "it was looked at");
    let which = Which { without_deltas: true, ..Which::in_turn(1 << 20, 10) };
    let found = deliveries::next(&connection, &[recipient("one")], which).unwrap().unwrap();
    assert_eq!(found.parts[0].batch, batch.id + 1);
    let left = batches::body(&connection, batch.id + 1).unwrap().unwrap().1;
    assert_eq!(left, metrics(vec![cumulative]));
    assert_eq!(fold(&connection, &whose(), &recipient("one"), &batch, &sifted, NOON).unwrap().points, 0, "done");
    bring(&connection, &recipient("one"), &body, NOON);
    assert!(deliveries::next(&connection, &[recipient("one")], which).unwrap().unwrap().parts.len() == 1, "no deltas");
    batches::purge(&connection, &recipient("one"), NOON).unwrap();
    let left: i64 = connection.query_row("SELECT count(*) FROM sifted", [], |row| row.get(0)).unwrap();
    assert_eq!(left, 0);
}

#[test]
fn an_ended_session_is_remembered_no_longer_than_anything_of_it_waits() {
    let (connection, _) = folded(&[("one", NOON, deltas(&[("a", 5)], NOON, 0))]);
    let remembered = || connection.query_row("SELECT count(*) FROM counted", [], |row| row.get::<_, i64>(0)).unwrap();
    bring(&connection, &recipient("one"), &deltas(&[("a", 5)], NOON, 0), NOON);
    release(&connection, "one").unwrap();
    assert_eq!(remembered(), 1);
    fold_all(&connection, &recipient("one"), NOON);
    release(&connection, "one").unwrap();
    assert_eq!(remembered(), 0);
    assert_eq!(sessions::unfinished(&connection).unwrap(), [""; 0]);
}

/// How long a refused series rests first, in milliseconds.
const FIRST_REST: i64 = 15_000;
