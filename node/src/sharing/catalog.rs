//! What peers may see: published collections, their datasets with columns and their approximate numbers of rows.

use std::sync::Arc;

use concordat_protocol::identity::Side;
use concordat_protocol::ids::DatasetName;
use concordat_protocol::membership::ValidRoster;
use concordat_protocol::wire::messages::{CatalogColumn, CatalogDataset, CatalogEntry, CatalogReply, CatalogRequest};
use concordat_storage::catalog::{CatalogError, DatasetRecord};

use super::handle::Sharing;
use super::party_limits::Party;
use super::wait_deadline::WaitDeadline;
use crate::negotiation::{is_active_side, party};
use crate::policies::catalog_facts;
use concordat_network::{FramedStream, NetworkError};
use concordat_policy::{CollectionFacts, ColumnFacts, DatasetFacts, MaxScope};

/// Entries in one page: well below the limit of a frame even with hundreds of columns each, and quickly decided.
const PAGE: usize = 20;

impl Sharing {
    /// Answers requests for pages, or for one collection, whose record alone is read. A collection or a column that no request of the member could get is left out, exactly like one that
    /// does not exist.
    ///
    /// A page takes many decisions of the policy, so an institution gets one at a time, and none while one of its queries is decided.
    pub(super) async fn send_catalog(&self, mut stream: FramedStream) -> Result<(), NetworkError> {
        let requester = stream.session().until_attested().await?.side();
        while let Some(request) = stream.recv::<CatalogRequest>().await? {
            let party = Party::Institution(requester.institution.clone());
            let Ok(slot) = self.0.limits.decision_slot(&party, WaitDeadline::start()).await else {
                tracing::debug!("the catalog is not sent: too many requests wait");
                break;
            };
            let sharing = self.clone();
            let requester = requester.clone();
            // The slot is held until the page is done, even if the peer goes away.
            match tokio::task::spawn_blocking(move || {
                let page = sharing.page(&requester, &request);
                drop(slot);
                page
            })
            .await
            {
                Ok(Ok(reply)) => stream.send(&reply).await?,
                Ok(Err(error)) => {
                    tracing::warn!(%error, "the catalog cannot be read");
                    break;
                }
                Err(_) => break,
            }
        }
        stream.close().await
    }

    fn page(&self, requester: &Side, request: &CatalogRequest) -> Result<CatalogReply, CatalogError> {
        let parts = &self.0.parts;
        let catalog = parts.storage.catalog();
        let now = parts.clock.now();
        let mut reply = CatalogReply {
            collections: Vec::new(),
            next: None,
        };
        let roster = parts.membership.valid_roster(now).ok();
        let known = |roster: Arc<ValidRoster>| {
            party(&roster, &requester.institution).filter(|_| is_active_side(&roster, requester))
        };
        let Some(requester) = roster.and_then(known) else {
            return Ok(reply);
        };
        let records = match &request.collection {
            Some(collection) => named(catalog.datasets().show(&DatasetName::from(collection)))?,
            None => catalog.datasets().list()?,
        };
        let published: Vec<_> = records.into_iter().filter(|record| record.published).collect();
        let from = usize::try_from(request.from).unwrap_or(usize::MAX);
        let next = from.saturating_add(PAGE);
        reply.next = u32::try_from(next).ok().filter(|_| published.len() > next);
        for record in published.iter().skip(from).take(PAGE) {
            let version = catalog.open_version(&record.name, None)?;
            let facts = catalog_facts(&parts.identity.institution, record, version.manifest());
            if let Some(max_scope) = parts
                .policy
                .current()
                .max_scope(&requester, &self.own_party(now), &facts, now)
            {
                reply
                    .collections
                    .push(entry(&facts, &max_scope, version.manifest().rows));
            }
        }
        Ok(reply)
    }
}

/// The record of a collection of one; none if it does not exist.
fn named(found: Result<DatasetRecord, CatalogError>) -> Result<Vec<DatasetRecord>, CatalogError> {
    match found {
        Ok(record) => Ok(vec![record]),
        Err(CatalogError::NotFound { .. }) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// The entry of a collection of one with so many rows.
fn entry(facts: &CollectionFacts, max_scope: &MaxScope, rows: u64) -> CatalogEntry {
    let datasets = facts.datasets.iter().map(|dataset| listed(dataset, max_scope, rows));
    CatalogEntry {
        collection: facts.reference.collection.clone(),
        datasets: datasets.collect(),
        tier: max_scope.tier,
        protections: max_scope.protections.clone(),
    }
}

fn listed(dataset: &DatasetFacts, max_scope: &MaxScope, rows: u64) -> CatalogDataset {
    let visible = max_scope.datasets.get(&dataset.name);
    let is_visible = |column: &ColumnFacts| visible.is_some_and(|names| names.contains(&column.name));
    let shown = dataset.columns.iter().filter(|column| is_visible(column));
    let columns = shown.map(|column| CatalogColumn {
        name: column.name.clone(),
        kind: column.kind_label().to_owned(),
        class: column.class.map_or_else(String::new, |class| class.to_string()),
    });
    CatalogDataset {
        name: dataset.name.clone(),
        columns: columns.collect(),
        about_rows: two_digits(rows),
    }
}

/// Rounds down to two digits, so that a single subject does not change the number.
fn two_digits(rows: u64) -> u64 {
    let mut unit: u64 = 1;
    while rows.checked_div(unit).unwrap_or(0) >= 100 {
        unit = unit.saturating_mul(10);
    }
    rows.checked_div(unit).unwrap_or(0).saturating_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn catalog_row_count_is_rounded_down_to_two_digits() {
        for (rows, rounded) in [(0, 0), (9, 9), (99, 99), (303, 300), (1_999, 1_900), (67_707, 67_000)] {
            assert_eq!(two_digits(rows), rounded);
        }
    }
}
