//! Converts a grant request, as given on the command line, to a scope.

use std::collections::BTreeSet;

use concordat_protocol::error_kind::{ErrorKind, Explain};
use concordat_protocol::ids::{ActorId, ColumnName, DatasetRef};
use concordat_protocol::scope::{
    Columns, InvalidScope, Limits, People, Places, Purpose, Purposes, Scope, Tier, Transform, Window,
};
use concordat_protocol::time::{InvalidTime, Timestamp};
use concordat_protocol::wire::messages::CatalogEntry;
use serde::Deserialize;

use super::condition::{self, ConditionError};
use crate::federation::FederationError;
use crate::node::Node;

/// A request for a grant. Whatever is omitted is requested as wide as possible: all columns in clear, all rows.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantRequest {
    /// How much an answer may reveal; defaults to records.
    #[serde(default)]
    pub tier: Option<Tier>,
    /// The columns; defaults to all.
    #[serde(default)]
    pub columns: Option<BTreeSet<ColumnName>>,
    /// A condition on rows, as SQL.
    #[serde(default, rename = "where")]
    pub condition: Option<String>,
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
pub enum GrantRequestError {
    /// A part of it is not valid.
    #[error(transparent)]
    Scope(#[from] InvalidScope),
    /// The end is not a date.
    #[error(transparent)]
    Until(#[from] InvalidTime),
    /// The row condition cannot be read.
    #[error(transparent)]
    Condition(#[from] ConditionError),
    /// The dataset is not in the catalog of its holder.
    #[error("`{0}` is not in the catalog of its holder; `concordat catalog` lists what is")]
    NoDataset(DatasetRef),
    /// A column that is not in the catalog.
    #[error("`{dataset}` has no column `{column}`")]
    NoColumn {
        /// The dataset.
        dataset: DatasetRef,
        /// The column.
        column: ColumnName,
    },
    /// The holder's catalog cannot be read.
    #[error(transparent)]
    Catalog(#[from] FederationError),
}

impl GrantRequest {
    /// Creates the scope to request; the columns and their types come from the holder's catalog.
    ///
    /// # Errors
    /// [`GrantRequestError`] when a part of it is unknown or cannot be requested.
    pub async fn into_scope(self, node: &Node, dataset: DatasetRef) -> Result<Scope, GrantRequestError> {
        let now = node.clock().now();
        let entry = look_up(node, &dataset).await?;
        let rows = match &self.condition {
            Some(text) => condition::parse(text, &entry.columns)?,
            None => Default::default(),
        };
        let people = match self.people {
            Some(people) => People::only(people)?,
            None => People::Any,
        };
        Ok(Scope {
            columns: Columns::new(chosen(&entry, &dataset, self.columns)?)?,
            dataset,
            tier: self.tier.unwrap_or(Tier::Records),
            rows,
            purposes: Purposes::new(self.purposes)?,
            people,
            places: Places::only([node.identity().jurisdiction.clone()])?,
            limits: Limits::WIDEST,
            window: Window::new(now, Timestamp::parse(&self.until)?)?,
        })
    }
}

fn chosen(
    entry: &CatalogEntry,
    dataset: &DatasetRef,
    columns: Option<BTreeSet<ColumnName>>,
) -> Result<Vec<(ColumnName, Transform)>, GrantRequestError> {
    let all: BTreeSet<ColumnName> = entry.columns.iter().map(|column| column.name.clone()).collect();
    let wanted = columns.unwrap_or_else(|| all.clone());
    match wanted.iter().find(|column| !all.contains(column)) {
        Some(unknown) => Err(GrantRequestError::NoColumn {
            dataset: dataset.clone(),
            column: unknown.clone(),
        }),
        None => Ok(wanted.into_iter().map(|column| (column, Transform::Clear)).collect()),
    }
}

/// The dataset's entry in its holder's catalog.
async fn look_up(node: &Node, dataset: &DatasetRef) -> Result<CatalogEntry, GrantRequestError> {
    let known = node.federation().catalog_of(&dataset.institution).await?;
    let found = known.into_iter().find(|known| known.dataset == *dataset);
    found
        .map(|known| known.entry)
        .ok_or_else(|| GrantRequestError::NoDataset(dataset.clone()))
}

impl Explain for GrantRequestError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Scope(_) | Self::Until(_) | Self::Condition(_) => ErrorKind::Usage,
            Self::NoDataset(_) | Self::NoColumn { .. } => ErrorKind::NotFound,
            Self::Catalog(source) => source.kind(),
        }
    }
}
