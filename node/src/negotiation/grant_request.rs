//! Converts a grant request, as given on the command line, to a scope.
//!
//! A request is about a collection: a dataset alone, or any of several datasets. It is one negotiation and one grant, whatever it names.

use std::collections::{BTreeMap, BTreeSet};

use concordat_protocol::error_kind::{ErrorKind, Explain};
use concordat_protocol::ids::{
    ActorId, CollectionRef, ColumnName, DatasetName, DatasetRef, Jurisdiction, SelectedColumn,
};
use concordat_protocol::scope::{
    Columns, DatasetScope, Datasets, InvalidScope, Limits, NotApplied, People, Places, ProtectionName, Purpose,
    Purposes, Rows, Scope, Subjects, Tier, Transform, Window,
};
use concordat_protocol::time::{InvalidTime, Timestamp};
use concordat_protocol::wire::messages::CatalogDataset;
use serde::Deserialize;

use super::condition::{self, ConditionError, Conditions, ListedDataset, RowCondition};

/// A request for a grant. Whatever is omitted is requested as wide as possible: all datasets of the collection, all columns in clear, all
/// rows.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GrantRequest {
    /// How much an answer may reveal; defaults to records.
    #[serde(default)]
    pub tier: Option<Tier>,
    /// How figures are protected at least; the provider offers the one that its policy permits, with the noise or loss of its policy.
    #[serde(default)]
    pub protection: Option<ProtectionName>,
    /// The datasets of the collection; defaults to those of which a column is requested.
    #[serde(default)]
    pub datasets: Option<BTreeSet<DatasetName>>,
    /// The columns; defaults to all.
    #[serde(default)]
    pub columns: Option<BTreeSet<SelectedColumn>>,
    /// A condition on rows, which was read of a text.
    #[serde(skip)]
    pub condition: Option<RowCondition>,
    /// The purposes.
    pub purposes: BTreeSet<Purpose>,
    /// The last day, or the moment of the end.
    pub until: String,
    /// Who may use it; defaults to everyone with the role.
    #[serde(default)]
    pub people: Option<BTreeSet<ActorId>>,
}

