//! What is computed of the cells of a statistic, before it is decided which of it is released.
//!
//! A report has the full grid: the cell of a combination of groups that no row has is there, and is empty. Nothing of a report leaves the
//! process that decides; sums are of clipped contributions, and exact ([`fixed`](super::fixed)).

use concordat_disclosure::UnitSet;
use concordat_protocol::schema::VersionNumber;

use super::fixed::Quantum;

/// How many of the largest contributions are kept: as many as the rules of dominance compare.
pub(crate) const KEPT: usize = 5;

/// All cells of a statistic.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CellReport {
    /// The version that was read.
    pub(crate) version: VersionNumber,
    /// How many ordinals of subjects there are: each unit of a set of subjects is below this.
    pub(crate) subjects: u32,
    /// How many rows the measured dataset has: each unit of a set of rows is below this. `None` if each subject is counted once.
    pub(crate) rows: Option<u32>,
    /// The position of the sets that each aggregate of the statistic is computed from, in the order of the aggregates.
    pub(crate) set_of: Vec<usize>,
    /// What the sets of every cell consist of.
    pub(crate) outlines: Vec<SetOutline>,
    /// The cells of the grid. Of several groups the last one varies fastest; in each of them, the last class is that of all values
    /// that have no other.
    pub(crate) cells: Vec<Cell>,
    /// Whether all rows were read. If not, every cell is empty, and all of them are withheld.
    pub(crate) is_complete: bool,
}

/// What is computed of the rows of a cell that meet one filter and have the values of one measure.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SetOutline {
    /// The sums, in order.
    pub(crate) sums: Vec<SumOutline>,
    /// What is subtracted from the first and the second value in the centered sums: the middle of the range.
    pub(crate) centers: [f64; 2],
    /// The numbers at which the next band of a quantile begins, in ascending order; `None` if there is no quantile.
    pub(crate) edges: Option<Vec<f64>>,
}

/// One sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SumOutline {
    /// What is added.
    pub(crate) of: Monomial,
    /// Its unit.
    pub(crate) quantum: Quantum,
}

/// What is added for each row, of the values x and y, clipped to their ranges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Monomial {
    /// One.
    One,
    /// x
    X,
    /// x minus its center
    CenteredX,
    /// y minus its center
    CenteredY,
    /// The square of the centered x.
    CenteredXX,
    /// The square of the centered y.
    CenteredYY,
    /// The product of both centered values.
    CenteredXY,
}

/// One cell of the grid.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Cell {
    /// The subjects with a row in it.
    pub(crate) subjects: UnitSet,
    /// Its sets, in the order of the outlines.
    pub(crate) sets: Vec<MeasuredSet>,
}

/// The rows of a cell that aggregates are computed of.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct MeasuredSet {
    /// Their subjects.
    pub(crate) subjects: UnitSet,
    /// The rows by their numbers in the dataset; empty if each subject is counted once, or only subjects are.
    pub(crate) rows: UnitSet,
    /// The sums, in the order of the outline.
    pub(crate) sums: Vec<ContributionSum>,
    /// The units with a value in each band of the outline, subjects if each is counted once: one more than there are edges.
    pub(crate) bands: Vec<UnitSet>,
}

/// A sum, and how large the contributions of subjects to it are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ContributionSum {
    /// The sum, in quanta of the outline.
    pub(crate) total: i128,
    /// The magnitudes of what subjects contribute, all rows of one added up.
    pub(crate) contributions: Contributions,
}

/// The largest magnitudes and the sum of all, in quanta of the outline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Contributions {
    /// In descending order.
    pub(crate) largest: [u128; KEPT],
    /// The sum of all of them, these included.
    pub(crate) total: u128,
}

impl Contributions {
    /// Adds the contribution of one more subject.
    pub(super) fn add(&mut self, contribution: i128) {
        let magnitude = contribution.unsigned_abs();
        let mut carried = magnitude;
        for kept in &mut self.largest {
            if carried > *kept {
                std::mem::swap(&mut carried, kept);
            }
        }
        // Below 2^32 contributions of below 2^94 each.
        self.total = self.total.saturating_add(magnitude);
    }
}

impl CellReport {
    /// The same report without contents: what is computed of data that could not be read, or not within the limits of memory. All of its
    /// cells are below every threshold.
    #[must_use]
    pub(crate) fn failed(mut self, cells: usize) -> Self {
        self.is_complete = false;
        self.cells = vec![Cell::empty(&self.outlines); cells];
        self
    }
}

impl Cell {
    /// The cell of no row.
    pub(super) fn empty(outlines: &[SetOutline]) -> Self {
        let set = |outline: &SetOutline| MeasuredSet {
            sums: vec![ContributionSum::default(); outline.sums.len()],
            bands: vec![UnitSet::new(); outline.bands()],
            ..MeasuredSet::default()
        };
        Self {
            subjects: UnitSet::new(),
            sets: outlines.iter().map(set).collect(),
        }
    }
}

impl SetOutline {
    /// The number of bands of a quantile.
    pub(super) fn bands(&self) -> usize {
        self.edges.as_ref().map_or(0, |edges| edges.len().saturating_add(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contributions_keep_the_largest_in_any_order() {
        let mut forward = Contributions::default();
        let mut backward = Contributions::default();
        let numbers = [3_i128, -9, 4, 0, 9, 7, -1];
        numbers.iter().for_each(|number| forward.add(*number));
        numbers.iter().rev().for_each(|number| backward.add(*number));
        assert_eq!(forward, backward);
        assert_eq!(forward.largest, [9, 9, 7, 4, 3]);
        assert_eq!(forward.total, 33);
    }
}
