//! Intervals of figures with noise.

use crate::exponential::exp;
use crate::sampling::Gaussian;

/// Up to this variance the probabilities are added; above it the interval is wider than the exact one by at most one in 1,024.
const LARGEST_EXACT: f64 = 1024.0 * 1024.0;
/// How many outcomes outside the interval there may be: one in twenty.
const OUTSIDE: f64 = 0.05;
/// More than what additions of at most 40,000 numbers, each of which is exact to 2^-50, can be wrong by.
const MARGIN: f64 = 1e-9;
/// The quantile of the normal distribution for 97.5 %, rounded up.
const NORMAL_QUANTILE: f64 = 1.959_963_984_540_1;

/// The smallest `h` for which at least 95 % of the draws are within `-h..=h`: value `± h` contains the figure without noise that often.
///
/// Up to a variance of 2^20 it is the exact quantile of the distribution. Above it is the one of the normal distribution, rounded up,
/// which is never less: the draws at `m` or above are a sum below the integral of the density from `m - 1` on, and by Poisson's formula
/// the sum over all whole numbers, by which it is divided, is not below the integral over all numbers.
pub fn half_width(noise: &Gaussian) -> u64 {
    let (numerator, denominator) = noise.variance();
    // Both are at most 2^48, so they are exact as `f64`.
    let variance = as_f64(numerator) / as_f64(denominator);
    let bound = as_u64((variance.sqrt() * NORMAL_QUANTILE * (1.0 + MARGIN)).ceil());
    if variance > LARGEST_EXACT {
        bound
    } else {
        exact(variance, bound)
    }
}

/// Adds the probabilities from the tail inward, smallest first, as long as the tail is certain to be one in twenty or less.
fn exact(variance: f64, bound: u64) -> u64 {
    let relative = |outcome: u64| exp(-(as_f64(outcome) * as_f64(outcome)) / (2.0 * variance));
    // Twelve standard deviations: less than 10^-31 is further out, which the margin covers.
    let last = as_u64((variance.sqrt() * 12.0).ceil()).max(bound) + 1;
    let total = 1.0 + 2.0 * (1..=last).rev().map(relative).sum::<f64>();
    let allowed = OUTSIDE * total * (1.0 - MARGIN);
    let mut tail = 0.0;
    let mut width = last;
    while width > 0 {
        tail += 2.0 * relative(width);
        if tail > allowed {
            break;
        }
        width -= 1;
    }
    width
}

#[expect(clippy::cast_precision_loss, reason = "at most 2^48, which is exact")]
const fn as_f64(number: u64) -> f64 {
    number as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a whole number of at most 12 standard deviations, below 2^28"
)]
const fn as_u64(number: f64) -> u64 {
    number as u64
}
