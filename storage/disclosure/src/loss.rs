//! How much privacy the private mode spends: zero-concentrated differential privacy (Bun, Steinke 2016), in whole numbers.
//!
//! 1. A grant states a [`Loss`]: what one query may lose, what all may lose together, and the `delta` of what is shown to people.
//! 2. [`LossBudget::spend`] reserves the loss of a query before any data is read. A reservation is never returned, whatever becomes of
//!    the query.
//! 3. [`Reserved::split`] divides it evenly among the figures of the query, and a [`Portion`] gives the noise of one figure.
//! 4. [`Epsilon`] states a loss as `(epsilon, delta)`, rounded up.
//!
//! A loss is a count of millionths of `rho`, and losses add; no sum is rounded.

mod epsilon;
mod half_width;

use std::num::NonZeroU32;

use concordat_protocol::scope::{Loss, MicroRho};

use crate::sampling::{Gaussian, GaussianError};

pub use epsilon::Epsilon;
pub use half_width::half_width;

/// What was spent of the loss that a grant allows.
#[derive(Clone, Debug)]
pub struct LossBudget {
    limits: Loss,
    /// Millionths of `rho`.
    spent: u64,
}

/// A query would spend more than it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Spent {
    /// More than one query may spend.
    #[error(
        "the query would spend more of the loss of privacy than one query may: request fewer figures, or less accuracy"
    )]
    Query,
    /// More than is left.
    #[error(
        "the budget for the loss of privacy is used up: {left} millionths of rho are left of {total}, and this query would lose {asked}; a query \
         that was answered is answered again and loses nothing, and for others negotiate with the holder"
    )]
    Total {
        /// What is left, in millionths of `rho`.
        left: u64,
        /// What all queries may lose together, in millionths of `rho`.
        total: u64,
        /// What the query would lose, in millionths of `rho`.
        asked: u64,
    },
}

impl LossBudget {
    /// Nothing is spent.
    pub const fn new(limits: Loss) -> Self {
        Self { limits, spent: 0 }
    }

    /// As it was stored: `spent` millionths of `rho`. If that is more than `limits` allow, which may have become narrower since, nothing
    /// is left.
    pub const fn resumed(limits: Loss, spent: u64) -> Self {
        Self { limits, spent }
    }

    /// Reserves `rho`. Nothing is reserved if it fails.
    ///
    /// # Errors
    /// [`Spent`] if that is more than one query may spend, or than is left.
    pub fn spend(&mut self, rho: MicroRho) -> Result<Reserved, Spent> {
        if rho > self.limits.query() {
            return Err(Spent::Query);
        }
        let left = self.left();
        if rho.get() > left {
            return Err(Spent::Total {
                left,
                total: self.limits.total().get(),
                asked: rho.get(),
            });
        }
        // At most the total, because `rho` is at most what is left of it.
        self.spent = self.spent.saturating_add(rho.get());
        Ok(Reserved { rho })
    }

    /// What is spent, in millionths of `rho`: what is stored.
    pub const fn spent(&self) -> u64 {
        self.spent
    }

    /// What is left, in millionths of `rho`.
    pub const fn left(&self) -> u64 {
        self.limits.total().get().saturating_sub(self.spent)
    }

    /// What is spent, as epsilon at the delta of the limits.
    pub fn epsilon(&self) -> Epsilon {
        Epsilon::of(self.spent, self.limits.delta())
    }

    /// The limits.
    pub const fn limits(&self) -> Loss {
        self.limits
    }
}

/// Loss that one query may cause: the only source of noise for figures, and made by [`LossBudget::spend`] only.
#[derive(Debug)]
#[must_use = "what is reserved is spent, used or not"]
pub struct Reserved {
    rho: MicroRho,
}

impl Reserved {
    /// What is reserved.
    pub const fn rho(&self) -> MicroRho {
        self.rho
    }

    /// The same part for each of `figures` figures of the query. A figure is a linear function with one value a cell.
    pub fn split(self, figures: NonZeroU32) -> impl Iterator<Item = Portion> {
        (0..figures.get()).map(move |_| Portion { rho: self.rho, figures })
    }
}

/// The loss of one figure of a query.
#[derive(Debug)]
pub struct Portion {
    rho: MicroRho,
    figures: NonZeroU32,
}

impl Portion {
    /// The noise for the cells of this figure, one draw each. Consumes the portion, because the noise of a second figure is a loss of its
    /// own.
    ///
    /// `sensitivity_squared` is the largest square of the Euclidean distance by which one subject changes the values of all cells
    /// together: for a subject in at most `c` cells with contributions of `range` steps, `c · range²`. A loss of `rho` is a variance of
    /// that divided by `2 rho` (Canonne, Kamath, Steinke 2020, for the discrete Gaussian in several dimensions); where its parts are too
    /// large for the sampler it is rounded up to a whole number, which costs less.
    ///
    /// # Errors
    /// [`GaussianError`] if the variance is zero or too large.
    pub fn noise(self, sensitivity_squared: u64) -> Result<Gaussian, GaussianError> {
        let variance = u128::from(sensitivity_squared)
            .checked_mul(u128::from(self.figures.get()))
            .and_then(|product| product.checked_mul(u128::from(MicroRho::PER_RHO)))
            .ok_or(GaussianError::TooLarge)?;
        let divisor = 2 * u128::from(self.rho.get());
        let common = greatest_common_divisor(variance, divisor);
        let exact = (u64::try_from(variance / common), u64::try_from(divisor / common));
        if let (Ok(numerator), Ok(denominator)) = exact
            && let Ok(noise) = Gaussian::new(numerator, denominator)
        {
            return Ok(noise);
        }
        let rounded = u64::try_from(variance.div_ceil(divisor)).map_err(|_| GaussianError::TooLarge)?;
        Gaussian::new(rounded, 1)
    }
}

/// Of two numbers of which the second is not zero.
fn greatest_common_divisor(a: u128, b: u128) -> u128 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests;
