//! The state that a forwarder keeps about the totals that it sends.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::otlp::Signal;
use crate::profile::{Destination, Temporality};
use crate::state::installation::installation;
use crate::state::{Places, SessionLock};
use crate::store::totals::{State, Wanted, Whose};
use crate::system::digest::digest;
use crate::system::hex::hex;
use crate::totals::{Installation, PLACE, Place};

/// How often unchanged totals are sent again while a session lives: Prometheus and similar backends drop a series that
/// they do not receive for five minutes, and compute a rate from at least two samples within the queried range.
pub(super) const REPEAT: Duration = Duration::from_secs(15);

/// The size limit of a request before compression, in bytes: under the megabyte that the strictest backends allow.
const BYTES: usize = 900_000;

/// The maximum number of series in a request.
const SERIES: usize = 5_000;

/// How many series in a row may be refused, each for its own sake, before the destination counts as failing.
const REFUSALS: u32 = 8;

/// The state of the session whose data is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    /// It runs.
    Running,
    /// It has ended, and its own collector delivers the leftovers.
    JustEnded,
    /// It has ended, and another process delivers the rest.
    LongOver,
}

/// The totals of a destination.
#[derive(Debug)]
pub(super) struct Totals {
    pub(super) whose: Whose,
    pub(super) installation: Installation,
    /// How long a series that does not change is kept.
    ttl: Duration,
    /// Held while a snapshot is sent.
    pub(super) lock: PathBuf,
    /// The number of forgotten series when it was last reported, if known.
    pub(super) forgotten: Option<u64>,
    /// Whether everything was sent after the session's end.
    pub(super) is_last_sent: bool,
    /// The destination's last message about points that it left out.
    pub(super) said: Option<String>,
}

/// A snapshot on its way.
#[derive(Debug)]
pub(super) struct Snapshot {
    /// The totals it belongs to.
    pub(super) totals: i64,
    /// The generation that it has at least.
    pub(super) generation: i64,
    /// Only series that changed after this generation; all series if it is zero.
    above: i64,
    /// How far the destination has received it.
    after: Place,
    /// The number of series in its next request.
    series: usize,
    /// The number of bytes in its next request.
    bytes: usize,
    /// Whether it began after the session's end.
    pub(super) is_last: bool,
    /// How many series were refused, each for its own sake, since one passed.
    refusals: u32,
    lock: SessionLock,
}

impl Totals {
    /// The totals of a profile's destination, if it wants totals.
    pub(super) fn of(places: &Places, profile: &str, destination: &Destination, fingerprint: &[u8]) -> Option<Self> {
        let is_given =
            destination.temporality == Temporality::Cumulative && destination.signals.contains(&Signal::Metrics);
        is_given.then(|| {
            let name = digest(&[fingerprint, profile.as_bytes(), destination.name.as_bytes()]);
            // Two totals of ours are never the same series, even if both reach the same backend.
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
                is_last_sent: false,
                said: None,
            }
        })
    }

    /// The time since which a series must have changed to be kept, in Unix milliseconds.
    pub(super) fn oldest(&self, now: i64) -> i64 {
        now.saturating_sub(i64::try_from(self.ttl.as_millis()).unwrap_or(i64::MAX))
    }

    /// What has to be sent, if anything: all series, or those that changed after a generation.
    pub(super) fn due(&self, state: State, life: Life, now: i64) -> Option<i64> {
        let is_wanted = match life {
            Life::Running => until_repeat(state, now).is_zero(),
            Life::JustEnded => !self.is_last_sent,
            Life::LongOver => false,
        };
        if state.series > 0 && is_wanted {
            return Some(0);
        }
        state.is_awaited.then_some(state.acknowledged)
    }
}

/// How long until all series are sent again. A moment in the future comes from a clock that was wrong.
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
            lock,
        }
    }

    /// Releases the lock at this path.
    pub(super) fn let_go(self, path: &Path) {
        self.lock.remove(path);
    }

    /// Whether unchanged series are in it.
    pub(super) fn is_full(&self) -> bool {
        self.above == 0
    }

    pub(super) fn wanted(&self) -> Wanted {
        Wanted { after: self.after, above: self.above, series: self.series, bytes: self.bytes }
    }

    /// The destination has these totals, or must not get them now.
    pub(super) fn go_on_behind(&mut self, places: &[Place]) {
        self.after = places.last().copied().unwrap_or(self.after);
    }

    /// A request of this many series passed.
    pub(super) fn passed(&mut self) {
        self.series = self.series.saturating_mul(2).min(SERIES);
        self.refusals = 0;
    }

    /// A request of several series did not pass, and one of them may be the cause: fewer, until that series stands
    /// alone.
    pub(super) fn fewer(&mut self, series: usize) {
        self.series = (series / 2).max(1);
    }

    /// A single series did not pass. Returns whether so many have failed that the series cannot be the cause.
    pub(super) fn is_hopeless(&mut self) -> bool {
        self.refusals += 1;
        self.refusals >= REFUSALS
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::client::Tls;
    use crate::profile::Protocol;

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
    fn only_metrics_for_cumulative_destinations_become_totals() {
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
    fn totals_are_due_every_fifteen_seconds_while_awaited_and_at_the_end() {
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
        let (live, over, neither) = (Life::Running, Life::JustEnded, Life::LongOver);
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
        for (case, state, life, now, expected) in cases {
            assert_eq!(totals.due(state, life, now), expected, "{case}");
        }
        totals.is_last_sent = true;
        assert_eq!(totals.due(state, over, 200_000), None, "an end is told once");
        assert_eq!(until_repeat(state, 110_000), Duration::from_secs(5));
    }

    #[test]
    fn one_bad_series_is_isolated_and_many_are_a_backend_fault() {
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
