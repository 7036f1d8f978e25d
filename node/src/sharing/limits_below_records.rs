//! Limits of queries below `records`: of a person, of an institution and of all together, to each collection.
//!
//! Statistics protect the people in the data, and each further one about the same collection reveals more about them. So they are limited in
//! number, whatever they are about ([0089](../../../docs/decisions/0089-queries-below-records-are-limited-in-number-whatever-becomes-of-them.md)):
//!
//! 1. [`counts`]: the queries of 24 hours, by the hour as those of a grant. A query is counted once the policy permits it and before anything is
//!    computed, by one query at a time ([`store`]), and stays counted whatever becomes of it.
//! 2. A person who reaches limits three times in 30 days, or receives a hundred answers with cells that were withheld for what was answered before,
//!    is locked at the collection ([`locks`]), which is in the ledger first. The person learns no more than that.
//! 3. Two stewards unlock them: one proposes it, another approves ([`unlock`]).
//!
//! The institution's own people are counted as those of any other.

mod counts;
mod error;
mod locks;
mod refusal;
mod store;
mod unlock;

#[cfg(test)]
mod tests;

pub(crate) use error::UnlockError;
pub(crate) use locks::UnlockOrder;
pub(super) use store::{CountedQuery, LimitsBelowRecords};
pub(crate) use unlock::{LockedPerson, Unlocking};
