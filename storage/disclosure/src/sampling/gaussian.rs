//! The discrete Gaussian distribution.

use std::num::NonZeroU64;

use super::bernoulli::{MAX_DENOMINATOR, Probability, bernoulli_exp};
use super::bits::Bits;
use super::laplace::{Signed, laplace};
use crate::entropy::Entropy;

/// Bound on both numbers of a variance: with it the squares of [`Gaussian::acceptance`] are `u128` far beyond each outcome that occurs.
pub(crate) const MAX_VARIANCE_PART: u64 = 1 << 48;

/// Whole numbers with probabilities in proportion to `exp(-y² / 2σ²)`, for a rational `σ² = n / d` (algorithm 3).
///
/// A draw takes at most `60 + 4 log2(σ + 1)` bits, as expected value. INVARIANT: every product that a draw needs is checked in
/// [`Gaussian::new`], so that a draw cannot fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gaussian {
    numerator: u64,
    denominator: u64,
    /// `floor(σ) + 1`, of the distribution from which outcomes are proposed.
    scale: NonZeroU64,
    /// `d t`.
    factor: u128,
    /// `2 n d t²`.
    divisor: u128,
}

/// Why there is no such distribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GaussianError {
    /// The variance is zero, or a division by zero.
    #[error("a variance of noise must be above zero")]
    NotPositive,
    /// A part of the variance is above 2^48.
    #[error("the variance of the noise is too large: use a coarser step for the column's range, or a larger loss")]
    TooLarge,
}

impl Gaussian {
    /// The distribution with variance parameter `numerator / denominator`.
    ///
    /// # Errors
    /// [`GaussianError`] if one of them is zero or above 2^48.
    pub fn new(numerator: u64, denominator: u64) -> Result<Self, GaussianError> {
        let quotient = numerator.checked_div(denominator).ok_or(GaussianError::NotPositive)?;
        if numerator == 0 {
            return Err(GaussianError::NotPositive);
        }
        if numerator.max(denominator) > MAX_VARIANCE_PART {
            return Err(GaussianError::TooLarge);
        }
        let scale = NonZeroU64::MIN.saturating_add(quotient.isqrt());
        let wide_scale = u128::from(scale.get());
        let factor = u128::from(denominator).checked_mul(wide_scale);
        let divisor = factor
            .and_then(|factor| factor.checked_mul(wide_scale))
            .and_then(|product| product.checked_mul(u128::from(numerator)))
            .and_then(|product| product.checked_mul(2))
            .filter(|divisor| *divisor <= MAX_DENOMINATOR);
        Ok(Self {
            numerator,
            denominator,
            scale,
            factor: factor.ok_or(GaussianError::TooLarge)?,
            divisor: divisor.ok_or(GaussianError::TooLarge)?,
        })
    }

    /// The numerator and denominator of `σ²`.
    pub const fn variance(&self) -> (u64, u64) {
        (self.numerator, self.denominator)
    }

    /// One draw.
    pub fn sample(&self, entropy: &mut dyn Entropy) -> i64 {
        self.draw(&mut Bits::new(entropy))
    }

    fn draw(&self, bits: &mut Bits<'_>) -> i64 {
        loop {
            let proposed = laplace(bits, self.scale);
            // An outcome outside `i64` or outside the bounds of the squares is 2^14 standard deviations away or more: it is drawn again,
            // which changes the distribution by less than exp(-2^14).
            let outcome = i64::try_from(proposed.magnitude).ok();
            let accepted = self.acceptance(proposed);
            if let (Some(outcome), Some((whole, fraction))) = (outcome, accepted)
                && bernoulli_exp(bits, whole, fraction)
            {
                return if proposed.negative { -outcome } else { outcome };
            }
        }
    }

    /// `(|y| - σ²/t)² / 2σ²`, of which the outcome `y` is accepted with probability `exp(-x)`: `(|y| d t - n)² / (2 n d t²)`, as a whole
    /// number and a fraction.
    fn acceptance(&self, proposed: Signed) -> Option<(u128, Probability)> {
        let scaled = proposed.magnitude.checked_mul(self.factor)?;
        let distance = scaled.abs_diff(u128::from(self.numerator));
        let square = distance.checked_mul(distance)?;
        let fraction = Probability::new(square % self.divisor, self.divisor)?;
        Some((square / self.divisor, fraction))
    }
}

