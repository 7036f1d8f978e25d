//! Which figures of an answer are released, and their values.
//!
//! The cells of a statistic are a [`Grid`]. In each cell there are sets: the subjects, or the rows, that meet a filter and have the values of a
//! measure. From one set come several figures: its number of subjects, its number of rows, sums, and numbers of its parts.
//!
//! Exact and perturbed figures are decided by [`decide()`]:
//!
//! 1. A set below its threshold is withheld. The threshold depends on the set, so that a set and the same set with one subject more have
//!    unrelated ones. An empty set is below every threshold, and looks like a small one.
//! 2. A set is withheld with neighbors that are too small ([`Neighbors`](crate::Neighbors)): what is left out of a wider set, and the parts of a
//!    union. So is a set with too many of them. After the budget is used up a query is refused by its descriptions.
//! 3. The sets of subjects are offered to the audit ([`Space`](crate::Space)), the largest first, and sets of equal size in an order that
//!    neither the text nor the order of the cells changes. A set that isolates subjects, or has a neighbor that does, together with all that was released
//!    before, or that reveals an empty region is withheld.
//! 4. Sets of rows are offered to the space of their dataset, if their subjects are accepted.
//! 5. Exact counts are also checked for what follows from them because counts are not negative ([`check_intervals`](crate::check_intervals)).
//!    What is withheld for that is not offered.
//! 6. A sum that few subjects dominate is withheld, and so is one more sum over a set of which too many were released ([`ReleasedSums`]).
//!
//! The [`Decision`] is stored first: its [`records`](Decision::records) and then its offers. Only then its [`figures`](Decision::figures) are
//! shown. A set that was accepted counts as released also if its figure is withheld for another reason.
//!
//! Private figures ([`draw`]) need no audit: the loss that was reserved for them bounds what they reveal, whatever else is known. All cells
//! are shown, with noise of their own.
//!
//! In all of this a cell that is withheld has no reason: small, empty, isolating and dominated are one.

mod answered;
mod audit;
mod decide;
mod error;
mod figures;
mod grid;
mod keys;
mod neighbors;
mod private;
mod rules;
mod set_keys;
mod sums;
#[cfg(test)]
mod tests;

pub use answered::AnsweredFigures;
pub use audit::{RowSpace, Spaces};
pub use decide::{Decision, NewRecords, SetVerdict, decide};
pub use error::DecideError;
pub use figures::{ReleasedSum, SetFigures};
pub use grid::{Counted, Grid, Outline, ReportedRows, ReportedSet, ReportedSum, SetPart, SumOutline};
pub use keys::CellKeys;
pub use neighbors::{NeighborSets, PartSet, WiderSet};
pub use private::draw;
pub use rules::DisclosureRules;
pub use sums::{FigureName, ReleasedSums, SetName};
