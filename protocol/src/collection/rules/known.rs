//! The datasets and columns that exist.

use std::collections::BTreeMap;

use super::super::levels::Contents;
use crate::ids::{ColumnName, DatasetName};

/// The datasets of a collection with their columns and what these contain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownColumns(BTreeMap<DatasetName, BTreeMap<ColumnName, Contents>>);

impl KnownColumns {
    /// These datasets.
    pub fn new(datasets: impl IntoIterator<Item = (DatasetName, BTreeMap<ColumnName, Contents>)>) -> Self {
        Self(datasets.into_iter().collect())
    }

    /// The datasets with their columns.
    pub fn iter(&self) -> impl Iterator<Item = (&DatasetName, &BTreeMap<ColumnName, Contents>)> {
        self.0.iter()
    }

    /// Whether the collection has this dataset.
    pub fn has(&self, dataset: &DatasetName) -> bool {
        self.0.contains_key(dataset)
    }

    /// What a column contains; `None` if it does not exist.
    pub fn contents(&self, dataset: &DatasetName, column: &ColumnName) -> Option<Contents> {
        self.0.get(dataset)?.get(column).copied()
    }
}
