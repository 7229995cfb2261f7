//! How fast rejected credentials may be tried again. Pure, so that sessions can share the state through a file, and a
//! test can cover ten minutes.
//!
//! Once a destination has accepted the credentials, requests are not limited. Before that, and after a rejection, one
//! request is tried at a time: a session claims the attempt and records its outcome.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::state::backoff::Backoff;

/// The longest pause, before jitter.
const LONGEST: Duration = Duration::from_mins(10);

/// How long a claim blocks other sessions if its holder ends without an outcome.
const CLAIM: Duration = Duration::from_secs(30);

/// The longest wait for a value that has changed since it was rejected.
const CHANGED: Duration = Duration::from_mins(1);

/// Whether and how a destination accepts its credentials.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Acceptance {
    /// Whether the destination accepted them last time.
    accepted: bool,
    /// When the last attempt began, in Unix milliseconds.
    tried: i64,
    /// Failures are rejections since then, and fetches that returned a rejected value again.
    #[serde(flatten)]
    backoff: Backoff,
}

impl Acceptance {
    /// Whether requests are not limited.
    pub(super) fn is_open(&self) -> bool {
        self.accepted
    }

    /// Rejections since they were last accepted.
    pub(super) fn failures(&self) -> u32 {
        self.backoff.failures
    }

    /// Whether a session is trying them at `now`.
    pub(super) fn is_claimed(&self, now: i64) -> bool {
        self.backoff.claim_left(now).is_some()
    }

    /// How long no session may try.
    pub(super) fn wait(&self, now: i64) -> Duration {
        self.backoff.wait(now)
    }

    /// The same for a value that differs from the rejected one. Never long, because its owner has corrected it.
    pub(super) fn wait_for_changed(&self, now: i64) -> Duration {
        if self.is_claimed(now) {
            return self.wait(now);
        }
        let since = Duration::from_millis(u64::try_from(now.saturating_sub(self.tried)).unwrap_or(0));
        self.wait(now).min(CHANGED.saturating_sub(since))
    }

    /// Claims the next attempt, even if it is not due.
    pub(super) fn claim(&mut self, now: i64) {
        self.backoff.claim(now, CLAIM);
        *self = Self { accepted: false, tried: now, ..*self };
    }

    /// The attempt failed, or was skipped because the value is the rejected one. The pause doubles.
    pub(super) fn refused(&mut self, now: i64, jitter: f64) {
        self.backoff.failed(now, LONGEST, jitter);
        *self = Self { accepted: false, tried: now, ..*self };
    }

    /// The attempt succeeded: requests are not limited any longer.
    pub(super) fn accepted(&mut self) {
        *self = Self { accepted: true, ..Self::default() };
    }

    /// The attempt failed for a reason unrelated to credentials.
    pub(super) fn released(&mut self) {
        self.backoff.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_value_waits_for_a_minute_at_most() {
        let mut acceptance = Acceptance::default();
        for _ in 0..12 {
            acceptance.claim(0);
            acceptance.refused(0, 1.0);
        }
        assert_eq!(acceptance.wait(0), LONGEST);
        assert_eq!(acceptance.wait_for_changed(0), CHANGED);
        assert_eq!(acceptance.wait_for_changed(59_000), Duration::from_secs(1));
        acceptance.accepted();
        assert!(acceptance.is_open() && acceptance.wait(0).is_zero() && acceptance.failures() == 0);
    }

    #[test]
    fn a_claim_ends_with_its_outcome_or_by_itself() {
        let mut acceptance = Acceptance::default();
        acceptance.claim(1000);
        assert_eq!((acceptance.wait(1000), acceptance.is_claimed(31_000)), (CLAIM, false));
        acceptance.released();
        assert!(acceptance.wait(1000).is_zero() && !acceptance.is_open());
    }
}
