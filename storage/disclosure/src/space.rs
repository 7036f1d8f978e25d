//! The audit: which sets may be released, given those that were released before.
//!
//! A space is about the subjects of a collection or the rows of a dataset, for one owner of memory. Sets are 0/1 vectors over its units,
//! and figures are nonzero rational combinations of released sets. [`Space`] keeps this INVARIANT: each figure is nonzero at units of at least
//! `k` different subjects. It counts as released what [`Space::commit`] was called for, and the universe, which is the first set: how many
//! subjects there are is public, so that a set that all but few subjects are in isolates these few.
//!
//! 1. [`Space::offer`] computes the residual of each set in each of the bases ([`Plan`](crate::bases::Plan)).
//! 2. A residual that vanishes, which its fingerprint shows, adds no figure. The set is free, unless the cells' descriptions alone do not
//!    imply that it vanishes ([`CellBox`](crate::CellBox)): then the numbers would reveal that a region is empty.
//! 3. A residual about fewer than `k` subjects is a figure about them. The set isolates.
//! 4. So does a set of which a neighbor isolates: what [`Offered::neighbors`] names, and the set with what changed since an earlier version.
//!    Neighbors do not count as released.
//! 5. Otherwise the set is certified, if each basis can be extended by a unit of a subject that is not in too many bases already. If not,
//!    there are too many figures about the same subjects.
//!
//! The proof is with [`Plan`](crate::bases::Plan). It does not depend on the attacker's ignorance. What does is that step 2 is right: the
//! tokens and primes are random and secret, and [`Space::false_derivation_bound`] bounds the error.

mod error;
mod examine;
mod owners;
mod search;
mod sets;
mod shared;
mod state;
mod support;
#[cfg(test)]
mod tests;

pub use error::SpaceError;
pub use owners::{OwnersOf, Themselves};
pub use sets::{Neighbor, Offered, ReleasedSet, Verdict};
pub use state::{Offer, Space, SpaceParameters};
