//! A loss as epsilon and delta.

use std::fmt;

use concordat_protocol::scope::{DeltaExponent, MicroRho};

/// An upper bound of epsilon, in millionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Epsilon(u64);

/// The natural logarithm of ten, 2.302585092994045684…, rounded up to 10^-15.
const LN_10: u128 = 2_302_585_092_994_046;
const LN_10_PARTS: u128 = 1_000_000_000_000_000;

impl Epsilon {
    /// Of `spent` millionths of `rho` at this delta: `rho + 2 √(rho ln(1/delta))` (Bun, Steinke 2016, proposition 1.3), rounded up.
    ///
    /// There is no floating point number in it: the logarithm is a rational number that was rounded up, and the root is the smallest whole
    /// number whose square is not below the product. A loss that is too large for that is [`u64::MAX`] millionths.
    pub fn of(spent: u64, delta: DeltaExponent) -> Self {
        Self(Self::millionths(spent, delta).unwrap_or(u64::MAX))
    }

    fn millionths(spent: u64, delta: DeltaExponent) -> Option<u64> {
        // ε·10^6 = s + √(4 · s·10^6 · n · ln 10), for s = rho·10^6 and delta = 10^-n.
        let product = u128::from(spent)
            .checked_mul(4 * u128::from(MicroRho::PER_RHO) * u128::from(delta.get()))?
            .checked_mul(LN_10)?
            .div_ceil(LN_10_PARTS);
        let floor = product.isqrt();
        let root = floor + u128::from(floor * floor < product);
        u64::try_from(root).ok()?.checked_add(spent)
    }

    /// In millionths.
    pub const fn as_millionths(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Epsilon {
    /// With all six decimals: fewer would have to be rounded up again.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}
