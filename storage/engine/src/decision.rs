//! Decides in the node which cells of a statistic are released, and computes from those what the query computes of them.
//!
//! The child that reads rows returns a [`CellReport`](crate::compute::CellReport): sets of subjects and rows, and sums. It has no key, no memory
//! and no noise. What follows from the statistic alone is derived here again and not taken from the report:
//!
//! 1. `boxes`: what the units of each cell have in common, for the audit; `code_lists`: which codes have a name.
//! 2. `grid`: which figures of which sets the aggregates need, and the report in this form.
//! 3. [`Disclosure::release`]: the decision, in this order: versions become known, cells are decided (`concordat-disclosure`), records are
//!    durable, the answer leaves. What is remembered is in `memory`.
//! 4. `values`, `quantiles`: aggregates from released figures.
//! 5. `above`: what the query computes from its aggregates, from tables of released cells only.
//!
//! A cell that is withheld is NULL, and all cells of the grid are rows of the answer: that a row is missing shows nothing.

mod above;
mod boxes;
mod code_lists;
mod codes;
mod columns;
mod grid;
mod memory;
mod neighbors;
mod quantiles;
mod release;
mod values;

pub(crate) use above::{cells_tables, computed_above, label_texts};
pub(crate) use code_lists::CodeLists;
pub(crate) use grid::Requested;
pub use memory::{AnswerMemory, AnsweredVersion, LockedMemory, NewMemory, UnitMemory};
pub use release::{Disclosure, Requester};
pub(crate) use release::{Release, Remembered, RowOwners, Sources, query_digest, repeated};

#[cfg(test)]
mod tests;
