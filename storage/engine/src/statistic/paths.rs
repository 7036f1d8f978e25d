//! Columns as a row reaches them.

use concordat_protocol::{
    collection::KeyLink,
    ids::{ColumnName, DatasetName},
};
use serde::Serialize;

/// Most steps from a row to a column.
pub(super) const MAX_STEPS: usize = 3;

/// Which row a column is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Row {
    /// The row that is tested, grouped or measured.
    This,
    /// In a set of events: the row for which the set is tested.
    Outer,
}

/// One step from a row to at most one row of another dataset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// To the row with the key in a column.
    Link(KeyLink),
    /// To the only row of the subject in this dataset.
    Subject(DatasetName),
}

impl Step {
    /// The dataset that the step leads to.
    pub const fn to(&self) -> &DatasetName {
        match self {
            Self::Link(link) => &link.to,
            Self::Subject(dataset) => dataset,
        }
    }
}

/// A column that a row reaches. INVARIANT: the dataset is that of the last step, and there are at most three steps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ColumnPath {
    row: Row,
    root: DatasetName,
    via: Vec<Step>,
    dataset: DatasetName,
    column: ColumnName,
}

impl ColumnPath {
    /// A column of a row of `root`, or of what `via` leads to from there. `None` for more than three steps.
    pub fn new(row: Row, root: &DatasetName, via: Vec<Step>, column: ColumnName) -> Option<Self> {
        let dataset = via.last().map_or(root, Step::to).clone();
        (via.len() <= MAX_STEPS).then(|| Self {
            row,
            root: root.clone(),
            via,
            dataset,
            column,
        })
    }

    /// The column whose value leads to the row of this one; `None` if no link does.
    #[must_use]
    pub fn linked_by(&self) -> Option<Self> {
        let (Step::Link(link), before) = self.via.split_last()? else {
            return None;
        };
        Self::new(self.row, &self.root, before.to_vec(), link.column.clone())
    }

    /// Which row the path begins at.
    pub const fn row(&self) -> Row {
        self.row
    }

    /// The steps from the row.
    pub fn via(&self) -> &[Step] {
        &self.via
    }

    /// The dataset of the column.
    pub const fn dataset(&self) -> &DatasetName {
        &self.dataset
    }

    /// The column.
    pub const fn column(&self) -> &ColumnName {
        &self.column
    }
}
