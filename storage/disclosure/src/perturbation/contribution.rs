//! Noise in proportion to contributions: a mean of zero, a standard deviation of one, and never three or more, or five or more where the noise is for a
//! number of answers.

use super::key::CellKey;
use super::noisy::as_f64;
use super::scale::exponent_of_two;
use super::table::{Distribution, TableError};

/// Outcomes of the table for each standard deviation.
const RESOLUTION: f64 = 64.0;
/// The largest outcome: with what is added between two, the noise is below three standard deviations, and below five for a number of answers.
const LARGEST: i32 = 191;
const LARGEST_FOR_ANSWERS: i32 = 319;

/// A table of outcomes, and numbers between two of them.
#[derive(Clone, Debug)]
pub(super) struct ContributionNoise(Distribution);

impl ContributionNoise {
    /// # Errors
    /// [`TableError`] if no distribution was found.
    pub(super) fn solve(is_for_answers: bool) -> Result<Self, TableError> {
        // What is added between two outcomes has a variance of one in twelve.
        let variance = RESOLUTION * RESOLUTION - 1.0 / 12.0;
        let largest = if is_for_answers { LARGEST_FOR_ANSWERS } else { LARGEST };
        Ok(Self(Distribution::solve(-largest, largest, variance)?))
    }

    /// An outcome of the table and a number between it and the next, evenly distributed.
    ///
    /// Without the latter the noise would be one of some hundred numbers, and the rest of a division by their distance would show digits of the
    /// total.
    pub(super) fn draw(&self, key: &CellKey, label: &[u8], parts: &[&[u8]]) -> f64 {
        let (outcome, between) = key.noise_draw(label, parts);
        let fraction = (as_f64(between) + 0.5) * exponent_of_two(-52) - 0.5;
        (f64::from(self.0.deviation(outcome)) + fraction) / RESOLUTION
    }
}

#[cfg(test)]
impl ContributionNoise {
    /// The probabilities of the outcomes, in units of 2^-32, and the number of outcomes in a standard deviation.
    pub(super) fn weights(&self) -> (Vec<(i32, u64)>, f64) {
        (self.0.weights(), RESOLUTION)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table is symmetric and the same on every machine: a change of it is a change of all noise.
    #[test]
    fn contribution_table_is_symmetric_and_never_changes() {
        let weights = ContributionNoise::solve(false).unwrap().0.weights();
        assert_eq!(weights.len(), 383);
        let mirrored = weights.iter().rev().map(|(outcome, weight)| (-outcome, *weight));
        assert!(weights.iter().copied().eq(mirrored));
        let square: f64 = weights
            .iter()
            .map(|(outcome, weight)| f64::from(outcome * outcome) * *weight as f64)
            .sum();
        let variance = square / 2.0_f64.powi(32) + 1.0 / 12.0;
        assert!((variance / (RESOLUTION * RESOLUTION) - 1.0).abs() < 1e-7, "{variance}");
        let text = format!("{weights:?}");
        assert_eq!(
            blake3::hash(text.as_bytes()).to_hex().as_str(),
            "f313e3a79f275a23cab151e3981a688728c9deb1c921c0c101b80c06b53283a8"
        );
    }
}
