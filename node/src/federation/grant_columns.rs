//! What each target shows: the columns that queries are planned on.
//!
//! The provider states the columns that the dataset has now and their types; how each is transformed is in the grant's scope, which both
//! sides signed, and the oldest year follows from its window. What was stated is kept until a query fails that was planned on it, and used
//! as long as the provider is connected.

use std::collections::BTreeSet;
use std::sync::Arc;

use concordat_engine::{ShownColumn, shown_schema, with_oldest_year};
use concordat_network::NetworkError;
use concordat_protocol::ids::GrantId;
use concordat_protocol::scope::{Transform, Window};
use concordat_protocol::wire::messages::{GrantColumnsReply, GrantColumnsRequest, GrantedColumn, GrantedDataset};
use concordat_protocol::wire::streams::GRANT_COLUMNS;

use super::error::FederationError;
use super::handle::Federation;
use super::report::QueryReport;
use super::source::{Access, Target};
use super::union_table::MemberColumns;

/// Time within which a query of our own datasets is decided and answered, in seconds; more than that is no loss.
const OWN_WINDOW_SECONDS: i64 = 86_400;

impl Federation {
    /// The columns that `target` shows.
    ///
    /// # Errors
    /// [`FederationError`] if its provider cannot be asked or refuses, or if a column cannot be shown as the grant states.
    pub(super) async fn columns_of(
        &self,
        target: &Target,
        report: &QueryReport,
    ) -> Result<MemberColumns, FederationError> {
        let (origin, stored) = match target.access {
            Access::Own => (format!("own:{}", target.dataset), self.own_columns(target).await?),
            Access::Grant(grant) => (
                format!("grant:{grant}"),
                self.granted_columns(target, grant, report).await?,
            ),
        };
        let shown: Vec<ShownColumn> = stored
            .iter()
            .filter_map(|column| shown_column(target, column))
            .collect();
        let schema = shown_schema(&origin, &shown).map_err(|error| FederationError::query(&target.dataset, error))?;
        let schema = Arc::new(with_oldest_year(&schema, self.oldest_year(target).await));
        let empty = stored
            .iter()
            .filter(|column| column.empty)
            .map(|column| column.name.to_string());
        Ok(MemberColumns {
            schema,
            empty: empty.collect(),
        })
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

    async fn own_columns(&self, target: &Target) -> Result<Arc<[GrantedColumn]>, FederationError> {
        let sharing = &self.0.parts.sharing;
        let columns = sharing.own_columns(&target.dataset.dataset, target.version).await;
        let columns = columns.map_err(|refusal| self.refused_locally(refusal))?;
        let missing = || FederationError::usage(format!("`{}` has no such version", target.dataset));
        Ok(columns.ok_or_else(missing)?.into())
    }

    async fn granted_columns(
        &self,
        target: &Target,
        grant: GrantId,
        report: &QueryReport,
    ) -> Result<Arc<[GrantedColumn]>, FederationError> {
        let known = &self.0.grant_columns;
        let provider = &target.dataset.institution;
        // A provider that is not connected is asked again, so that a plan has no part for a member that cannot be reached.
        if self.connected_node(provider).is_some()
            && let Some(columns) = known.with(|columns| columns.get(&grant).cloned())
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
        let columns: Arc<[GrantedColumn]> = match stream.expect().await.map_err(unreachable)? {
            GrantColumnsReply::Datasets(datasets) => of_target(target, datasets)
                .ok_or_else(|| FederationError::Misbehaved {
                    provider: provider.clone(),
                    detail: format!("it lists `{}` not once, or a column of it twice", target.dataset),
                })?
                .into(),
            GrantColumnsReply::Refused(refusal) => {
                return Err(FederationError::Refused {
                    provider: provider.clone(),
                    refusal,
                });
            }
        };
        // A column without values has no type yet. What is sent would cast it to that of the other members, and silently cut its first values
        // if they have another type.
        if columns.iter().all(|column| !column.empty) {
            known.with(|known| known.insert(grant, Arc::clone(&columns)));
        }
        Ok(columns)
    }
}

/// The columns of the target; `None` if it is not listed once, or if two of its columns have the same name.
fn of_target(target: &Target, datasets: Vec<GrantedDataset>) -> Option<Vec<GrantedColumn>> {
    let mut named = datasets
        .into_iter()
        .filter(|listed| listed.name == target.dataset.dataset);
    let listed = named.next().filter(|_| named.next().is_none())?;
    distinct(listed.columns)
}

/// The same columns; `None` if two have the same name.
fn distinct(columns: Vec<GrantedColumn>) -> Option<Vec<GrantedColumn>> {
    let mut names = BTreeSet::new();
    let all = columns.iter().all(|column| names.insert(&column.name));
    all.then_some(columns)
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
