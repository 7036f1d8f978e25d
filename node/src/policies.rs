//! The policy sets of a node: the active one, and all that were active before.
//!
//! A set is compiled, tested, compared with the expected digest, sealed, signed and entered in the ledger before the first decision is
//! based on it ([`PolicyStore`]). Code that decides takes the active set from a [`LivePolicy`]. What a set is and how it decides is in
//! [`concordat_policy`].
//!
//! 1. Sets are stored in the sealed state. No file on disk is read as a policy.
//! 2. A steward applies a set by its digest, so that the set that was reviewed is the one that is activated. If the active set or the
//!    new one has the setting `two_people`, the set is a proposal until another steward approves the same digest.
//! 3. Direct identifiers in clear, unclassified columns, and anything to institutions that are not active members are denied whatever
//!    the rules are. A set whose rules permit them in a sample of the requests is refused ([`concordat_policy::never_allowed`]).
//! 4. A change raises the epoch, so that running answers are decided again.

mod catalog_facts;
mod error;
mod live;
mod sealed;
mod store;

pub(crate) use catalog_facts::facts_of_collection;
pub(crate) use error::PolicyStoreError;
pub(crate) use live::LivePolicy;
pub(crate) use sealed::SealedPolicySet;
pub(crate) use store::{Applied, PolicyStore, PolicyStoreParts, Proposal, begin};

#[cfg(test)]
mod tests;
