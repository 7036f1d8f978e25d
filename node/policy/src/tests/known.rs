//! Comparisons with a policy set that are known: each is used for nothing else.

use concordat_protocol::ids::GrantId;

use super::*;
use crate::decide_query::known::still_allowed;

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
                        let expected = policy.still_allowed(&input);
                        for _ in 0..2 {
                            assert_eq!(still_allowed(policy, &input), expected, "{input:?}");
                        }
                    }
                }
            }
        }
    }
}
