//! What a forwarder keeps in mind of the totals that it sends.

use std::path::PathBuf;
use std::time::Duration;

use crate::digest::{digest, hex};
use crate::installation::installation;
use crate::otlp::Signal;
use crate::profile::{Destination, Temporality};
use crate::state::SessionLock;
use crate::store::totals::{State, Wanted, Whose};
use crate::surroundings::Places;
use crate::totals::{Installation, PLACE, Place};

/// How often unchanged totals are sent again while a session lives: Prometheus and its kin forget a series that they
/// hear nothing of for five minutes, and work out rates from two samples and more within what they are asked about.
pub(super) const REPEAT: Duration = Duration::from_secs(15);

/// How large a request may be before compression, in bytes: under the megabyte that the strictest backends allow.
const BYTES: usize = 900_000;

/// How many series go into a request at most.
const SERIES: usize = 5_000;

/// How many series in a row may be refused, each for itself, before it is the destination that is in trouble.
const REFUSALS: u32 = 8;

/// The totals of a destination.
#[derive(Debug)]
pub(super) struct Totals {
    pub(super) whose: Whose,
    pub(super) installation: Installation,
    /// How long a series lasts that does not change.
    ttl: Duration,
    /// Held by whoever sends a snapshot.
    pub(super) lock: PathBuf,
    /// How many series were forgotten by the time that was said last, if it is known.
    pub(super) forgotten: Option<u64>,
    /// The one that is under way.
    pub(super) snapshot: Option<Snapshot>,
    /// Whether all was sent after the session's end.
    pub(super) is_last_sent: bool,
    /// What the destination said last of points that it left out.
    pub(super) said: Option<String>,
}

/// A snapshot on its way.
#[derive(Debug)]
pub(super) struct Snapshot {
    /// Of which totals.
    pub(super) totals: i64,
    /// What it has at least.
    pub(super) generation: i64,
    /// Only series that have changed after this generation; all if it is zero.
    above: i64,
    /// How far the destination has it.
    after: Place,
    /// How many series go into its next request.
    series: usize,
    /// How many bytes.
    bytes: usize,
    /// Whether it began after the session's end.
    pub(super) is_last: bool,
    /// How many series were refused, each for itself, since one passed.
    refusals: u32,
    lock: Option<SessionLock>,
}

impl Totals {
    /// Those of a profile's destination, if it is given totals.
    pub(super) fn of(places: &Places, profile: &str, destination: &Destination, fingerprint: &[u8]) -> Option<Self> {
        let is_given =
            destination.temporality == Temporality::Cumulative && destination.signals.contains(&Signal::Metrics);
        is_given.then(|| {
            let name = digest(&[fingerprint, profile.as_bytes(), destination.name.as_bytes()]);
            // Two totals of ours are never one series, even if both end up at the same backend.
            let Installation(here) = installation(places);
            let sender = digest(&[&here, fingerprint, destination.name.as_bytes()]);
            Self {
                whose: Whose {
                    fingerprint: fingerprint.to_owned(),
                    profile: profile.to_owned(),
                    destination: destination.name.clone(),
                },
                installation: Installation(sender),
                ttl: destination.series_ttl,
                lock: places.totals_lock(&hex(name)),
                forgotten: None,
                snapshot: None,
                is_last_sent: false,
                said: None,
            }
        })
    }

    /// Since when a series must have changed not to be forgotten, in Unix milliseconds.
    pub(super) fn oldest(&self, now: i64) -> i64 {
        now.saturating_sub(i64::try_from(self.ttl.as_millis()).unwrap_or(i64::MAX))
    }

    /// What is to be sent, if anything: all series, or those that have changed after a generation. `is_live` while the
    /// session lives, `is_over` once it has ended; neither for whoever delivers what ended sessions left.
    pub(super) fn due(&self, state: State, is_live: bool, is_over: bool, now: i64) -> Option<i64> {
        let last = is_over && !self.is_last_sent;
        if state.series > 0 && (last || (is_live && until_repeat(state, now).is_zero())) {
            return Some(0);
        }
        state.is_awaited.then_some(state.acknowledged)
    }

    /// Lets go of a snapshot, and of the lock with it.
    pub(super) fn abandon(&mut self) {
        if let Some(lock) = self.snapshot.take().and_then(|snapshot| snapshot.lock) {
            lock.remove(&self.lock);
        }
    }
}

/// How long until all series are to be sent again. A moment that lies ahead is one of a clock that was wrong.
pub(super) fn until_repeat(state: State, now: i64) -> Duration {
    match u64::try_from(now.saturating_sub(state.sent_at)) {
        Ok(since) if state.sent_at > 0 => REPEAT.saturating_sub(Duration::from_millis(since)),
        _ => Duration::ZERO,
    }
}

impl Snapshot {
    pub(super) fn begin(state: State, above: i64, is_last: bool, lock: SessionLock) -> Self {
        Self {
            totals: state.id,
            generation: state.generation,
            above,
            after: [0; PLACE],
            series: SERIES,
            bytes: BYTES,
            is_last,
            refusals: 0,
            lock: Some(lock),
        }
    }

    /// Whether unchanged series are in it.
    pub(super) fn is_full(&self) -> bool {
        self.above == 0
    }

