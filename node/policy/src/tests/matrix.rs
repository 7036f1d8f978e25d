//! The matrix of class, tier and transform, for review.

use super::*;
use crate::authorize::{self, AuthorizationRequest, Expr, pair};

/// Whether a column of this class may be released in this form.
pub(super) fn reveals(
    policy: &Policy,
    class: Option<ColumnClass>,
    tier: Tier,
    purpose: &Purpose,
    action: &'static str,
) -> bool {
    reveals_of(policy, &undecided(), &zurich(), class, tier, purpose, action)
}

/// A dataset for which no steward has set release rules.
pub(super) fn undecided() -> DatasetFacts {
    DatasetFacts {
        release: ReleaseRules::default(),
        ..heart()
    }
}

/// As [`reveals`], for one dataset and one consumer.
pub(super) fn reveals_of(
    policy: &Policy,
    facts: &DatasetFacts,
    consumer: &Party,
    class: Option<ColumnClass>,
    tier: Tier,
    purpose: &Purpose,
    action: &'static str,
) -> bool {
    let column = ColumnFacts::new(name("age"), class, ColumnKind::Int);
    let mut context = authorize::purpose(purpose);
    context.push(pair("tier", Expr::Entity("Tier", tier.to_string())));
    let request = AuthorizationRequest {
        principal: authorize::institution(consumer, &budapest()),
        action,
        resource: authorize::column(&column, facts),
        others: vec![authorize::dataset(facts, &budapest())],
        context,
        about: "age".to_owned(),
    };
    policy.authorize(&request).allowed
}

pub(super) fn classes() -> Vec<Option<ColumnClass>> {
    ColumnClass::ALL.into_iter().map(Some).chain([None]).collect()
}

pub(super) const TIERS: [Tier; 4] = [Tier::Exists, Tier::Count, Tier::Aggregate, Tier::Records];
pub(super) const REVEALS: [&str; 3] = ["reveal-clear", "reveal-generalized", "reveal-pseudonym"];

#[test]
fn matrix_of_class_tier_and_transform_is_the_reviewed_one() {
    let policy = shipped();
    let mut table = format!("{:<18} {:<10} clear  generalized  pseudonym\n", "", "");
    for class in classes() {
        for tier in TIERS {
            let marks = REVEALS.map(|action| {
                if reveals(&policy, class, tier, &Purpose::HealthResearch, action) {
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
