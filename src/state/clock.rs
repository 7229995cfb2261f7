//! Measures elapsed time across several clock readings, so that one session with a clock that is years ahead does not
//! expire everything.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crate::state::{self, Places};
use crate::system::bounded;

/// The maximum time that counts as elapsed between two readings. If a machine is off for longer, data is kept for
/// longer.
const MOST_AT_ONCE: Duration = Duration::from_hours(7 * 24);

/// The file holds two numbers and a space.
const MAXIMUM_FILE: u64 = 64;

/// The state after the readings so far, in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    /// The clock at the last reading.
    clock: u64,
    /// The time that ages are compared with.
    judged: u64,
}

impl Seen {
    fn at_first(clock: u64) -> Self {
        Self { clock, judged: clock }
    }

    /// The state after another reading.
    fn again(self, clock: u64) -> Self {
        let passed = clock.saturating_sub(self.clock).min(MOST_AT_ONCE.as_secs());
        Self { clock, judged: self.judged.saturating_add(passed).min(clock) }
    }

    fn parse(text: &str) -> Option<Self> {
        let (clock, judged) = text.trim().split_once(' ')?;
        Some(Self { clock: clock.parse().ok()?, judged: judged.parse().ok()? })
    }
}

/// The time that ages are compared with: the clock's time, `now`, minus its jumps ahead between readings. It is never
/// later than `now`.
pub fn judged(places: &Places, now: SystemTime) -> SystemTime {
    let clock = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let before = bounded::read(&places.clock(), MAXIMUM_FILE).ok().and_then(|text| {
        let text = String::from_utf8(text).ok()?;
        Seen::parse(&text)
    });
    let seen = before.map_or_else(|| Seen::at_first(clock), |before| before.again(clock));
    // If it cannot be saved, the next reading counts from the last saved one.
    drop(state::write(&places.clock(), format!("{} {}\n", seen.clock, seen.judged).as_bytes()));
    SystemTime::UNIX_EPOCH + Duration::from_secs(seen.judged)
}

/// The time that ages are compared with, in a process that lives for days. It reads the clock once and then measures
/// elapsed time, because a later reading could follow a change of the clock.
#[derive(Clone, Debug, Default)]
pub struct Ages(Arc<Mutex<Known>>);

/// A time, and when it was read.
type Moment = (SystemTime, Instant);

#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// The time at the start, if the clock was read then.
    begin: Option<Moment>,
    /// The last time reported by another machine.
    heard: Option<Moment>,
}

impl Ages {
    /// Starts with the [`judged`] time.
    pub fn begin(&self, judged: SystemTime) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).begin = Some((judged, Instant::now()));
    }

    /// Records the time reported by another machine, such as a backend's `Date`.
    pub fn hear(&self, date: SystemTime) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).heard = Some((date, Instant::now()));
    }

    /// The time that ages are compared with, given that our clock shows `now`. It is the earliest of all known times,
    /// because keeping data too long does less harm than deleting it too early.
    pub fn now(&self, now: SystemTime) -> SystemTime {
        let Known { begin, heard } = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = |(time, since): Moment| time + since.elapsed();
        [begin, heard].into_iter().flatten().map(passed).chain([now]).min().unwrap_or(now)
    }

    /// The same, with times in Unix milliseconds.
    pub fn now_in_milliseconds(&self, now: i64) -> i64 {
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(now).unwrap_or(0));
        milliseconds(self.now(now))
    }
}

/// A time in Unix milliseconds.
pub fn milliseconds(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 24 * 60 * 60;

    #[test]
    fn a_jump_of_the_clock_counts_as_at_most_a_week() {
        let start = Seen::at_first(20_000 * DAY);
        let ahead = start.again(21_000 * DAY);
        assert_eq!(ahead.judged, 20_007 * DAY);
        let right_again = ahead.again(20_001 * DAY);
        assert_eq!(right_again.judged, 20_001 * DAY, "never later than the clock");
        let steady = (2..40).fold(right_again, |seen, day| seen.again((20_000 + day) * DAY));
        assert_eq!(steady.judged, 20_039 * DAY);
        let first_was_ahead = Seen::at_first(21_000 * DAY).again(20_000 * DAY);
        assert_eq!(first_was_ahead.judged, 20_000 * DAY);
    }

    #[test]
    fn the_earliest_of_several_clocks_applies() {
        let directory = tempfile::tempdir().unwrap();
        let places = Places::below(directory.path());
        std::fs::create_dir_all(&places.state).unwrap();
        let at = |days: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(days * DAY);
        let near =
            |time: SystemTime, expected| time.duration_since(expected).is_ok_and(|late| late < Duration::from_mins(1));
        let ages = Ages::default();
        ages.begin(judged(&places, at(20_000)));
        assert!(near(ages.now(at(20_040)), at(20_000)), "the clock was set");
        assert!(near(ages.now(at(19_000)), at(19_000)), "and set it back");
        ages.hear(at(19_990));
        assert!(near(ages.now(at(20_000)), at(19_990)), "a backend knows better");
        ages.hear(at(30_000));
        assert!(near(ages.now(at(20_000)), at(20_000)), "but makes nothing old");
        assert_eq!(Ages::default().now_in_milliseconds(7), 7);
    }

    #[test]
    fn the_clock_is_remembered_between_sessions() {
        let directory = tempfile::tempdir().unwrap();
        let places = Places::below(directory.path());
        std::fs::create_dir_all(&places.state).unwrap();
        let at = |days: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(days * DAY);
        assert_eq!(judged(&places, at(20_000)), at(20_000));
        assert_eq!(judged(&places, at(20_100)), at(20_007));
        assert_eq!(judged(&places, at(20_101)), at(20_008));
        std::fs::write(places.clock(), "no two numbers").unwrap();
        assert_eq!(judged(&places, at(20_101)), at(20_101));
    }
}
