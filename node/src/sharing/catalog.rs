//! What peers may see: published collections, their datasets with columns and their approximate numbers of rows.

use std::sync::Arc;

use concordat_protocol::identity::Side;
use concordat_protocol::ids::CollectionName;
use concordat_protocol::membership::ValidRoster;
use concordat_protocol::wire::messages::{CatalogColumn, CatalogDataset, CatalogEntry, CatalogReply, CatalogRequest};
use concordat_storage::catalog::{CatalogError, CollectionManifest, CollectionRecord, Datasets};

use super::dictionary::Dictionary;
use super::handle::Sharing;
use super::party_limits::Party;
use super::wait_deadline::WaitDeadline;
use crate::negotiation::{is_active_side, party};
use crate::policies::facts_of_collection;
use concordat_network::{FramedStream, NetworkError};
use concordat_policy::{CollectionFacts, ColumnFacts, DatasetFacts, MaxScope};

/// Entries in one page: quickly decided.
const PAGE: usize = 20;
/// Columns after which a page has no further entry, whether or not they are shown: each is decided for several purposes. With the last entry
/// there may be some four thousand more, all of them with a unit and leading to a key: 1.6 MB with the longest names, below the limit of a frame.
const PAGE_COLUMNS: usize = 1000;

impl Sharing {
    /// Answers requests for pages, or for one collection, whose record alone is read. A collection, a dataset of several or a column that no
    /// request of the member could get is left out, exactly like one that does not exist.
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
        let datasets = parts.storage.catalog().datasets();
        let published = published(datasets, request.collection.as_ref())?;
        let policy = parts.policy.current();
        let own = self.own_party(now);
        let from = usize::try_from(request.from).unwrap_or(usize::MAX);
        let mut next = from;
        let mut columns: usize = 0;
        for record in published.iter().skip(from).take(PAGE) {
            if columns >= PAGE_COLUMNS {
                break;
            }
            next = next.saturating_add(1);
            let manifest = datasets.current_version(record)?;
            let facts = facts_of_collection(&parts.identity.institution, record, &manifest);
            let max_scope = policy.max_scope(&requester, &own, &facts, now);
            let decided = facts.datasets.iter().map(|dataset| dataset.columns.len());
            columns = decided.fold(columns, usize::saturating_add);
            reply
                .collections
                .extend(max_scope.and_then(|max_scope| entry((&facts, record), &max_scope, &manifest)));
        }
        reply.next = u32::try_from(next).ok().filter(|_| published.len() > next);
        Ok(reply)
    }
}

/// The published collections, or that of the name; none if it does not exist.
fn published(datasets: &Datasets, collection: Option<&CollectionName>) -> Result<Vec<CollectionRecord>, CatalogError> {
    let mut records = match collection {
        None => datasets.collections()?,
        Some(name) => match datasets.collection(name) {
            Ok(record) => vec![record],
            Err(CatalogError::NotFound { .. }) => Vec::new(),
            Err(error) => return Err(error),
        },
    };
    records.retain(|record| record.published);
    Ok(records)
}

/// The entry of a collection. Of one with several datasets, those are left out of which no column is visible; `None` if none is left.
fn entry(
    (facts, record): (&CollectionFacts, &CollectionRecord),
    max_scope: &MaxScope,
    manifest: &CollectionManifest,
) -> Option<CatalogEntry> {
    let dictionary = Dictionary::of(record, manifest, max_scope);
    let rows = |dataset: &DatasetFacts| manifest.dataset(&dataset.name).map_or(0, |stored| stored.rows);
    let listed = facts
        .datasets
        .iter()
        .map(|dataset| listed((dataset, rows(dataset)), max_scope, &dictionary));
    let mut datasets: Vec<CatalogDataset> = listed.collect();
    if manifest.alone().is_none() {
        datasets.retain(|dataset| !dataset.columns.is_empty());
    }
    (!datasets.is_empty()).then(|| CatalogEntry {
        collection: facts.reference.collection.clone(),
        datasets,
        tier: max_scope.tier,
        protections: max_scope.protections.clone(),
    })
}

fn listed((dataset, rows): (&DatasetFacts, u64), max_scope: &MaxScope, dictionary: &Dictionary<'_>) -> CatalogDataset {
    let visible = max_scope.datasets.get(&dataset.name);
    let is_visible = |column: &ColumnFacts| visible.is_some_and(|names| names.contains(&column.name));
    let shown = dataset.columns.iter().filter(|column| is_visible(column));
    let columns = shown.map(|column| CatalogColumn {
        name: column.name.clone(),
        kind: column.kind_label().to_owned(),
        class: column.class.map_or_else(String::new, |class| class.to_string()),
        role: dictionary.role(&dataset.name, &column.name),
        unit: dictionary.unit(&dataset.name, &column.name),
    });
    CatalogDataset {
        name: dataset.name.clone(),
        columns: columns.collect(),
        about_rows: two_digits(rows),
    }
}

/// Rounds down to two digits, so that a single subject does not change the number.
pub(super) fn two_digits(rows: u64) -> u64 {
    let mut unit: u64 = 1;
    while rows.checked_div(unit).unwrap_or(0) >= 100 {
        unit = unit.saturating_mul(10);
    }
    rows.checked_div(unit).unwrap_or(0).saturating_mul(unit)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use concordat_protocol::collection::{ColumnRole, MAX_COLUMNS};
    use concordat_protocol::scope::Tier;
    use concordat_protocol::wire::codec::encode;

    use super::*;

    /// As many columns as a page can have, with everything that a column can have.
    #[test]
    fn catalog_page_with_the_longest_names_fits_into_a_frame() {
        let column = |number: usize| CatalogColumn {
            name: format!("c{number:062}").parse().unwrap(),
            kind: "integer".to_owned(),
            class: "direct-identifier".to_owned(),
            role: ColumnRole::Link {
                to: "d".repeat(63).parse().unwrap(),
                key: "k".repeat(63).parse().unwrap(),
            },
            unit: Some("u".repeat(40).parse().unwrap()),
        };
        let dataset = CatalogDataset {
            name: "d".repeat(63).parse().unwrap(),
            columns: (0..PAGE_COLUMNS + MAX_COLUMNS).map(column).collect(),
            about_rows: u64::MAX,
        };
        let reply = CatalogReply {
            collections: vec![CatalogEntry {
                collection: "c".repeat(63).parse().unwrap(),
                datasets: vec![dataset],
                tier: Tier::Records,
                protections: BTreeSet::new(),
            }],
            next: Some(u32::MAX),
        };
        encode(&reply).unwrap();
    }

    #[test]
    fn catalog_row_count_is_rounded_down_to_two_digits() {
        for (rows, rounded) in [(0, 0), (9, 9), (99, 99), (303, 300), (1_999, 1_900), (67_707, 67_000)] {
            assert_eq!(two_digits(rows), rounded);
        }
    }
}
