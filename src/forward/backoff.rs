//! A destination's back-off, which all sessions share.
//!
//! While a destination fails, one row of the store says so. No session tries before the moment in that row. Then the
//! first session to arrive tries with one request while the others wait for its outcome. A success removes the row.

use std::time::Duration;

use crate::state::backoff::{Backoff, CREDIBLE, FIRST, LONGEST, later};

/// How often a session that leaves the destination alone checks whether another session has found it well.
const LOOK: Duration = Duration::from_secs(30);

/// How often to check while another session tries.
const LOOK_AT_TRY: Duration = Duration::from_millis(500);

/// Whether a request may be sent to a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The destination has no back-off.
    Free,
    /// The caller that claims the attempt may try.
    Try,
    /// Not now: check again after this time.
    Wait(Duration),
}

/// Decides whether a destination with that back-off may be sent a request at `now`, in Unix milliseconds.
pub(super) fn verdict(backoff: Option<Backoff>, now: i64) -> Verdict {
    let Some(backoff) = backoff else { return Verdict::Free };
    if let Some(wait) = backoff.pause_left(now) {
        return Verdict::Wait(wait.min(LOOK));
    }
    match backoff.claim_left(now) {
        Some(wait) => Verdict::Wait(wait.min(LOOK_AT_TRY)),
        None => Verdict::Try,
    }
}

/// The moment when a destination may be tried again, in Unix milliseconds; `None` if that is now.
pub fn not_before(backoff: Backoff, now: i64) -> Option<i64> {
    backoff.pause_left(now).map(|_| backoff.until)
}

/// The back-off after an attempt that was `made` under an earlier back-off and failed: until the moment that the
/// backend `asked` for, or else twice as long as the last one.
pub(super) fn after_failure(made: Option<Backoff>, now: i64, asked: Option<Duration>, jitter: f64) -> Backoff {
    let mut next = made.unwrap_or_default();
    next.failed(now, LONGEST, jitter);
    // A pause of zero, taken literally, would mean requests without any pause.
    let asked = asked.map(|asked| later(now, asked.clamp(FIRST, CREDIBLE)));
    Backoff { until: asked.unwrap_or(next.until), ..next }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_backends_retry_after_is_obeyed_up_to_fifteen_minutes() {
        let asked = |wait| after_failure(None, 1000, Some(Duration::from_secs(wait)), 1.5).until;
        assert_eq!([asked(0), asked(7), asked(86_400)], [2000, 8000, 901_000]);
    }

    #[test]
    fn one_process_tries_when_due_and_the_others_wait() {
        let backoff = Backoff { failures: 3, until: 60_000, trying_until: 0 };
        assert_eq!(verdict(None, 0), Verdict::Free);
        assert_eq!(verdict(Some(backoff), 0), Verdict::Wait(LOOK));
        assert_eq!(verdict(Some(backoff), 59_000), Verdict::Wait(Duration::from_secs(1)));
        assert_eq!(verdict(Some(backoff), 60_000), Verdict::Try);
        let tried = Backoff { trying_until: 80_000, ..backoff };
        assert_eq!(verdict(Some(tried), 60_001), Verdict::Wait(LOOK_AT_TRY));
        assert_eq!(verdict(Some(tried), 80_000), Verdict::Try, "the process that tried has died");
    }

    /// Simulates twenty sessions with a destination that is down, each of which checks when it was told to. Returns the
    /// number of requests in this many milliseconds, and the time of the last one.
    fn requests_of_twenty(milliseconds: i64, jitter: f64) -> usize {
        let (mut row, mut requests): (Option<Backoff>, usize) = (None, 0);
        let mut looks = [0_i64; 20];
        // Each begins its first attempt before any attempt is answered.
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
    fn twenty_sessions_do_not_flood_a_destination() {
        let ten_minutes = 600_000;
        // A first attempt each, and then the attempts of one session: after 1, 2, 4 … 256 s.
        assert_eq!(requests_of_twenty(ten_minutes, 1.0), 20 + 9);
    }

    proptest! {
        #[test]
        fn every_wait_is_bounded(failures: u32, until: i64, trying_until: i64, now: i64) {
            let backoff = Backoff { failures, until, trying_until };
            if let Verdict::Wait(wait) = verdict(Some(backoff), now) {
                prop_assert!(wait <= LOOK && !wait.is_zero());
            }
            let _ = after_failure(Some(backoff), now, None, 1.5);
        }
    }
}
