//! Uniform numbers from an [`Entropy`].

use crate::Entropy;

/// A uniform number below `bound`; 0 if `bound` is 0.
///
/// By multiplication with rejection (Lemire, "Fast random integer generation in an interval", 2019), so that no value is more frequent.
pub(crate) fn below(entropy: &mut dyn Entropy, bound: u32) -> u32 {
    if bound == 0 {
        return 0;
    }
    let rejected = bound.wrapping_neg() % bound;
    loop {
        let product = u64::from(word(entropy)) * u64::from(bound);
        let bytes = product.to_le_bytes();
        let [a, b, c, d, e, f, g, h] = bytes;
        if u32::from_le_bytes([a, b, c, d]) >= rejected {
            return u32::from_le_bytes([e, f, g, h]);
        }
    }
}

/// A uniform position in a list of `length` elements, as far as positions have 32 bits; 0 if it is empty.
pub(crate) fn position(entropy: &mut dyn Entropy, length: usize) -> usize {
    let bound = u32::try_from(length).unwrap_or(u32::MAX);
    usize::try_from(below(entropy, bound)).unwrap_or(0)
}

/// 32 uniform bits.
pub(crate) fn word(entropy: &mut dyn Entropy) -> u32 {
    let mut bytes = [0; 4];
    entropy.fill(&mut bytes);
    u32::from_le_bytes(bytes)
}

#[cfg(test)]
pub(crate) mod seeded {
    use crate::Entropy;

    /// Bytes of a hash of a seed: the same in each run.
    pub(crate) struct Seeded(blake3::OutputReader);

    impl Seeded {
        pub(crate) fn new(seed: u64) -> Self {
            Self(blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof())
        }
    }

    impl Entropy for Seeded {
        fn fill(&mut self, bytes: &mut [u8]) {
            self.0.fill(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{below, position, seeded::Seeded};

    #[test]
    fn numbers_below_a_bound_are_uniform() {
        let mut entropy = Seeded::new(1);
        let mut counts = [0_u32; 6];
        for _ in 0..60_000 {
            counts[below(&mut entropy, 6) as usize] += 1;
        }
        assert!(counts.iter().all(|count| (9_600..10_400).contains(count)), "{counts:?}");
        assert_eq!(below(&mut entropy, 1), 0);
        assert_eq!(below(&mut entropy, 0), 0);
        assert_eq!(position(&mut entropy, 0), 0);
    }
}
