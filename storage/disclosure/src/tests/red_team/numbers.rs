//! Random numbers that are the same in each run.

/// Numbers of a seed (splitmix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014).
#[derive(Clone, Debug)]
pub(super) struct Numbers(u64);

impl Numbers {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) const fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let word = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// Below `bound`, which is not 0.
    pub(super) fn below(&mut self, bound: u32) -> u32 {
        u32::try_from(self.word() % u64::from(bound)).unwrap()
    }

    /// From 0 to 1.
    pub(super) fn fraction(&mut self) -> f64 {
        (self.word() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(super) fn chance(&mut self, probability: f64) -> bool {
        self.fraction() < probability
    }

    /// A position, with these relative frequencies.
    pub(super) fn position(&mut self, frequencies: &[f64]) -> u32 {
        let mut left = self.fraction() * frequencies.iter().sum::<f64>();
        let found = frequencies.iter().position(|frequency| {
            left -= frequency;
            left < 0.0
        });
        u32::try_from(found.unwrap_or(frequencies.len() - 1)).unwrap()
    }

    /// Of the standard normal distribution (Box, Muller 1958).
    pub(super) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.fraction()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.fraction()).cos()
    }

    /// Moves `number` elements, drawn without repetition, to the front.
    pub(super) fn draw<T>(&mut self, elements: &mut [T], number: usize) {
        for at in 0..number.min(elements.len()) {
            let left = u32::try_from(elements.len() - at).unwrap();
            elements.swap(at, at + self.below(left) as usize);
        }
    }
}
