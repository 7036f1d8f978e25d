//! Which rules of a node protect less than before.

use std::collections::BTreeSet;
use std::fmt;

use super::{RulesByTier, TierRules};
use crate::scope::{ProtectionName, Tier};

/// A rule of one tier that protects less than before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weakening {
    /// The tier.
    pub tier: Tier,
    /// The rule.
    pub rule: WeakerRule,
}

/// A rule that protects less than before, with what it was and what it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeakerRule {
    /// Cells of fewer subjects are released.
    MinCell {
        /// The minimum before.
        before: u32,
        /// The minimum now.
        now: u32,
    },
    /// Answers can have a protection that reveals more.
    Least {
        /// The protection that revealed most before.
        before: ProtectionName,
        /// The one that reveals most now.
        now: ProtectionName,
    },
    /// The protection that reveals least is not available any more.
    Most {
        /// The protection that revealed least before.
        before: ProtectionName,
        /// The one that reveals least now.
        now: ProtectionName,
    },
    /// A grant may be used more often.
    QueriesPerDay {
        /// Queries a day before.
        before: u32,
        /// Queries a day now.
        now: u32,
    },
    /// A grant may last longer.
    Days {
        /// Days before.
        before: u16,
        /// Days now.
        now: u16,
    },
}

impl fmt::Display for Weakening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tier, rule } = self;
        match rule {
            WeakerRule::MinCell { before, now } => {
                write!(f, "{tier}: cells of {now} subjects or more, {before} before")
            }
            WeakerRule::Least { before, now } => write!(f, "{tier}: protection `{now}`, `{before}` before"),
            WeakerRule::Most { before, now } => {
                write!(f, "{tier}: protection at most `{now}`, `{before}` before")
            }
            WeakerRule::QueriesPerDay { before, now } => write!(f, "{tier}: {now} queries a day, {before} before"),
            WeakerRule::Days { before, now } => write!(f, "{tier}: grants of {now} days, {before} before"),
        }
    }
}

impl RulesByTier {
    /// The rules that protect less than those of `before`; empty if none does.
    #[must_use]
    pub fn weaker_than(&self, before: &Self) -> Vec<Weakening> {
        let both = self.each().into_iter().zip(before.each());
        let weaker = both.flat_map(|((tier, now), (_, before))| {
            let rules = weaker_rules(now, before).into_iter().flatten();
            rules.map(move |rule| Weakening { tier, rule })
        });
        weaker.collect()
    }

    /// Of each rule the one that protects more.
    #[must_use]
    pub fn strictest(&self, other: &Self) -> Self {
        Self {
            exists: strictest(&self.exists, &other.exists),
            count: strictest(&self.count, &other.count),
            aggregate: strictest(&self.aggregate, &other.aggregate),
        }
    }
}

fn weaker_rules(now: &TierRules, before: &TierRules) -> [Option<WeakerRule>; 5] {
    [
        (now.min_cell < before.min_cell).then_some(WeakerRule::MinCell {
            before: before.min_cell,
            now: now.min_cell,
        }),
        weaker_protection(now.protections.first(), before.protections.first())
            .map(|(now, before)| WeakerRule::Least { before, now }),
        weaker_protection(now.protections.last(), before.protections.last())
            .map(|(now, before)| WeakerRule::Most { before, now }),
        (now.queries_per_day > before.queries_per_day).then_some(WeakerRule::QueriesPerDay {
            before: before.queries_per_day,
            now: now.queries_per_day,
        }),
        (now.days > before.days).then_some(WeakerRule::Days {
            before: before.days,
            now: now.days,
        }),
    ]
}

/// Both, if the first reveals more.
fn weaker_protection(
    now: Option<&ProtectionName>,
    before: Option<&ProtectionName>,
) -> Option<(ProtectionName, ProtectionName)> {
    let both = now.copied().zip(before.copied());
    both.filter(|(now, before)| now < before)
}

fn strictest(one: &TierRules, other: &TierRules) -> TierRules {
    let least = one.protections.first().max(other.protections.first());
    let most = one.protections.last().max(other.protections.last());
    TierRules {
        min_cell: one.min_cell.max(other.min_cell),
        protections: BTreeSet::from_iter(least.into_iter().chain(most).copied()),
        queries_per_day: one.queries_per_day.min(other.queries_per_day),
        days: one.days.min(other.days),
    }
}
