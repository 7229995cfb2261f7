use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::otlp::{count, halve};
use crate::store::tally::Tally;

pub(in crate::store) fn store() -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    crate::store::create(&connection).unwrap();
    connection
}

pub(in crate::store) fn recipient(session: &str) -> Recipient {
    Recipient { session: session.to_owned(), destination: "backend".to_owned(), fingerprint: vec![1, 2, 3] }
}

/// A request of so many log records, known by its number.
pub(in crate::store) fn logs(number: u64, records: usize) -> Vec<u8> {
    let record = LogRecord { time_unix_nano: number + 1, ..LogRecord::default() };
    let scope_logs = vec![ScopeLogs { log_records: vec![record; records], ..ScopeLogs::default() }];
    let resource_logs = vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }];
    ExportLogsServiceRequest { resource_logs }.encode_to_vec()
}

fn keep(connection: &Connection, signal: Signal, number: u64, to: &[Recipient]) {
    batches::insert(connection, signal, &logs(number, 2), 7, to).unwrap();
}

fn batch_numbers(request: Option<&Request>) -> Vec<i64> {
    request.map(|request| request.parts.iter().map(|part| part.batch).collect()).unwrap_or_default()
}

const EVERYTHING: usize = 1 << 20;

#[test]
fn batches_of_one_signal_are_gathered_in_their_order() {
    let (connection, to) = (store(), [recipient("one")]);
    for (number, signal) in [Signal::Logs, Signal::Metrics, Signal::Logs, Signal::Logs].into_iter().enumerate() {
        keep(&connection, signal, number as u64, &to);
    }
    let found = |which| next(&connection, &to, which).unwrap();
    let all = found(Which::in_turn(EVERYTHING, 10));
    assert_eq!(batch_numbers(all.as_ref()), [1, 3, 4]);
    assert_eq!(batch_numbers(found(Which::in_turn(EVERYTHING, 2)).as_ref()), [1, 3]);
    let size = logs(0, 2).len();
    assert_eq!(batch_numbers(found(Which::in_turn(2 * size, 10)).as_ref()), [1, 3]);
    assert_eq!(batch_numbers(found(Which::in_turn(2 * size - 1, 10)).as_ref()), [1]);
    assert_eq!(batch_numbers(found(Which::in_turn(0, 10)).as_ref()), [1], "one is never too large to be tried");
    let metrics = Which { signals: Some(&[Signal::Metrics]), ..Which::in_turn(EVERYTHING, 10) };
    assert_eq!(batch_numbers(found(metrics).as_ref()), [2]);
    let all = all.unwrap();
    let after = Which { after: Some(&all.parts[0]), ..Which::in_turn(EVERYTHING, 10) };
    assert_eq!(batch_numbers(found(after).as_ref()), [2]);

    let delivery = all.load(&connection).unwrap();
    assert_eq!(delivery.body, [logs(0, 2), logs(2, 2), logs(3, 2)].concat());
    let bodies: Vec<_> = delivery.bodies().map(|(_, body)| body.to_vec()).collect();
    assert_eq!(bodies, [logs(0, 2), logs(2, 2), logs(3, 2)]);
    assert_eq!(ExportLogsServiceRequest::decode(&delivery.body[..]).unwrap().resource_logs.len(), 3);
}

#[test]
fn what_several_sessions_left_goes_together() {
    let (connection, to) = (store(), [recipient("one"), recipient("two")]);
    keep(&connection, Signal::Logs, 0, &to[1..]);
    keep(&connection, Signal::Logs, 1, &to[..1]);
    let found = next(&connection, &to, Which::in_turn(EVERYTHING, 10)).unwrap().unwrap();
    assert_eq!(batch_numbers(Some(&found)), [2, 1]);
    let delivery = found.load(&connection).unwrap();
    delivered(&connection, &to, &delivery, 1, 8).unwrap();
    assert!(batches::waiting(&connection).unwrap().is_empty());
    let counts = Counts { received: 4, delivered: 3, dropped: 1, held: 0 };
    assert_eq!(tally::claim(&connection, &to[0]).unwrap(), [Tally { signal: Signal::Logs, since: 7, counts }]);
}

