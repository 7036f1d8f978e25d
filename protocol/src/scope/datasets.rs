//! The datasets of a collection that a scope covers, each with its columns and rows.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::columns::{Columns, MAX_COLUMNS};
use super::invalid::{InvalidScope, Part};
use super::rows::Rows;
use crate::ids::DatasetName;

/// Most datasets that a scope may name.
pub const MAX_DATASETS: usize = 256;

/// What a scope covers of one dataset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatasetScope {
    /// Which columns, and how they are changed before they leave. A column not named is removed. There may be none: whether columns are
    /// needed depends on the tier.
    pub columns: Columns,
    /// Which rows.
    pub rows: Rows,
}

impl DatasetScope {
    /// `None` if no row satisfies both filters.
    fn meet(&self, other: &Self) -> Option<Self> {
        Some(Self {
            rows: self.rows.meet(&other.rows)?,
            columns: self.columns.meet(&other.columns),
        })
    }
}

/// One or more datasets. One that is not named is not covered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    try_from = "BTreeMap<DatasetName, DatasetScope>",
    into = "BTreeMap<DatasetName, DatasetScope>"
)]
pub struct Datasets(BTreeMap<DatasetName, DatasetScope>);

impl Datasets {
    /// These datasets; the last one of a name counts.
    ///
    /// # Errors
    /// [`InvalidScope`] for none, more than 256, or more than 4096 columns in all of them.
    pub fn new(datasets: impl IntoIterator<Item = (DatasetName, DatasetScope)>) -> Result<Self, InvalidScope> {
        let datasets: BTreeMap<_, _> = datasets.into_iter().collect();
        if datasets.is_empty() || datasets.len() > MAX_DATASETS {
            return Err(InvalidScope::new(
                Part::Datasets,
                format!("between one and {MAX_DATASETS} datasets are needed"),
            ));
        }
        let datasets = Self(datasets);
        if datasets.count_columns() > MAX_COLUMNS {
            return Err(InvalidScope::new(
                Part::Columns,
                format!("more than {MAX_COLUMNS} columns in all datasets"),
            ));
        }
        Ok(datasets)
    }

    /// A single dataset.
    pub fn one(name: DatasetName, columns: Columns, rows: Rows) -> Self {
        Self(BTreeMap::from([(name, DatasetScope { columns, rows })]))
    }

    /// What is covered of the dataset; `None` for nothing.
    pub fn get(&self, name: &DatasetName) -> Option<&DatasetScope> {
        self.0.get(name)
    }

    /// The datasets in order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&DatasetName, &DatasetScope)> {
        self.0.iter()
    }

    /// The names of the datasets.
    pub fn names(&self) -> impl Iterator<Item = &DatasetName> {
        self.0.keys()
    }

    /// The dataset, if there is only one.
    pub fn single(&self) -> Option<(&DatasetName, &DatasetScope)> {
        let mut all = self.0.iter();
        all.next().filter(|_| all.next().is_none())
    }

    /// How many columns are visible in all datasets.
    pub fn count_columns(&self) -> usize {
        self.0.values().map(|dataset| dataset.columns.len()).sum()
    }

    /// The datasets of both, without those of which no row satisfies both filters. One without a column in common stays: it is left out
    /// because of its rows only, so that the order in which scopes meet makes no difference.
    pub(super) fn meet(&self, other: &Self) -> Result<Self, Part> {
        let common = self
            .iter()
            .filter_map(|(name, mine)| Some((name, mine, other.get(name)?)));
        let mut part = Part::Datasets;
        let mut met = BTreeMap::new();
        for (name, mine, theirs) in common {
            match mine.meet(theirs) {
                Some(both) => drop(met.insert(name.clone(), both)),
                None => part = Part::Rows,
            }
        }
        if met.is_empty() { Err(part) } else { Ok(Self(met)) }
    }

    /// The parts in which `inner` goes beyond these datasets.
    pub(super) fn wider_parts(&self, inner: &Self) -> Vec<Part> {
        let known = || {
            inner
                .iter()
                .filter_map(|(name, theirs)| Some((self.get(name)?, theirs)))
        };
        let checks = [
            (Part::Datasets, inner.names().all(|name| self.0.contains_key(name))),
            (
                Part::Columns,
                known().all(|(mine, theirs)| mine.columns.covers(&theirs.columns)),
            ),
            (Part::Rows, known().all(|(mine, theirs)| mine.rows.covers(&theirs.rows))),
        ];
        checks
            .into_iter()
            .filter(|(_, covered)| !covered)
            .map(|(part, _)| part)
            .collect()
    }
}

impl TryFrom<BTreeMap<DatasetName, DatasetScope>> for Datasets {
    type Error = InvalidScope;
    fn try_from(datasets: BTreeMap<DatasetName, DatasetScope>) -> Result<Self, InvalidScope> {
        Self::new(datasets)
    }
}

impl From<Datasets> for BTreeMap<DatasetName, DatasetScope> {
    fn from(datasets: Datasets) -> Self {
        datasets.0
    }
}
