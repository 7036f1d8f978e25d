//! How the columns of one permission are shown at tier `records`.
//!
//! Which columns join is stated by all datasets of the permission together, so it is worked out once, and not for each of forty datasets.

use std::sync::Arc;

use concordat_engine::{Domains, ShownColumn, shown_dataset, with_oldest_year};
use concordat_protocol::ids::{ColumnName, DatasetName};
use concordat_protocol::scope::{Columns, Transform};
use concordat_protocol::wire::messages::{GrantedColumn, GrantedDataset};
use datafusion::arrow::datatypes::SchemaRef;

use super::error::FederationError;
use super::source::{Access, Target};

/// What the columns of all datasets of a permission have in common.
#[derive(Debug)]
pub(super) struct RecordColumns<'a> {
    /// One of its datasets.
    target: &'a Target,
    /// What pseudonyms are compared within.
    origin: String,
    domains: Domains,
    oldest_year: i32,
}

impl<'a> RecordColumns<'a> {
    /// Those of the permission for `target`, whose holder lists these datasets.
    pub(super) fn new(target: &'a Target, datasets: &[GrantedDataset], oldest_year: i32) -> Self {
        let origin = match target.access {
            Access::Own => format!("own:{}", target.dataset.collection()),
            Access::Grant(grant) => format!("grant:{grant}"),
        };
        Self {
            target,
            origin,
            domains: domains(datasets),
            oldest_year,
        }
    }

    /// The columns of a dataset that its scope shows, as they are shown.
    ///
    /// # Errors
    /// [`FederationError`] if a column cannot be shown as the scope states.
    pub(super) fn schema(
        &self,
        (dataset, stored): (&DatasetName, &[GrantedColumn]),
        scope: &Columns,
    ) -> Result<SchemaRef, FederationError> {
        let shown = stored.iter().filter_map(|column| shown_column(scope, column));
        let shown: Vec<ShownColumn> = shown.collect();
        let domain_of = |column: &str| match ColumnName::new(column) {
            Ok(name) => self.domains.of(dataset, &name).to_string(),
            Err(_) => column.to_owned(),
        };
        let schema = shown_dataset(&self.origin, &shown, &domain_of);
        let schema = schema.map_err(|error| FederationError::query(&self.target.dataset, error))?;
        Ok(Arc::new(with_oldest_year(&schema, self.oldest_year)))
    }
}

/// Which columns join, as the provider states it.
fn domains(datasets: &[GrantedDataset]) -> Domains {
    let roles = datasets.iter().flat_map(|dataset| {
        let columns = dataset.columns.iter();
        columns.map(|column| (dataset.name.clone(), column.name.clone(), column.role.clone()))
    });
    Domains::of_roles(roles)
}

/// The column as the scope shows it; `None` if the scope does not.
fn shown_column(scope: &Columns, column: &GrantedColumn) -> Option<ShownColumn> {
    let transform = scope.transform(&column.name);
    (transform != Transform::Removed).then(|| ShownColumn {
        name: column.name.to_string(),
        kind: column.kind,
        transform,
    })
}

#[cfg(test)]
mod tests {
    use concordat_protocol::collection::ColumnRole;
    use concordat_protocol::ids::GrantId;
    use concordat_protocol::schema::ColumnKind;
    use concordat_protocol::scope::{Purpose, Tier};

    use super::*;

    fn granted(name: &str, columns: &[(&str, ColumnRole)]) -> GrantedDataset {
        let column = |(name, role): &(&str, ColumnRole)| GrantedColumn {
            name: name.parse().unwrap(),
            kind: ColumnKind::Int,
            empty: false,
            role: role.clone(),
        };
        GrantedDataset {
            name: name.parse().unwrap(),
            columns: columns.iter().map(column).collect(),
        }
    }

    /// A column that leads to another dataset is shown as the key there, whichever of the two datasets a query names.
    #[test]
    fn record_columns_that_join_are_shown_alike_in_each_dataset() {
        let link = ColumnRole::Link {
            to: "visit".parse().unwrap(),
            key: "number".parse().unwrap(),
        };
        let datasets = [
            granted("visit", &[("number", ColumnRole::Key), ("ward", ColumnRole::Value)]),
            granted("note", &[("about", link), ("ward", ColumnRole::Value)]),
        ];
        let names = ["number", "ward", "about"].map(|name| (name.parse().unwrap(), Transform::Pseudonym));
        let scope = Columns::new(names).unwrap();
        let target = Target {
            dataset: "aachen.clinic.visit".parse().unwrap(),
            version: None,
            access: Access::Grant(GrantId::from_bytes([1; 16])),
            tier: Tier::Records,
            purpose: Purpose::HealthResearch,
            columns: scope.clone(),
            rules: None,
        };
        let shown = RecordColumns::new(&target, &datasets, 1936);
        let [visit, note] = [0, 1].map(|at| {
            let GrantedDataset { name, columns } = &datasets[at];
            shown.schema((name, columns.as_slice()), &scope).unwrap()
        });
        assert_eq!(
            visit.field(0).metadata(),
            note.field(0).metadata(),
            "the key and what leads to it"
        );
        assert_ne!(
            visit.field(0).metadata(),
            visit.field(1).metadata(),
            "a column of another domain"
        );
        let removed = Columns::new([("ward".parse().unwrap(), Transform::Pseudonym)]).unwrap();
        let GrantedDataset { name, columns } = &datasets[0];
        assert_eq!(
            shown
                .schema((name, columns.as_slice()), &removed)
                .unwrap()
                .fields()
                .len(),
            1
        );
    }
}
