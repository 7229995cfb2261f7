//! The guarantee: after any failure of the machine or the disk, acknowledged requests are found once and in order, and
//! no request is found that was never appended.

mod cases;
mod foreign;
mod model;

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::time::Duration;

use proptest::prelude::*;

use self::model::{Model, Random};
use super::append::Append;
use super::frame::frame_length;
use super::segment::name;
use super::*;
use crate::otlp::Signal;

const SESSION: &str = "0123456789abcdef";

/// A number, followed by this many bytes that derive from it.
fn body(number: usize, length: usize) -> Vec<u8> {
    let mut random = Random(number as u64 * 2 + 1);
    let mut bytes = number.to_le_bytes().to_vec();
    bytes.extend((0..length).map(|_| u8::try_from(random.below(256)).unwrap()));
    bytes
}

/// A session's log, and the guarantees about it.
struct Log {
    files: Model,
    writer: Writer<Model>,
    worker: u32,
    /// A worker that was stalled when it was replaced, and its number.
    stopped: Option<(Writer<Model>, u32)>,
    appended: Vec<Vec<u8>>,
    /// The worker of each append.
    workers: Vec<u32>,
    /// The acknowledged appends.
    acknowledged: Vec<usize>,
    /// The end of each acknowledged append.
    ends: Vec<Position>,
    /// The position of a reader that reads now and then, as a destination's reader does.
    cursor: Position,
    /// The appends that the reader has found.
    met: BTreeSet<usize>,
}

/// A reader's result for a log.
#[derive(Debug, Default, PartialEq, Eq)]
struct Read {
    bodies: Vec<Vec<u8>>,
    /// Acknowledged frames that cannot be read.
    damaged: usize,
}

fn writer(files: &Model, worker: u32) -> Writer<Model> {
    Writer::new(files.clone(), SESSION, worker, b"{\"row\": true}".to_vec())
}

fn read(files: &Model, bound: Bound) -> Read {
    let mut reader = Reader::open(files, SESSION, Position::START, bound).unwrap();
    let (mut found, mut before) = (Read::default(), Position::START);
    while let Some(next) = reader.next().unwrap() {
        assert!(reader.position() > before, "the reader makes progress");
        before = reader.position();
        let Found::Frame(frame) = next else {
            found.damaged += 1;
            continue;
        };
        match reader.parts(&frame).unwrap() {
            Some((ledger, body)) => {
                assert_eq!(ledger, &b"branch"[..]);
                found.bodies.push(body.to_vec());
            }
            None => found.damaged += 1,
        }
    }
    found
}

impl Log {
    fn new(files: Model) -> Self {
        let writer = writer(&files, 1);
        Self {
            files,
            writer,
            worker: 1,
            stopped: None,
            appended: Vec::new(),
            workers: Vec::new(),
            acknowledged: Vec::new(),
            ends: Vec::new(),
            cursor: Position::START,
            met: BTreeSet::new(),
        }
    }

    fn append(&mut self, lengths: &[usize]) {
        let first = self.appended.len();
        self.appended.extend(lengths.iter().enumerate().map(|(place, length)| body(first + place, *length)));
        self.workers.resize(self.appended.len(), self.worker);
        let entries: Vec<_> = self.appended[first..]
            .iter()
            .map(|body| Entry { signal: Signal::Logs, time: 7, records: 1, refused: 0, ledger: b"branch", body })
            .collect();
        if let Some((place, number, size)) = self.writer.wanted()
            && let Ok(made) = place.make(number, size)
        {
            self.writer.offer(made);
        }
        let results = self.writer.append(&entries);
        assert_eq!(results.len(), lengths.len());
        for (place, end) in results.into_iter().enumerate().filter_map(|(place, end)| Some((place, end.ok()?))) {
            self.acknowledged.push(first + place);
            self.ends.push(end);
        }
    }

    /// Another worker takes over. The previous one is dead or stalled.
    fn replace(&mut self) {
        let next = writer(&self.files, self.worker + 1);
        self.stopped = Some((std::mem::replace(&mut self.writer, next), self.worker));
        self.worker += 1;
    }

    /// The stalled worker appends as if nothing had happened.
    fn go_on(&mut self, lengths: &[usize]) {
        let Some((stopped, number)) = self.stopped.take() else { return };
        let (current, worker) =
            (std::mem::replace(&mut self.writer, stopped), std::mem::replace(&mut self.worker, number));
        self.append(lengths);
        self.stopped =
            Some((std::mem::replace(&mut self.writer, current), std::mem::replace(&mut self.worker, worker)));
    }

    /// The reader reads on, and must have found everything acknowledged so far.
    fn follow(&mut self) {
        let mut reader = Reader::open(&self.files, SESSION, self.cursor, self.durable()).unwrap();
        while let Some(found) = reader.next().unwrap() {
            let Found::Frame(frame) = found else { panic!("damaged: {found:?}") };
            let (_, body) = reader.parts(&frame).unwrap().unwrap();
            assert!(self.met.insert(self.number(&body)), "no frame is read twice");
        }
        self.cursor = reader.position();
        let missing: Vec<_> = self.acknowledged.iter().filter(|number| !self.met.contains(number)).collect();
        assert!(missing.is_empty(), "acknowledged before the reader's position, and never read: {missing:?}");
    }

