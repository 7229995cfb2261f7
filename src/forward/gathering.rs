//! How much goes into one request: small batches are gathered, so that a long outage drains fast, up to what the
//! destination takes.

/// How large a request may be before anything is known of the destination, in bytes before compression: under the
/// megabyte that the strictest backends allow, compressed or not.
const TARGET: usize = 900_000;

/// How many batches go into one request: what is noted of them is one commit, for which the next acknowledgement waits.
const MOST: usize = 256;

/// What one destination takes, as far as it has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Gathering {
    bytes: usize,
    batches: usize,
    /// The size of the smallest request that was too large, in bytes.
    too_large: usize,
}

impl Default for Gathering {
    fn default() -> Self {
        Self { bytes: TARGET, batches: MOST, too_large: usize::MAX }
    }
}

impl Gathering {
    /// At most so many bytes, unless a single batch has more.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// At most so many batches.
    pub(super) fn batches(&self) -> usize {
        self.batches
    }

    /// Whether a request of that size was too large before: it need not be sent to be told so again.
    pub(super) fn is_too_large(&self, bytes: usize) -> bool {
        bytes >= self.too_large
    }

    /// A request of that size was too large: remembered for as long as the session lasts.
    pub(super) fn too_large(&mut self, bytes: usize) {
        self.too_large = self.too_large.min(bytes);
        self.bytes = self.bytes.min(bytes / 2);
    }

    /// A request of so many batches was refused, of which one may be the cause: fewer, until it stands alone.
    pub(super) fn refused(&mut self, batches: usize) {
        self.batches = (batches / 2).max(1);
    }

    /// A request passed, or a batch that stood alone was given up: more again.
    pub(super) fn passed(&mut self) {
        self.batches = self.batches.saturating_mul(2).min(MOST);
    }

    /// What was learned of sizes was not about sizes.
    pub(super) fn forget_sizes(&mut self) {
        *self = Self { batches: self.batches, ..Self::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many requests it takes to deliver batches of which one is refused for good.
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
    fn what_was_too_large_is_remembered() {
        let mut gathering = Gathering::default();
        gathering.too_large(800_000);
        gathering.passed();
        assert_eq!((gathering.bytes(), gathering.is_too_large(800_000)), (400_000, true));
        assert!(!gathering.is_too_large(799_999));
        gathering.too_large(900_000);
        assert_eq!(gathering.bytes(), 400_000, "a larger one says nothing new");
        gathering.forget_sizes();
        assert_eq!(gathering, Gathering::default());
    }
}
