//! The range of a measured column.

use serde::{Deserialize, Serialize};

use crate::scope::Finite;

/// The range to which contributions to sums and averages are clipped. INVARIANT: `low < high`, the width is finite, and the step is
/// above zero and at most the width.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawRange", into = "RawRange")]
pub struct Range {
    low: Finite,
    high: Finite,
    step: Option<Finite>,
}

/// A range that was not checked.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawRange {
    /// The least value.
    pub low: f64,
    /// The greatest value.
    pub high: f64,
    /// The distance of the values that noise is added to, in the unit of the column; `None` if it is not declared.
    pub step: Option<f64>,
}

impl Range {
    /// The range from `low` to `high`, in the unit of the column.
    ///
    /// # Errors
    /// [`InvalidRange`] states what is wrong.
    pub fn new(low: f64, high: f64, step: Option<f64>) -> Result<Self, InvalidRange> {
        let finite = |number| Finite::new(number).map_err(|_| InvalidRange::NotFinite);
        let range = Self {
            low: finite(low)?,
            high: finite(high)?,
            step: step.map(finite).transpose()?,
        };
        if range.low >= range.high {
            Err(InvalidRange::Empty)
        } else if !range.width().is_finite() {
            Err(InvalidRange::NotFinite)
        } else if range
            .step
            .is_some_and(|step| step.get() <= 0.0 || step.get() > range.width())
        {
            Err(InvalidRange::Step)
        } else {
            Ok(range)
        }
    }

    /// The least value.
    pub const fn low(&self) -> f64 {
        self.low.get()
    }

    /// The greatest value.
    pub const fn high(&self) -> f64 {
        self.high.get()
    }

    /// The distance of the values that noise is added to.
    pub fn step(&self) -> Option<f64> {
        self.step.map(Finite::get)
    }

    /// The greatest minus the least value: how much one contribution can change a sum.
    pub fn width(&self) -> f64 {
        self.high() - self.low()
    }

    /// The nearest number in the range; `None` for NaN, which is a missing value.
    pub fn clip(&self, number: f64) -> Option<f64> {
        (!number.is_nan()).then(|| number.clamp(self.low(), self.high()) + 0.0)
    }
}

impl TryFrom<RawRange> for Range {
    type Error = InvalidRange;
    fn try_from(raw: RawRange) -> Result<Self, InvalidRange> {
        Self::new(raw.low, raw.high, raw.step)
    }
}

impl From<Range> for RawRange {
    fn from(range: Range) -> Self {
        Self {
            low: range.low(),
            high: range.high(),
            step: range.step(),
        }
    }
}

/// Numbers that are not a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRange {
    /// The least value is not below the greatest.
    #[error("the low end of the range must be below its high end")]
    Empty,
    /// A number or the width is NaN or infinite.
    #[error("the ends, the width and the step of a range must be finite")]
    NotFinite,
    /// The step is not above zero, or is wider than the range.
    #[error("the step of a range must be above zero and at most its width")]
    Step,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn range_that_is_none_is_refused() {
        for (low, high, step, error) in [
            (1.0, 1.0, None, InvalidRange::Empty),
            (0.0, -0.0, None, InvalidRange::Empty),
            (2.0, 1.0, None, InvalidRange::Empty),
            (f64::NAN, 1.0, None, InvalidRange::NotFinite),
            (0.0, f64::INFINITY, None, InvalidRange::NotFinite),
            (-f64::MAX, f64::MAX, None, InvalidRange::NotFinite),
            (0.0, 1.0, Some(f64::NAN), InvalidRange::NotFinite),
            (0.0, 1.0, Some(0.0), InvalidRange::Step),
            (0.0, 1.0, Some(-1.0), InvalidRange::Step),
            (0.0, 1.0, Some(1.5), InvalidRange::Step),
        ] {
            assert_eq!(Range::new(low, high, step), Err(error), "{low} {high} {step:?}");
        }
        assert!(Range::new(-0.0, 1.0, Some(1.0)).is_ok());
    }

    #[test]
    fn range_clips_infinities_and_has_no_nan() {
        let range = Range::new(-1.0, 2.0, None).unwrap();
        assert_eq!(range.clip(f64::INFINITY), Some(2.0));
        assert_eq!(range.clip(f64::NEG_INFINITY), Some(-1.0));
        assert_eq!(range.clip(1.5), Some(1.5));
        assert_eq!(range.clip(-0.0).map(f64::to_bits), Some(0));
        assert_eq!(range.clip(f64::NAN), None);
    }
}
