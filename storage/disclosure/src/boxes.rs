//! Descriptions of cells, and what follows from them alone.
//!
//! The audit knows sets of units only. It cannot see that "all" and "all men" are equal because there are no women: the second is derivable
//! from the first, and its figure would reveal that the region in between is empty. So a derivable set is free only if the combination from
//! which it follows is zero for each *possible* subject, whether or not there is one like that.
//!
//! Possible subjects have one atom for each column, and any number of events of each kind. Atoms that no condition distinguishes are
//! represented by one of them. If there are no conditions on events and few enough combinations, all possible subjects are tried, and
//! otherwise random ones that meet or just miss the conditions.

mod condition;
mod encoding;
mod implied;
mod neighbors;
mod subject;
mod subjects;
#[cfg(test)]
mod tests;

pub use condition::{CellBox, CellBoxError, Condition};
pub(crate) use implied::imply;
pub use neighbors::{Neighbors, Part, Wider};
