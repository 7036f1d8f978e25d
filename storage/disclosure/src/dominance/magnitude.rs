//! Sizes of contributions.

use concordat_protocol::scope::Finite;

/// A magnitude is counted in parts of the largest one that the range admits: 2^-52 of it, so that each part is a whole number.
const PARTS: f64 = 4_503_599_627_370_496.0;

/// The absolute value of a clipped contribution, between two whole numbers: a whole number exactly, a real number to one part in 2^52 of
/// the range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Magnitude {
    upper: u64,
    lower: u64,
}

impl Magnitude {
    pub(super) const ZERO: Self = Self { upper: 0, lower: 0 };

    /// A size of which as many whole units are known, and whether there may be a part of one more.
    pub(super) fn of_units(units: u64, has_rest: bool) -> Self {
        Self {
            upper: units.saturating_add(u64::from(has_rest)),
            lower: units,
        }
    }

    /// It is at most this.
    pub(super) const fn upper(self) -> u64 {
        self.upper
    }

    /// It is at least this.
    pub(super) const fn lower(self) -> u64 {
        self.lower
    }
}

/// A range that does not begin below its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a range of contributions begins below its end")]
pub struct InvalidClip;

/// The range that whole numbers are clipped to. INVARIANT: `low < high`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WholeClip {
    low: i64,
    high: i64,
}

impl WholeClip {
    /// Contributions below `low` count as `low`, those above `high` as `high`.
    ///
    /// # Errors
    /// [`InvalidClip`] if `low` is not below `high`.
    pub const fn new(low: i64, high: i64) -> Result<Self, InvalidClip> {
        if low < high {
            Ok(Self { low, high })
        } else {
            Err(InvalidClip)
        }
    }

    /// The size of a contribution.
    pub fn magnitude(&self, contribution: i64) -> Magnitude {
        // `low <= high` by INVARIANT, without which this would panic.
        let size = contribution.clamp(self.low, self.high).unsigned_abs();
        Magnitude {
            upper: size,
            lower: size,
        }
    }
}

/// The range that real numbers are clipped to. INVARIANT: `low < high`, and `bound` is the larger of their magnitudes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RealClip {
    low: f64,
    high: f64,
    bound: f64,
}

impl RealClip {
    /// Contributions below `low` count as `low`, those above `high` as `high`.
    ///
    /// # Errors
    /// [`InvalidClip`] if `low` is not below `high`.
    pub fn new(low: Finite, high: Finite) -> Result<Self, InvalidClip> {
        if low >= high {
            return Err(InvalidClip);
        }
        let (low, high) = (low.get(), high.get());
        Ok(Self {
            low,
            high,
            bound: low.abs().max(high.abs()),
        })
    }

    /// The size of a contribution; `None` for one that is not a number or is infinite, which counts as missing.
    pub fn magnitude(&self, contribution: f64) -> Option<Magnitude> {
        if !contribution.is_finite() {
            return None;
        }
        let size = contribution.clamp(self.low, self.high).abs();
        if size == 0.0 {
            return Some(Magnitude::ZERO);
        }
        // At most 2^52, so the next whole numbers are exact, and the division is wrong by less than one of them.
        let parts = whole(size / self.bound * PARTS);
        Some(Magnitude {
            upper: parts + 1,
            lower: parts.saturating_sub(1),
        })
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "of 0 to 2^52")]
const fn whole(parts: f64) -> u64 {
    parts as u64
}
