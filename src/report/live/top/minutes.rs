//! Tokens and cost by minute. Pure.

use std::collections::BTreeMap;

/// How many minutes are kept: those of the last hour.
pub(super) const HOUR: i64 = 60;

/// The length of a minute, in milliseconds.
const MINUTE: i64 = 60_000;

/// Tokens, and cost in billionths of a US dollar, by minute since 1970.
#[derive(Clone, Debug, Default)]
pub(super) struct Minutes(BTreeMap<i64, (i64, i64)>);

impl Minutes {
    /// Adds a request at a time in Unix milliseconds.
    pub(super) fn add(&mut self, at: i64, tokens: i64, cost: i64) {
        let sum = self.0.entry(at.div_euclid(MINUTE)).or_default();
        *sum = (sum.0.saturating_add(tokens), sum.1.saturating_add(cost));
    }

    /// Forgets what is older than an hour.
    pub(super) fn forget(&mut self, now: i64) {
        self.0 = self.0.split_off(&(now.div_euclid(MINUTE) - HOUR + 1));
    }

    /// The cost of the last hour.
    pub(super) fn cost(&self, now: i64) -> i64 {
        let first = now.div_euclid(MINUTE) - HOUR + 1;
        self.0.range(first..).fold(0, |sum: i64, (_, (_, cost))| sum.saturating_add(*cost))
    }

    /// The tokens of each minute of the last hour. The last is the current one.
    pub(super) fn tokens(&self, now: i64) -> Vec<i64> {
        let last = now.div_euclid(MINUTE);
        (last - HOUR + 1..=last).map(|minute| self.0.get(&minute).map_or(0, |(tokens, _)| *tokens)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_hour_is_known_by_minute() {
        let mut minutes = Minutes::default();
        let now = 1_000 * MINUTE + 5;
        for (at, tokens) in [(now, 1), (now - 6, 2), (now - 59 * MINUTE, 4), (now - 60 * MINUTE, 8)] {
            minutes.add(at, tokens, tokens);
        }
        let tokens = minutes.tokens(now);
        assert_eq!((tokens.len(), tokens[59], tokens[58], tokens[0]), (60, 1, 2, 4));
        assert_eq!(minutes.cost(now), 7);
        minutes.forget(now);
        assert_eq!(minutes.0.len(), 3);
    }
}
