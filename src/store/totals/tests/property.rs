//! After any events in any order, the last snapshot contains exactly the received data.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::totals::Place;

/// A backend's view of each series: its points, and the value that it derives from them.
#[derive(Default)]
struct Backend {
    points: BTreeMap<String, Vec<(u64, u64, i64)>>,
}

impl Backend {
    /// Takes a request, and fails on anything that a series must not do.
    fn take(&mut self, request: &[u8]) -> Result<(), TestCaseError> {
        for (name, start, time, value) in points(request) {
            let points = self.points.entry(name).or_default();
            if let Some((_, before, last)) = points.last() {
                // A zero whose acknowledgement was lost may be sent again unchanged.
                prop_assert!(time > *before || (time == *before && value == 0 && *last == 0), "{time} {points:?}");
                prop_assert!(value >= *last, "{value} after {points:?}");
            } else {
                prop_assert_eq!(value, 0, "a series starts at zero");
            }
            prop_assert!(start > 0 && start <= time);
            points.push((start, time, value));
        }
        Ok(())
    }

    fn last(&self) -> BTreeMap<String, i64> {
        self.points.iter().map(|(name, points)| (name.clone(), points.last().unwrap().2)).collect()
    }
}

/// A snapshot in a forwarder's memory, which is lost when it dies.
#[derive(Clone, Copy)]
struct Sending {
    generation: i64,
    above: i64,
    after: Place,
}

/// A possible event.
#[derive(Clone, Debug)]
enum Event {
    /// A session's client sends an export.
    Export { session: usize, name: usize, value: i64 },
    /// A session's client repeats its last export.
    Repeat { session: usize },
    /// A session's forwarder folds new batches.
    Fold { session: usize },
    /// The process with the lock sends one request. Its answer may be lost, or be a rejection.
    Send { is_full: bool, fate: Fate },
    /// The sender dies, and the next one starts over.
    Crash,
    /// The clock moves forwards or back by this many milliseconds.
    Clock(i64),
}

#[derive(Clone, Copy, Debug)]
enum Fate {
    Acknowledged,
    AnswerLost,
    NotTaken,
}

const NAMES: [&str; 3] = ["one", "two", "three"];

fn event() -> impl Strategy<Value = Event> {
    let session = 0..3_usize;
    let fate = prop_oneof![3 => Just(Fate::Acknowledged), 1 => Just(Fate::AnswerLost), 1 => Just(Fate::NotTaken)];
    prop_oneof![
        4 => (session.clone(), 0..NAMES.len(), 0..1000_i64)
            .prop_map(|(session, name, value)| Event::Export { session, name, value }),
        1 => session.clone().prop_map(|session| Event::Repeat { session }),
        3 => session.prop_map(|session| Event::Fold { session }),
        5 => (any::<bool>(), fate).prop_map(|(is_full, fate)| Event::Send { is_full, fate }),
        1 => Just(Event::Crash),
        1 => (-100_000..100_000_i64).prop_map(Event::Clock),
    ]
}

struct World {
    fixture: Fixture,
    backend: Backend,
    sent: BTreeMap<String, i64>,
    last: [Option<Vec<u8>>; 3],
    sending: Option<Sending>,
    now: i64,
    exports: u64,
}

impl World {
    fn new() -> Self {
        Self {
            fixture: Fixture::cumulative(),
            backend: Backend::default(),
            sent: BTreeMap::new(),
            last: [None, None, None],
            sending: None,
            now: NOON,
            exports: 0,
        }
    }

    fn happen(&mut self, event: &Event) -> Result<(), TestCaseError> {
        match *event {
            Event::Export { session, name, value } => {
                self.exports += 1;
                let body = deltas(&[(NAMES[name], value)], self.now, self.exports);
                bring(&mut self.fixture, &session.to_string(), &body, self.now);
                *self.sent.entry(format!("{:?}", text("", NAMES[name]).value)).or_default() += value;
                self.last[session] = Some(body);
            }
            Event::Repeat { session } => {
                if let Some(body) = &self.last[session] {
                    bring(&mut self.fixture, &session.to_string(), body, self.now);
                }
            }
            Event::Fold { session } => {
                fold_all(&self.fixture, &session.to_string(), self.now);
            }
            Event::Send { is_full, fate } => self.send(is_full, fate)?,
            Event::Crash => self.sending = None,
            Event::Clock(by) => self.now += by,
        }
        self.now += 1;
        Ok(())
    }

    /// Sends the next request of the current snapshot, with one series.
    fn send(&mut self, is_full: bool, fate: Fate) -> Result<(), TestCaseError> {
        let Some(state) = state(&self.fixture.store, &whose()).unwrap() else { return Ok(()) };
        let begin = || Sending {
            generation: state.generation,
            above: if is_full { 0 } else { state.acknowledged },
            after: [0; PLACE],
        };
        let mut sending = self.sending.unwrap_or_else(begin);
        let wanted = Wanted { after: sending.after, above: sending.above, series: 1, bytes: 1 << 20 };
        let Some(chunk) = take(&self.fixture.store, state.id, wanted, self.now, 0).unwrap() else {
            let is_full = sending.above == 0;
            acknowledge(&self.fixture.store, state.id, sending.generation, is_full, self.now).unwrap();
            self.sending = None;
            return Ok(());
        };
        if !matches!(fate, Fate::NotTaken) {
            self.backend.take(&chunk.body)?;
        }
        if !matches!(fate, Fate::Acknowledged) {
            failed(&self.fixture.store, state.id, &Failure::new("503"), self.now).unwrap();
            self.sending = None;
            return Ok(());
        }
        if chunk.is_zero {
            begun(&self.fixture.store, state.id, &chunk.places).unwrap();
        } else {
            sending.after = *chunk.places.last().unwrap();
        }
        self.sending = Some(sending);
        Ok(())
    }

    /// Lets every process finish its work.
    fn settle(&mut self) -> Result<(), TestCaseError> {
        for session in 0..3 {
            self.happen(&Event::Fold { session })?;
        }
        while state(&self.fixture.store, &whose()).unwrap().is_some_and(|state| state.is_awaited) {
            self.happen(&Event::Send { is_full: false, fate: Fate::Acknowledged })?;
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn the_last_snapshot_is_the_sum_of_the_deltas(events in prop::collection::vec(event(), 0..80)) {
        let mut world = World::new();
        for event in events {
            world.happen(&event)?;
        }
        world.settle()?;
        prop_assert_eq!(world.backend.last(), world.sent);
        prop_assert!(left(&world.fixture).is_empty());
        for pending in counters::claim(&world.fixture.store, &recipient("0")).unwrap() {
            prop_assert_eq!(pending.counts.received, pending.counts.delivered);
            prop_assert_eq!(pending.counts.dropped, 0);
        }
    }
}