    /// The machine loses its power and comes back.
    fn lose_power(&mut self, random: &mut Random) {
        self.files = self.files.after_power_loss(random);
        self.replace();
        self.stopped = None;
    }

    fn assert_promise(&self, found: &Read, lost: usize) {
        let numbers: Vec<_> = found.bodies.iter().map(|body| self.number(body)).collect();
        let place = |number: &usize| (self.workers[*number], *number);
        assert!(numbers.is_sorted_by(|one, next| place(one) < place(next)), "each record once, in order: {numbers:?}");
        let numbers: BTreeSet<_> = numbers.into_iter().collect();
        let missing: Vec<_> = self.acknowledged.iter().filter(|number| !numbers.contains(number)).collect();
        assert!(missing.len() <= lost, "acknowledged and lost: {missing:?}");
        assert!(found.damaged <= lost, "{} damaged", found.damaged);
    }

    fn number(&self, body: &[u8]) -> usize {
        let number = usize::from_le_bytes(body[..8].try_into().unwrap());
        assert_eq!(self.appended[number], body, "no record is found that was never appended");
        number
    }

    /// The bound that the thread gives to readers: an abandoned segment stays where it was.
    fn durable(&self) -> Bound {
        let own = self.ends.iter().rfind(|end| end.worker == self.worker);
        Bound::Durable(self.writer.durable().or(own.copied()).unwrap_or(Position::of_segment(self.worker, 0)))
    }
}

#[derive(Clone, Debug)]
enum Step {
    Append(Vec<usize>),
    LosePower,
    Replace,
    GoOn(Vec<usize>),
    Overtake(Vec<usize>),
    Follow,
    Fail(usize, bool),
    Unlink,
    Fill(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let length = prop_oneof![8 => 0..3000_usize, 2 => 3000..70_000_usize, 1 => 300_000..400_000_usize];
    prop_oneof![
        12 => prop::collection::vec(length.clone(), 1..6).prop_map(Step::Append),
        2 => prop::collection::vec(length.clone(), 1..6).prop_map(Step::GoOn),
        2 => prop::collection::vec(length, 1..3).prop_map(Step::Overtake),
        4 => Just(Step::Follow),
        2 => Just(Step::LosePower),
        2 => Just(Step::Replace),
        2 => (0..5_usize, any::<bool>()).prop_map(|(call, is_full)| Step::Fail(call, is_full)),
        1 => Just(Step::Unlink),
        1 => (0..100_000_usize).prop_map(Step::Fill),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn acknowledged_data_is_found(steps in prop::collection::vec(step(), 1..20), seed in 1..u64::MAX) {
        let mut random = Random(seed);
        let mut log = Log::new(Model::default());
        for step in steps {
            match step {
                Step::Append(lengths) => log.append(&lengths),
                Step::LosePower => log.lose_power(&mut random),
                Step::Replace => log.replace(),
                Step::GoOn(lengths) => log.go_on(&lengths),
                Step::Overtake(lengths) => {
                    log.replace();
                    log.append(&lengths);
                    log.follow();
                    log.go_on(&lengths);
                    log.follow();
                }
                Step::Follow => log.follow(),
                Step::Fail(calls, true) => log.files.fail_in(calls, ErrorKind::StorageFull),
                Step::Fail(calls, false) => log.files.fail_in(calls, ErrorKind::Other),
                Step::Unlink => {
                    log.files.unlink_all();
                    log.acknowledged.clear();
                    log.ends.clear();
                    // The marks of sealed segments are gone with them.
                    log.stopped = None;
                }
                Step::Fill(bytes) => {
                    log.files.limit(Some(bytes));
                    log.append(&[1000, 2000]);
                    log.files.limit(None);
                }
            }
            log.assert_promise(&read(&log.files, log.durable()), 0);
            log.assert_promise(&read(&log.files, Bound::Live), 0);
        }
        log.lose_power(&mut random);
        log.assert_promise(&read(&log.files, Bound::Ended), 0);
    }

    #[test]
    fn a_flipped_bit_costs_one_frame_and_is_reported(
        lengths in prop::collection::vec(0..3000_usize, 1..60),
        is_closed in any::<bool>(),
        seed in 1..u64::MAX,
    ) {
        let mut random = Random(seed);
        let mut log = Log::new(Model::default());
        lengths.chunks(3).for_each(|some| log.append(some));
        if is_closed {
            log.writer.end();
        }
        log.files.flip(&mut random);
        let found = read(&log.files, Bound::Ended);
        log.assert_promise(&found, 1);
        let missing = log.acknowledged.len() - found.bodies.len();
        prop_assert!(missing <= found.damaged + 1);
        if missing == 1 && found.damaged == 0 {
            // The last group of an open segment has no later proof.
            prop_assert!(!is_closed);
            let lost = (0..lengths.len()).find(|number| !found.bodies.contains(&log.appended[*number])).unwrap();
            prop_assert_eq!(log.ends.get((lost / 3 + 1) * 3), None);
        }
    }
}
