//! The offer to a requesting member: the meet of its request and the maximum that policies allow.
//!
//! The steps depend on each other in this order: whether the collection is visible; whether this version applies all that is requested;
//! for which of the purposes; at which tier for all of these purposes; with which protection; each column at that tier for all of these
//! purposes; then the columns of all datasets together, with those of other grants of the same institution ([`one_age`]); then rows,
//! places, limits and time.

mod ceiling;
mod decision;
mod evaluation;
mod held;
mod one_age;

use concordat_protocol::decision::RuleReason;
use concordat_protocol::scope::ProtectionName;
use concordat_protocol::time::Timestamp;

pub use decision::{Narrowing, Offer, OfferDecision, OfferInput, Refusal};
pub use held::{HeldScope, HeldUnder};
pub(crate) use one_age::is_across_grants;

use crate::explanation::Explanation;
use crate::load::Policy;
use decision::not_visible;
use evaluation::OfferEvaluation;

impl Policy {
    /// Decides what part of a request may be released.
    pub fn offer(&self, input: &OfferInput<'_>, now: Timestamp) -> OfferDecision {
        self.evaluate_offer(input, now, true)
    }

    /// The same without an explanation.
    pub(crate) fn offer_unexplained(&self, input: &OfferInput<'_>, now: Timestamp) -> OfferDecision {
        self.evaluate_offer(input, now, false)
    }

    fn evaluate_offer(&self, input: &OfferInput<'_>, now: Timestamp, is_explained: bool) -> OfferDecision {
        let Some(facts) = input
            .collection
            .filter(|facts| facts.reference == input.request.collection)
        else {
            return OfferDecision::Refused(Refusal {
                reasons: vec![not_visible(input)],
                explanation: Explanation::default(),
            });
        };
        let mut evaluation = OfferEvaluation::new(self, input, facts, is_explained);
        if evaluation.dataset("see-dataset", Vec::new(), &facts.reference).is_err() {
            return evaluation.refused(vec![not_visible(input)]);
        }
        if input.request.window.not_after() <= now {
            return evaluation.refused(vec![RuleReason::new(
                "window-over",
                "the requested time is over",
                "request a time in the future",
            )]);
        }
        evaluation.run()
    }

    /// The protection that the figures of a request would have, which is the same for all columns; `None` if none are offered. Whether the
    /// collection is visible is not decided.
    pub(crate) fn protection_of_figures(&self, input: &OfferInput<'_>) -> Option<ProtectionName> {
        let facts = input.collection?;
        OfferEvaluation::new(self, input, facts, false).protection_of_figures()
    }

    /// Decides how much of an agreed scope may still be released. Whether the collection is published no longer matters.
    pub(crate) fn still_allowed(&self, input: &OfferInput<'_>) -> OfferDecision {
        self.evaluate_agreed(input, true)
    }

    /// The same without an explanation.
    pub(crate) fn still_allowed_unexplained(&self, input: &OfferInput<'_>) -> OfferDecision {
        self.evaluate_agreed(input, false)
    }

    fn evaluate_agreed(&self, input: &OfferInput<'_>, is_explained: bool) -> OfferDecision {
        match input
            .collection
            .filter(|facts| facts.reference == input.request.collection)
        {
            Some(facts) => OfferEvaluation::new(self, input, facts, is_explained).run(),
            None => OfferDecision::Refused(Refusal {
                reasons: vec![not_visible(input)],
                explanation: Explanation::default(),
            }),
        }
    }
}
