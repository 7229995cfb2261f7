use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use proptest::prelude::*;
use prost::Message;
use rusqlite::Connection;

use super::*;
use crate::otlp::{count, halve};
use crate::store::counters;
use crate::store::counters::PendingCounters;
use crate::store::counts::Counts;
use crate::store::cursors::{self, Stream};
use crate::store::failure::Failure;
use crate::store::fixture::{Fixture, recipient};
use crate::store::set_aside::{self, given_up as dead_letters, newest, purge_dead, revive};
use crate::store::waiting::{purge, waiting};

/// A request of this many log records, identified by its number.
pub(in crate::store) fn logs(number: u64, records: usize) -> Vec<u8> {
    let record = LogRecord { time_unix_nano: number + 1, ..LogRecord::default() };
    let scope_logs = vec![ScopeLogs { log_records: vec![record; records], ..ScopeLogs::default() }];
    let resource_logs = vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }];
    ExportLogsServiceRequest { resource_logs }.encode_to_vec()
}

fn keep(fixture: &mut Fixture, signal: Signal, number: u64, session: &str) {
    fixture.keep(session, signal, &logs(number, 2), 7);
}

const EVERYTHING: usize = 1 << 20;

static NOWHERE: Floors = Floors::new();

fn in_turn(bytes: usize, batches: usize) -> Which<'static> {
    Which { bytes, batches, is_deferred: false, is_untried: false, floors: &NOWHERE }
}

fn find(fixture: &Fixture, route: &Route, which: Which<'_>) -> Option<Delivery> {
    next(&fixture.store, &fixture.source(), route, which).unwrap().delivery
}

/// The numbers of the batches in a request.
fn numbers(delivery: Option<&Delivery>) -> Vec<u64> {
    let bodies = delivery.into_iter().flat_map(Delivery::bodies);
    let number = |body: &[u8]| {
        let request = ExportLogsServiceRequest::decode(body).unwrap();
        request.resource_logs[0].scope_logs[0].log_records[0].time_unix_nano - 1
    };
    bodies.map(|(_, body)| number(body)).collect()
}

fn left(fixture: &Fixture) -> Vec<u64> {
    waiting(&fixture.store, &fixture.source()).unwrap().iter().map(|waiting| waiting.batches).collect()
}

fn reported(fixture: &Fixture, session: &str) -> Vec<PendingCounters> {
    counters::claim(&fixture.store, &recipient(session)).unwrap()
}

#[test]
fn batches_of_one_signal_are_combined_in_order() {
    let mut fixture = Fixture::new();
    for (number, signal) in [Signal::Logs, Signal::Metrics, Signal::Logs, Signal::Logs].into_iter().enumerate() {
        keep(&mut fixture, signal, number as u64, "one");
    }
    let route = fixture.route(&["one"]);
    let found = |which| numbers(find(&fixture, &route, which).as_ref());
    assert_eq!(found(in_turn(EVERYTHING, 10)), [0, 2, 3]);
    assert_eq!(found(in_turn(EVERYTHING, 2)), [0, 2]);
    let size = logs(0, 2).len();
    assert_eq!(found(in_turn(2 * size, 10)), [0, 2]);
    assert_eq!(found(in_turn(2 * size - 1, 10)), [0]);
    assert_eq!(found(in_turn(0, 10)), [0], "a single batch is always tried");
    let metrics = Route { signals: Some(vec![Signal::Metrics]), ..route.clone() };
    assert_eq!(numbers(find(&fixture, &metrics, in_turn(EVERYTHING, 10)).as_ref()), [1]);

    let delivery = find(&fixture, &route, in_turn(EVERYTHING, 10)).unwrap();
    assert_eq!(delivery.body, [logs(0, 2), logs(2, 2), logs(3, 2)].concat());
    assert_eq!(ExportLogsServiceRequest::decode(&delivery.body[..]).unwrap().resource_logs.len(), 3);
}

