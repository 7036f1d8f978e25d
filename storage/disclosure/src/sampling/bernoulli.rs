//! Yes or no with an exact probability.

use super::bits::Bits;

/// A rational number of `0..=1`. INVARIANT: `numerator <= denominator`, and `1 <= denominator <= MAX_DENOMINATOR`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Probability {
    numerator: u128,
    denominator: u128,
}

/// Twice a remainder is compared with the denominator, and has to be a `u128`.
pub(super) const MAX_DENOMINATOR: u128 = u128::MAX >> 1;

impl Probability {
    /// Certainty, which is `x` of `exp(-1)` too.
    pub(super) const ONE: Self = Self {
        numerator: 1,
        denominator: 1,
    };

    /// `None` if this is not a probability, or its denominator is more than [`MAX_DENOMINATOR`].
    pub(super) const fn new(numerator: u128, denominator: u128) -> Option<Self> {
        if denominator == 0 || denominator > MAX_DENOMINATOR || numerator > denominator {
            return None;
        }
        Some(Self { numerator, denominator })
    }
}

/// True with this probability, in two bits, as expected value.
///
/// The bits drawn are those of a number of `0..1`; it is compared with the binary digits of the probability from the first on, and the
/// first difference decides.
pub(super) fn bernoulli(bits: &mut Bits<'_>, probability: Probability) -> bool {
    let Probability { numerator, denominator } = probability;
    if numerator == denominator {
        return true;
    }
    let mut rest = numerator;
    loop {
        // By INVARIANT the rest is at most the denominator, so twice of it is a `u128`.
        rest <<= 1;
        let digit = rest >= denominator;
        if digit {
            rest -= denominator;
        }
        if bits.next() != digit {
            return digit;
        }
    }
}

/// True with probability `exp(-x)` for `x` of `0..=1`, in 11 bits or fewer, as expected value (algorithm 1).
///
/// Trial `k` succeeds with probability `x / k`; the number of the first that fails is odd with probability `exp(-x)`, by the series of
/// `exp`. `x / k` is drawn as `1 / k` and `x`, which need no product. Trial `k` is reached with probability `x^(k-1) / (k-1)!` and takes
/// four bits, so the expected value is at most `4e`.
fn bernoulli_exp_fraction(bits: &mut Bits<'_>, x: Probability) -> bool {
    let mut trial: u128 = 1;
    while bernoulli(
        bits,
        Probability {
            numerator: 1,
            denominator: trial,
        },
    ) && bernoulli(bits, x)
    {
        trial += 1;
    }
    trial % 2 == 1
}

/// True with probability `exp(-1)`.
pub(super) fn bernoulli_exp_one(bits: &mut Bits<'_>) -> bool {
    bernoulli_exp_fraction(bits, Probability::ONE)
}

/// True with probability `exp(-(whole + fraction))`, in 29 bits or fewer, as expected value: `exp(-1)` is drawn until it fails, which is
/// after `1 / (1 - 1/e)` draws or earlier.
pub(super) fn bernoulli_exp(bits: &mut Bits<'_>, whole: u128, fraction: Probability) -> bool {
    let mut left = whole;
    while left > 0 {
        if !bernoulli_exp_one(bits) {
            return false;
        }
        left -= 1;
    }
    bernoulli_exp_fraction(bits, fraction)
}

#[cfg(test)]
mod tests {
    use super::super::reference::{Seeded, exact_probabilities};
    use super::*;

    #[test]
    fn bernoulli_has_its_rational_probability() {
        for (numerator, denominator) in [(0, 1), (1, 1), (1, 2), (1, 3), (2, 7), (99, 100), (1, MAX_DENOMINATOR)] {
            let p = Probability::new(numerator, denominator).unwrap();
            let found = exact_probabilities(16, |bits| bernoulli(bits, p));
            found.assert_probability(&true, numerator as f64 / denominator as f64);
            assert!(found.undecided <= 1.0 / f64::from(1 << 15), "{}", found.undecided);
        }
    }

    #[test]
    fn bernoulli_exp_has_its_probability() {
        for (whole, numerator, denominator) in [(0, 0, 1), (0, 1, 3), (0, 1, 1), (1, 1, 7), (2, 0, 5), (3, 4, 5)] {
            let fraction = Probability::new(numerator, denominator).unwrap();
            let found = exact_probabilities(18, |bits| bernoulli_exp(bits, whole, fraction));
            let x = whole as f64 + numerator as f64 / denominator as f64;
            found.assert_probability(&true, (-x).exp());
            assert!(
                found.undecided < 0.05,
                "{whole} {numerator}/{denominator}: {}",
                found.undecided
            );
        }
    }

    #[test]
    fn bernoulli_exp_takes_few_bits() {
        let mut entropy = Seeded::new(3);
        for (whole, numerator) in [(0, 0), (0, 1), (0, 2), (1, 1), (u128::MAX, 1)] {
            let fraction = Probability::new(numerator, 2).unwrap();
            let mut bits = Bits::new(&mut entropy);
            for _ in 0..20_000 {
                bernoulli_exp(&mut bits, whole, fraction);
            }
            assert!(bits.used < 29 * 20_000, "{whole} + {numerator}/2: {} bits", bits.used);
        }
    }

    #[test]
    fn probability_outside_its_bounds_is_refused() {
        assert!(Probability::new(0, 0).is_none());
        assert!(Probability::new(2, 1).is_none());
        assert!(Probability::new(1, MAX_DENOMINATOR + 1).is_none());
    }
}
