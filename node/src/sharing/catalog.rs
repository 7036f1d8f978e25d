//! What peers may know of: published datasets, their columns and about how many rows they have.

use concordat_protocol::scope::Tier;
use concordat_protocol::wire::messages::{CatalogColumn, CatalogEntry, CatalogReply, CatalogRequest};
use concordat_storage::catalog::{Catalog, CatalogError, DatasetRecord, Manifest};
use concordat_storage::ingest::ColumnKind;

use super::Sharing;
use crate::network::{FramedStream, NetworkError};

/// Entries in one page: far from the limit of a frame even with hundreds of columns each.
const PAGE: usize = 50;

impl Sharing {
    /// Answers one request for a page. A dataset that is not published is not there, in the same way as one that never was.
    pub(super) async fn tell_catalog(&self, mut stream: FramedStream) -> Result<(), NetworkError> {
        stream.session().until_attested().await?;
        while let Some(CatalogRequest { skip }) = stream.recv().await? {
            let catalog = self.0.parts.storage.catalog().clone();
            let skip = usize::try_from(skip).unwrap_or(usize::MAX);
            let page = tokio::task::spawn_blocking(move || page(&catalog, skip)).await;
            match page {
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
}

fn page(catalog: &Catalog, skip: usize) -> Result<CatalogReply, CatalogError> {
    let published: Vec<_> = catalog.list()?.into_iter().filter(|record| record.published).collect();
    let more = published.len() > skip.saturating_add(PAGE);
    let mut datasets = Vec::new();
    for record in published.iter().skip(skip).take(PAGE) {
        let version = catalog.open_version(&record.name, None)?;
        datasets.push(entry(record, version.manifest()));
    }
    Ok(CatalogReply { datasets, more })
}

fn entry(record: &DatasetRecord, manifest: &Manifest) -> CatalogEntry {
    let columns = manifest.own_columns().map(|column| CatalogColumn {
        name: column.name.clone(),
        kind: in_words(column.kind).to_owned(),
        class: record
            .classification
            .class(&column.name)
            .map_or_else(String::new, |class| class.to_string()),
    });
    CatalogEntry {
        dataset: record.name.clone(),
        columns: columns.collect(),
        about_rows: two_digits(manifest.rows),
        tier: Tier::Records,
    }
}

const fn in_words(kind: ColumnKind) -> &'static str {
    match kind {
        ColumnKind::Boolean => "boolean",
        ColumnKind::Int => "integer",
        ColumnKind::Float => "number",
        ColumnKind::Date => "date",
        ColumnKind::Timestamp => "time",
        ColumnKind::TimestampUtc => "time",
        ColumnKind::Text => "text",
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