#[test]
fn data_of_several_sessions_is_sent_together_and_counted_for_each() {
    let mut fixture = Fixture::new();
    keep(&mut fixture, Signal::Logs, 0, "two");
    keep(&mut fixture, Signal::Logs, 1, "one");
    let route = fixture.route(&["one", "two"]);
    let found = find(&fixture, &route, in_turn(EVERYTHING, 10)).unwrap();
    assert_eq!(numbers(Some(&found)), [1, 0]);
    delivered(&fixture.store, &fixture.source(), &route, &found, (3, Some("no")), 8).unwrap();
    assert_eq!(left(&fixture), [0; 0]);
    let counts = Counts { received: 4, delivered: 1, dropped: 3, held: 0 };
    assert_eq!(reported(&fixture, "one"), [PendingCounters { signal: Signal::Logs, since: 7, counts }]);
    let of = |session| counters::of(&fixture.store, session).unwrap()[0].counts;
    assert_eq!((of("one").delivered, of("one").dropped), (0, 2));
    assert_eq!((of("two").delivered, of("two").dropped), (1, 1));
}

#[test]
fn deferred_batches_come_last_and_separately() {
    let mut fixture = Fixture::new();
    (0..3).for_each(|number| keep(&mut fixture, Signal::Logs, number, "one"));
    let (route, source) = (fixture.route(&["one"]), fixture.source());
    let first = || find(&fixture, &route, in_turn(EVERYTHING, 1)).unwrap();
    for _ in 0..2 {
        held(&fixture.store, &route, &first(), &Failure::new("500"), 8).unwrap();
    }
    let tried = find(&fixture, &route, in_turn(EVERYTHING, 10));
    assert_eq!(numbers(tried.as_ref()), [0], "failed batches are sent separately");
    deferred(&fixture.store, &source, &route, &first(), "500", 8).unwrap();
    assert_eq!(numbers(find(&fixture, &route, in_turn(EVERYTHING, 10)).as_ref()), [1, 2]);
    let deferred = find(&fixture, &route, Which { is_deferred: true, ..in_turn(EVERYTHING, 10) }).unwrap();
    assert_eq!((numbers(Some(&deferred)), deferred.parts[0].attempts), (vec![0], 3));
    assert_eq!(left(&fixture), [3]);
    let reported = reported(&fixture, "one");
    assert_eq!(reported[0].counts, Counts { received: 6, held: 2, ..Counts::default() }, "a held batch counts once");
    delivered(&fixture.store, &source, &route, &deferred, (0, None), 8).unwrap();
    assert_eq!(left(&fixture), [2]);
}

#[test]
fn later_batches_are_tried_and_earlier_ones_keep_their_place() {
    let mut fixture = Fixture::new();
    (0..3).for_each(|number| keep(&mut fixture, Signal::Logs, number, "one"));
    let (route, source) = (fixture.route(&["one"]), fixture.source());
    let head = find(&fixture, &route, in_turn(EVERYTHING, 1)).unwrap();
    held(&fixture.store, &route, &head, &Failure::new("500"), 8).unwrap();
    let probe = find(&fixture, &route, Which { is_untried: true, ..in_turn(EVERYTHING, 1) }).unwrap();
    assert_eq!((numbers(Some(&probe)), probe.is_probe), (vec![1], true));
    held(&fixture.store, &route, &probe, &Failure::new("500"), 8).unwrap();
    assert_eq!(
        numbers(find(&fixture, &route, in_turn(EVERYTHING, 10)).as_ref()),
        [0],
        "the failure blocks no other batch"
    );
    delivered(&fixture.store, &source, &route, &probe, (0, None), 8).unwrap();
    let again = find(&fixture, &route, in_turn(EVERYTHING, 10)).unwrap();
    assert_eq!((numbers(Some(&again)), again.parts[0].attempts), (vec![0], 1));
    delivered(&fixture.store, &source, &route, &again, (0, None), 8).unwrap();
    assert_eq!(numbers(find(&fixture, &route, in_turn(EVERYTHING, 10)).as_ref()), [2]);
    let counts = Counts { received: 6, delivered: 4, held: 2, dropped: 0 };
    assert_eq!(reported(&fixture, "one")[0].counts, counts);
}

#[test]
fn halves_replace_the_whole() {
    let mut fixture = Fixture::new();
    (0..2).for_each(|number| keep(&mut fixture, Signal::Logs, number, "one"));
    let (route, source) = (fixture.route(&["one"]), fixture.source());
    let whole = find(&fixture, &route, in_turn(EVERYTHING, 1)).unwrap();
    let (first, second) = halve(Signal::Logs, &logs(0, 2)).unwrap().unwrap();
    for _ in 0..2 {
        // The second time the batch no longer exists, as after a purge.
        split(&fixture.store, &source, &route, &whole, [&first, &second], 8).unwrap();
    }
    let parts = find(&fixture, &route, in_turn(EVERYTHING, 10)).unwrap();
    assert_eq!(parts.bodies().map(|(_, body)| body.to_vec()).collect::<Vec<_>>(), [first, second]);
    delivered(&fixture.store, &source, &route, &parts, (0, None), 8).unwrap();
    assert_eq!(
        numbers(find(&fixture, &route, in_turn(EVERYTHING, 10)).as_ref()),
        [1],
        "both halves come before newer batches"
    );
    assert_eq!(reported(&fixture, "one")[0].counts.received, 4, "halves do not count as received");
}

