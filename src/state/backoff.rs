//! Exponential back-off with jitter, as the OTLP exporter specification requires. It determines when a failed operation
//! may be tried again: a loop in this process, or a destination and its credentials, which all sessions share.
//!
//! Twenty sessions must not retry twenty times as often. Until the pause ends, no session tries. Then one session
//! claims the attempt, and the others wait for its outcome. Pure: times are arguments in Unix milliseconds, so that
//! sessions can share a back-off through a file or the store, and a test can cover ten minutes.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The pause after the first failure.
pub const FIRST: Duration = Duration::from_secs(1);

/// The longest pause that we choose ourselves, before jitter.
pub const LONGEST: Duration = Duration::from_mins(5);

/// The furthest credible time in the future: as long as a backend may ask for, and longer than any pause. A later time
/// means that the clock was set back.
pub const CREDIBLE: Duration = Duration::from_mins(15);

/// The failures since the last success, and when the next attempt may start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Backoff {
    /// How many attempts in a row have failed.
    pub failures: u32,
    /// No session tries before this time, in Unix milliseconds.
    pub until: i64,
    /// The time until which one session is trying, in Unix milliseconds. It is in the past if no session is trying.
    pub trying_until: i64,
}

impl Backoff {
    /// Counts a failure and returns the pause after it. The pause doubles each time up to `longest`, and is multiplied
    /// by `jitter`, which is between 0.5 and 1.5.
    pub fn pause(&mut self, longest: Duration, jitter: f64) -> Duration {
        self.failures = self.failures.saturating_add(1);
        FIRST.saturating_mul(1 << (self.failures - 1).min(16)).min(longest).mul_f64(jitter)
    }

    /// Records that an attempt failed at `now`. The next may start after a pause.
    pub fn failed(&mut self, now: i64, longest: Duration, jitter: f64) {
        let pause = self.pause(longest, jitter);
        *self = Self { until: later(now, pause), trying_until: 0, ..*self };
    }

    /// Claims the next attempt, whether or not the pause has ended. A claim expires after `limit`.
    pub fn claim(&mut self, now: i64, limit: Duration) {
        *self = Self { until: 0, trying_until: later(now, limit), ..*self };
    }

    /// Releases a claim whose attempt had no relevant result.
    pub fn release(&mut self) {
        self.trying_until = 0;
    }

    /// How long no attempt may start, except for one in progress.
    pub fn pause_left(&self, now: i64) -> Option<Duration> {
        ahead(self.until, now)
    }

    /// How long an attempt in progress may still take.
    pub fn claim_left(&self, now: i64) -> Option<Duration> {
        ahead(self.trying_until, now)
    }

    /// How long no attempt may start.
    pub fn wait(&self, now: i64) -> Duration {
        self.pause_left(now).or_else(|| self.claim_left(now)).unwrap_or_default()
    }
}

/// A time in Unix milliseconds, later by this duration.
pub fn later(now: i64, by: Duration) -> i64 {
    now.saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX))
}

/// How far a time is in the future, if it is and is credible.
fn ahead(moment: i64, now: i64) -> Option<Duration> {
    let ahead = Duration::from_millis(u64::try_from(moment.saturating_sub(now)).ok()?);
    (!ahead.is_zero() && ahead <= CREDIBLE).then_some(ahead)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pauses_double_up_to_a_limit() {
        let mut backoff = Backoff::default();
        for expected in [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300] {
            backoff.claim(0, LONGEST);
            backoff.failed(0, LONGEST, 1.0);
            assert_eq!((backoff.wait(0), backoff.claim_left(0)), (Duration::from_secs(expected), None));
        }
        assert_eq!(Backoff::default().pause(LONGEST, 0.5), FIRST / 2);
    }

    #[test]
    fn a_claim_ends_with_its_outcome_or_by_itself() {
        let mut backoff = Backoff { failures: 1, until: 90_000, trying_until: 0 };
        backoff.claim(1000, Duration::from_secs(30));
        assert_eq!((backoff.wait(1000), backoff.wait(31_000)), (Duration::from_secs(30), Duration::ZERO));
        backoff.release();
        assert_eq!(backoff.wait(1000), Duration::ZERO);
    }

    #[test]
    fn a_clock_set_back_delays_no_attempt() {
        let backoff = Backoff { failures: 1, until: 86_400_000, trying_until: 86_400_000 };
        assert_eq!(backoff.wait(0), Duration::ZERO);
    }

    proptest! {
        #[test]
        fn every_pause_is_limited(failures: u32, until: i64, trying_until: i64, now: i64) {
            let mut backoff = Backoff { failures, until, trying_until };
            prop_assert!(backoff.wait(now) <= CREDIBLE);
            backoff.failed(now, LONGEST, 1.5);
            prop_assert!(backoff.wait(now) <= CREDIBLE);
        }

        /// With any jitter, an operation that always fails is retried less and less often.
        #[test]
        fn a_constant_failure_is_retried_rarely(jitters in prop::collection::vec(0.5..1.5, 20..40)) {
            let (mut backoff, mut now, mut attempts) = (Backoff::default(), 0_i64, 0);
            for jitter in jitters {
                now = later(now, backoff.wait(now));
                if now > 600_000 {
                    break;
                }
                backoff.claim(now, LONGEST);
                backoff.failed(now, LONGEST, jitter);
                attempts += 1;
            }
            prop_assert!(attempts <= 12, "{attempts}");
        }
    }
}
