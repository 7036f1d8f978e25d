//! What no policy set may allow is denied in every decision, whatever the rules are.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::{
    mutation::PERMIT_ALL,
    permitted::{TIERS, classes, reveals_of},
    *,
};
use crate::entities;
use crate::facts::Parties;
use crate::permitted::never_allowed;
use crate::request::AuthorizationRequest;
use crate::sample::RequestSpace;

fn permit_all() -> Policy {
    Policy::from_sources(&[("all.cedar".to_owned(), PERMIT_ALL.to_owned())], Settings::default()).unwrap()
}

fn disease() -> Purpose {
    "disease:MONDO:0000408".parse().unwrap()
}

#[test]
fn prohibited_columns_are_denied_whatever_the_rules_permit() {
    let policy = permit_all();
    for consumer in [zurich(), budapest()] {
        for class in classes() {
            for tier in TIERS {
                for form in Reveal::ALL {
                    let verdict = reveals_of(&policy, &heart(), &consumer, class, tier, &disease(), form);
                    let expected = match (class, form) {
                        (None, _) | (Some(ColumnClass::DirectIdentifier), Reveal::Clear) => false,
                        (Some(_), _) => true,
                    };
                    assert_eq!(verdict.allowed, expected, "{class:?} {form:?} {tier} {consumer:?}");
                    assert_eq!(verdict.overruled, !expected);
                    assert_eq!(verdict.step.allowed, expected);
                    assert!(expected || verdict.reasons[0].rule.starts_with("never-"));
                }
            }
        }
    }
}

#[test]
fn prohibited_institutions_get_nothing_whatever_rules_permit() {
    let policy = permit_all();
    let allowed = |consumer: &Party| {
        let parties = Parties {
            consumer,
            holder: &budapest(),
        };
        let ordinary = Some(ColumnClass::Ordinary);
        let see = AuthorizationRequest::for_dataset(parties, "see-dataset", &heart(), Vec::new(), String::new());
        let purpose = entities::purpose(&disease());
        let answer = AuthorizationRequest::for_dataset(parties, "answer-exists", &heart(), purpose, String::new());
        let column = reveals_of(
            &policy,
            &heart(),
            consumer,
            ordinary,
            Tier::Exists,
            &disease(),
            Reveal::Clear,
        );
        [
            policy.authorize(&see).allowed,
            policy.authorize(&answer).allowed,
            column.allowed,
        ]
    };
    assert_eq!(allowed(&zurich()), [true; 3]);
    for status in [Some(MemberStatus::Suspended), Some(MemberStatus::Removed), None] {
        assert_eq!(allowed(&party("zurich", "CH", status)), [false; 3], "{status:?}");
        // The holder's own people need no membership.
        assert_eq!(allowed(&party("budapest", "HU", status)), [true; 3], "{status:?}");
    }
}

/// A member's request, its query under a grant that has the names in clear, and a query of the holder's own people.
#[test]
fn prohibited_names_are_shown_by_no_offer_grant_or_query() {
    let policy = Policy::compile(&names_for_one_disease()).unwrap();
    let consumer = zurich();
    let provider = budapest();
    let dataset = heart();
    let request = Scope {
        purposes: Purposes::new([disease()]).unwrap(),
        ..wide()
    };
    let input = OfferInput {
        consumer: &consumer,
        provider: &provider,
        collection: Some(&dataset),
        request: &request,
        held: &[],
    };
    let OfferDecision::Offer(offer) = policy.offer(&input, NOON) else {
        panic!("refused")
    };
    assert_eq!(columns_of(&offer.scope).transform(&name("mrn")), Transform::Pseudonym);

    let mut granted = offer.scope.clone();
    let columns = columns_of(&offer.scope).iter().map(|(column, transform)| {
        let in_clear = column.as_str() == "mrn";
        (column.clone(), if in_clear { Transform::Clear } else { transform })
    });
    granted.datasets = only(Columns::new(columns).unwrap(), Rows::all());
    let purpose = disease();
    let query = QueryInput {
        granted: &granted,
        requester: &eva(),
        purpose: &purpose,
        as_of: false,
        consumer: &consumer,
        provider: &provider,
        collection: Some(&dataset),
        earlier: &[],
    };
    let QueryDecision::Deny { reasons } = policy.decide(&query, NOON) else {
        panic!("a grant with names in clear is usable")
    };
    assert_eq!(rules(&reasons), ["never-names-in-clear"]);

    let own = ActorAssertion {
        actor: "eva@budapest".parse().unwrap(),
        ..eva()
    };
    let local = LocalInput {
        requester: &own,
        purpose: &purpose,
        as_of: false,
        holder: &provider,
        collection: Some(&dataset),
    };
    let QueryDecision::Permit(scope) = policy.decide_local(&local, NOON) else {
        panic!("denied")
    };
    assert_eq!(columns_of(&scope).transform(&name("mrn")), Transform::Pseudonym);
}

#[test]
fn policy_evaluation_that_is_canceled_ends_early() {
    let policy = permit_all();
    let space = RequestSpace::new(budapest());
    assert!(!never_allowed(&policy, &space).is_empty());
    let canceled = space.until(Arc::new(AtomicBool::new(true)));
    assert!(never_allowed(&policy, &canceled).is_empty());
}
