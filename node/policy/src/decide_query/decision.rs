//! A query with the facts about it, and the decision about it.

use concordat_protocol::decision::RuleReason;
use concordat_protocol::query::ActorAssertion;
use concordat_protocol::scope::{Purpose, Scope};

use crate::facts::{CollectionFacts, Party};
use crate::offer::HeldScope;

/// A query under a grant and the facts about it.
#[derive(Clone, Copy, Debug)]
pub struct QueryInput<'a> {
    /// What the grant covers.
    pub granted: &'a Scope,
    /// The requester, as asserted by the consumer.
    pub requester: &'a ActorAssertion,
    /// The purpose.
    pub purpose: &'a Purpose,
    /// Whether it names a version of the dataset instead of using the current one.
    pub as_of: bool,
    /// The institution of the requester.
    pub consumer: &'a Party,
    /// The institution that holds the dataset.
    pub provider: &'a Party,
    /// The dataset as it is now; `None` if it no longer exists.
    pub collection: Option<&'a CollectionFacts>,
    /// What the consumer has of the dataset under grants that were agreed before this one and have not ended, the oldest first.
    pub earlier: &'a [HeldScope],
}

/// A query by one of the holder's own people.
#[derive(Clone, Copy, Debug)]
pub struct LocalInput<'a> {
    /// The requester.
    pub requester: &'a ActorAssertion,
    /// The purpose.
    pub purpose: &'a Purpose,
    /// Whether it names a version of the dataset instead of using the current one.
    pub as_of: bool,
    /// The holder.
    pub holder: &'a Party,
    /// The dataset; `None` if there is none of that name.
    pub collection: Option<&'a CollectionFacts>,
}

/// The decision about a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueryDecision {
    /// The query may be answered within this scope, for this person and this purpose.
    Permit(Box<Scope>),
    /// It may not.
    Deny {
        /// Every reason at once.
        reasons: Vec<RuleReason>,
    },
}
