//! Numbers that look random and are the same for the same seed (`SplitMix64`).

/// A source of such numbers.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From `low` to `high`, both included.
    pub(super) fn from(&mut self, low: i64, high: i64) -> i64 {
        low + self.next().rem_euclid(1 + (high - low).unsigned_abs()).cast_signed()
    }

    /// Whether something happens of which the chance is so many percent.
    pub(super) fn chance(&mut self, percent: i64) -> bool {
        self.from(1, 100) <= percent
    }

    /// A number around a usual one: mostly near it, sometimes several times as large.
    pub(super) fn around(&mut self, usual: i64) -> i64 {
        let factor = self.from(40, 120) * self.from(60, 130) / 100;
        let factor = if self.chance(4) { factor * self.from(3, 6) } else { factor };
        usual * factor / 80
    }

    pub(super) fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[usize::try_from(self.next()).unwrap_or_default() % list.len()]
    }
}
