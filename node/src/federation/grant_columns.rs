//! What each target shows: the columns that queries are planned on.
//!
//! The provider states the columns that the dataset has now, their types, and what is declared about them; how each is transformed is in
//! the grant's scope, which both sides signed, and the oldest year follows from its window. What was stated is kept until a query fails
//! that was planned on it, and used as long as the provider is connected.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use concordat_engine::{Domains, ShownColumn, ShownStatistics, shown_dataset, shown_schema, with_oldest_year};
use concordat_network::NetworkError;
use concordat_protocol::ids::{ColumnName, DatasetName, GrantId};
use concordat_protocol::scope::{DatasetScope, Datasets, Scope, Transform, Window};
use concordat_protocol::wire::messages::{
    GrantColumnsReply, GrantColumnsRequest, GrantedColumn, GrantedDataset, GrantedDatasets,
};
use concordat_protocol::wire::streams::GRANT_COLUMNS;
use datafusion::arrow::datatypes::SchemaRef;

use super::declared::Declared;
use super::error::FederationError;
use super::handle::Federation;
use super::report::QueryReport;
use super::source::{Access, Target};
use super::union_table::MemberColumns;
use crate::sharing::Requester;

/// Time within which a query of our own datasets is decided and answered, in seconds; more than that is no loss.
const OWN_WINDOW_SECONDS: i64 = 86_400;

/// What a target shows.
#[derive(Debug)]
pub(super) struct Shown {
    /// Its columns: as they are shown at tier `records`, and as they are stored for statistics, whose levels decide what is distinguished.
    pub(super) columns: MemberColumns,
    /// What is declared about its collection; `None` if that was not requested, and if nothing is.
    pub(super) declared: Option<Declared>,
}

impl Federation {
    /// The columns that `target` shows, for queries of its records.
    ///
    /// # Errors
    /// [`FederationError`] if its provider cannot be asked or refuses, or if a column cannot be shown as the grant states.
    pub(super) async fn columns_of(&self, target: &Target, report: &QueryReport) -> Result<Shown, FederationError> {
        let granted = self.listed(target, report).await?;
        let stored = columns_of_target(target, &granted.datasets).ok_or_else(|| not_once(target))?;
        let schema = self
            .shown_columns(target, (&target.dataset.dataset, stored), &granted)
            .await?;
        let columns = MemberColumns {
            schema,
            empty: empty(stored),
        };
        Ok(Shown {
            columns,
            declared: None,
        })
    }

    /// The columns that `target` shows as they are stored, and what is declared about its collection, for statistics.
    ///
    /// # Errors
    /// As [`Self::columns_of`].
    pub(super) async fn declared_columns_of(
        &self,
        target: &Target,
        requester: &Requester,
        report: &QueryReport,
    ) -> Result<Shown, FederationError> {
        let granted = self.listed(target, report).await?;
        let listed = columns_of_target(target, &granted.datasets).ok_or_else(|| not_once(target))?;
        let visible = listed
            .iter()
            .filter(|column| target.columns.transform(&column.name) != Transform::Removed);
        let columns = MemberColumns {
            schema: stored_columns(target, visible)?,
            empty: empty(listed),
        };
        let scope = self.scope_of(target, requester).await?;
        let declared = match (granted.rules.clone(), scope) {
            (Some(rules), Some(scope)) => {
                let mut columns: BTreeMap<DatasetName, SchemaRef> = BTreeMap::new();
                let mut shown: BTreeMap<DatasetName, SchemaRef> = BTreeMap::new();
                let mut datasets: Vec<(DatasetName, DatasetScope)> = Vec::new();
                for dataset in &granted.datasets {
                    let Some(covered) = scope.datasets.get(&dataset.name) else {
                        continue;
                    };
                    datasets.push((dataset.name.clone(), covered.clone()));
                    columns.insert(dataset.name.clone(), stored_columns(target, dataset.columns.iter())?);
                    let of = Target {
                        columns: covered.columns.clone(),
                        ..target.clone()
                    };
                    let of_records = self
                        .shown_columns(&of, (&dataset.name, dataset.columns.as_slice()), &granted)
                        .await;
                    // A column that cannot be shown is no obstacle below records.
                    shown.extend(of_records.ok().map(|schema| (dataset.name.clone(), schema)));
                }
                // The version may lack a dataset of the scope, which is unknown then.
                Datasets::new(datasets).ok().map(|datasets| Declared {
                    statistics: ShownStatistics {
                        scope: Scope { datasets, ..scope },
                        rules,
                        columns,
                    },
                    shown,
                })
            }
            (Some(_) | None, _) => None,
        };
        Ok(Shown { columns, declared })
    }

