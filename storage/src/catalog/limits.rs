//! What a steward sets for a dataset: limits of answers at each tier, and how far sensitive columns may go.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::{NonZeroU16, NonZeroU32, NonZeroU64},
};

use concordat_protocol::{ids::ColumnName, scope::Tier};
use serde::{Deserialize, Serialize};

/// Longest time of a grant that can be set, in days: as long as a scope may last.
pub const MAX_DAYS: u16 = 1826;
/// A cell of fewer subjects is one person's.
pub const LEAST_MIN_CELL: u32 = 2;

/// Limits at one tier; what is not set is the node's default. None of them can be set to "no limit".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TierLimits {
    /// Fewest subjects behind a released cell.
    pub min_cell: Option<NonZeroU32>,
    /// Most queries of one grant in 24 hours.
    pub queries_per_day: Option<NonZeroU32>,
    /// Most rows in one answer.
    pub max_rows: Option<NonZeroU64>,
    /// Longest time of a grant, in days.
    pub days: Option<NonZeroU16>,
}

impl TierLimits {
    /// These limits, and `older` where nothing is set.
    #[must_use]
    pub fn or(self, older: Self) -> Self {
        Self {
            min_cell: self.min_cell.or(older.min_cell),
            queries_per_day: self.queries_per_day.or(older.queries_per_day),
            max_rows: self.max_rows.or(older.max_rows),
            days: self.days.or(older.days),
        }
    }

    fn is_valid(&self) -> bool {
        self.min_cell.is_none_or(|cell| cell.get() >= LEAST_MIN_CELL)
            && self.days.is_none_or(|days| days.get() <= MAX_DAYS)
    }
}

/// What a steward has decided about the answers of a dataset; nothing is in it until then.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReleaseRules {
    /// Limits by tier.
    pub limits: BTreeMap<Tier, TierLimits>,
    /// The highest tier at which sensitive columns leave; at none without it.
    pub sensitive: Option<Tier>,
    /// Columns that tell when a person was born, beside those that are called so.
    pub births: BTreeSet<ColumnName>,
}

impl ReleaseRules {
    /// What is set at `tier`.
    #[must_use]
    pub fn at(&self, tier: Tier) -> TierLimits {
        self.limits.get(&tier).copied().unwrap_or_default()
    }
}

/// A change to [`ReleaseRules`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReleaseChange {
    /// The tier whose limits are set; every tier without one.
    pub tier: Option<Tier>,
    /// The limits that are set; others stay.
    pub limits: TierLimits,
    /// How far sensitive columns go from now on, where that is changed.
    pub sensitive: Option<Option<Tier>>,
    /// Further columns that tell when a person was born.
    pub births: BTreeSet<ColumnName>,
}

impl ReleaseChange {
    /// The rules as they are after this change.
    ///
    /// # Errors
    /// [`InvalidLimits`] for a limit that protects nobody or is longer than any grant.
    pub fn applied(&self, rules: &ReleaseRules) -> Result<ReleaseRules, InvalidLimits> {
        if !self.limits.is_valid() {
            return Err(InvalidLimits);
        }
        let mut changed = rules.clone();
        for tier in [Tier::Exists, Tier::Count, Tier::Aggregate, Tier::Records] {
            if self.limits != TierLimits::default() && self.tier.is_none_or(|only| only == tier) {
                changed.limits.insert(tier, self.limits.or(rules.at(tier)));
            }
        }
        if let Some(sensitive) = self.sensitive {
            changed.sensitive = sensitive;
        }
        changed.births.extend(self.births.iter().cloned());
        Ok(changed)
    }
}

/// A limit that cannot be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a cell has {LEAST_MIN_CELL} subjects at least, and a grant lasts {MAX_DAYS} days at most")]
pub struct InvalidLimits;
