//! What the columns of a dataset reveal, as classified by its steward.

use std::collections::BTreeMap;

use concordat_protocol::{ids::ColumnName, schema::ColumnClass};
use serde::{Deserialize, Serialize};

/// The classes of a dataset's columns; a column that is not in it is unclassified.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Classification(BTreeMap<ColumnName, ColumnClass>);

impl Classification {
    /// The class of a column, if it has one.
    #[must_use]
    pub fn class(&self, column: &ColumnName) -> Option<ColumnClass> {
        self.0.get(column).copied()
    }

    /// Sets the class of a column.
    pub fn set(&mut self, column: ColumnName, class: ColumnClass) {
        self.0.insert(column, class);
    }

    /// Columns and classes, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&ColumnName, ColumnClass)> {
        self.0.iter().map(|(column, class)| (column, *class))
    }

    /// Overwrites the classes with those of `other` where it has any.
    pub(super) fn merge(&mut self, other: &Self) {
        self.0
            .extend(other.0.iter().map(|(column, class)| (column.clone(), *class)));
    }

    /// The same without the columns that `keep` rejects.
    pub(super) fn filtered(&self, keep: impl Fn(&ColumnName) -> bool) -> Self {
        self.iter()
            .filter(|(column, _)| keep(column))
            .map(|(column, class)| (column.clone(), class))
            .collect()
    }
}

impl FromIterator<(ColumnName, ColumnClass)> for Classification {
    fn from_iter<I: IntoIterator<Item = (ColumnName, ColumnClass)>>(classes: I) -> Self {
        Self(classes.into_iter().collect())
    }
}
