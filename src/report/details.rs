//! What only single facts say: how long requests took, and which sessions were compacted.

/// What single facts say about a range.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Details {
    /// How long answered requests took, over all models.
    pub all: Speed,
    /// The same by model, the most requests first.
    pub speeds: Vec<Speed>,
    /// Claude Code's sessions that were compacted automatically, and how often, in order of their ids.
    pub compactions: Vec<(String, i64)>,
}

/// How long answered requests took.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Speed {
    /// The model, or `None` if it is unknown.
    pub model: Option<String>,
    /// Milliseconds to the first token; `None` if no request reports it.
    pub first_token: Option<Quantiles>,
    /// Milliseconds that requests took; `None` if no request reports it.
    pub duration: Option<Quantiles>,
}

/// Quantiles of a sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quantiles {
    /// The size of the sample.
    pub count: i64,
    /// The median.
    pub p50: i64,
    /// The value that 95 % of the sample do not exceed.
    pub p95: i64,
}

impl Quantiles {
    /// The quantiles of a sample by nearest rank: the smallest value that the share of the sample does not exceed.
    /// `None` if the sample is empty.
    pub fn of(sample: &mut [u32]) -> Option<Self> {
        let mut rank = |percent: usize| {
            let place = (sample.len() * percent).div_ceil(100).checked_sub(1)?;
            Some(i64::from(*sample.select_nth_unstable(place).1))
        };
        let (p50, p95) = (rank(50)?, rank(95)?);
        Some(Self { count: i64::try_from(sample.len()).unwrap_or(i64::MAX), p50, p95 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_by_nearest_rank() {
        let of = |sample: &[u32]| Quantiles::of(&mut sample.to_vec()).map(|found| (found.count, found.p50, found.p95));
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[7]), Some((1, 7, 7)));
        assert_eq!(of(&[9, 1, 5, 3]), Some((4, 3, 9)));
        let mut hundred: Vec<u32> = (1..=100).rev().collect();
        assert_eq!(of(&hundred), Some((100, 50, 95)));
        hundred.push(1000);
        assert_eq!(of(&hundred), Some((101, 51, 96)));
    }
}
