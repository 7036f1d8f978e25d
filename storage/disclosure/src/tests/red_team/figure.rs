//! Figures as an attacker reads them.

use std::ops::{Add, Mul, Sub};

/// Less variance is that of rounding.
const EXACT: f64 = 1e-3;

/// A figure, or what is computed of figures: a value, and the variance of its noise, which each answer states.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Figure {
    pub(super) value: f64,
    pub(super) variance: f64,
}

impl Figure {
    pub(super) const fn exact(value: f64) -> Self {
        Self { value, variance: 0.0 }
    }

    pub(super) fn is_exact(&self) -> bool {
        self.variance < EXACT
    }

    /// The mean of figures with independent noise; `None` of none.
    pub(super) fn mean(figures: &[Self]) -> Option<Self> {
        let first = figures.first()?;
        let sum = figures[1..].iter().fold(*first, |sum, figure| sum + *figure);
        Some(sum * (1.0 / figures.len() as f64))
    }

    /// The mean of estimates of one number, by their precision; `None` of none. One without noise is the number.
    pub(super) fn combined(estimates: &[Self]) -> Option<Self> {
        if let Some(exact) = estimates.iter().find(|estimate| estimate.is_exact()) {
            return Some(*exact);
        }
        let precision: f64 = estimates.iter().map(|estimate| 1.0 / estimate.variance).sum();
        let weighted: f64 = estimates
            .iter()
            .map(|estimate| estimate.value / estimate.variance)
            .sum();
        (precision > 0.0).then(|| Self {
            value: weighted / precision,
            variance: 1.0 / precision,
        })
    }

    /// An estimate of 0 or 1: how much more likely it is of 1, as the logarithm of the ratio.
    pub(super) fn evidence(&self) -> f64 {
        if !self.is_exact() {
            return (self.value - 0.5) / self.variance;
        }
        if self.value > 0.5 {
            f64::INFINITY
        } else {
            f64::NEG_INFINITY
        }
    }

    /// An estimate that is as likely of 1 as `evidence` states. It is never exact.
    pub(super) fn of_evidence(evidence: f64) -> Self {
        let value = if evidence > 0.0 { 1.0 } else { 0.0 };
        let variance = 0.5 / evidence.abs();
        Self {
            value,
            variance: variance.max(2.0 * EXACT),
        }
    }
}

impl Add for Figure {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self {
            value: self.value + other.value,
            variance: self.variance + other.variance,
        }
    }
}

impl Sub for Figure {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        let Self { variance, .. } = Add::add(self, other);
        Self {
            value: self.value - other.value,
            variance,
        }
    }
}

impl Mul<f64> for Figure {
    type Output = Self;
    fn mul(self, factor: f64) -> Self {
        Self {
            value: self.value * factor,
            variance: self.variance * factor.powi(2),
        }
    }
}
