//! Bits, one after the other.

use std::num::NonZeroU64;

use zeroize::Zeroize as _;

use crate::entropy::Entropy;

/// Reads an [`Entropy`] by the bit. What is left of a word when the reader is dropped is not used.
pub(super) struct Bits<'a> {
    entropy: &'a mut dyn Entropy,
    word: u64,
    left: u32,
    #[cfg(test)]
    pub(super) used: u64,
}

impl<'a> Bits<'a> {
    pub(super) fn new(entropy: &'a mut dyn Entropy) -> Self {
        Self {
            entropy,
            word: 0,
            left: 0,
            #[cfg(test)]
            used: 0,
        }
    }

    /// One bit.
    pub(super) fn next(&mut self) -> bool {
        if self.left == 0 {
            let mut bytes = [0; 8];
            self.entropy.fill(&mut bytes);
            self.word = u64::from_le_bytes(bytes);
            self.left = u64::BITS;
            bytes.zeroize();
        }
        let bit = self.word & 1 == 1;
        self.word >>= 1;
        self.left -= 1;
        #[cfg(test)]
        {
            self.used += 1;
        }
        bit
    }

    /// A number of `0..bound`, each with the same probability, in at most twice as many bits as `bound - 1` has, as expected value:
    /// numbers with that many bits are drawn until one is below `bound`, which more than half of them are.
    pub(super) fn below(&mut self, bound: NonZeroU64) -> u64 {
        let length = u64::BITS - (bound.get() - 1).leading_zeros();
        loop {
            let drawn = (0..length).fold(0, |drawn, _| drawn << 1 | u64::from(self.next()));
            if drawn < bound.get() {
                return drawn;
            }
        }
    }
}

impl Drop for Bits<'_> {
    /// What is left of the word is next to the bits of a draw.
    fn drop(&mut self) {
        self.word.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::super::reference::{Seeded, exact_probabilities};
    use super::*;

    #[test]
    fn bits_below_a_bound_are_equally_probable() {
        for bound in [1_u64, 2, 3, 5, 8, 11] {
            let probabilities = exact_probabilities(14, |bits| bits.below(NonZeroU64::new(bound).unwrap()));
            assert_eq!(probabilities.outcomes.len() as u64, bound);
            for (outcome, decided) in &probabilities.outcomes {
                let even = 1.0 / bound as f64;
                assert!(*decided <= even + 1e-12, "{outcome} of {bound}: {decided}");
                assert!(
                    decided + probabilities.undecided >= even - 1e-12,
                    "{outcome} of {bound}: {decided}"
                );
            }
        }
    }

    #[test]
    fn bits_of_an_entropy_are_used_once_each() {
        let mut bytes = [0; 16];
        Seeded::new(7).fill(&mut bytes);
        let mut entropy = Seeded::new(7);
        let mut bits = Bits::new(&mut entropy);
        for number in 0..128 {
            assert_eq!(bits.next(), bytes[number / 8] >> (number % 8) & 1 == 1, "bit {number}");
        }
        assert_eq!(bits.used, 128);
    }
}
