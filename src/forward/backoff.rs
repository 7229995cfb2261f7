//! Exponential back-off with jitter, as the OTLP exporter specification wants it.

use std::time::Duration;

use crate::random;

/// The first pause after a failure.
const FIRST: Duration = Duration::from_secs(1);

/// The longest pause that is our own choice.
const LONGEST: Duration = Duration::from_mins(5);

/// How long to leave somebody alone.
#[derive(Clone, Debug, Default)]
pub struct Backoff {
    /// Failures since the last success.
    failures: u32,
}

impl Backoff {
    /// The pause after a failure: as long as was asked for, else twice as long as the last time, give or take a half.
    pub fn after_failure(&mut self, asked: Option<Duration>) -> Duration {
        let doubled = FIRST.saturating_mul(1 << self.failures.min(16)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        asked.unwrap_or_else(|| doubled.mul_f64(random::jitter()))
    }

    /// Begins anew.
    pub fn after_success(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_limit_and_begin_anew() {
        let mut backoff = Backoff::default();
        for expected in [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300] {
            let pause = backoff.after_failure(None).as_secs_f64() / f64::from(expected);
            assert!((0.5..=1.5).contains(&pause), "{pause} of {expected} s");
        }
        assert_eq!(backoff.after_failure(Some(Duration::from_secs(7))), Duration::from_secs(7));
        backoff.after_success();
        assert!(backoff.after_failure(None) <= FIRST * 3 / 2);
    }
}
