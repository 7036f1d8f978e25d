//! Queries by the holder's own people, who need no grant.

use concordat_protocol::decision::{RuleEffect, RuleReason};
use concordat_protocol::scope::{InvalidScope, People, Places, Scope, Window};
use concordat_protocol::time::Timestamp;

use super::decision::{LocalInput, QueryDecision, QueryInput};
use super::{Comparison, authorization_request};
use crate::explanation::Explanation;
use crate::facts::CollectionFacts;
use crate::load::Policy;
use crate::max_scope::whole;
use crate::offer::{OfferDecision, OfferInput, Refusal};

/// How long the scope of a local query is valid: 15 minutes, as long as an idle session.
const LOCAL_MS: i64 = 15 * 60 * 1000;

impl Policy {
    /// Decides a query by one of the holder's own people, who need no grant but pass all other checks.
    pub fn decide_local(&self, input: &LocalInput<'_>, now: Timestamp) -> QueryDecision {
        self.evaluate_local(input, now, Self::still_allowed_unexplained).0
    }

    /// As [`Self::decide_local`], with the decision rule by rule.
    pub fn explain_local(&self, input: &LocalInput<'_>, now: Timestamp) -> (QueryDecision, Explanation) {
        self.evaluate_local(input, now, Self::still_allowed)
    }

    fn evaluate_local(
        &self,
        input: &LocalInput<'_>,
        now: Timestamp,
        still_allowed: Comparison,
    ) -> (QueryDecision, Explanation) {
        let Some(facts) = input.collection else {
            let reason = RuleReason::new(
                "dataset-not-visible",
                "there is no such dataset",
                "see `concordat dataset list`",
            );
            return (QueryDecision::Deny { reasons: vec![reason] }, Explanation::default());
        };
        let request = match full_scope(input, facts, now) {
            Ok(request) => request,
            Err(error) => {
                let reason = RuleReason::new("invalid-request", error.to_string(), "change the query");
                return (QueryDecision::Deny { reasons: vec![reason] }, Explanation::default());
            }
        };
        let offer_input = OfferInput {
            consumer: input.holder,
            provider: input.holder,
            collection: Some(facts),
            request: &request,
            held: &[],
        };
        let query = QueryInput {
            granted: &request,
            requester: input.requester,
            purpose: input.purpose,
            as_of: input.as_of,
            consumer: input.holder,
            provider: input.holder,
            collection: Some(facts),
            earlier: &[],
        };
        let offered = match self.offer_unexplained(&offer_input, now) {
            offer @ OfferDecision::Offer(_) => offer,
            // The reasons for the holder's own people follow from the rules that led to it.
            OfferDecision::Refused(_) => self.offer(&offer_input, now),
        };
        match offered {
            OfferDecision::Offer(offer) => {
                let granted = QueryInput {
                    granted: &offer.scope,
                    ..query
                };
                // Its window begins now, so no comparison would be made again.
                self.evaluate(&granted, now, still_allowed)
            }
            OfferDecision::Refused(refusal) => self.refuse_local(refusal, &query, facts, now),
        }
    }

    /// The refusal of a query by one of the holder's own people, with everything that is missing: what the dataset lacks, and what the person
    /// does. Whether the dataset exists is not hidden from them.
    fn refuse_local(
        &self,
        refusal: Refusal,
        query: &QueryInput<'_>,
        facts: &CollectionFacts,
        now: Timestamp,
    ) -> (QueryDecision, Explanation) {
        let mut reasons = if refusal.hides_the_dataset() {
            why_hidden(&refusal, facts)
        } else {
            refusal.reasons
        };
        let mut explanation = refusal.explanation;
        let verdict = self.authorize(&authorization_request(query, facts, now));
        if !verdict.allowed {
            reasons.extend(verdict.reasons);
        }
        explanation.steps.push(verdict.step);
        (QueryDecision::Deny { reasons }, explanation)
    }
}

/// Why the holder's own people do not see a dataset: the rules that forbid it, or that none permits it.
fn why_hidden(refusal: &Refusal, facts: &CollectionFacts) -> Vec<RuleReason> {
    let rules = refusal.explanation.steps.iter().flat_map(|step| &step.rules);
    let forbidding: Vec<RuleReason> = rules
        .filter(|rule| rule.met && rule.effect == RuleEffect::Forbid)
        .map(|rule| rule.reason.clone())
        .collect();
    if !forbidding.is_empty() {
        return forbidding;
    }
    vec![RuleReason::new(
        "dataset-not-visible",
        format!("no rule of your own policy set lets you see `{}`", facts.reference),
        "a person who manages the policy can permit `see-dataset`: see `concordat policy show`",
    )]
}

/// Everything that the holder's own people could query in a dataset.
fn full_scope(input: &LocalInput<'_>, facts: &CollectionFacts, now: Timestamp) -> Result<Scope, InvalidScope> {
    whole(
        facts,
        input.purpose.clone(),
        People::only([input.requester.actor.clone()])?,
        Places::only([input.holder.jurisdiction.clone()])?,
        Window::new(now, now.plus_millis(LOCAL_MS))?,
    )
}
