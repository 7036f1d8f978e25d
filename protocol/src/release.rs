//! What a steward decides about the answers of a dataset: limits at each tier, and the tiers at which sensitive columns may be
//! released. The catalog stores it and the policy applies it.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::{NonZeroU16, NonZeroU32, NonZeroU64},
};

use serde::{Deserialize, Serialize};

use crate::{ids::ColumnName, scope::Tier};

/// Maximum duration of a grant that can be set, in days: the maximum duration of a scope.
pub const MAX_DAYS: u16 = 1826;
/// A cell with fewer subjects belongs to a single person.
pub const LEAST_MIN_CELL: u32 = 2;

/// Limits at one tier; limits that are not set have the node's default. None of them can be set to "no limit".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TierLimits {
    /// Minimum number of subjects in a released cell.
    pub min_cell: Option<NonZeroU32>,
    /// Maximum queries of one grant in 24 hours.
    pub queries_per_day: Option<NonZeroU32>,
    /// Maximum rows in one answer.
    pub max_rows: Option<NonZeroU64>,
    /// Maximum duration of a grant, in days.
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

/// The steward's decisions about the answers of a dataset; empty by default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReleaseRules {
    /// Limits by tier.
    pub limits: BTreeMap<Tier, TierLimits>,
    /// The highest tier at which sensitive columns are released; `None` if they never are.
    pub sensitive: Option<Tier>,
    /// Columns that contain a date of birth, in addition to those whose names indicate one.
    pub births: BTreeSet<ColumnName>,
}

impl ReleaseRules {
    /// The limits that are set at `tier`.
    #[must_use]
    pub fn at(&self, tier: Tier) -> TierLimits {
        self.limits.get(&tier).copied().unwrap_or_default()
    }
}

/// A change to [`ReleaseRules`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReleaseChange {
    /// The tier whose limits are set; all tiers if `None`.
    pub tier: Option<Tier>,
    /// The limits that are set; others stay.
    pub limits: TierLimits,
    /// The new highest tier for sensitive columns, if that is changed.
    pub sensitive: Option<Option<Tier>>,
    /// Further columns that contain a date of birth.
    pub births: BTreeSet<ColumnName>,
}

impl ReleaseChange {
    /// The rules as they are after this change.
    ///
    /// # Errors
    /// [`InvalidLimits`] for a cell limit that protects no one or a duration longer than any grant.
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
#[error("a cell must have at least {LEAST_MIN_CELL} subjects, and a grant lasts at most {MAX_DAYS} days")]
pub struct InvalidLimits;