/// Why a grant request cannot be converted to a scope.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GrantRequestError {
    /// A part of it is not valid.
    #[error(transparent)]
    Scope(#[from] InvalidScope),
    /// This version would not apply a part of it.
    #[error(transparent)]
    NotApplied(#[from] NotApplied),
    /// The end is not a date.
    #[error(transparent)]
    Until(#[from] InvalidTime),
    /// The row condition is not about the requested columns.
    #[error(transparent)]
    Condition(#[from] ConditionError),
    /// The dataset is not in the catalog of its holder.
    #[error("`{0}` is not in the catalog of its holder; `concordat catalog` lists what is")]
    NoDataset(DatasetRef),
    /// Its catalog shows no column of it.
    #[error("no column of `{0}` can be requested: the catalog of its holder shows none")]
    NothingShown(DatasetRef),
    /// A column that is not in the catalog.
    #[error("`{dataset}` has no column `{column}`")]
    NoColumn {
        /// The dataset, or the collection of several.
        dataset: DatasetRef,
        /// The column.
        column: ColumnName,
    },
    /// A column of a dataset that is not requested.
    #[error("`{column}` is requested, and its dataset is not among those that are")]
    OtherDataset {
        /// The column.
        column: SelectedColumn,
    },
    /// A dataset of which no column is requested.
    #[error("no column of `{0}` is among those that are requested; name one, or leave the dataset out")]
    NoColumnOf(DatasetRef),
    /// One dataset of a collection is named, and others beside it.
    #[error("`{dataset}` is one dataset; name its collection to request several: `{collection}`")]
    NamedTwice {
        /// The dataset.
        dataset: DatasetRef,
        /// Its collection.
        collection: CollectionRef,
    },
}

impl GrantRequest {
    /// Creates the scope to request from `now` on. `target` is a dataset alone, a collection, or one dataset of a collection; columns and
    /// their types come from `listed`, the datasets of the collection in its holder's catalog. Answers are received in the `jurisdiction`
    /// of this institution.
    ///
    /// # Errors
    /// [`GrantRequestError`] when a part of it is unknown or cannot be requested.
    pub(crate) fn into_scope(
        self,
        target: &DatasetRef,
        listed: &[CatalogDataset],
        jurisdiction: Jurisdiction,
        now: Timestamp,
    ) -> Result<Scope, GrantRequestError> {
        let Self {
            tier,
            protection,
            datasets,
            columns,
            condition,
            purposes,
            until,
            people,
        } = self;
        let named = named(target, datasets)?;
        let requested = Listed { target, listed }.requested(named.as_ref(), columns.as_ref())?;
        let conditions = conditions(condition.as_ref(), listed, &requested)?;
        let people = match people {
            Some(people) => People::only(people)?,
            None => People::Any,
        };
        let scope = Scope {
            collection: target.collection(),
            tier: tier.unwrap_or(Tier::Records),
            protection: protection.unwrap_or(ProtectionName::Exact).widest(),
            subjects: Subjects::Any,
            datasets: scopes(requested, conditions)?,
            purposes: Purposes::new(purposes)?,
            people,
            places: Places::only([jurisdiction])?,
            limits: Limits::WIDEST,
            window: Window::new(now, Timestamp::parse_end(&until)?)?,
        };
        scope.check_applied()?;
        Ok(scope)
    }
}

/// The requested columns of each requested dataset.
type RequestedColumns = BTreeMap<DatasetName, BTreeSet<ColumnName>>;

/// The datasets that are named; `None` if only their collection is.
fn named(
    target: &DatasetRef,
    datasets: Option<BTreeSet<DatasetName>>,
) -> Result<Option<BTreeSet<DatasetName>>, GrantRequestError> {
    if target.is_only() {
        return Ok(datasets);
    }
    match datasets {
        None => Ok(Some(BTreeSet::from([target.dataset.clone()]))),
        Some(_) => Err(GrantRequestError::NamedTwice {
            dataset: target.clone(),
            collection: target.collection(),
        }),
    }
}

/// The conditions on rows of the requested datasets.
fn conditions(
    condition: Option<&RowCondition>,
    listed: &[CatalogDataset],
    requested: &RequestedColumns,
) -> Result<Conditions, ConditionError> {
    let Some(condition) = condition else {
        return Ok(Conditions::new());
    };
    let requested = listed.iter().filter(|dataset| requested.contains_key(&dataset.name));
    let known = requested.map(|dataset| (&dataset.name, dataset.columns.as_slice()));
    let known: Vec<ListedDataset<'_>> = known.collect();
    condition::conditions(condition, &known)
}

/// Columns in clear, and rows.
fn scopes(requested: RequestedColumns, mut conditions: Conditions) -> Result<Datasets, InvalidScope> {
    let mut datasets = Vec::new();
    for (name, columns) in requested {
        let columns = columns.into_iter().map(|column| (column, Transform::Clear));
        let scope = DatasetScope {
            columns: Columns::new(columns)?,
            rows: conditions.remove(&name).unwrap_or_else(Rows::all),
        };
        datasets.push((name, scope));
    }
    Datasets::new(datasets)
}

/// The datasets of a collection, as the catalog of its holder lists them.
#[derive(Clone, Copy, Debug)]
struct Listed<'a> {
    target: &'a DatasetRef,
    listed: &'a [CatalogDataset],
}

impl<'a> Listed<'a> {
    /// The requested columns of each requested dataset.
    fn requested(
        self,
        named: Option<&BTreeSet<DatasetName>>,
        columns: Option<&BTreeSet<SelectedColumn>>,
    ) -> Result<RequestedColumns, GrantRequestError> {
        if self.listed.is_empty() {
            return Err(GrantRequestError::NoDataset(self.target.clone()));
        }
        let among = self.among(named)?;
        let mut requested: RequestedColumns = match columns {
            None => among.iter().map(|dataset| all_columns(dataset)).collect(),
            Some(columns) => self.selected(&among, columns)?,
        };
        if self.is_alone() {
            // Below the tier `aggregate` no column is needed.
            for dataset in among {
                requested.entry(dataset.name.clone()).or_default();
            }
            return Ok(requested);
        }
        let missing = |dataset: DatasetRef| match columns {
            Some(_) => GrantRequestError::NoColumnOf(dataset),
            None => GrantRequestError::NothingShown(dataset),
        };
        requested.retain(|_, columns| !columns.is_empty());
        let mut named = named.into_iter().flatten();
        if let Some(name) = named.find(|name| !requested.contains_key(*name)) {
            return Err(missing(self.dataset(name)));
        }
        if requested.is_empty() {
            return Err(missing(self.target.clone()));
        }
        Ok(requested)
    }

    /// The datasets that columns may be of.
    fn among(self, named: Option<&BTreeSet<DatasetName>>) -> Result<Vec<&'a CatalogDataset>, GrantRequestError> {
        let Some(named) = named else {
            return Ok(self.listed.iter().collect());
        };
        named.iter().map(|name| self.find(name)).collect()
    }

    fn find(self, name: &DatasetName) -> Result<&'a CatalogDataset, GrantRequestError> {
        let found = self.listed.iter().find(|dataset| dataset.name == *name);
        found.ok_or_else(|| GrantRequestError::NoDataset(self.dataset(name)))
    }

    fn selected(
        self,
        among: &[&CatalogDataset],
        columns: &BTreeSet<SelectedColumn>,
    ) -> Result<RequestedColumns, GrantRequestError> {
        let mut requested = RequestedColumns::new();
        for selected in columns {
            let mut is_known = false;
            let meant = |dataset: &&&CatalogDataset| selected.dataset.as_ref().is_none_or(|name| dataset.name == *name);
            for dataset in among.iter().filter(meant) {
                let mut columns = dataset.columns.iter();
                if columns.any(|column| column.name == selected.column) {
                    is_known = true;
                    let of_dataset = requested.entry(dataset.name.clone()).or_default();
                    of_dataset.insert(selected.column.clone());
                }
            }
            if !is_known {
                return Err(self.unknown(among, selected));
            }
        }
        Ok(requested)
    }

    /// Why no requested dataset has the column.
    fn unknown(self, among: &[&CatalogDataset], selected: &SelectedColumn) -> GrantRequestError {
        let column = selected.column.clone();
        let Some(name) = &selected.dataset else {
            let dataset = self.target.clone();
            return GrantRequestError::NoColumn { dataset, column };
        };
        match self.find(name) {
            Err(unlisted) => unlisted,
            Ok(_) if among.iter().any(|dataset| dataset.name == *name) => {
                let dataset = self.dataset(name);
                GrantRequestError::NoColumn { dataset, column }
            }
            Ok(_) => GrantRequestError::OtherDataset {
                column: selected.clone(),
            },
        }
    }

    /// Whether it is a dataset alone.
    fn is_alone(self) -> bool {
        matches!(self.listed, [only] if self.target.collection.is_name_of(&only.name))
    }

    fn dataset(self, name: &DatasetName) -> DatasetRef {
        DatasetRef {
            dataset: name.clone(),
            ..self.target.clone()
        }
    }
}

fn all_columns(dataset: &CatalogDataset) -> (DatasetName, BTreeSet<ColumnName>) {
    let columns = dataset.columns.iter().map(|column| column.name.clone());
    (dataset.name.clone(), columns.collect())
}

impl Explain for GrantRequestError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Scope(_)
            | Self::NotApplied(_)
            | Self::Until(_)
            | Self::Condition(_)
            | Self::OtherDataset { .. }
            | Self::NoColumnOf(_)
            | Self::NamedTwice { .. } => ErrorKind::Usage,
            Self::NoDataset(_) | Self::NothingShown(_) | Self::NoColumn { .. } => ErrorKind::NotFound,
        }
    }
}

#[cfg(test)]
mod tests;
