//! What a person asks for, in the words of the command line, made into a scope.

use std::collections::BTreeSet;

use concordat_protocol::ids::{ActorId, ColumnName, DatasetRef};
use concordat_protocol::scope::{
    Columns, InvalidScope, Limits, People, Places, Purpose, Purposes, Scope, Tier, Transform, Window,
};
use concordat_protocol::time::{InvalidTime, Timestamp};
use concordat_protocol::wire::messages::CatalogEntry;
use serde::Deserialize;

use super::condition::{self, ConditionError};
use crate::fault::{Code, Explain};
use crate::federation::QueryFault;
use crate::node::Node;

/// A wish. What is left out is asked for as wide as it can be: all columns in clear, all rows.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wish {
    /// How much an answer may reveal; records where nothing is said.
    #[serde(default)]
    pub tier: Option<Tier>,
    /// The columns; all where nothing is said.
    #[serde(default)]
    pub columns: Option<BTreeSet<ColumnName>>,
    /// A condition on rows, as SQL.
    #[serde(default, rename = "where")]
    pub condition: Option<String>,
    /// What for.
    pub purposes: BTreeSet<Purpose>,
    /// The last day, or the moment of the end.
    pub until: String,
    /// Who may use it; everybody with the role where nothing is said.
    #[serde(default)]
    pub people: Option<BTreeSet<ActorId>>,
}

/// Why a wish is no scope.
#[derive(Debug, thiserror::Error)]
pub enum WishError {
    /// A part of it is not valid.
    #[error(transparent)]
    Scope(#[from] InvalidScope),
    /// The end is no date.
    #[error(transparent)]
    Until(#[from] InvalidTime),
    /// The row condition cannot be read.
    #[error(transparent)]
    Condition(#[from] ConditionError),
    /// The holder shows no such dataset.
    #[error("`{0}` is not in the catalogue of its holder; `concordat catalog` shows what is")]
    NoDataset(DatasetRef),
    /// A column that the catalogue does not show.
    #[error("`{dataset}` has no column `{column}`")]
    NoColumn {
        /// The dataset.
        dataset: DatasetRef,
        /// The column.
        column: ColumnName,
    },
    /// The holder's catalogue cannot be read.
    #[error(transparent)]
    Catalog(#[from] QueryFault),
}

impl Wish {
    /// Makes the scope to ask for; the holder's catalogue tells the columns and their types.
    ///
    /// # Errors
    /// [`WishError`] when something in it is unknown or cannot be asked.
    pub async fn into_scope(self, node: &Node, dataset: DatasetRef) -> Result<Scope, WishError> {
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
) -> Result<Vec<(ColumnName, Transform)>, WishError> {
    let all: BTreeSet<ColumnName> = entry.columns.iter().map(|column| column.name.clone()).collect();
    let wanted = columns.unwrap_or_else(|| all.clone());
    match wanted.iter().find(|column| !all.contains(column)) {
        Some(unknown) => Err(WishError::NoColumn {
            dataset: dataset.clone(),
            column: unknown.clone(),
        }),
        None => Ok(wanted.into_iter().map(|column| (column, Transform::Clear)).collect()),
    }
}

/// The dataset's entry in its holder's catalogue.
async fn look_up(node: &Node, dataset: &DatasetRef) -> Result<CatalogEntry, WishError> {
    let known = node.federation().catalog_of(&dataset.institution).await?;
    let found = known.into_iter().find(|known| known.dataset == *dataset);
    found
        .map(|known| known.entry)
        .ok_or_else(|| WishError::NoDataset(dataset.clone()))
}

impl Explain for WishError {
    fn code(&self) -> Code {
        match self {
            Self::Scope(_) | Self::Until(_) | Self::Condition(_) => Code::Usage,
            Self::NoDataset(_) | Self::NoColumn { .. } => Code::NotFound,
            Self::Catalog(source) => source.code(),
        }
    }
}
