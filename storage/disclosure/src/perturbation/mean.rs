//! Means and sums with noise.

use concordat_protocol::scope::Finite;

use super::count::Perturbation;
use super::key::CellKey;
use super::labels;
use super::scale::{Scale, exponent_of_two};
use super::table::{Distribution, TableError};

/// Outcomes of the noise for each standard deviation.
const RESOLUTION: f64 = 64.0;
/// The largest outcome: with what is added between two, the noise is below three standard deviations.
const LARGEST: i32 = 191;
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

/// A figure with noise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Noisy {
    /// The figure.
    pub value: f64,
    /// The standard deviation of its noise, computed from what is released.
    pub standard_deviation: f64,
}

impl Perturbation {
    /// The mean of the contributions, with noise: `(total + step · g) / units`, where `step` is the magnitude of the largest contribution, rounded
    /// up to a step of the scale, and `g` has a mean of zero, a standard deviation of one, and `|g| < 3`.
    ///
    /// `figure` names what is averaged, in one form: the column, its range, and the power. Each figure of a set has noise of its own. `None` if
    /// the set is below its threshold, has no unit, or the largest contribution is beyond the scale.
    ///
    /// The result is rounded to a grid that is far finer than the noise and far coarser than the digits of a float. Without that it would be a
    /// fraction of which the number of units is the denominator.
    pub fn mean(&self, measured: &Measured, key: &CellKey, figure: &[u8]) -> Option<Noisy> {
        let Measured {
            subjects,
            units,
            total,
            largest,
            scale,
        } = *measured;
        let released = self.count(subjects, key).filter(|_| units > 0)?;
        let step = scale.step(largest.get().abs())?;
        let noise =
            step * self.contribution_noise(key, labels::MEAN, &[figure, &scale.magnitude().to_bits().to_le_bytes()]);
        // The grid depends on what is released only, and the exact number on none of it.
        let grid = step * exponent_of_two(GRID_EXPONENT) / power_of_two_above(released);
        let value = ((total.get() + noise) / as_f64(units) / grid).round() * grid;
        let standard_deviation = step / as_f64(released);
        value.is_finite().then_some(Noisy {
            value,
            standard_deviation,
        })
    }

    /// The sum that belongs to a released mean and a released number of units: their product.
    ///
    /// It is computed from what is released, so that a mean and a sum together show no more than a mean and a count. With noise of its own, or
    /// with the noise of the mean, their quotient would be the number of units with little or no noise.
    pub fn sum(&self, mean: Noisy, units: u64) -> Option<Noisy> {
        let count = as_f64(units);
        let value = mean.value * count;
        let of_mean = mean.standard_deviation * count;
        let of_count = mean.value * self.count_deviation();
        let standard_deviation = (of_mean * of_mean + of_count * of_count).sqrt();
        value.is_finite().then_some(Noisy {
            value,
            standard_deviation,
        })
    }

    /// The number of rows of a set of subjects, with noise in proportion to the rows of the subject that has most, rounded as counts are. `None`
    /// if the set is below its threshold.
    ///
    /// Deviations of a count hide one row, but not a subject with many.
    pub fn rows(&self, subjects: u64, rows: u64, most: u64, key: &CellKey) -> Option<u64> {
        let least = self.count(subjects, key)?;
        let step = power_of_two_above(most);
        let noise = step * self.contribution_noise(key, labels::ROWS, &[]);
        let noisy = (as_f64(rows) + noise).round().max(0.0);
        // Each subject of the set has a row.
        Some(self.rounded(whole(noisy), key).max(least))
    }

    /// An outcome of the table and a number between two of them, evenly distributed: a mean of zero, a standard deviation of one.
    ///
    /// Without the latter the noise would be one of 383 numbers, and the rest of a division by their distance would show digits of the total.
    fn contribution_noise(&self, key: &CellKey, label: &[u8], parts: &[&[u8]]) -> f64 {
        let (outcome, between) = key.noise_draw(label, parts);
        let fraction = (as_f64(between) + 0.5) * exponent_of_two(-52) - 0.5;
        (f64::from(self.contributions().deviation(outcome)) + fraction) / RESOLUTION
    }
}

/// The variance of a measure from the noisy means of its square and of itself, both counted from the same middle; `None` if it is not positive,
/// which the noise of small sets can lead to.
pub fn variance(mean_of_square: Noisy, mean: Noisy) -> Option<f64> {
    let found = mean_of_square.value - mean.value * mean.value;
    (found > 0.0 && found.is_finite()).then_some(found)
}

/// The distribution of outcomes, of which a standard deviation has [`RESOLUTION`]. What is added between two has a variance of one in twelve.
pub(super) fn contribution_table() -> Result<Distribution, TableError> {
    Distribution::solve(-LARGEST, LARGEST, RESOLUTION * RESOLUTION - 1.0 / 12.0)
}

/// The smallest power of two that is not below `number`.
fn power_of_two_above(number: u64) -> f64 {
    number.checked_next_power_of_two().map_or(exponent_of_two(64), as_f64)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts are below 2^53; above it noise is larger than what is lost"
)]
const fn as_f64(number: u64) -> f64 {
    number as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "not negative; a number beyond `u64` is its largest"
)]
const fn whole(number: f64) -> u64 {
    number as u64
}
