//! What this node enforces below tier `records`: of its policy set and the rules of its published collections the least at each tier.
//!
//! Nothing else is an input, in particular nothing that a peer has sent; a contract test compares what this file uses with a list. The
//! defaults of the policy set count even if each collection has stricter rules, because the next one that is published has them.

use concordat_policy::Policy;
use concordat_protocol::policy_set::Settings;
use concordat_protocol::release::ReleaseRules;
use concordat_protocol::scope::{ProtectionName, Tier};
use concordat_protocol::text::Label;
use concordat_protocol::wire::messages::{EnforcedRules, RulesByTier, TierRules};

/// The rules under `policy` of collections with these release rules, and of those without any.
pub(super) fn enforced(policy: &Policy, published: &[ReleaseRules]) -> EnforcedRules {
    let tiers = RulesByTier::of(|tier| at(policy, published, tier));
    EnforcedRules::new(Label::sanitized(env!("CARGO_PKG_VERSION")), policy.digest(), tiers)
}

fn at(policy: &Policy, published: &[ReleaseRules], tier: Tier) -> TierRules {
    let default = policy.limits(&ReleaseRules::default(), tier);
    let of_collections = published.iter().map(|release| policy.limits(release, tier));
    let least = of_collections.fold(default, least_strict);
    TierRules {
        min_cell: least.min_cell,
        protections: ProtectionName::ALL
            .into_iter()
            .filter(|name| *name >= default.protection)
            .collect(),
        queries_per_day: least.max_queries_per_day,
        days: least.max_days,
    }
}

fn least_strict(one: Settings, other: Settings) -> Settings {
    Settings {
        min_cell: one.min_cell.min(other.min_cell),
        max_queries_per_day: one.max_queries_per_day.max(other.max_queries_per_day),
        max_days: one.max_days.max(other.max_days),
        ..one
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::num::{NonZeroU16, NonZeroU32};

    use concordat_protocol::release::TierLimits;

    use super::*;

    fn policy() -> Policy {
        Policy::shipped(Settings::default()).unwrap()
    }

    fn release(tier: Tier, min_cell: u32, queries: u32, days: u16) -> ReleaseRules {
        let limits = TierLimits {
            min_cell: NonZeroU32::new(min_cell),
            queries_per_day: NonZeroU32::new(queries),
            days: NonZeroU16::new(days),
            ..TierLimits::default()
        };
        ReleaseRules {
            limits: [(tier, limits)].into(),
            ..ReleaseRules::default()
        }
    }

    #[test]
    fn rules_without_collections_are_those_of_the_policy_set() {
        let rules = enforced(&policy(), &[]);
        assert_eq!(rules.version().as_str(), env!("CARGO_PKG_VERSION"));
        assert_eq!(rules.policy(), policy().digest());
        let settings = Settings::default();
        for (_, tier) in rules.tiers().each() {
            let expected = TierRules {
                min_cell: settings.min_cell,
                protections: BTreeSet::from([ProtectionName::Perturbed, ProtectionName::Private]),
                queries_per_day: settings.max_queries_per_day,
                days: settings.max_days,
            };
            assert_eq!(*tier, expected);
        }
    }

    #[test]
    fn rules_name_the_protections_that_answers_can_have() {
        for (at, protection) in ProtectionName::ALL.into_iter().enumerate() {
            let settings = Settings {
                protection,
                ..Settings::default()
            };
            let rules = enforced(&Policy::shipped(settings).unwrap(), &[]);
            let expected: BTreeSet<ProtectionName> = ProtectionName::ALL[at..].iter().copied().collect();
            assert_eq!(rules.tiers().count.protections, expected);
        }
    }

    #[test]
    fn rules_are_the_least_of_all_published_collections() {
        let stricter = release(Tier::Count, 30, 5, 10);
        let weaker = release(Tier::Count, 4, 2000, 10);
        let longer = release(Tier::Aggregate, 20, 5, 800);
        let records = release(Tier::Records, 2, 9999, 1000);
        let found = enforced(&policy(), &[stricter, weaker, longer, records]);
        let default = enforced(&policy(), &[]);
        let tiers = found.tiers();
        assert_eq!(tiers.exists, default.tiers().exists);
        let count = &tiers.count;
        assert_eq!((count.min_cell, count.queries_per_day, count.days), (4, 2000, 365));
        let aggregate = &tiers.aggregate;
        assert_eq!(
            (aggregate.min_cell, aggregate.queries_per_day, aggregate.days),
            (10, 1000, 800)
        );
    }

    /// The statement names what the decision about an offer uses.
    #[test]
    fn rules_of_one_collection_are_the_limits_of_its_answers() {
        let settings = Settings {
            min_cell: 100,
            max_queries_per_day: 1,
            max_days: 1,
            ..Settings::default()
        };
        let policy = Policy::shipped(settings).unwrap();
        for tier in [Tier::Exists, Tier::Count, Tier::Aggregate] {
            let release = release(tier, 7, 8, 9);
            let decided = policy.limits(&release, tier);
            let stated = enforced(&policy, &[release]);
            let (_, stated) = stated.tiers().each().into_iter().find(|(of, _)| *of == tier).unwrap();
            assert_eq!(
                (stated.min_cell, stated.queries_per_day, stated.days),
                (decided.min_cell, decided.max_queries_per_day, decided.max_days)
            );
        }
    }
}