#[test]
fn rejected_batches_can_be_requeued() {
    let mut fixture = Fixture::new();
    keep(&mut fixture, Signal::Logs, 0, "one");
    let (route, source) = (fixture.route(&["one"]), fixture.source());
    let delivery = find(&fixture, &route, in_turn(1000, 10)).unwrap();
    given_up(&fixture.store, &source, &route, &delivery, "400 bad request", 8).unwrap();
    assert_eq!(left(&fixture), [0; 0]);
    let dead = dead_letters(&fixture.store).unwrap();
    assert_eq!(
        (dead[0].batches, dead[0].failure.as_ref().map(|failure| failure.reason.as_str())),
        (1, Some("400 bad request"))
    );

    let last = newest(&fixture.store).unwrap();
    assert_eq!(revive(&fixture.store, last, 9).unwrap(), Some(last));
    assert_eq!(revive(&fixture.store, last, 9).unwrap(), None);
    assert!(dead_letters(&fixture.store).unwrap().is_empty());
    let again = find(&fixture, &route, in_turn(1000, 10)).unwrap();
    assert_eq!(again.body, delivery.body);
    assert_eq!(reported(&fixture, "one")[0].counts, Counts { received: 4, dropped: 2, ..Counts::default() });
    given_up(&fixture.store, &source, &route, &again, "400 again", 10).unwrap();
    assert_eq!(revive(&fixture.store, last, 11).unwrap(), None, "a batch rejected later is not requeued");
}

#[test]
fn dead_letters_are_kept_for_thirty_days() {
    let mut fixture = Fixture::new();
    let day = 24 * 60 * 60 * 1000;
    for at in [0, 31 * day] {
        keep(&mut fixture, Signal::Logs, 0, "one");
        let (route, source) = (fixture.route(&["one"]), fixture.source());
        let found = find(&fixture, &route, in_turn(1000, 10)).unwrap();
        given_up(&fixture.store, &source, &route, &found, "no", at).unwrap();
        set_aside::prune(&fixture.store, at, at).unwrap();
    }
    assert_eq!(dead_letters(&fixture.store).unwrap()[0].batches, 1);
    assert_eq!(purge_dead(&fixture.store, &recipient("one")).unwrap(), 1);
}

#[test]
fn purging_affects_only_its_session() {
    let mut fixture = Fixture::new();
    keep(&mut fixture, Signal::Logs, 0, "one");
    keep(&mut fixture, Signal::Logs, 1, "two");
    let source = fixture.source();
    assert_eq!(purge(&fixture.store, &source, &recipient("one"), 9).unwrap(), 1);
    assert_eq!(purge(&fixture.store, &source, &recipient("one"), 9).unwrap(), 0);
    assert_eq!(left(&fixture), [1]);
    assert_eq!(counters::of(&fixture.store, "one").unwrap()[0].counts.dropped, 2);
}

#[test]
fn a_replaced_store_causes_no_second_delivery() {
    let mut fixture = Fixture::new();
    (0..2).for_each(|number| keep(&mut fixture, Signal::Logs, number, "one"));
    let route = fixture.route(&["one"]);
    let first = find(&fixture, &route, in_turn(EVERYTHING, 1)).unwrap();
    let Origin::Log { end, .. } = first.parts[0].origin else { panic!("{first:?}") };
    let floors = Floors::from([((0, Signal::Logs), end)]);
    let found = find(&fixture, &route, Which { floors: &floors, ..in_turn(EVERYTHING, 10) }).unwrap();
    assert_eq!(numbers(Some(&found)), [1]);
    delivered(&fixture.store, &fixture.source(), &route, &found, (0, None), 8).unwrap();
    assert_eq!(left(&fixture), [0; 0]);
    let cursor = cursors::find(&fixture.store, &recipient("one"), Stream::Of(Signal::Logs)).unwrap();
    assert!(cursor.position > end);
}

