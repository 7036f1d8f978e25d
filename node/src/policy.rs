//! The policy decision point: Cedar with a default of deny.
//!
//! It makes two decisions, and both include their reasons:
//!
//! 1. **Offer** ([`Policy::offer`]): a member requests a scope. Cedar decides for its purposes, tier, columns and places what may be
//!    released at most, starting with the widest; that is the *ceiling*. The offer is the meet of request and ceiling, with a reason
//!    for each difference.
//! 2. **Query** ([`Policy::decide`]): a person queries under a grant. The grant, the person's assurance and the current ceiling are
//!    all checked. A denial lists every reason at once, each with its remedy.
//!
//! An evaluation error, a missing attribute and an unknown enum value are denials. A policy set that does not validate against the
//! schema is refused as a whole, with all its errors.
//!
//! Policy sets are stored in the sealed state and are activated only through [`PolicyStore`]; code that decides takes the active one
//! from a [`LivePolicy`].
//!
//! Peers get the same answer about a hidden column or dataset as about one that does not exist. The [`Explanation`] shows the
//! difference and is for the holder's own people.

mod authorize;
mod cases;
mod diff;
mod facts;
mod live;
mod load;
mod matrix;
mod max_scope;
mod offer;
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
pub use matrix::{RequestSpace, never_allowed};
pub use max_scope::MaxScope;
pub use offer::{Narrowing, Offer, OfferDecision, OfferInput, Refusal};
pub use query::{LocalInput, QueryDecision, QueryInput};
pub use reason::{Effect, Explanation, Reason, Rule, Step};
pub use sealed::SealedPolicySet;
pub use sources::{PolicyFile, PolicySources};
pub use store::{Applied, PolicyStore, PolicyStoreError, PolicyStoreParts, Proposal, begin};

#[cfg(test)]
mod tests;
