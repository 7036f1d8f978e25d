//! Amounts of loss, and what epsilon is stated at.

use serde::{Deserialize, Serialize};

/// A loss of privacy, in millionths of the `rho` of zero-concentrated differential privacy: 1 to 100,000,000.
///
/// `rho` of 100 is an epsilon above 100, which protects nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct MicroRho(u64);

/// A number that is not a loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a loss of privacy is 1 to {} millionths of rho", MicroRho::MAX)]
pub struct InvalidRho;

impl MicroRho {
    /// How many of them are a `rho` of one.
    pub const PER_RHO: u64 = 1_000_000;
    /// The most there can be.
    pub const MAX: u64 = 100 * Self::PER_RHO;

    /// Checks the bounds.
    ///
    /// # Errors
    /// [`InvalidRho`] outside them.
    pub const fn new(millionths: u64) -> Result<Self, InvalidRho> {
        if millionths == 0 || millionths > Self::MAX {
            return Err(InvalidRho);
        }
        Ok(Self(millionths))
    }

    /// In millionths.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl TryFrom<u64> for MicroRho {
    type Error = InvalidRho;
    fn try_from(millionths: u64) -> Result<Self, InvalidRho> {
        Self::new(millionths)
    }
}

impl From<MicroRho> for u64 {
    fn from(rho: MicroRho) -> Self {
        rho.0
    }
}

/// The `n` of `delta = 10^-n`: 6 to 12.
///
/// A delta above one in a million admits releasing single subjects of a large collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct DeltaExponent(u8);

/// A number that is not an exponent of delta.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the exponent of delta is 6 to 12")]
pub struct InvalidDelta;

impl DeltaExponent {
    /// Checks the bounds.
    ///
    /// # Errors
    /// [`InvalidDelta`] outside them.
    pub const fn new(exponent: u8) -> Result<Self, InvalidDelta> {
        if exponent < 6 || exponent > 12 {
            return Err(InvalidDelta);
        }
        Ok(Self(exponent))
    }

    /// The exponent.
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl TryFrom<u8> for DeltaExponent {
    type Error = InvalidDelta;
    fn try_from(exponent: u8) -> Result<Self, InvalidDelta> {
        Self::new(exponent)
    }
}

impl From<DeltaExponent> for u8 {
    fn from(exponent: DeltaExponent) -> Self {
        exponent.0
    }
}
