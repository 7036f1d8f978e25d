//! By which numbers noise of contributions is multiplied.

use concordat_protocol::scope::Finite;

/// How large the contribution of a subject can be, by what the collection declares: the larger magnitude of both ends of a range, or half
/// of the range for contributions that are counted from its middle, which have less noise. Where a subject has several rows it is what all
/// of them can add up to. INVARIANT: positive, and its multiples by 2^-100 to 2^50 are normal numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale(f64);

/// A range for which there is no noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the magnitude of contributions must be between 10^-250 and 10^250")]
pub struct InvalidScale;

impl Scale {
    /// Contributions of at most this magnitude.
    ///
    /// # Errors
    /// [`InvalidScale`] if it is not positive, or too small or large to be multiplied.
    pub fn new(magnitude: Finite) -> Result<Self, InvalidScale> {
        let magnitude = magnitude.get();
        if (1e-250..=1e250).contains(&magnitude) {
            Ok(Self(magnitude))
        } else {
            Err(InvalidScale)
        }
    }

    /// The magnitude.
    pub const fn magnitude(self) -> f64 {
        self.0
    }

    /// Whether a contribution can be as large.
    pub(super) fn admits(self, largest: f64) -> bool {
        largest <= self.0
    }
}

/// `2^exponent`, exactly, for exponents of -1022 to 1023.
pub(super) fn exponent_of_two(exponent: i32) -> f64 {
    f64::from_bits(u64::from((exponent + 1023).unsigned_abs()) << 52)
}
