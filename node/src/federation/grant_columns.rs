//! What each target shows: the columns that queries are planned on.
//!
//! The provider states the columns that the dataset has now, their types, and what is declared about them; how each is transformed is in
//! the grant's scope, which both sides signed, and the oldest year follows from its window. What was stated is kept until a query fails
//! that was planned on it, and used as long as the provider is connected.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use concordat_engine::{ShownColumn, ShownStatistics, shown_schema};
use concordat_network::NetworkError;
use concordat_protocol::ids::{DatasetName, Digest32, GrantId};
use concordat_protocol::scope::{DatasetScope, Datasets, Scope, Transform, Window};
use concordat_protocol::wire::messages::{
    GrantColumnsReply, GrantColumnsRequest, GrantedColumn, GrantedDataset, GrantedDatasets,
};
use concordat_protocol::wire::streams::GRANT_COLUMNS;
use datafusion::arrow::datatypes::SchemaRef;

use super::declared::Declared;
use super::error::FederationError;
use super::handle::Federation;
use super::record_columns::RecordColumns;
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
    pub(super) declared: Option<SharedDeclared>,
}

/// What is declared about a collection, as the permission for one of its datasets shows it; for the others under the same permission too.
#[derive(Clone, Debug)]
pub(super) struct SharedDeclared {
    /// One of the datasets.
    target: Target,
    /// The listing that it follows from.
    listed: Arc<GrantedDatasets>,
    /// What is declared.
    pub(super) declared: Arc<Declared>,
    /// The digest of the declarations.
    pub(super) rules: Digest32,
}

impl SharedDeclared {
    /// Whether it is what `target` would show, of which this was listed.
    fn is_of(&self, target: &Target, listed: &Arc<GrantedDatasets>) -> bool {
        let of = |target: &Target| (target.dataset.collection(), target.access, target.version, target.tier);
        of(&self.target) == of(target)
            && self.target.purpose == target.purpose
            && (Arc::ptr_eq(&self.listed, listed) || self.listed == *listed)
    }
}

impl Federation {
    /// The columns that `target` shows, for queries of its records.
    ///
    /// # Errors
    /// [`FederationError`] if its provider cannot be asked or refuses, or if a column cannot be shown as the grant states.
    pub(super) async fn columns_of(&self, target: &Target, report: &QueryReport) -> Result<Shown, FederationError> {
        let granted = self.listed(target, report).await?;
        let stored = columns_of_target(target, &granted.datasets).ok_or_else(|| not_once(target))?;
        let shown = RecordColumns::new(target, &granted.datasets, self.oldest_year(target).await);
        let schema = shown.schema((&target.dataset.dataset, stored), &target.columns)?;
        let columns = MemberColumns {
            schema,
            empty: empty(stored),
        };
        Ok(Shown {
            columns,
            declared: None,
        })
    }

    /// The columns that `target` shows as they are stored, and what is declared about its collection, for statistics: one of `known`, if it is
    /// the same.
    ///
    /// # Errors
    /// As [`Self::columns_of`].
    pub(super) async fn declared_columns_of(
        &self,
        target: &Target,
        requester: &Requester,
        known: &[SharedDeclared],
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
        let declared = match known.iter().find(|known| known.is_of(target, &granted)) {
            Some(known) => Some(known.clone()),
            None => self.declared_by(target, requester, &granted).await?,
        };
        Ok(Shown { columns, declared })
    }

    /// What the permission for `target` shows of its collection; `None` if nothing is declared.
    async fn declared_by(
        &self,
        target: &Target,
        requester: &Requester,
        granted: &Arc<GrantedDatasets>,
    ) -> Result<Option<SharedDeclared>, FederationError> {
        let scope = self.scope_of(target, requester).await?;
        let (Some(rules), Some(scope)) = (granted.rules.clone(), scope) else {
            return Ok(None);
        };
        let records = RecordColumns::new(target, &granted.datasets, self.oldest_year(target).await);
        let mut columns: BTreeMap<DatasetName, SchemaRef> = BTreeMap::new();
        let mut shown: BTreeMap<DatasetName, SchemaRef> = BTreeMap::new();
        let mut datasets: Vec<(DatasetName, DatasetScope)> = Vec::new();
        for dataset in &granted.datasets {
            let Some(covered) = scope.datasets.get(&dataset.name) else {
                continue;
            };
            datasets.push((dataset.name.clone(), covered.clone()));
            columns.insert(dataset.name.clone(), stored_columns(target, dataset.columns.iter())?);
            let of_records = records.schema((&dataset.name, dataset.columns.as_slice()), &covered.columns);
            // A column that cannot be shown is no obstacle below records.
            shown.extend(of_records.ok().map(|schema| (dataset.name.clone(), schema)));
        }
        // The version may lack a dataset of the scope, which is unknown then.
        let declared = Datasets::new(datasets).ok().map(|datasets| Declared {
            statistics: ShownStatistics {
                scope: Scope { datasets, ..scope },
                rules,
                columns,
            },
            shown,
        });
        Ok(declared.map(|declared| SharedDeclared {
            target: target.clone(),
            listed: Arc::clone(granted),
            rules: declared.statistics.rules.digest(),
            declared: Arc::new(declared),
        }))
    }

    async fn listed(&self, target: &Target, report: &QueryReport) -> Result<Arc<GrantedDatasets>, FederationError> {
        match target.access {
            Access::Own => self.own_columns(target).await,
            Access::Grant(grant) => self.granted_columns(target, grant, report).await,
        }
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
            && is_usable(target, &columns.datasets)
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
        known.with(|known| known.insert(grant, Arc::clone(&granted)));
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

/// Whether a query of the target can be planned on datasets that were listed before. A column without values has no type yet: what is sent would cast
/// it to that of the other members, and silently cut its first values if they have another type. So its dataset is listed again for each query, and not
/// the others of the grant.
fn is_usable(target: &Target, datasets: &[GrantedDataset]) -> bool {
    columns_of_target(target, datasets).is_some_and(|columns| columns.iter().all(|column| !column.empty))
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

#[cfg(test)]
mod tests;