#[test]
fn what_is_put_off_comes_last_and_is_asked_for_apart() {
    let (connection, to) = (store(), [recipient("one")]);
    (0..3).for_each(|number| keep(&connection, Signal::Logs, number, &to));
    let first = next(&connection, &to, Which::in_turn(EVERYTHING, 1)).unwrap().unwrap();
    let delivery = first.clone().load(&connection).unwrap();
    for _ in 0..2 {
        let again = Delivery {
            parts: next(&connection, &to, Which::in_turn(EVERYTHING, 1)).unwrap().unwrap().parts,
            ..delivery.clone()
        };
        held(&connection, &to, &again, "500", 8).unwrap();
    }
    let tried = next(&connection, &to, Which::in_turn(EVERYTHING, 10)).unwrap();
    assert_eq!(batch_numbers(tried.as_ref()), [1], "what failed before goes apart from what did not");
    put_off(&connection, &to, &first.parts).unwrap();
    let in_turn = next(&connection, &to, Which::in_turn(EVERYTHING, 10)).unwrap();
    assert_eq!(batch_numbers(in_turn.as_ref()), [2, 3]);
    let put_off = next(&connection, &to, Which { put_off: true, ..Which::in_turn(EVERYTHING, 10) }).unwrap().unwrap();
    assert_eq!((batch_numbers(Some(&put_off)), put_off.parts[0].attempts), (vec![1], 2));
    let told = tally::claim(&connection, &to[0]).unwrap();
    assert_eq!(told[0].counts, Counts { received: 6, held: 2, ..Counts::default() }, "held counts once");
}

#[test]
fn parts_take_the_place_of_the_whole_for_one_recipient_alone() {
    let (connection, to) = (store(), [recipient("one"), recipient("two")]);
    keep(&connection, Signal::Logs, 0, &to);
    keep(&connection, Signal::Logs, 1, &to);
    let whole = next(&connection, &to[..1], Which::in_turn(EVERYTHING, 1)).unwrap().unwrap();
    let (first, second) = halve(Signal::Logs, &logs(0, 2)).unwrap().unwrap();
    for _ in 0..2 {
        // The second time it is not there any more, as if somebody had purged it.
        replace(&connection, &to[0], &whole.parts[0], Signal::Logs, [&first, &second], 8).unwrap();
    }
    let parts = next(&connection, &to[..1], Which::in_turn(EVERYTHING, 10)).unwrap().unwrap();
    assert_eq!(batch_numbers(Some(&parts)), [3, 4, 2], "the parts come before what is newer");
    let theirs = next(&connection, &to[1..], Which::in_turn(EVERYTHING, 10)).unwrap().unwrap();
    assert_eq!(batch_numbers(Some(&theirs)), [1, 2]);
    let bytes: i64 = connection.query_row("SELECT bytes FROM waiting", [], |row| row.get(0)).unwrap();
    assert_eq!(usize::try_from(bytes).unwrap(), 2 * logs(0, 2).len() + first.len() + second.len());
    let told = tally::claim(&connection, &to[0]).unwrap();
    assert_eq!(told[0].counts, Counts { received: 8, ..Counts::default() }, "parts are not received again");
}

#[derive(Clone, Debug)]
enum Act {
    Keep(bool),
    Deliver(usize),
    Hold,
    PutOff,
    Halve,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        any::<bool>().prop_map(Act::Keep),
        (0..4_usize).prop_map(Act::Deliver),
        Just(Act::Hold),
        Just(Act::PutOff),
        Just(Act::Halve),
    ];
    prop::collection::vec(act, 0..60)
}

proptest! {
    /// Whatever becomes of them: each record is delivered once, or waits once.
    #[test]
    fn no_record_is_lost_or_doubled(acts in acts()) {
        let (connection, to) = (store(), [recipient("one")]);
        let (mut kept, mut given) = (0, 0);
        for act in acts {
            let which = |batches| Which::in_turn(EVERYTHING, batches);
            let found = next(&connection, &to, which(if let Act::Deliver(most) = act { most } else { 1 })).unwrap();
            if let Act::Keep(is_logs) = act {
                keep(&connection, if is_logs { Signal::Logs } else { Signal::Traces }, kept, &to);
                kept += 1;
                continue;
            }
            let Some(request) = found else { continue };
            let delivery = request.load(&connection).unwrap();
            match act {
                Act::Deliver(_) => {
                    given += count(delivery.signal, &delivery.body).unwrap();
                    delivered(&connection, &to, &delivery, 0, 8).unwrap();
                }
                Act::Hold => held(&connection, &to, &delivery, "busy", 8).unwrap(),
                Act::PutOff => put_off(&connection, &to, &delivery.parts).unwrap(),
                _ => if let Some((first, second)) = halve(delivery.signal, &delivery.body).unwrap() {
                    let halves = [&first[..], &second[..]];
                    replace(&connection, &to[0], &delivery.parts[0], delivery.signal, halves, 8).unwrap();
                }
            }
        }
        let mut waits = 0;
        for put_off in [false, true] {
            while let Some(found) = next(&connection, &to, Which { put_off, ..Which::in_turn(EVERYTHING, 3) }).unwrap() {
                let delivery = found.load(&connection).unwrap();
                waits += count(delivery.signal, &delivery.body).unwrap();
                delivered(&connection, &to, &delivery, 0, 8).unwrap();
            }
        }
        prop_assert_eq!(given + waits, 2 * kept);
        prop_assert!(batches::waiting(&connection).unwrap().is_empty());
    }
}
