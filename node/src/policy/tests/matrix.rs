//! Class by tier by transform, as people review it.

use super::*;
use crate::policy::ask::{self, Expr, Question, pair};

/// Whether a column of this class may leave so.
pub(super) fn reveals(
    policy: &Policy,
    class: Option<ColumnClass>,
    tier: Tier,
    purpose: &Purpose,
    action: &'static str,
) -> bool {
    reveals_of(policy, &undecided(), &zurich(), class, tier, purpose, action)
}

/// A dataset of which no steward has decided anything.
pub(super) fn undecided() -> DatasetFacts {
    DatasetFacts {
        release: ReleaseRules::default(),
        ..heart()
    }
}

/// The same of one dataset and one asker.
pub(super) fn reveals_of(
    policy: &Policy,
    facts: &DatasetFacts,
    asker: &Party,
    class: Option<ColumnClass>,
    tier: Tier,
    purpose: &Purpose,
    action: &'static str,
) -> bool {
    let column = ColumnFacts::new(name("age"), class, ColumnKind::Int);
    let mut context = ask::purpose(purpose);
    context.push(pair("tier", Expr::Word("Tier", tier.to_string())));
    let question = Question {
        principal: ask::institution(asker, &budapest()),
        action,
        resource: ask::column(&column, facts),
        others: vec![ask::dataset(facts, &budapest())],
        context,
        about: "age".to_owned(),
    };
    policy.ask(&question).allowed
}

pub(super) fn classes() -> Vec<Option<ColumnClass>> {
    ColumnClass::ALL.into_iter().map(Some).chain([None]).collect()
}

pub(super) const TIERS: [Tier; 4] = [Tier::Exists, Tier::Count, Tier::Aggregate, Tier::Records];
pub(super) const REVEALS: [&str; 3] = ["reveal-clear", "reveal-generalised", "reveal-pseudonym"];

#[test]
fn what_leaves_by_class_tier_and_transform_is_what_was_reviewed() {
    let policy = shipped();
    let mut table = format!("{:<18} {:<10} clear  generalised  pseudonym\n", "", "");
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
    assert_eq!(table, include_str!("reveal.golden"), "the matrix now reads\n{table}");
}
