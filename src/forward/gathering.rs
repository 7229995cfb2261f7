//! How much goes into one request: small batches are gathered, up to the destination's limits, so that the queue after
//! a long outage drains fast.

use std::time::Duration;

use tokio::time::Instant;

/// The size limit of a request before anything is known about the destination, in bytes before compression: under the
/// megabyte that the strictest backends allow, compressed or not.
const TARGET: usize = 900_000;

/// How many batches go into one request: they are recorded in one commit, for which the next acknowledgement waits.
const MOST: usize = 256;

/// How long a learned limit is trusted if no request has met it since: a proxy's configuration changes, and
/// sessions last for days.
const LEARNED_FOR: Duration = Duration::from_hours(1);

/// What one destination takes, as far as is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Gathering {
    bytes: usize,
    batches: usize,
    limit: Option<Limit>,
}

/// A size that was too large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Limit {
    /// The size of the smallest such request on the wire, in bytes: the size that a backend compares, compressed or
    /// not.
    on_the_wire: usize,
    /// Until when the limit is trusted.
    until: Instant,
}

impl Default for Gathering {
    fn default() -> Self {
        Self { bytes: TARGET, batches: MOST, limit: None }
    }
}

impl Gathering {
    /// The maximum number of bytes before compression, unless a single batch has more.
    pub(super) fn bytes(&mut self, now: Instant) -> usize {
        if self.limit.is_some_and(|limit| limit.until <= now) {
            self.forget_sizes();
        }
        self.bytes
    }

    /// The maximum number of batches.
    pub(super) fn batches(&self) -> usize {
        self.batches
    }

    /// Whether a request of this many bytes on the wire was too large before: if it is split, the backend need not
    /// reject it again.
    pub(super) fn is_too_large(&self, on_the_wire: usize, now: Instant) -> bool {
        self.limit.is_some_and(|limit| on_the_wire >= limit.on_the_wire && now < limit.until)
    }

    /// A request of this many bytes on the wire was too large.
    pub(super) fn too_large(&mut self, on_the_wire: usize, now: Instant) {
        let smallest = self.limit.map_or(usize::MAX, |limit| limit.on_the_wire);
        self.limit = Some(Limit { on_the_wire: on_the_wire.min(smallest), until: now + LEARNED_FOR });
    }

    /// A request of this many bytes before compression cannot be sent as it is: the next ones have half as many.
    pub(super) fn smaller_than(&mut self, bytes: usize) {
        self.bytes = self.bytes.min(bytes / 2);
    }

    /// A request of several batches was refused, and one batch may be the cause: fewer, until that batch stands alone.
    pub(super) fn refused(&mut self, batches: usize) {
        self.batches = (batches / 2).max(1);
    }

    /// A request passed, or a single batch was given up: more again.
    pub(super) fn passed(&mut self) {
        self.batches = self.batches.saturating_mul(2).min(MOST);
    }

    /// Forgets the learned limits: they had another cause, or are out of date.
    pub(super) fn forget_sizes(&mut self) {
        *self = Self { batches: self.batches, ..Self::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number of requests that it takes to deliver batches of which one is refused permanently.
    fn requests(count: usize, bad: usize) -> usize {
        let mut gathering = Gathering::default();
        let (mut first, mut requests) = (0, 0);
        while first < count {
            requests += 1;
            let end = (first + gathering.batches()).min(count);
            if !(first..end).contains(&bad) {
                first = end;
                gathering.passed();
            } else if end - first > 1 {
                gathering.refused(end - first);
            } else {
                first = end;
                gathering.passed();
            }
        }
        requests
    }

    #[test]
    fn one_bad_batch_among_many_is_found_soon() {
        for bad in 0..MOST {
            let requests = requests(MOST, bad);
            assert!(requests <= 40, "{requests} requests with a bad batch at {bad}");
        }
        assert_eq!(requests(MOST, usize::MAX), 1);
    }

    #[test]
    fn a_size_limit_is_remembered_for_a_while() {
        let (mut gathering, now) = (Gathering::default(), Instant::now());
        gathering.too_large(80_000, now);
        gathering.smaller_than(800_000);
        gathering.passed();
        assert_eq!((gathering.bytes(now), gathering.is_too_large(80_000, now)), (400_000, true));
        assert!(!gathering.is_too_large(79_999, now));
        gathering.too_large(90_000, now);
        gathering.smaller_than(900_000);
        assert_eq!(gathering.bytes(now), 400_000, "a larger one says nothing new");
        assert!(gathering.is_too_large(80_000, now));
        let later = now + LEARNED_FOR;
        assert!(!gathering.is_too_large(80_000, later));
        assert_eq!((gathering.bytes(later), &gathering), (TARGET, &Gathering::default()));
    }
}
