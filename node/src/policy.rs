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
//! What peers are told about a column or dataset that is hidden is what they are told about one that does not exist. The
//! [`Explanation`] tells the difference and is for the holder's own people.

mod ask;
mod facts;
mod load;
mod offer;
mod prospect;
mod query;
mod reason;
mod rows;

pub use facts::{ColumnFacts, DatasetFacts, Party};
pub use load::{Policy, PolicyErrors, Settings};
pub use offer::{Narrowing, Offer, OfferDecision, OfferInput, Refusal};
pub use prospect::Prospect;
pub use query::{LocalInput, QueryDecision, QueryInput};
pub use reason::{Effect, Explanation, Reason, Rule, Step};

#[cfg(test)]
mod tests;
