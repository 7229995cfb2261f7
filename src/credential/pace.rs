//! How fast credentials may be tried that a destination does not accept. Pure: times are handed in, in Unix
//! milliseconds, so that sessions can share what they know through a file, and a test can live through ten minutes.
//!
//! Once a destination has accepted them, requests go freely. Before that, and after a refusal, one is tried at a time:
//! whoever may try claims it, and says what came of it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The pause after the first refusal.
const FIRST: Duration = Duration::from_secs(1);

/// The longest pause, before jitter.
const LONGEST: Duration = Duration::from_mins(10);

/// How long a claim holds others off, should its holder end without a word.
const CLAIM: Duration = Duration::from_secs(30);

/// The longest that a value waits which has changed since it was refused.
const CHANGED: Duration = Duration::from_mins(1);

/// What is known of how a destination takes its credentials.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Pace {
    /// Whether the last word of the destination was that it accepts them.
    accepted: bool,
    /// How often they were refused since, or an answer was the same as a refused one.
    failures: u32,
    /// Nobody tries before, in Unix milliseconds.
    until: i64,
    /// Whether somebody is at it, and `until` only bounds that.
    claimed: bool,
    /// When the last attempt began, in Unix milliseconds.
    tried: i64,
}

impl Pace {
    /// Whether requests go freely.
    pub(super) fn is_open(&self) -> bool {
        self.accepted
    }

    /// Refusals since they were accepted last.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// Whether somebody tries them just now.
    pub(super) fn is_claimed(&self, now: i64) -> bool {
        self.claimed && !self.wait(now).is_zero()
    }

    /// How long nobody may try.
    pub(super) fn wait(&self, now: i64) -> Duration {
        let left = self.until.saturating_sub(now);
        let left = Duration::from_millis(u64::try_from(left).unwrap_or(0));
        // Longer than any pause: the clock was set back since.
        if left > LONGEST * 3 / 2 { Duration::ZERO } else { left }
    }

    /// The same for a value that is another than the one that was refused: never long, for somebody has mended it.
    pub(super) fn wait_for_changed(&self, now: i64) -> Duration {
        if self.is_claimed(now) {
            return self.wait(now);
        }
        let since = Duration::from_millis(u64::try_from(now.saturating_sub(self.tried)).unwrap_or(0));
        self.wait(now).min(CHANGED.saturating_sub(since))
    }

    /// Claims the next attempt, whether or not it is time.
    pub(super) fn claim(&mut self, now: i64) {
        *self = Self {
            accepted: false,
            until: now.saturating_add(milliseconds(CLAIM)),
            claimed: true,
            tried: now,
            ..*self
        };
    }

    /// The attempt failed, or is not worth making, for the answer is the one that was refused. The pause doubles.
    pub(super) fn refused(&mut self, now: i64, jitter: f64) {
        self.failures = self.failures.saturating_add(1);
        let doubled = FIRST.saturating_mul(1 << (self.failures - 1).min(16)).min(LONGEST);
        let until = now.saturating_add(milliseconds(doubled.mul_f64(jitter)));
        *self = Self { accepted: false, until, claimed: false, tried: now, ..*self };
    }

    /// The attempt succeeded: all goes freely again.
    pub(super) fn accepted(&mut self) {
        *self = Self { accepted: true, ..Self::default() };
    }

    /// The attempt came to nothing that has to do with credentials.
    pub(super) fn released(&mut self) {
        if self.claimed {
            *self = Self { until: 0, claimed: false, ..*self };
        }
    }
}

fn milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_refusal_doubles_the_pause_up_to_ten_minutes() {
        let mut pace = Pace::default();
        for expected in [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600] {
            pace.claim(0);
            assert!(pace.is_claimed(0));
            pace.refused(0, 1.0);
            assert_eq!(pace.wait(0), Duration::from_secs(expected));
            assert!(!pace.is_claimed(0));
        }
        assert_eq!(pace.wait_for_changed(0), Duration::from_mins(1));
        assert_eq!(pace.wait_for_changed(59_000), Duration::from_secs(1));
        pace.accepted();
        assert!(pace.is_open() && pace.wait(0).is_zero() && pace.failures() == 0);
    }

    #[test]
    fn a_claim_ends_with_a_word_or_by_itself() {
        let mut pace = Pace::default();
        pace.claim(1000);
        assert_eq!((pace.wait(1000), pace.is_claimed(31_000)), (Duration::from_secs(30), false));
        pace.released();
        assert!(pace.wait(1000).is_zero() && !pace.is_open());
    }

    #[test]
    fn a_clock_that_was_set_back_holds_nobody_off() {
        let mut pace = Pace::default();
        pace.refused(86_400_000, 1.5);
        assert!(pace.wait(0).is_zero());
    }

    proptest! {
        /// However an always refusing destination is asked, it is left alone for longer and longer.
        #[test]
        fn a_destination_that_always_refuses_is_asked_seldom(jitters in prop::collection::vec(0.5..1.5, 20..40)) {
            let (mut pace, mut now, mut attempts) = (Pace::default(), 0_i64, 0);
            for jitter in jitters {
                now += i64::try_from(pace.wait(now).as_millis()).unwrap();
                if now > 600_000 {
                    break;
                }
                pace.claim(now);
                pace.refused(now, jitter);
                attempts += 1;
            }
            prop_assert!(attempts <= 12, "{attempts}");
        }
    }
}