#[derive(Clone, Debug)]
enum Act {
    Keep(bool),
    Deliver(usize, bool),
    Hold(bool),
    Defer,
    Halve,
    Close,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        3 => any::<bool>().prop_map(Act::Keep),
        3 => (0..4_usize, any::<bool>()).prop_map(|(most, is_probe)| Act::Deliver(most, is_probe)),
        2 => any::<bool>().prop_map(Act::Hold),
        1 => Just(Act::Defer),
        1 => Just(Act::Halve),
        1 => Just(Act::Close),
    ];
    prop::collection::vec(act, 0..60)
}

fn act(fixture: &Fixture, route: &Route, act: &Act) -> u64 {
    let (store, source): (&Connection, _) = (&fixture.store, fixture.source());
    let which = match act {
        Act::Deliver(most, is_probe) => Which { is_untried: *is_probe, ..in_turn(EVERYTHING, *most) },
        Act::Hold(is_probe) => Which { is_untried: *is_probe, ..in_turn(EVERYTHING, 1) },
        _ => in_turn(EVERYTHING, 1),
    };
    let Some(delivery) = find(fixture, route, which) else { return 0 };
    match act {
        Act::Deliver(..) => {
            delivered(store, &source, route, &delivery, (0, None), 8).unwrap();
            return count(delivery.signal, &delivery.body).unwrap();
        }
        Act::Hold(_) => held(store, route, &delivery, &Failure::new("busy"), 8).unwrap(),
        Act::Defer => deferred(store, &source, route, &delivery, "busy", 8).unwrap(),
        _ => {
            if let Some((first, second)) = halve(delivery.signal, &delivery.body).unwrap() {
                split(store, &source, route, &delivery, [&first, &second], 8).unwrap();
            }
        }
    }
    0
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// After any outcome, each record is delivered once or waits once.
    #[test]
    fn no_record_is_lost_or_doubled(acts in acts()) {
        let mut fixture = Fixture::new();
        let route = fixture.route(&["one"]);
        let (mut kept, mut given) = (0, 0);
        for next in acts {
            match next {
                Act::Keep(is_logs) => {
                    keep(&mut fixture, if is_logs { Signal::Logs } else { Signal::Traces }, kept, "one");
                    kept += 1;
                }
                Act::Close if kept > 0 => fixture.close_segment("one"),
                other => given += act(&fixture, &route, &other),
            }
        }
        let mut waits = 0;
        for is_deferred in [false, true] {
            while let Some(delivery) = find(&fixture, &route, Which { is_deferred, ..in_turn(EVERYTHING, 3) }) {
                waits += count(delivery.signal, &delivery.body).unwrap();
                delivered(&fixture.store, &fixture.source(), &route, &delivery, (0, None), 8).unwrap();
            }
        }
        prop_assert_eq!(given + waits, 2 * kept);
        prop_assert_eq!(left(&fixture), [0; 0]);
        prop_assert_eq!(set_aside::bytes(&fixture.store).unwrap(), 0);
        if kept > 0 {
            let counts = counters::of(&fixture.store, "one").unwrap()[0].counts;
            prop_assert_eq!((counts.received, counts.delivered, counts.dropped), (2 * kept, 2 * kept, 0));
        }
    }
}

#[test]
fn dead_letters_expire_after_a_month_despite_wrong_clocks() {
    const DAY: i64 = 24 * 60 * 60 * 1000;
    let mut fixture = Fixture::new();
    let now = 20_000 * DAY;
    let (route, source) = (fixture.route(&["one"]), fixture.source());
    for (number, at) in [(0, now), (1, now + 1000 * DAY)] {
        keep(&mut fixture, Signal::Logs, number, "one");
        let found = find(&fixture, &route, in_turn(EVERYTHING, 10)).unwrap();
        given_up(&fixture.store, &source, &route, &found, "400", at).unwrap();
    }
    let count = |at: i64, judged: i64| {
        set_aside::prune(&fixture.store, at, judged).unwrap();
        dead_letters(&fixture.store).unwrap().iter().map(|dead| dead.batches).sum::<u64>()
    };
    assert_eq!(count(now + 40 * DAY, now), 2, "the clock was changed");
    assert_eq!(count(now + DAY, now + DAY), 2);
    assert_eq!(count(now + 32 * DAY, now + 32 * DAY), 0, "also those of a clock that was ahead");
}
