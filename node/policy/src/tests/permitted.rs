//! The matrix of class, tier and transform, for review.

use concordat_protocol::scope::ProtectionName;

use super::*;
use crate::entities;
use crate::facts;
use crate::facts::Parties;
use crate::request::{AuthorizationRequest, RequestedColumn};
use crate::verdict::Verdict;

/// The decision whether a column of this class may be released in this form.
pub(super) fn reveals(
    policy: &Policy,
    class: Option<ColumnClass>,
    tier: Tier,
    purpose: &Purpose,
    form: Reveal,
) -> Verdict {
    reveals_of(policy, &undecided(), &zurich(), class, tier, purpose, form)
}

/// A dataset for which no steward has set release rules.
pub(super) fn undecided() -> CollectionFacts {
    CollectionFacts {
        release: ReleaseRules::default(),
        ..heart()
    }
}

/// As [`reveals`], for one dataset and one consumer.
pub(super) fn reveals_of(
    policy: &Policy,
    facts: &CollectionFacts,
    consumer: &Party,
    class: Option<ColumnClass>,
    tier: Tier,
    purpose: &Purpose,
    form: Reveal,
) -> Verdict {
    let column = ColumnFacts::new(name("age"), class, ColumnKind::Int);
    let parties = Parties {
        consumer,
        holder: &budapest(),
    };
    policy.authorize(&AuthorizationRequest::for_column(
        parties,
        form,
        RequestedColumn {
            column: &column,
            dataset: &facts.datasets[0],
            collection: facts,
        },
        tier,
        purpose,
    ))
}

pub(super) fn classes() -> Vec<Option<ColumnClass>> {
    ColumnClass::ALL.into_iter().map(Some).chain([None]).collect()
}

pub(super) const TIERS: [Tier; 4] = [Tier::Exists, Tier::Count, Tier::Aggregate, Tier::Records];

#[test]
fn matrix_of_class_tier_and_transform_is_the_reviewed_one() {
    let policy = shipped();
    let mut table = format!("{:<18} {:<10} clear  generalized  pseudonym\n", "", "");
    for class in classes() {
        for tier in TIERS {
            let marks = Reveal::ALL.map(|form| {
                if reveals(&policy, class, tier, &Purpose::HealthResearch, form).allowed {
                    "yes"
                } else {
                    "-"
                }
            });
            let class = class.map_or("unclassified", ColumnClass::as_str);
            table.push_str(&format!(
                "{class:<18} {tier:<10} {:<6} {:<12} {}\n",
                marks[0], marks[1], marks[2]
            ));
        }
    }
    assert_eq!(table, include_str!("reveal.golden"), "the matrix is now\n{table}");
}

#[test]
fn matrix_of_protection_and_purpose_is_the_reviewed_one() {
    let policy = shipped();
    let holder = budapest();
    let consumer = zurich();
    let parties = Parties {
        consumer: &consumer,
        holder: &holder,
    };
    let mut table = format!("{:<24}", "");
    for name in ProtectionName::ALL {
        table.push_str(&format!(" {name:<9}"));
    }
    table.push('\n');
    for purpose in ["general-research", "health-research", "ancestry", "clinical-care"] {
        let marks = ProtectionName::ALL.map(|name| {
            let context = entities::purpose(&purpose.parse().unwrap());
            let action = facts::protect_action(name);
            let request = AuthorizationRequest::for_dataset(parties, action, &heart(), context, String::new());
            let allowed = policy.authorize(&request).allowed;
            format!(" {:<9}", if allowed { "yes" } else { "-" })
        });
        table.push_str(&format!("{purpose:<24}{}\n", marks.concat()));
    }
    assert_eq!(table, include_str!("protection.golden"), "the matrix is now\n{table}");
}
