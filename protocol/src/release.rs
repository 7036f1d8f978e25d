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

/// Most queries below `records` in 24 hours, at all tiers below it together; limits that are not set have the node's default. None of them
/// can be set to "no limit".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QueriesBelowRecords {
    /// Of one person.
    pub person: Option<NonZeroU32>,
    /// Of all people of one institution.
    pub institution: Option<NonZeroU32>,
    /// Of all institutions, the holder's included.
    pub all: Option<NonZeroU32>,
}

impl QueriesBelowRecords {
    /// These limits, and `older` where nothing is set.
    #[must_use]
    pub fn or(self, older: Self) -> Self {
        Self {
            person: self.person.or(older.person),
            institution: self.institution.or(older.institution),
            all: self.all.or(older.all),
        }
    }

    /// Whether nothing is set.
    #[must_use]
    pub fn is_unset(&self) -> bool {
        *self == Self::default()
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
    /// Limits of queries below `records`. Left out if nothing is set, so that rules from before there were these limits keep their digests.
    #[serde(skip_serializing_if = "QueriesBelowRecords::is_unset")]
    pub below_records: QueriesBelowRecords,
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
    /// The limits of queries below `records` that are set; others stay.
    pub below_records: QueriesBelowRecords,
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
        changed.below_records = self.below_records.or(rules.below_records);
        Ok(changed)
    }
}

/// A limit that cannot be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a cell must have at least {LEAST_MIN_CELL} subjects, and a grant lasts at most {MAX_DAYS} days")]
pub struct InvalidLimits;

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(person: u32, institution: u32) -> QueriesBelowRecords {
        QueriesBelowRecords {
            person: NonZeroU32::new(person),
            institution: NonZeroU32::new(institution),
            all: None,
        }
    }

    #[test]
    fn release_rules_keep_limits_that_a_change_omits() {
        let change = |below_records| ReleaseChange {
            below_records,
            ..ReleaseChange::default()
        };
        let first = change(limits(20, 40)).applied(&ReleaseRules::default()).unwrap();
        assert_eq!(first.below_records, limits(20, 40));
        let second = change(limits(10, 0)).applied(&first).unwrap();
        assert_eq!(second.below_records, limits(10, 40));
        let tier = ReleaseChange {
            limits: TierLimits {
                min_cell: NonZeroU32::new(20),
                ..TierLimits::default()
            },
            ..ReleaseChange::default()
        };
        assert_eq!(tier.applied(&second).unwrap().below_records, limits(10, 40));
    }

    /// The ledger has digests of this form.
    #[test]
    fn release_rules_without_limits_below_records_keep_their_form() {
        let text = r#"{"limits":{},"sensitive":"count","births":[]}"#;
        let rules: ReleaseRules = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&rules).unwrap(), text);
        let set = ReleaseRules {
            below_records: limits(20, 0),
            ..rules
        };
        let text = serde_json::to_string(&set).unwrap();
        assert!(text.contains(r#""below_records":{"person":20,"#), "{text}");
        assert_eq!(serde_json::from_str::<ReleaseRules>(&text).unwrap(), set);
        assert!(serde_json::from_str::<QueriesBelowRecords>(r#"{"person":0}"#).is_err());
    }
}