#[cfg(test)]
mod tests {
    use super::super::reference::{Seeded, assert_frequencies, draws};
    use super::*;
    use proptest::prelude::*;

    /// `exp(-y² / 2σ²)` divided by the sum of all of them, which is independent of how draws are made.
    fn probability(numerator: u64, denominator: u64) -> impl Fn(i64) -> f64 {
        let variance = numerator as f64 / denominator as f64;
        let weight = move |y: i64| (-((y * y) as f64) / (2.0 * variance)).exp();
        let total = 1.0 + 2.0 * (1..).map(weight).take_while(|weight| *weight > 1e-40).sum::<f64>();
        move |y| weight(y) / total
    }

    #[test]
    fn gaussian_draws_follow_the_exact_probabilities() {
        for (n, d) in [
            (1, 100),
            (1, 3),
            (1, 1),
            (5, 2),
            (50, 1),
            (123_456, 7),
            (1 << 48, (1 << 48) - 1),
        ] {
            let gaussian = Gaussian::new(n, d).unwrap();
            let number = draws();
            let mut entropy = Seeded::new(n ^ d);
            let drawn = (0..number).map(|_| gaussian.sample(&mut entropy));
            assert_frequencies(drawn, number, probability(n, d));
        }
    }

    #[test]
    fn gaussian_takes_few_bits() {
        for (n, d) in [
            (1, 1000),
            (1, 3),
            (1, 1),
            (1000, 1),
            (1 << 32, 3),
            (1 << 48, 1),
            (1 << 48, (1 << 48) - 1),
        ] {
            let gaussian = Gaussian::new(n, d).unwrap();
            let mut entropy = Seeded::new(9);
            let mut bits = Bits::new(&mut entropy);
            for _ in 0..3_000 {
                gaussian.draw(&mut bits);
            }
            let bound = 60.0 + 4.0 * ((n as f64 / d as f64).sqrt() + 1.0).log2();
            let each = bits.used as f64 / 3_000.0;
            assert!(each < bound, "{n}/{d}: {each} bits");
        }
    }

    #[test]
    fn gaussian_outside_its_bounds_is_refused_before_a_draw() {
        assert_eq!(Gaussian::new(0, 1), Err(GaussianError::NotPositive));
        assert_eq!(Gaussian::new(1, 0), Err(GaussianError::NotPositive));
        assert_eq!(Gaussian::new(u64::MAX, 1), Err(GaussianError::TooLarge));
        assert_eq!(Gaussian::new(1, (1 << 48) + 1), Err(GaussianError::TooLarge));
    }

    proptest! {
        /// Outcomes up to 2^14 standard deviations have an exact acceptance.
        #[test]
        fn gaussian_products_stay_within_their_bounds(
            n in 1_u64..=1 << 48, d in 1_u64..=1 << 48, few in 1_u64..=1 << 20, deviations in 0_u64..1 << 14,
        ) {
            for (n, d) in [(n, d), (few, d), (n, few), (1 << 48, 1), (1 << 48, 1 << 48), (1, 1 << 48)] {
                let gaussian = Gaussian::new(n, d).unwrap();
                let magnitude = u128::from(gaussian.scale.get()) * u128::from(deviations);
                let accepted = gaussian.acceptance(Signed { negative: false, magnitude });
                prop_assert!(accepted.is_some(), "{}/{} at {}", n, d, magnitude);
                prop_assert!(i64::try_from(magnitude).is_ok());
                let variance = n as f64 / d as f64;
                let x = (magnitude as f64 - variance / gaussian.scale.get() as f64).powi(2) / (2.0 * variance);
                let (whole, _) = accepted.unwrap();
                prop_assert!((whole as f64 - x).abs() <= 1.0 + x * 1e-9, "{} is not {}", whole, x);
            }
        }
    }
}
