//! Whether few subjects make up so much of a sum that it shows what they contribute.
//!
//! 1. Each subject's contribution is clipped to the range of the column, by [`WholeClip`] or [`RealClip`], which gives its [`Magnitude`].
//! 2. [`Contributions`] keeps the largest ones and the sum of all, in whole numbers, so that the order does not matter.
//! 3. [`Dominance`] compares them: the (n, k) rule and the p % rule (Hundepool et al., Statistical Disclosure Control, 2012, section 4.2).

mod contributions;
mod magnitude;
mod rule;

pub use contributions::Contributions;
pub use magnitude::{InvalidClip, Magnitude, RealClip, WholeClip};
pub use rule::{Dominance, DominanceError};

#[cfg(test)]
mod tests;
