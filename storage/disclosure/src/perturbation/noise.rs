//! How much noise counts get.

use serde::{Deserialize, Serialize};

/// Noise of counts: deviations with this variance, none larger than `max`, and multiples of `round`. INVARIANT: within the bounds of
/// [`Noise::new`], so that tables for it exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "RawNoise", into = "RawNoise")]
pub struct Noise {
    variance: u8,
    max: u8,
    round: u8,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawNoise {
    variance: u8,
    max: u8,
    round: u8,
}

/// Why there is no such noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoiseError {
    /// The variance is outside its bounds.
    #[error("the variance of noise is 1 to 16")]
    Variance,
    /// The largest deviation is outside its bounds.
    #[error("the largest deviation of noise is 2 to 20")]
    Max,
    /// The rounding is outside its bounds.
    #[error("counts are rounded to multiples of 1 to 10")]
    Round,
    /// No distribution has all of these properties.
    #[error("deviations of at most {max} cannot have a variance of {variance}: it has to be below {max} times {max}")]
    Infeasible {
        /// The variance.
        variance: u8,
        /// The largest deviation.
        max: u8,
    },
}

impl Noise {
    /// Checks the bounds: variance 1 to 16 and below `max²`, `max` 2 to 20, `round` 1 to 10.
    ///
    /// # Errors
    /// [`NoiseError`] states the bound. With a mean of zero the variance of deviations of at most `max` is at most `max²`, and if it is
    /// equal to that each deviation is `max`, so the rest of a division would show the count.
    pub const fn new(variance: u8, max: u8, round: u8) -> Result<Self, NoiseError> {
        if variance == 0 || variance > 16 {
            return Err(NoiseError::Variance);
        }
        if max < 2 || max > 20 {
            return Err(NoiseError::Max);
        }
        if round == 0 || round > 10 {
            return Err(NoiseError::Round);
        }
        if variance as u16 >= max as u16 * max as u16 {
            return Err(NoiseError::Infeasible { variance, max });
        }
        Ok(Self { variance, max, round })
    }

    /// The variance of deviations.
    pub const fn variance(&self) -> u8 {
        self.variance
    }

    /// The largest deviation.
    pub const fn max(&self) -> u8 {
        self.max
    }

    /// Released counts are multiples of it.
    pub const fn round(&self) -> u8 {
        self.round
    }

    /// The least noise that is at least both.
    #[must_use]
    pub fn meet(&self, other: &Self) -> Self {
        // The larger variance is below the square of its own `max`, and so below that of the larger.
        Self {
            variance: self.variance.max(other.variance),
            max: self.max.max(other.max),
            round: self.round.max(other.round),
        }
    }

    /// How far above the smallest target a count has to be: with deviations from `-gap` to `max` and a mean of zero, variances below
    /// `gap · max` exist. It is at most `max`, by INVARIANT.
    pub(super) const fn gap(&self) -> u8 {
        self.variance / self.max + 1
    }
}

impl Default for Noise {
    /// A standard deviation of 1.7, before rounding to multiples of five.
    fn default() -> Self {
        Self {
            variance: 3,
            max: 5,
            round: 5,
        }
    }
}

impl TryFrom<RawNoise> for Noise {
    type Error = NoiseError;
    fn try_from(raw: RawNoise) -> Result<Self, NoiseError> {
        Self::new(raw.variance, raw.max, raw.round)
    }
}

impl From<Noise> for RawNoise {
    fn from(noise: Noise) -> Self {
        Self {
            variance: noise.variance,
            max: noise.max,
            round: noise.round,
        }
    }
}
