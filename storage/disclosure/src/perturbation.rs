//! Noise of the perturbed mode: it is a function of the set of subjects, so a set has the same noise each time (Fraser, Wooton 2005).
//!
//! 1. The record keys of the units of a set are added: [`KeySum`]. The collection's [`CellSecret`] gives the [`CellKey`] of the sum.
//! 2. Sets below [`Perturbation::threshold`] are withheld.
//! 3. [`Perturbation::count`] adds a deviation from a [table], and rounds afterward.
//! 4. [`Perturbation::mean`] adds noise in proportion to the largest contribution. A sum is the mean times the released count:
//!    [`Noisy::sum_of`].
//!
//! What follows from the method:
//!
//! - Two sets that differ in one unit have unrelated noise, so a difference of two counts has the noise of both.
//! - That two sets are equal shows, because their noise is equal.
//! - Noise is averaged away by counts of many different sets whose true values are related, such as the totals of many partitions. The
//!   number of queries limits that, not the noise.

mod contribution;
mod count;
mod key;
mod labels;
mod mean;
mod noisy;
mod scale;
mod table;

pub use count::Perturbation;
pub use key::{CellKey, CellSecret, KeySum};
pub use mean::Measured;
pub use noisy::{Noisy, variance};
pub use scale::{InvalidScale, Scale};
pub use table::TableError;

#[cfg(test)]
mod tests;
