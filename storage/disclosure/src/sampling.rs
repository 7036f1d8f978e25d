//! Exact samplers of discrete distributions, in integer arithmetic only (Canonne, Kamath, Steinke: The Discrete Gaussian for
//! Differential Privacy, 2020, algorithms 1 to 3).
//!
//! A sampler in floating point has gaps in its outcomes, and the gaps show the value to which the noise was added (Mironov 2012). Here
//! no draw uses a floating point number, and each outcome has exactly its probability:
//!
//! 1. [`bits`]: bits of an [`Entropy`](crate::Entropy), one after the other.
//! 2. [`bernoulli`]: yes or no with a rational probability, and with probability `exp(-x)` for a rational `x`.
//! 3. [`laplace`]: whole numbers with probabilities in proportion to `exp(-|y| / t)`.
//! 4. [`gaussian`]: whole numbers with probabilities in proportion to `exp(-y² / 2σ²)`, by rejection from 3.
//!
//! How long a draw takes depends on its outcome. The caller draws before it chooses when the answer leaves.

mod bernoulli;
mod bits;
mod gaussian;
mod laplace;
#[cfg(test)]
pub(crate) mod reference;

pub use gaussian::{Gaussian, GaussianError};
