//! The discrete Laplace distribution.

use std::num::NonZeroU64;

use super::bernoulli::{Probability, bernoulli_exp, bernoulli_exp_one};
use super::bits::Bits;

/// An outcome: `-magnitude` if negative. Zero is not negative.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signed {
    pub(super) negative: bool,
    pub(super) magnitude: u128,
}

/// Whole numbers with probabilities in proportion to `exp(-|y| / scale)` (algorithm 2 with `s = 1`).
///
/// The expected number of bits is at most `40 + 4 log2(scale)`: a remainder `u` of `0..scale` takes `2 log2(scale)` bits and is accepted
/// with probability `exp(-u / scale)`, which is more than 0.63 on average; the quotient takes at most 1.6 draws of `exp(-1)`; and
/// zeros with a sign, half of the zeros, are drawn again.
pub(super) fn laplace(bits: &mut Bits<'_>, scale: NonZeroU64) -> Signed {
    loop {
        let magnitude = geometric(bits, scale);
        let negative = bits.next();
        // Zero would have two forms, and so twice its probability.
        if !(negative && magnitude == 0) {
            return Signed { negative, magnitude };
        }
    }
}

/// Whole numbers from zero on with probabilities in proportion to `exp(-y / scale)`.
fn geometric(bits: &mut Bits<'_>, scale: NonZeroU64) -> u128 {
    let remainder = remainder(bits, scale);
    // A count of draws that each need some time: it is below 2^64, and the result below 2^128.
    let mut quotient: u64 = 0;
    while bernoulli_exp_one(bits) {
        quotient += 1;
    }
    u128::from(remainder) + u128::from(scale.get()) * u128::from(quotient)
}

/// A number `u` of `0..scale` with probability in proportion to `exp(-u / scale)`.
fn remainder(bits: &mut Bits<'_>, scale: NonZeroU64) -> u64 {
    loop {
        let drawn = bits.below(scale);
        let accepted = Probability::new(u128::from(drawn), u128::from(scale.get()));
        if accepted.is_some_and(|fraction| bernoulli_exp(bits, 0, fraction)) {
            return drawn;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::reference::{Seeded, assert_frequencies, draws};
    use super::*;

    #[test]
    fn laplace_draws_follow_the_exact_probabilities() {
        for scale in [1_u64, 2, 7, 100] {
            let number = draws();
            let mut entropy = Seeded::new(scale);
            let mut bits = Bits::new(&mut entropy);
            let drawn = (0..number).map(|_| {
                let Signed { negative, magnitude } = laplace(&mut bits, NonZeroU64::new(scale).unwrap());
                let magnitude = i64::try_from(magnitude).unwrap();
                if negative { -magnitude } else { magnitude }
            });
            // (e^(1/t) - 1) / (e^(1/t) + 1) · e^(-|y| / t)
            let base = (1.0 / scale as f64).exp();
            let probability = |y: i64| (base - 1.0) / (base + 1.0) * (-(y.abs() as f64) / scale as f64).exp();
            assert_frequencies(drawn, number, probability);
        }
    }

    #[test]
    fn laplace_takes_few_bits() {
        for scale in [1_u64, 2, 1 << 8, (1 << 24) + 1, u64::MAX] {
            let mut entropy = Seeded::new(scale);
            let mut bits = Bits::new(&mut entropy);
            for _ in 0..5_000 {
                laplace(&mut bits, NonZeroU64::new(scale).unwrap());
            }
            let each = bits.used as f64 / 5_000.0;
            assert!(each < 40.0 + 4.0 * (scale as f64).log2(), "scale {scale}: {each} bits");
        }
    }
}
