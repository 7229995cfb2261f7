//! Shares an amount by weight, exact to a billionth.

use super::Tokens;

/// The relative cost of a token, in hundredths of an input token: input, output, cache reads, cache writes for five
/// minutes, and cache writes for an hour.
const WEIGHTS: [i64; 5] = [100, 500, 10, 125, 200];

/// The weight of tokens.
pub(super) fn weight(tokens: Tokens) -> i128 {
    let [input, output, read, written, hour] = tokens;
    let parts = [input, output, read, written.saturating_sub(hour), hour];
    parts.iter().zip(WEIGHTS).map(|(tokens, weight)| i128::from(*tokens) * i128::from(weight)).sum()
}

/// Shares an amount over items that are given one by one, so that the shares add up to the amount.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shares {
    amount: i128,
    /// The weight of all items.
    weight: i128,
    /// The weight of the items so far.
    so_far: i128,
    given: i128,
}

impl Shares {
    pub(super) fn new(amount: i64, weight: i128) -> Self {
        Self { amount: amount.into(), weight, so_far: 0, given: 0 }
    }

    /// The share of the next item.
    pub(super) fn next(&mut self, weight: i128) -> i64 {
        if self.weight == 0 {
            return 0;
        }
        self.so_far += weight;
        let until = self.amount * self.so_far / self.weight;
        let share = until - self.given;
        self.given = until;
        i64::try_from(share).unwrap_or(i64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_hour_in_the_cache_costs_more_than_five_minutes() {
        assert_eq!(weight([1, 1, 1, 3, 1]), 100 + 500 + 10 + 2 * 125 + 200);
    }

    proptest! {
        #[test]
        fn shares_add_up_to_the_amount(amount in 0..1_000_000_000_000_i64, parts in proptest::collection::vec(0..9_999_999_i64, 1..50)) {
            let parts: Vec<_> = parts.into_iter().map(i128::from).collect();
            let whole = parts.iter().sum();
            prop_assume!(whole > 0);
            let mut shares = Shares::new(amount, whole);
            let given: Vec<_> = parts.iter().map(|part| shares.next(*part)).collect();
            prop_assert_eq!(given.iter().sum::<i64>(), amount);
            prop_assert!(given.iter().all(|share| *share >= 0));
        }
    }
}
