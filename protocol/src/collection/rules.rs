//! The rules of a collection, valid as a whole.

mod column;
mod dataset;
mod error;
mod known;
mod shown;
mod whole;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use column::{ColumnRules, EffectiveColumn, RawColumnRules, ValueNames};
pub use dataset::{DatasetRules, RawDatasetRules};
pub use error::{MAX_COLUMNS, MAX_DATASETS, RuleProblem, RulesError};
pub use known::KnownColumns;

use super::kind::{ColumnRole, DatasetKind, DayLevels, KeyDomain};
use super::lists;
use crate::ids::{ColumnName, DatasetName};
use dataset::DatasetForm;
use error::Errors;
use whole::{Datasets, complete};

/// What a steward declares about a collection.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RawCollectionRules {
    /// The rules of datasets; others are outside of every statistic.
    pub datasets: BTreeMap<DatasetName, RawDatasetRules>,
    /// How many days apart a condition may require two dates to be.
    pub days: DayLevels,
}

/// The rules of a collection. INVARIANT (the only constructor is [`CollectionRules::check`], which decoding uses too): every link leads to
/// a key of the collection, which has another value in each row of its dataset; no links form a cycle; all datasets with subjects have
/// the same ones, and rows that are owned lead to them; codes refer to reference datasets; levels and ranges fit the contents of their
/// columns, and neither a direct identifier nor a key has any.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "CollectionForm")]
pub struct CollectionRules {
    datasets: Datasets,
    days: DayLevels,
}

/// Rules of a collection as they were decoded.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CollectionForm {
    #[serde(deserialize_with = "lists::map::<_, _, _, MAX_DATASETS>")]
    datasets: BTreeMap<DatasetName, DatasetForm>,
    days: DayLevels,
}

impl CollectionRules {
    /// The rules of the datasets and columns that exist. A dataset or column without declarations is in them too.
    ///
    /// # Errors
    /// Everything that is wrong, in the order of datasets and columns.
    pub fn check(raw: RawCollectionRules, known: &KnownColumns) -> Result<Self, Vec<RulesError>> {
        let mut errors = Errors::default();
        let mut declared = raw.datasets;
        let mut datasets = Datasets::new();
        for (name, columns) in known.iter() {
            let raw = declared.remove(name).unwrap_or_default();
            datasets.insert(name.clone(), DatasetRules::of(name, raw, columns, &mut errors));
        }
        for name in declared.keys() {
            errors.add(name, None, RuleProblem::UnknownDataset);
        }
        Self::complete(datasets, raw.days, errors)
    }

    fn complete(mut datasets: Datasets, days: DayLevels, mut errors: Errors) -> Result<Self, Vec<RulesError>> {
        complete(&mut datasets, &mut errors);
        let errors = errors.into_sorted();
        if errors.is_empty() {
            Ok(Self { datasets, days })
        } else {
            Err(errors)
        }
    }

    /// The datasets with their rules, in the order of their names.
    pub fn datasets(&self) -> impl Iterator<Item = (&DatasetName, &DatasetRules)> {
        self.datasets.iter()
    }

    /// The rules of a dataset; `None` if it does not exist.
    pub fn dataset(&self, name: &DatasetName) -> Option<&DatasetRules> {
        self.datasets.get(name)
    }

    /// How many days apart a condition may require two dates to be.
    pub const fn days(&self) -> &DayLevels {
        &self.days
    }

    /// With what a column joins; `None` if it does not exist.
    pub fn domain(&self, dataset: &DatasetName, column: &ColumnName) -> Option<KeyDomain> {
        let key = |dataset: &DatasetName, column: &ColumnName| KeyDomain::Key {
            dataset: dataset.clone(),
            column: column.clone(),
        };
        Some(match self.dataset(dataset)?.column(column)?.role() {
            ColumnRole::Subject => KeyDomain::Subject,
            ColumnRole::Key => key(dataset, column),
            ColumnRole::Link { to, key: linked } => match self.dataset(to)?.kind() {
                DatasetKind::Keyed { subject, .. } if subject == linked => KeyDomain::Subject,
                DatasetKind::Keyed { .. }
                | DatasetKind::Owned { .. }
                | DatasetKind::Reference
                | DatasetKind::EachRow
                | DatasetKind::Unowned => key(to, linked),
            },
            ColumnRole::Value => KeyDomain::Column(column.clone()),
        })
    }

    /// The columns that no class is declared for: until each has one, the collection cannot be published.
    pub fn unclassified(&self) -> impl Iterator<Item = (&DatasetName, &ColumnName)> {
        self.datasets.iter().flat_map(|(dataset, rules)| {
            let columns = rules.columns().filter(|(_, column)| column.class().is_none());
            columns.map(move |(column, _)| (dataset, column))
        })
    }

    /// The rules as they are declared, to change them and check them again.
    #[must_use]
    pub fn raw(&self) -> RawCollectionRules {
        let datasets = self.datasets.iter().map(|(name, rules)| (name.clone(), rules.raw()));
        RawCollectionRules {
            datasets: datasets.collect(),
            days: self.days.clone(),
        }
    }
}

impl TryFrom<CollectionForm> for CollectionRules {
    type Error = RulesError;
    fn try_from(form: CollectionForm) -> Result<Self, RulesError> {
        let datasets = form.datasets.into_iter().map(|(name, dataset)| (name, dataset.into()));
        Self::complete(datasets.collect(), form.days, Errors::default()).map_err(|errors| {
            let first = errors.into_iter().next();
            first.unwrap_or(RulesError {
                dataset: None,
                column: None,
                problem: RuleProblem::NoSubjects,
            })
        })
    }
}
