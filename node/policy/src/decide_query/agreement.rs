//! What the agreement itself requires of a query.

use concordat_protocol::decision::{DecisionRule, DecisionStep, RuleEffect, RuleReason};
use concordat_protocol::time::Timestamp;

use super::decision::QueryInput;

/// The checks that follow from the agreement itself; no policy can disable them.
pub(super) fn step(input: &QueryInput<'_>, now: Timestamp) -> DecisionStep {
    let grant = input.granted;
    let requester = input.requester;
    let actor = &requester.actor;
    let window = grant.window;
    let checks = [
        (
            "grant-in-time",
            window.contains(now),
            format!("the grant is valid from {window}"),
            "request a new grant",
        ),
        (
            "purpose-agreed",
            grant.purposes.allow(input.purpose),
            format!("the grant is for {}, not for {}", grant.purposes, input.purpose),
            "use one of the agreed purposes, or request a grant for this one",
        ),
        (
            "person-agreed",
            grant.people.allow(actor),
            format!("the grant is for {}, not for {actor}", grant.people),
            "request a grant that names the person",
        ),
        (
            "place-agreed",
            grant.places.allow(&input.consumer.jurisdiction),
            format!(
                "answers may be received in {}, not in {}",
                grant.places, input.consumer.jurisdiction
            ),
            "request a grant that names the place",
        ),
        (
            "person-of-the-consumer",
            actor.belongs_to(&input.consumer.institution),
            format!("{actor} does not belong to {}", input.consumer.institution),
            "query as a person of the institution that holds the grant",
        ),
        (
            "assertion-for-this-holder",
            requester.audience == input.provider.institution,
            format!("the assertion about {actor} is addressed to {}", requester.audience),
            "query again; a new assertion is made for each query",
        ),
        (
            "assertion-in-time",
            now < requester.expires,
            format!("the assertion about {actor} was valid until {}", requester.expires),
            "query again; a new assertion is made for each query",
        ),
        (
            "dataset-exists",
            input
                .collection
                .is_some_and(|facts| facts.reference == grant.collection),
            format!("`{}` is not known to you", grant.collection),
            "ask the holder whether the dataset was erased",
        ),
    ];
    let rules: Vec<DecisionRule> = checks
        .into_iter()
        .map(|(rule, passed, text, remedy)| {
            let reason = RuleReason::new(rule, text, remedy);
            DecisionRule {
                reason,
                effect: RuleEffect::Forbid,
                met: !passed,
            }
        })
        .collect();
    let allowed = rules.iter().all(|rule| !rule.met);
    DecisionStep {
        action: "use-grant".to_owned(),
        about: grant.collection.to_string(),
        allowed,
        rules,
    }
}
