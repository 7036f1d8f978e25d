//! Figures with noise, and what is computed of them alone.

/// A figure with noise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Noisy {
    /// The figure.
    pub value: f64,
    /// The standard deviation of its noise, as far as it follows from what is released.
    pub standard_deviation: f64,
}

impl Noisy {
    /// The sum that belongs to this mean and a released number of units: their product.
    ///
    /// It is computed from what is released, so that a mean and a sum together show no more than a mean and a count. With noise of its
    /// own, or with the noise of the mean, their quotient would be the number of units with little or no noise.
    pub fn sum_of(self, units: Self) -> Option<Self> {
        let value = self.value * units.value;
        let of_mean = self.standard_deviation * units.value;
        let of_units = self.value * units.standard_deviation;
        let standard_deviation = (of_mean * of_mean + of_units * of_units).sqrt();
        (value.is_finite() && standard_deviation.is_finite()).then_some(Self {
            value,
            standard_deviation,
        })
    }
}

/// The variance of a measure from the noisy means of its square and of itself, both counted from the same middle; `None` if it is not
/// positive, which the noise of small sets can lead to.
pub fn variance(mean_of_square: Noisy, mean: Noisy) -> Option<f64> {
    let found = mean_of_square.value - mean.value * mean.value;
    (found > 0.0 && found.is_finite()).then_some(found)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts are below 2^53; above it noise is larger than what is lost"
)]
pub(super) const fn as_f64(number: u64) -> f64 {
    number as f64
}