    async fn listed(&self, target: &Target, report: &QueryReport) -> Result<Arc<GrantedDatasets>, FederationError> {
        match target.access {
            Access::Own => self.own_columns(target).await,
            Access::Grant(grant) => self.granted_columns(target, grant, report).await,
        }
    }

    /// The columns of a dataset as `target` shows them at tier `records`.
    async fn shown_columns(
        &self,
        target: &Target,
        (dataset, stored): (&DatasetName, &[GrantedColumn]),
        granted: &GrantedDatasets,
    ) -> Result<SchemaRef, FederationError> {
        let origin = match target.access {
            Access::Own => format!("own:{}", target.dataset.collection()),
            Access::Grant(grant) => format!("grant:{grant}"),
        };
        let shown: Vec<ShownColumn> = stored
            .iter()
            .filter_map(|column| shown_column(target, column))
            .collect();
        let domains = domains(&granted.datasets);
        let domain_of = |column: &str| match ColumnName::new(column) {
            Ok(name) => domains.of(dataset, &name).to_string(),
            Err(_) => column.to_owned(),
        };
        let schema = shown_dataset(&origin, &shown, &domain_of);
        let schema = schema.map_err(|error| FederationError::query(&target.dataset, error))?;
        Ok(Arc::new(with_oldest_year(&schema, self.oldest_year(target).await)))
    }

    /// The scope of the permission for `target`: that of the grant, or what the requester may do with our own collection now.
    async fn scope_of(&self, target: &Target, requester: &Requester) -> Result<Option<Scope>, FederationError> {
        let parts = &self.0.parts;
        let grant = match target.access {
            Access::Grant(grant) => grant,
            Access::Own => {
                let collection = DatasetName::from(&target.dataset.collection);
                let scope = parts.sharing.local_scope(requester, &target.purpose, &collection).await;
                let scope = scope.map_err(|refusal| self.refused_locally(refusal))?;
                // Its window begins with each decision, so a plan would be another one each time.
                return Ok(scope.map(|scope| Scope {
                    window: self.own_window().unwrap_or(scope.window),
                    ..scope
                }));
            }
        };
        Ok(parts.grants.get(&grant).await.map(|view| view.terms.scope.clone()))
    }

    /// The window of queries of our own datasets on this day.
    fn own_window(&self) -> Option<Window> {
        let now = self.0.parts.clock.now();
        let into_the_day = now.as_millis().rem_euclid(OWN_WINDOW_SECONDS.saturating_mul(1000));
        let begin = now.plus_millis(into_the_day.saturating_neg());
        Window::new(begin, begin.plus_seconds(OWN_WINDOW_SECONDS.saturating_mul(2))).ok()
    }

    /// The oldest year of the columns of `target`, or a later one: its holder's policies can end a grant sooner than agreed, and each query
    /// of our own datasets has a window that begins when it is decided.
    async fn oldest_year(&self, target: &Target) -> i32 {
        let parts = &self.0.parts;
        let window = match target.access {
            Access::Own => {
                let now = parts.clock.now();
                Window::new(now, now.plus_seconds(OWN_WINDOW_SECONDS)).ok()
            }
            Access::Grant(grant) => parts.grants.get(&grant).await.map(|view| view.terms.scope.window),
        };
        window.map_or(i32::MAX, |window| window.oldest_year())
    }

