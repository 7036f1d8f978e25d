//! What was computed of a statistic, before anything is decided.

use concordat_protocol::schema::VersionNumber;
use concordat_protocol::scope::Finite;

use super::error::DecideError;
use super::neighbors::NeighborSets;
use super::sums::FigureName;
use crate::dominance::Contributions;
use crate::{CellBox, UnitSet};

/// What sums are over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// Subjects, each of them once.
    Subjects,
    /// The rows of a dataset, of which a subject may have several.
    Rows,
}

/// Which figures are released of the sets at one position of each cell.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outline {
    /// Whether the number of subjects is.
    pub subjects: bool,
    /// Whether the number of units is: of rows, where rows are counted. Sums need it too.
    pub units: bool,
    /// The sums.
    pub sums: Vec<SumOutline>,
    /// Whether the numbers of the parts are.
    pub parts: bool,
}

/// One sum.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SumOutline {
    /// What is added.
    pub figure: FigureName,
    /// The largest magnitude of what one unit adds.
    pub bound: Finite,
}

/// A set as it was computed.
#[derive(Clone, Debug)]
pub struct ReportedSet<'a> {
    /// What its subjects have in common.
    pub cell: CellBox,
    /// The subjects.
    pub subjects: &'a UnitSet,
    /// The subjects of its neighbors; `None` if there are too many, with which it is withheld.
    pub neighbors: Option<NeighborSets>,
    /// The rows, where rows are counted.
    pub rows: Option<ReportedRows<'a>>,
    /// The sums, in the order of the outline.
    pub sums: Vec<ReportedSum>,
    /// Disjoint parts of the units, if the outline has them.
    pub parts: Vec<SetPart<'a>>,
}

/// The rows of a set.
#[derive(Clone, Debug)]
pub struct ReportedRows<'a> {
    /// Their numbers.
    pub units: &'a UnitSet,
    /// What they have in common.
    pub cell: CellBox,
    /// The number of rows of the subject that has most.
    pub most: u64,
    /// The numbers of rows of the subjects.
    pub contributions: Contributions,
}

/// A sum as it was computed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReportedSum {
    /// The sum of clipped contributions.
    pub total: Finite,
    /// The largest magnitude of what one subject contributes.
    pub largest: Finite,
    /// What the subjects contribute.
    pub contributions: Contributions,
}

/// A part of the units of a set.
#[derive(Clone, Debug)]
pub struct SetPart<'a> {
    /// The units.
    pub units: std::borrow::Cow<'a, UnitSet>,
    /// What they have in common.
    pub cell: CellBox,
}

/// All cells of a statistic. INVARIANT: each cell has the sets of the outlines, with their sums, and with rows if rows are counted; the
/// subjects of a set are its units if they are not; parts have units of their set, and none in common.
#[derive(Clone, Debug)]
pub struct Grid<'a> {
    version: VersionNumber,
    counted: Counted,
    outlines: Vec<Outline>,
    cells: Vec<Vec<ReportedSet<'a>>>,
}

impl<'a> Grid<'a> {
    /// The cells of a version, each with the sets of the outlines.
    ///
    /// # Errors
    /// [`DecideError::Shape`] if a cell has others.
    pub fn new(
        version: VersionNumber,
        counted: Counted,
        outlines: Vec<Outline>,
        cells: Vec<Vec<ReportedSet<'a>>>,
    ) -> Result<Self, DecideError> {
        let is_shaped = |cell: &Vec<ReportedSet<'_>>| {
            let mut sets = cell.iter().zip(&outlines);
            cell.len() == outlines.len() && sets.all(|(set, outline)| set.has_shape(counted, outline))
        };
        if !cells.iter().all(is_shaped) {
            return Err(DecideError::Shape);
        }
        Ok(Self {
            version,
            counted,
            outlines,
            cells,
        })
    }

    /// The version that was read.
    #[must_use]
    pub const fn version(&self) -> VersionNumber {
        self.version
    }

    /// What sums are over.
    #[must_use]
    pub const fn counted(&self) -> Counted {
        self.counted
    }

    /// What is released of the sets of each cell.
    #[must_use]
    pub fn outlines(&self) -> &[Outline] {
        &self.outlines
    }

    /// The sets of each cell.
    #[must_use]
    pub fn cells(&self) -> &[Vec<ReportedSet<'a>>] {
        &self.cells
    }
}

impl ReportedSet<'_> {
    fn has_shape(&self, counted: Counted, outline: &Outline) -> bool {
        let has_rows = counted == Counted::Rows;
        let units = self.units();
        let mut seen = UnitSet::new();
        let are_parts = self.parts.iter().all(|part| {
            let is_part = part.units.difference(units).is_empty() && part.units.is_disjoint(&seen);
            seen = seen.union(&part.units);
            is_part
        });
        has_rows == self.rows.is_some() && self.sums.len() == outline.sums.len() && are_parts
    }

    /// The units that sums are over.
    pub(super) fn units(&self) -> &UnitSet {
        self.rows.as_ref().map_or(self.subjects, |rows| rows.units)
    }
}

impl Outline {
    /// Whether a figure is about more than the number of subjects.
    pub(super) fn needs_units(&self) -> bool {
        self.units || self.parts || !self.sums.is_empty()
    }
}
