//! Converts a grant request, as given on the command line, to a scope.

use std::collections::BTreeSet;

use concordat_protocol::error_kind::{ErrorKind, Explain};
use concordat_protocol::ids::{ActorId, ColumnName, DatasetRef, Jurisdiction};
use concordat_protocol::scope::{
    Columns, Datasets, InvalidScope, Limits, People, Places, Protection, Purpose, Purposes, Rows, Scope, Subjects,
    Tier, Transform, Window,
};
use concordat_protocol::time::{InvalidTime, Timestamp};
use concordat_protocol::wire::messages::CatalogDataset;
use serde::Deserialize;

use super::condition::{self, ConditionError};

/// A request for a grant. Whatever is omitted is requested as wide as possible: all columns in clear, all rows.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GrantRequest {
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
pub(crate) enum GrantRequestError {
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
}

impl GrantRequest {
    /// Creates the scope to request from `now` on; the columns and their types come from `listed`, the dataset in its holder's catalog.
    /// Answers are received in the `jurisdiction` of this institution.
    ///
    /// # Errors
    /// [`GrantRequestError`] when a part of it is unknown or cannot be requested.
    pub(crate) fn into_scope(
        self,
        dataset: DatasetRef,
        listed: Option<&CatalogDataset>,
        jurisdiction: Jurisdiction,
        now: Timestamp,
    ) -> Result<Scope, GrantRequestError> {
        let entry = listed.ok_or_else(|| GrantRequestError::NoDataset(dataset.clone()))?;
        let rows = match &self.condition {
            Some(text) => condition::parse(text, &entry.columns)?,
            None => Rows::all(),
        };
        let people = match self.people {
            Some(people) => People::only(people)?,
            None => People::Any,
        };
        let columns = Columns::new(chosen(entry, &dataset, self.columns)?)?;
        Ok(Scope {
            collection: dataset.collection(),
            tier: self.tier.unwrap_or(Tier::Records),
            protection: Protection::Exact,
            subjects: Subjects::Any,
            datasets: Datasets::one(dataset.dataset, columns, rows),
            purposes: Purposes::new(self.purposes)?,
            people,
            places: Places::only([jurisdiction])?,
            limits: Limits::WIDEST,
            window: Window::new(now, Timestamp::parse_end(&self.until)?)?,
        })
    }
}

fn chosen(
    entry: &CatalogDataset,
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

impl Explain for GrantRequestError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Scope(_) | Self::Until(_) | Self::Condition(_) => ErrorKind::Usage,
            Self::NoDataset(_) | Self::NoColumn { .. } => ErrorKind::NotFound,
        }
    }
}

#[cfg(test)]
mod tests {
    use concordat_protocol::wire::messages::CatalogColumn;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    #[test]
    fn request_is_as_wide_as_the_catalog_where_nothing_is_stated() {
        let scope = into_scope(&serde_json::json!({ "where": "age >= 40" }), Some(&listed())).unwrap();
        let (_, shown) = scope.only().unwrap();
        let columns: Vec<_> = shown
            .columns
            .iter()
            .map(|(column, how)| (column.as_str(), how))
            .collect();
        assert_eq!(columns, [("age", Transform::Clear), ("sex", Transform::Clear)]);
        assert_eq!(
            (scope.tier, &scope.people, scope.limits),
            (Tier::Records, &People::Any, Limits::WIDEST)
        );
        assert_eq!(shown.rows.to_string(), "age >= 40");
        assert_eq!(scope.places.to_string(), "HU");
        assert_eq!(scope.window.not_before(), NOW);
        assert_eq!(scope.window.not_after().to_string(), "2027-07-01T00:00:00Z");
    }

    #[test]
    fn request_for_what_the_catalog_does_not_list_is_refused() {
        let unlisted = into_scope(&serde_json::json!({}), None);
        assert!(matches!(unlisted, Err(GrantRequestError::NoDataset(_))));
        let column = into_scope(&serde_json::json!({ "columns": ["age", "name"] }), Some(&listed()));
        assert!(matches!(column, Err(GrantRequestError::NoColumn { column, .. }) if column.as_str() == "name"));
        let condition = into_scope(&serde_json::json!({ "where": "name = 1" }), Some(&listed()));
        assert!(matches!(condition, Err(GrantRequestError::Condition(_))));
    }

    fn into_scope(options: &serde_json::Value, listed: Option<&CatalogDataset>) -> Result<Scope, GrantRequestError> {
        let mut request = serde_json::json!({ "purposes": ["health-research"], "until": "2027-06-30" });
        request
            .as_object_mut()
            .unwrap()
            .extend(options.as_object().unwrap().clone());
        let request: GrantRequest = serde_json::from_value(request).unwrap();
        request.into_scope("cleveland.heart".parse().unwrap(), listed, "HU".parse().unwrap(), NOW)
    }

    fn listed() -> CatalogDataset {
        let column = |name: &str| CatalogColumn {
            name: name.parse().unwrap(),
            kind: "integer".to_owned(),
            class: "ordinary".to_owned(),
        };
        CatalogDataset {
            name: "heart".parse().unwrap(),
            columns: vec![column("age"), column("sex")],
            about_rows: 300,
        }
    }
}
