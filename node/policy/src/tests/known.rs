//! Comparisons with a policy set that are known: each is used for nothing else.

use concordat_protocol::ids::GrantId;

use super::*;
use crate::decide_query::known::{is_known, still_allowed};
use crate::known_max_scope;

/// Institutions, collections, scopes and what is held, in every combination under two sets.
#[test]
fn known_comparison_is_used_for_the_same_facts_only() {
    let strict = Settings {
        max_rows: 1,
        ..Settings::default()
    };
    let policies = [shipped(), Policy::shipped(strict).unwrap()];
    let consumers = [zurich(), party("zurich", "US", Some(MemberStatus::Active))];
    let mut unreleased = heart();
    unreleased.release.sensitive = None;
    let collections = [Some(heart()), Some(unreleased), None];
    let requests = [
        wide(),
        Scope {
            tier: Tier::Aggregate,
            ..wide()
        },
    ];
    let under = HeldUnder::Grant(GrantId::from_bytes([1; 16]));
    let held = [Vec::new(), vec![HeldScope { under, scope: wide() }]];
    let provider = budapest();
    for policy in &policies {
        for consumer in &consumers {
            for collection in &collections {
                for request in &requests {
                    for held in &held {
                        let input = OfferInput {
                            consumer,
                            provider: &provider,
                            collection: collection.as_ref(),
                            request,
                            held,
                        };
                        let expected = unexplained(policy.still_allowed(&input));
                        for _ in 0..2 {
                            assert_eq!(still_allowed(policy, &input), expected, "{input:?}");
                        }
                    }
                }
            }
        }
    }
}

/// The decision without the way to it.
fn unexplained(decision: OfferDecision) -> OfferDecision {
    let explanation = Explanation::default();
    match decision {
        OfferDecision::Offer(offer) => OfferDecision::Offer(Box::new(Offer { explanation, ..*offer })),
        OfferDecision::Refused(refusal) => OfferDecision::Refused(Refusal { explanation, ..refusal }),
    }
}

/// One collection of many datasets, whose grant has a thousand columns.
fn large(number: usize) -> CollectionFacts {
    let columns = (0..25).map(|column| {
        ColumnFacts::new(
            name(&format!("c{column}")),
            Some(ColumnClass::Ordinary),
            ColumnKind::Int,
        )
    });
    let columns: Vec<ColumnFacts> = columns.collect();
    CollectionFacts {
        reference: format!("budapest.large{number}").parse().unwrap(),
        datasets: (0..40)
            .map(|dataset| DatasetFacts {
                name: format!("d{dataset}").parse().unwrap(),
                columns: columns.clone(),
            })
            .collect(),
        ..heart()
    }
}

#[test]
fn known_comparison_of_many_datasets_is_kept_within_bounds() {
    let policy = shipped();
    let (consumer, provider) = (zurich(), budapest());
    for number in 0..12 {
        let facts = large(number);
        let datasets = facts.datasets.iter().map(|dataset| {
            let columns = dataset
                .columns
                .iter()
                .map(|column| (column.name.clone(), Transform::Clear));
            let scope = concordat_protocol::scope::DatasetScope {
                columns: Columns::new(columns).unwrap(),
                rows: Rows::all(),
            };
            (dataset.name.clone(), scope)
        });
        let request = Scope {
            collection: facts.reference.clone(),
            datasets: Datasets::new(datasets).unwrap(),
            ..wide()
        };
        let input = OfferInput {
            consumer: &consumer,
            provider: &provider,
            collection: Some(&facts),
            request: &request,
            held: &[],
        };
        let decided = still_allowed(&policy, &input);
        assert!(matches!(&decided, OfferDecision::Offer(offer) if offer.explanation.steps.is_empty()));
        // Other tests make comparisons too, which may have displaced it.
        let is_kept = || {
            drop(still_allowed(&policy, &input));
            let (is_kept, is_bounded) = is_known(&policy, &input);
            assert!(is_bounded, "{number}");
            is_kept
        };
        assert!((0..10).any(|_| is_kept()), "{number}");
    }
}

/// Institutions and collections under two sets, each twice.
#[test]
fn known_maximum_is_used_for_the_same_facts_only() {
    let records_denied = with_rule(
        "@id(\"figures-only\") @reason(\"r\") @remedy(\"m\")
         forbid(principal is Institution, action == Action::\"answer-records\", resource is Dataset);",
    );
    let mut unreleased = heart();
    unreleased.release.sensitive = None;
    let mut hidden = heart();
    hidden.published = false;
    let mut shorter = heart();
    columns_in(&mut shorter).truncate(3);
    let suspended = party("zurich", "CH", Some(MemberStatus::Suspended));
    let collections = [heart(), unreleased, hidden, shorter];
    let mut found = Vec::new();
    for policy in [shipped(), records_denied] {
        for consumer in [zurich(), suspended.clone()] {
            for facts in &collections {
                let expected = policy.work_out_max_scope(&consumer, &budapest(), facts, NOON);
                for _ in 0..2 {
                    let known = policy.max_scope(&consumer, &budapest(), facts, NOON);
                    assert_eq!(known, expected);
                    let is_known = known_max_scope::is_known(&policy, (&consumer, &budapest()), facts);
                    assert_eq!(is_known, (true, true));
                }
                found.push(expected);
            }
        }
    }
    found.dedup();
    assert!(found.len() > 6, "they differ: {found:?}");
}

/// Any window in the future gives the same result, so the time is no part of what a maximum depends on.
#[test]
fn known_maximum_does_not_depend_on_the_time() {
    let at = |now| shipped().work_out_max_scope(&zurich(), &budapest(), &heart(), now);
    assert_eq!(at(NOON), at(NOON.plus_seconds(20 * 365 * 24 * HOUR_S)));
    assert!(at(NOON).is_some());
}
