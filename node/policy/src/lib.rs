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
//! The parts in the order in which they need each other:
//!
//! | part | contents |
//! | --- | --- |
//! | `facts`, `explanation` | the input of a decision, and the way to it |
//! | `prohibited` | what no policy set may allow |
//! | `text_bounds`, `load`, `sources` | a policy set as a steward writes it: compiled, validated, and with a digest |
//! | `entities`, `authorize` | facts as values of Cedar; one authorization request: first to the prohibitions, then to Cedar |
//! | `column_names`, `verdict` | what the rules have decided before, and for which requests it is the same |
//! | `rows` | row conditions, compared with how their columns are shown |
//! | `offer`, `max_scope`, `query` | the decisions |
//! | `known_max_scope` | what a member could get, as it was worked out before |
//! | `named`, `sample` | the values that rules name, and the requests that represent all that are possible |
//! | `permitted`, `cases`, `diff` | what a set permits over these requests; test cases; what changes between two sets |
//!
//! Peers get the same answer about a hidden column or dataset as about one that does not exist. The [`Explanation`] shows the
//! difference and is for the holder's own people.
//!
//! The values that others share are in `concordat-protocol`: policy sets and their cases in [`policy_set`](concordat_protocol::policy_set),
//! the steps of a decision in [`decision`](concordat_protocol::decision).
//!
//! This crate does no I/O, reads no clock and stores nothing: which set is active, and which sets were, is known to the node
//! (`policies`). It alone uses Cedar.

mod authorize;
mod cases;
mod column_names;
mod decide_query;
mod diff;
mod entities;
mod explanation;
mod facts;
mod known_max_scope;
mod load;
mod max_scope;
mod named;
mod offer;
mod permitted;
mod prohibited;
mod request;
mod rows;
mod sample;
mod sources;
mod text_bounds;
mod verdict;

pub use decide_query::{LocalInput, QueryDecision, QueryInput};
pub use diff::diff;
pub use explanation::Explanation;
pub use facts::{CollectionFacts, ColumnFacts, DatasetFacts, Party};
pub use load::{Policy, PolicyErrors};
pub use max_scope::MaxScope;
pub use offer::{HeldScope, HeldUnder, Narrowing, Offer, OfferDecision, OfferInput, Refusal};
pub use permitted::never_allowed;
pub use sample::{RequestSpace, sampled};
pub use sources::{schema_digest, shipped_sources};

#[cfg(test)]
mod tests;
