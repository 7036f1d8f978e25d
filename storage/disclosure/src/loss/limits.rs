//! What a grant allows to be spent.

use serde::{Deserialize, Serialize};

use super::rho::{DeltaExponent, MicroRho};

/// What one query may spend, what all queries may spend together, and the delta of what is shown. INVARIANT: `query <= total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawLossLimits", into = "RawLossLimits")]
pub struct LossLimits {
    query: MicroRho,
    total: MicroRho,
    delta: DeltaExponent,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLossLimits {
    query: MicroRho,
    total: MicroRho,
    delta: DeltaExponent,
}

/// Limits that contradict each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("one query may not spend more of the loss of privacy than all queries together")]
pub struct LossLimitsError;

impl LossLimits {
    /// Checks that one query spends at most the total.
    ///
    /// # Errors
    /// [`LossLimitsError`] if it may spend more.
    pub fn new(query: MicroRho, total: MicroRho, delta: DeltaExponent) -> Result<Self, LossLimitsError> {
        if query > total {
            return Err(LossLimitsError);
        }
        Ok(Self { query, total, delta })
    }

    /// The most that one query may spend.
    pub const fn query(&self) -> MicroRho {
        self.query
    }

    /// The most that all queries may spend together.
    pub const fn total(&self) -> MicroRho {
        self.total
    }

    /// At which delta an epsilon is stated.
    pub const fn delta(&self) -> DeltaExponent {
        self.delta
    }

    /// The widest limits inside both: the smaller losses, and the smaller delta.
    #[must_use]
    pub fn meet(&self, other: &Self) -> Self {
        // The smaller query is at most either total, because each query is at most its own.
        Self {
            query: self.query.min(other.query),
            total: self.total.min(other.total),
            delta: self.delta.max(other.delta),
        }
    }
}

impl TryFrom<RawLossLimits> for LossLimits {
    type Error = LossLimitsError;
    fn try_from(raw: RawLossLimits) -> Result<Self, LossLimitsError> {
        Self::new(raw.query, raw.total, raw.delta)
    }
}

impl From<LossLimits> for RawLossLimits {
    fn from(limits: LossLimits) -> Self {
        Self {
            query: limits.query,
            total: limits.total,
            delta: limits.delta,
        }
    }
}