    pub(super) fn wanted(&self) -> Wanted {
        Wanted { after: self.after, above: self.above, series: self.series, bytes: self.bytes }
    }

    /// The destination has these totals, or is not to have them now.
    pub(super) fn go_on_behind(&mut self, places: &[Place]) {
        self.after = places.last().copied().unwrap_or(self.after);
    }

    /// A request of so many series passed.
    pub(super) fn passed(&mut self) {
        self.series = self.series.saturating_mul(2).min(SERIES);
        self.refusals = 0;
    }

    /// A request of several series did not pass, and one of them may be the cause: fewer, until it stands alone.
    pub(super) fn fewer(&mut self, series: usize) {
        self.series = (series / 2).max(1);
    }

    /// A series did not pass that stood alone. Says whether so many did not that it is no matter of theirs.
    pub(super) fn is_hopeless(&mut self) -> bool {
        self.refusals += 1;
        self.refusals >= REFUSALS
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::*;
    use crate::profile::{Protocol, Tls};

    fn destination(temporality: Temporality, signal: Signal) -> Destination {
        Destination {
            name: "own".to_owned(),
            endpoint: "http://localhost:1".to_owned(),
            protocol: Protocol::HttpProtobuf,
            signals: [signal].into(),
            temporality,
            series_ttl: Duration::from_mins(1),
            gzip: false,
            timeout: Duration::from_secs(10),
            headers: BTreeMap::new(),
            headers_helper: None,
            batch: Duration::from_secs(5),
            tls: Tls::default(),
            verify: None,
        }
    }

    fn totals(fingerprint: &[u8]) -> Totals {
        let destination = destination(Temporality::Cumulative, Signal::Metrics);
        Totals::of(&Places::below(Path::new("/state")), "team", &destination, fingerprint).unwrap()
    }

    #[test]
    fn only_metrics_for_whom_wants_it_become_totals() {
        let of = |temporality, signal| {
            Totals::of(&Places::below(Path::new("/state")), "team", &destination(temporality, signal), &[1]).is_some()
        };
        assert!(of(Temporality::Cumulative, Signal::Metrics));
        assert!(!of(Temporality::Cumulative, Signal::Logs) && !of(Temporality::Delta, Signal::Metrics));
        assert_eq!(totals(&[1]).lock, totals(&[1]).lock);
        assert_ne!(totals(&[1]).lock, totals(&[2]).lock);
        assert_ne!(totals(&[1]).installation, totals(&[2]).installation);
        assert_eq!(totals(&[1]).oldest(100_000), 40_000);
    }

    #[test]
    fn totals_are_due_when_anybody_waits_every_fifteen_seconds_of_a_session_and_at_its_end() {
        let mut totals = totals(&[1]);
        let state = State {
            id: 1,
            generation: 7,
            acknowledged: 5,
            sent_at: 100_000,
            series: 1,
            forgotten: 0,
            is_awaited: false,
        };
        let awaited = State { is_awaited: true, ..state };
        let empty = State { series: 0, sent_at: 0, ..state };
        let (live, over, neither) = ((true, false), (false, true), (false, false));
        #[rustfmt::skip]
        let cases = [
            ("nothing is new", state, live, 100_001, None),
            ("something is", awaited, live, 100_001, Some(5)),
            ("it is time", state, live, 115_000, Some(0)),
            ("it is time, and something is new", awaited, live, 115_000, Some(0)),
            ("the clock was set back", state, live, 99_999, Some(0)),
            ("there is no series", empty, live, 200_000, None),
            ("the end of a session", state, over, 100_001, Some(0)),
            ("the end of one without a series", empty, over, 100_001, None),
            ("what ended sessions left", awaited, neither, 200_000, Some(5)),
            ("they left nothing", state, neither, 200_000, None),
        ];
        for (case, state, (is_live, is_over), now, expected) in cases {
            assert_eq!(totals.due(state, is_live, is_over, now), expected, "{case}");
        }
        totals.is_last_sent = true;
        assert_eq!(totals.due(state, false, true, 200_000), None, "an end is told once");
        assert_eq!(until_repeat(state, 110_000), Duration::from_secs(5));
    }

    #[test]
    fn one_bad_series_is_found_and_many_are_somebody_elses_fault() {
        let directory = tempfile::tempdir().unwrap();
        let lock = SessionLock::take(&directory.path().join("lock")).unwrap().unwrap();
        let state =
            State { id: 1, generation: 7, acknowledged: 0, sent_at: 0, series: 1, forgotten: 0, is_awaited: true };
        let mut snapshot = Snapshot::begin(state, 5, false, lock);
        assert!(!snapshot.is_full());
        snapshot.fewer(9);
        assert_eq!(snapshot.wanted().series, 4);
        snapshot.fewer(1);
        assert_eq!(snapshot.wanted().series, 1);
        let verdicts: Vec<_> = (0..REFUSALS).map(|_| snapshot.is_hopeless()).collect();
        assert_eq!(verdicts.iter().filter(|is_hopeless| **is_hopeless).count(), 1);
        snapshot.passed();
        assert!(!snapshot.is_hopeless() && snapshot.wanted().series == 2);
    }
}
