//! The decision about a request, with its reasons.

use concordat_protocol::scope::{Difference, Scope};

use super::held::HeldScope;
use crate::explanation::Explanation;
use crate::facts::{CollectionFacts, Party};
use concordat_protocol::decision::RuleReason;

/// The rule that treats a hidden collection like one that does not exist.
const NOT_VISIBLE: &str = "dataset-not-visible";

/// A request and the facts about it.
#[derive(Clone, Copy, Debug)]
pub struct OfferInput<'a> {
    /// The requesting institution.
    pub consumer: &'a Party,
    /// The institution that holds the collection.
    pub provider: &'a Party,
    /// The requested collection; `None` if there is none of that name.
    pub collection: Option<&'a CollectionFacts>,
    /// The requested scope.
    pub request: &'a Scope,
    /// What the requesting institution has of the collection under other agreements that come first, the first of them first.
    pub held: &'a [HeldScope],
}

/// The decision about a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OfferDecision {
    /// This much may be released.
    Offer(Box<Offer>),
    /// Nothing may be released.
    Refused(Refusal),
}

/// What may be released, and how it differs from the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Never wider than the request.
    pub scope: Scope,
    /// Each difference with its reason, for the requesting member.
    pub narrowings: Vec<Narrowing>,
    /// The decision rule by rule, for the holder.
    pub explanation: Explanation,
}

/// One difference between request and offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Narrowing {
    /// What was requested and what is offered instead.
    pub difference: Difference,
    /// The reason, with its rule and its remedy.
    pub reason: RuleReason,
}

/// Why nothing may be released.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The reasons, for the requesting member.
    pub reasons: Vec<RuleReason>,
    /// The decision rule by rule, for the holder.
    pub explanation: Explanation,
}

impl Refusal {
    /// Whether the existence of the collection is hidden from the member.
    pub(crate) fn hides_the_dataset(&self) -> bool {
        self.reasons.iter().any(|reason| reason.rule == NOT_VISIBLE)
    }
}

/// The reason for a collection that does not exist and for one that is hidden.
pub(super) fn not_visible(input: &OfferInput<'_>) -> RuleReason {
    RuleReason::new(
        NOT_VISIBLE,
        format!("`{}` is not known to you", input.request.collection),
        "see `concordat catalog` for what is shared with your institution",
    )
}