    async fn own_columns(&self, target: &Target) -> Result<Arc<GrantedDatasets>, FederationError> {
        let sharing = &self.0.parts.sharing;
        let datasets = sharing.own_columns(&target.dataset.collection, target.version).await;
        let datasets = datasets.map_err(|refusal| self.refused_locally(refusal))?;
        let has_dataset = |granted: &GrantedDatasets| {
            let mut listed = granted.datasets.iter();
            listed.any(|listed| listed.name == target.dataset.dataset)
        };
        let missing = || FederationError::usage(format!("`{}` has no such version", target.dataset));
        Ok(Arc::new(datasets.filter(has_dataset).ok_or_else(missing)?))
    }

    async fn granted_columns(
        &self,
        target: &Target,
        grant: GrantId,
        report: &QueryReport,
    ) -> Result<Arc<GrantedDatasets>, FederationError> {
        let known = &self.0.grant_columns;
        let provider = &target.dataset.institution;
        // A provider that is not connected is asked again, so that a plan has no part for a member that cannot be reached.
        if self.connected_node(provider).is_some()
            && let Some(columns) = known.with(|columns| columns.get(&grant).cloned())
            && columns_of_target(target, &columns.datasets).is_some()
        {
            report.use_known_columns();
            return Ok(columns);
        }
        let unreachable = |source: NetworkError| FederationError::Unreachable {
            provider: provider.clone(),
            source,
        };
        let (_, mut stream) = self.connect(provider, &grant, GRANT_COLUMNS).await?;
        stream.send(&GrantColumnsRequest { grant }).await.map_err(unreachable)?;
        let granted: Arc<GrantedDatasets> = match stream.expect().await.map_err(unreachable)? {
            GrantColumnsReply::Datasets(granted) => Arc::new(granted),
            GrantColumnsReply::Refused(refusal) => {
                return Err(FederationError::Refused {
                    provider: provider.clone(),
                    refusal,
                });
            }
        };
        columns_of_target(target, &granted.datasets).ok_or_else(|| not_once(target))?;
        // A column without values has no type yet. What is sent would cast it to that of the other members, and silently cut its first
        // values if they have another type.
        let mut columns = granted.datasets.iter().flat_map(|dataset| &dataset.columns);
        if columns.all(|column| !column.empty) {
            known.with(|known| known.insert(grant, Arc::clone(&granted)));
        }
        Ok(granted)
    }
}

/// The error for a provider that does not list the target once.
fn not_once(target: &Target) -> FederationError {
    FederationError::Misbehaved {
        provider: target.dataset.institution.clone(),
        detail: format!("it lists `{}` not once, or a column of it twice", target.dataset),
    }
}

/// The columns of the target; `None` if it is not listed once, or if two of its columns have the same name.
fn columns_of_target<'a>(target: &Target, datasets: &'a [GrantedDataset]) -> Option<&'a [GrantedColumn]> {
    let mut named = datasets.iter().filter(|listed| listed.name == target.dataset.dataset);
    let listed = named.next().filter(|_| named.next().is_none())?;
    let mut names = BTreeSet::new();
    let are_distinct = listed.columns.iter().all(|column| names.insert(&column.name));
    are_distinct.then_some(listed.columns.as_slice())
}

/// The columns in which no row has a value.
fn empty(columns: &[GrantedColumn]) -> BTreeSet<String> {
    let empty = columns.iter().filter(|column| column.empty);
    empty.map(|column| column.name.to_string()).collect()
}

/// The columns with the types that are stored.
fn stored_columns<'a>(
    target: &Target,
    columns: impl Iterator<Item = &'a GrantedColumn>,
) -> Result<SchemaRef, FederationError> {
    let stored = columns.map(|column| ShownColumn {
        name: column.name.to_string(),
        kind: column.kind,
        transform: Transform::Clear,
    });
    let schema = shown_schema("", &stored.collect::<Vec<_>>());
    schema.map_err(|error| FederationError::query(&target.dataset, error))
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
fn shown_column(target: &Target, column: &GrantedColumn) -> Option<ShownColumn> {
    let (_, transform) = target.columns.iter().find(|(name, _)| **name == column.name)?;
    (transform != Transform::Removed).then(|| ShownColumn {
        name: column.name.to_string(),
        kind: column.kind,
        transform,
    })
}
