//! What peers may know of: published datasets, their columns and about how many rows they have.

use std::sync::Arc;

use concordat_protocol::identity::Side;
use concordat_protocol::membership::ValidRoster;
use concordat_protocol::wire::messages::{CatalogColumn, CatalogEntry, CatalogReply, CatalogRequest};
use concordat_storage::catalog::CatalogError;

use super::Sharing;
use crate::negotiation::{party, speaks};
use crate::network::{FramedStream, NetworkError};
use crate::policy::{DatasetFacts, Prospect};

/// Entries in one page: far from the limit of a frame even with hundreds of columns each, and soon decided.
const PAGE: usize = 20;

impl Sharing {
    /// Answers one request for a page. A dataset or a column that the asking member can get by no request is not there, in the
    /// same way as one that never was.
    pub(super) async fn tell_catalog(&self, mut stream: FramedStream) -> Result<(), NetworkError> {
        let asker = stream.session().until_attested().await?.side();
        while let Some(CatalogRequest { from }) = stream.recv().await? {
            let (sharing, asker) = (self.clone(), asker.clone());
            match tokio::task::spawn_blocking(move || sharing.page(&asker, from)).await {
                Ok(Ok(reply)) => stream.send(&reply).await?,
                Ok(Err(error)) => {
                    tracing::warn!(%error, "the catalogue cannot be read");
                    break;
                }
                Err(_) => break,
            }
        }
        stream.close().await
    }

    fn page(&self, asker: &Side, from: u32) -> Result<CatalogReply, CatalogError> {
        let parts = &self.0.parts;
        let (catalog, now) = (parts.storage.catalog(), parts.clock.now());
        let mut reply = CatalogReply {
            datasets: Vec::new(),
            next: None,
        };
        let roster = parts.membership.in_force(now).ok();
        let known = |roster: Arc<ValidRoster>| party(&roster, &asker.institution).filter(|_| speaks(&roster, asker));
        let Some(asker) = roster.and_then(known) else {
            return Ok(reply);
        };
        let published: Vec<_> = catalog
            .datasets()
            .list()?
            .into_iter()
            .filter(|record| record.published)
            .collect();
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        let next = from.saturating_add(PAGE);
        reply.next = u32::try_from(next).ok().filter(|_| published.len() > next);
        for record in published.iter().skip(from).take(PAGE) {
            let version = catalog.open_version(&record.name, None)?;
            let facts = DatasetFacts::new(&parts.identity.institution, record, version.manifest());
            if let Some(prospect) = parts.policy.current().prospect(&asker, &self.home(now), &facts, now) {
                reply.datasets.push(entry(&facts, &prospect, version.manifest().rows));
            }
        }
        Ok(reply)
    }
}

fn entry(facts: &DatasetFacts, prospect: &Prospect, rows: u64) -> CatalogEntry {
    let shown = facts
        .columns
        .iter()
        .filter(|column| prospect.columns.contains(&column.name));
    let columns = shown.map(|column| CatalogColumn {
        name: column.name.clone(),
        kind: column.kind_label().to_owned(),
        class: column.class.map_or_else(String::new, |class| class.to_string()),
    });
    CatalogEntry {
        dataset: facts.reference.dataset.clone(),
        columns: columns.collect(),
        about_rows: two_digits(rows),
        tier: prospect.tier,
    }
}

/// Rounds down to two digits, so that the figure does not move with a single subject.
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
    fn figures_keep_two_digits() {
        for (rows, told) in [(0, 0), (9, 9), (99, 99), (303, 300), (1_999, 1_900), (67_707, 67_000)] {
            assert_eq!(two_digits(rows), told);
        }
    }
}
