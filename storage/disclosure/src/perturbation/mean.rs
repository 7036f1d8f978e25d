//! Means and numbers of rows with noise.

use concordat_protocol::scope::Finite;

use super::count::Perturbation;
use super::key::CellKey;
use super::labels;
use super::noisy::{Noisy, as_f64};
use super::scale::{Scale, exponent_of_two};

/// A released mean is a multiple of this part of the scale divided by the number of units: 2^-10.
const GRID_EXPONENT: i32 = -10;

/// What is known of a set before noise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// How many subjects contribute.
    pub subjects: u64,
    /// How many contributions there are, at most one for each unit: the number that a mean is divided by.
    pub units: u64,
    /// The sum of the contributions, each of them clipped.
    pub total: Finite,
    /// The largest magnitude of what one subject contributes.
    pub largest: Finite,
    /// How large that can be.
    pub scale: Scale,
}

impl Perturbation {
    /// The mean of the contributions, with noise: `(total + step · g) / units`, where `step` is the magnitude of the largest
    /// contribution, rounded up to a step of the scale, and `g` has a mean of zero, a standard deviation of one, or of that of a count where the noise
    /// is for a number of answers, and is below three of them, or below five.
    ///
    /// `released` is the number of units as it is released, from [`Perturbation::count`] or [`Perturbation::rows`]. `figure` names what
    /// is averaged, in one form: the column, its range, and the power. Each figure of a set has noise of its own. `None` if the set is
    /// below its threshold, has no unit, or the largest contribution is beyond the scale.
    ///
    /// The result is rounded to a grid that is far finer than the noise and far coarser than the digits of a float, and is computed from
    /// what is released. Without that it would be a fraction of which the number of units is the denominator.
    pub fn mean(&self, measured: &Measured, released: Noisy, key: &CellKey, figure: &[u8]) -> Option<Noisy> {
        let Measured {
            subjects,
            units,
            total,
            largest,
            scale,
        } = *measured;
        if subjects < self.threshold(key) || units == 0 || released.value < 1.0 {
            return None;
        }
        let step = scale.step(largest.get().abs())?;
        let deviation = step * self.contribution_deviation();
        let magnitude = scale.magnitude().to_bits().to_le_bytes();
        let mut parts = vec![figure, magnitude.as_slice()];
        parts.extend(self.drawn_by());
        let noise = deviation * self.contributions().draw(key, labels::MEAN, &parts);
        let grid = step * exponent_of_two(GRID_EXPONENT) / power_of_two_above(whole(released.value));
        let value = ((total.get() + noise) / as_f64(units) / grid).round() * grid;
        let standard_deviation = deviation / released.value;
        value.is_finite().then_some(Noisy {
            value,
            standard_deviation,
        })
    }

    /// The number of rows of a set of subjects, with noise in proportion to the rows of the subject that has `most`, rounded as counts
    /// are. `None` if the set is below its threshold.
    ///
    /// The deviations of [`Perturbation::count`] hide one row, but not a subject with many.
    pub fn rows(&self, subjects: u64, rows: u64, most: u64, key: &CellKey) -> Option<Noisy> {
        if subjects < self.threshold(key) {
            return None;
        }
        let step = power_of_two_above(most);
        let deviation = step * self.contribution_deviation();
        let noise = deviation * self.contributions().draw(key, labels::ROWS, self.drawn_by().as_slice());
        let noisy = whole((as_f64(rows) + noise).round().max(0.0));
        Some(Noisy {
            value: as_f64(self.rounded(noisy, key)),
            standard_deviation: (deviation * deviation + self.rounding_variance()).sqrt(),
        })
    }
}

/// The smallest power of two that is not below `number`.
fn power_of_two_above(number: u64) -> f64 {
    number.checked_next_power_of_two().map_or(exponent_of_two(64), as_f64)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a number beyond `u64` becomes its largest, and one below zero is zero"
)]
const fn whole(number: f64) -> u64 {
    number as u64
}
