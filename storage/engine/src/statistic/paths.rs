//! Columns as a row reaches them.

use concordat_protocol::{
    collection::KeyLink,
    ids::{ColumnName, DatasetName},
};
use serde::{Deserialize, Serialize};

/// Most steps from a row to a column.
pub(super) const MAX_STEPS: usize = 3;

/// Which row a column is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Row {
    /// The row that is tested, grouped or measured.
    This,
    /// In a set of events: the row for which the set is tested.
    Outer,
}

/// One step from a row to at most one row of another dataset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawColumnPath")]
pub struct ColumnPath {
    row: Row,
    root: DatasetName,
    via: Vec<Step>,
    dataset: DatasetName,
    column: ColumnName,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawColumnPath {
    row: Row,
    root: DatasetName,
    via: Vec<Step>,
    dataset: DatasetName,
    column: ColumnName,
}

impl TryFrom<RawColumnPath> for ColumnPath {
    type Error = &'static str;
    fn try_from(raw: RawColumnPath) -> Result<Self, &'static str> {
        let RawColumnPath {
            row,
            root,
            via,
            dataset,
            column,
        } = raw;
        let path = Self::new(row, &root, via, column).ok_or("a column is too many steps away")?;
        if path.dataset == dataset {
            Ok(path)
        } else {
            Err("a column is of another dataset than its steps lead to")
        }
    }
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

    /// The column whose value leads to a reference dataset, the link that does, and the steps from there; `None` if no link does.
    pub(super) fn code_link(&self, is_reference: &dyn Fn(&DatasetName) -> bool) -> Option<(Self, &KeyLink, Vec<Step>)> {
        let leads = |step: &Step| matches!(step, Step::Link(link) if is_reference(&link.to));
        let at = self.via.iter().position(leads)?;
        let (before, from) = self.via.split_at_checked(at)?;
        let (Step::Link(link), after) = from.split_first()? else {
            return None;
        };
        let column = Self::new(self.row, &self.root, before.to_vec(), link.column.clone())?;
        Some((column, link, after.to_vec()))
    }

    /// The same column of the row around; `None` if it is of another row than the one that the path begins at.
    #[must_use]
    pub fn outer(&self) -> Option<Self> {
        let is_own = self.row == Row::This && self.via.is_empty();
        is_own.then(|| Self {
            row: Row::Outer,
            ..self.clone()
        })
    }

    /// Whether the other one is a column of the same row.
    pub(super) fn is_beside(&self, other: &Self) -> bool {
        (self.row, &self.root, &self.via) == (other.row, &other.root, &other.via)
    }

    /// The dataset of the row that the path begins at.
    pub const fn root(&self) -> &DatasetName {
        &self.root
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
