//! Exponential back-off with jitter, as the OTLP exporter specification wants it: for one's own troubles, and for a
//! destination's, which all sessions share.
//!
//! Twenty sessions must not be twenty storms. While a destination is in trouble one row of the store says so: nobody
//! tries before a moment, then the first who comes tries with one request while the others wait for what becomes of it.
//! What passes takes the row away.

use std::time::Duration;

use crate::store::backoff::Trouble;

/// The first pause after a failure.
const FIRST: Duration = Duration::from_secs(1);

/// The longest pause that is our own choice.
const LONGEST: Duration = Duration::from_mins(5);

/// The longest that a moment may lie ahead to be believed: as long as a backend may ask for. Beyond it somebody has
/// moved the clock.
const CREDIBLE: Duration = Duration::from_mins(15);

/// How often to look whether somebody else has found the destination well, while it is left alone.
const LOOK: Duration = Duration::from_secs(30);

/// How often to look while somebody else tries.
const LOOK_AT_TRY: Duration = Duration::from_millis(500);

/// The pause after so many failures in a row, the last included: twice as long each time, and that times `jitter`.
fn pause(failures: u32, jitter: f64) -> Duration {
    FIRST.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(LONGEST).mul_f64(jitter)
}

/// How long to leave somebody alone.
#[derive(Clone, Debug, Default)]
pub struct Backoff {
    /// Failures since the last success.
    failures: u32,
}

impl Backoff {
    /// The pause after a failure, with a `jitter` between 0.5 and 1.5.
    pub fn after_failure(&mut self, jitter: f64) -> Duration {
        self.failures = self.failures.saturating_add(1);
        pause(self.failures, jitter)
    }

    /// Begins anew.
    pub fn after_success(&mut self) {
        self.failures = 0;
    }
}

/// Whether a destination may be sent something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing is known against it.
    Free,
    /// By whoever claims the attempt.
    Try,
    /// Not now: look again after so long.
    Wait(Duration),
}

/// Whether a destination in that trouble may be sent something at `now`, in Unix milliseconds.
pub(super) fn verdict(trouble: Option<Trouble>, now: i64) -> Verdict {
    let Some(trouble) = trouble else { return Verdict::Free };
    if let Some(wait) = ahead(trouble.until, now) {
        return Verdict::Wait(wait.min(LOOK));
    }
    match ahead(trouble.trying_until, now) {
        Some(wait) => Verdict::Wait(wait.min(LOOK_AT_TRY)),
        None => Verdict::Try,
    }
}

/// When a destination may be tried again, in Unix milliseconds; `None` if that is now.
pub fn not_before(trouble: Trouble, now: i64) -> Option<i64> {
    ahead(trouble.until, now).map(|_| trouble.until)
}

/// How far a moment lies ahead, if it does and is to be believed.
fn ahead(moment: i64, now: i64) -> Option<Duration> {
    let ahead = Duration::from_millis(u64::try_from(moment.saturating_sub(now)).ok()?);
    (!ahead.is_zero() && ahead <= CREDIBLE).then_some(ahead)
}

/// The trouble after an attempt that was `made` under another and failed: until the moment that was `asked` for, else
/// twice as long as the last time.
pub(super) fn after_failure(made: Option<Trouble>, now: i64, asked: Option<Duration>, jitter: f64) -> Trouble {
    let failures = made.map_or(0, |trouble| trouble.failures).saturating_add(1);
    // A backend that asks for no pause at all and means it would be asked without a pause.
    let wait = asked.map_or_else(|| pause(failures, jitter), |asked| asked.clamp(FIRST, CREDIBLE));
    Trouble { failures, until: later(now, wait), trying_until: 0 }
}

/// A moment in Unix milliseconds, so much later.
pub(super) fn later(now: i64, by: Duration) -> i64 {
    now.saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pauses_double_up_to_a_limit_and_begin_anew() {
        let mut backoff = Backoff::default();
        for expected in [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300] {
            assert_eq!(backoff.after_failure(1.0), Duration::from_secs(expected));
        }
        backoff.after_success();
        assert_eq!(backoff.after_failure(0.5), FIRST / 2);
    }

    #[test]
    fn what_a_backend_asks_for_is_obeyed_up_to_fifteen_minutes() {
        let asked = |wait| after_failure(None, 1000, Some(Duration::from_secs(wait)), 1.5).until;
        assert_eq!([asked(0), asked(7), asked(86_400)], [2000, 8000, 901_000]);
    }

    #[test]
    fn one_tries_when_the_time_has_come_and_the_others_wait_for_it() {
        let trouble = Trouble { failures: 3, until: 60_000, trying_until: 0 };
        assert_eq!(verdict(None, 0), Verdict::Free);
        assert_eq!(verdict(Some(trouble), 0), Verdict::Wait(LOOK));
        assert_eq!(verdict(Some(trouble), 59_000), Verdict::Wait(Duration::from_secs(1)));
        assert_eq!(verdict(Some(trouble), 60_000), Verdict::Try);
        let tried = Trouble { trying_until: 80_000, ..trouble };
        assert_eq!(verdict(Some(tried), 60_001), Verdict::Wait(LOOK_AT_TRY));
        assert_eq!(verdict(Some(tried), 80_000), Verdict::Try, "whoever tried has died");
    }

    #[test]
    fn a_clock_that_was_set_back_holds_up_nobody() {
        let trouble = Trouble { failures: 1, until: 10_000_000, trying_until: 10_000_000 };
        assert_eq!(verdict(Some(trouble), 0), Verdict::Try);
    }

    /// Twenty sessions with a destination that is down, each looking when it was told to: how many requests there are
    /// in so many milliseconds, and when the last one was made.
    fn requests_of_twenty(milliseconds: i64, jitter: f64) -> usize {
        let (mut row, mut requests): (Option<Trouble>, usize) = (None, 0);
        let mut looks = [0_i64; 20];
        // Each begins its first attempt before any is answered.
        for look in &mut looks {
            requests += 1;
            row = Some(after_failure(None, 0, None, jitter));
            *look = 0;
        }
        for now in (0..milliseconds).step_by(10) {
            for look in &mut looks {
                if *look > now {
                    continue;
                }
                match verdict(row, now) {
                    Verdict::Wait(wait) => *look = later(now, wait),
                    Verdict::Free | Verdict::Try => {
                        requests += 1;
                        row = Some(after_failure(row, now, None, jitter));
                    }
                }
            }
        }
        requests
    }

    #[test]
    fn twenty_sessions_are_not_twenty_storms() {
        let ten_minutes = 600_000;
        // A first attempt each, and then those of one: after 1, 2, 4 … 256 s.
        assert_eq!(requests_of_twenty(ten_minutes, 1.0), 20 + 9);
    }

    proptest! {
        #[test]
        fn nobody_waits_for_ever(failures: u32, until: i64, trying_until: i64, now: i64) {
            let trouble = Trouble { failures, until, trying_until };
            if let Verdict::Wait(wait) = verdict(Some(trouble), now) {
                prop_assert!(wait <= LOOK && !wait.is_zero());
            }
            let _ = after_failure(Some(trouble), now, None, 1.5);
        }
    }
}
