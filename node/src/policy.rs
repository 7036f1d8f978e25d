//! The policy decision point: Cedar with a default of deny.
//!
//! Two decisions are made here, and both say why:
//!
//! 1. **Offer** ([`Policy::offer`]): a member asks for a scope. For its purposes, tier, columns and places Cedar is asked
//!    what may leave at most, the widest first; that is the *ceiling*. What is offered is the meet of request and ceiling,
//!    with a reason for each difference.
//! 2. **Query** ([`Policy::decide`]): a person asks under a grant. The grant, the person's assurance and today's ceiling are
//!    all checked, and a denial lists every reason at once, each with what would turn it into a yes.
//!
//! An error while a policy is evaluated, an attribute that is missing and a word that is unknown are denials. A policy set
//! that does not hold against the schema is refused as a whole, with all its errors.
//!
//! Policy sets are kept in the sealed state and come into force through [`PolicyStore`] alone; who decides takes the one in
//! force from a [`LivePolicy`].
//!
//! What peers are told about a column or dataset that is hidden is what they are told about one that does not exist. The
//! [`Explanation`] tells the difference and is for the holder's own people.

mod ask;
mod cases;
mod diff;
mod facts;
mod live;
mod load;
mod matrix;
mod offer;
mod prospect;
mod query;
mod reason;
mod rows;
mod sealed;
mod sources;
mod store;

pub use cases::{Case, CaseOutcome, Expected, Reveal};
pub use diff::{FileDiff, PolicyDiff, diff};
pub use facts::{ColumnFacts, DatasetFacts, Party};
pub use live::LivePolicy;
pub use load::{Policy, PolicyErrors, Settings};
pub use matrix::{Ground, never_allowed};
pub use offer::{Narrowing, Offer, OfferDecision, OfferInput, Refusal};
pub use prospect::Prospect;
pub use query::{LocalInput, QueryDecision, QueryInput};
pub use reason::{Effect, Explanation, Reason, Rule, Step};
pub use sealed::SealedPolicySet;
pub use sources::{PolicyFile, PolicySources};
pub use store::{Applied, PolicyStore, PolicyStoreError, PolicyStoreParts, Proposal, begin};

#[cfg(test)]
mod tests;
