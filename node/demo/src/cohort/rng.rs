//! A small generator with a fixed, documented stream. It is only for test data: it is predictable by design.

/// A normal distribution: mean and standard deviation, in the unit of the column.
#[derive(Debug, Clone, Copy)]
pub(super) struct Normal {
    pub(super) mean: i64,
    pub(super) deviation: i64,
}

/// SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014; constants as in
/// Vigna's public-domain `splitmix64.c`).
#[derive(Debug, Clone)]
pub(super) struct SplitMix64 {
    state: u64,
}

impl SplitMix64 {
    pub(super) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    pub(super) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, by multiplying and shifting; `bound` stays below 2^32, where the bias is immaterial.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        ((self.next() >> 32) * bound) >> 32
    }

    /// True in `per_thousand` of a thousand draws.
    pub(super) fn chance(&mut self, per_thousand: u64) -> bool {
        self.below(1_000) < per_thousand
    }

    /// A normally distributed integer: the sum of twelve uniform draws has almost the shape of a normal curve (Irwin-Hall),
    /// and a deviation of exactly as many units as each draw has steps.
    pub(super) fn normal(&mut self, curve: Normal) -> i64 {
        const STEPS: u64 = 1_000;
        const MEAN_OF_SUM: i64 = 5_994;
        let sum: u64 = (0..12).map(|_| self.below(STEPS)).sum();
        let scaled = curve.deviation * (sum.cast_signed() - MEAN_OF_SUM);
        curve.mean + (scaled + STEPS.cast_signed() / 2).div_euclid(STEPS.cast_signed())
    }

    /// One of the values, with the probability of its weight.
    pub(super) fn weighted<const N: usize>(&mut self, values: [(i64, u64); N]) -> i64 {
        let mut at = self.below(values.iter().map(|(_, weight)| weight).sum());
        for (value, weight) in values {
            if at < weight {
                return value;
            }
            at -= weight;
        }
        0
    }

    /// One element of `list`, each as likely as the others; empty if the list is.
    pub(super) fn pick<'a>(&mut self, list: &[&'a str]) -> &'a str {
        let length = u64::try_from(list.len()).unwrap_or(0);
        let at = usize::try_from(self.below(length)).unwrap_or(0);
        list.get(at).copied().unwrap_or_default()
    }
}
