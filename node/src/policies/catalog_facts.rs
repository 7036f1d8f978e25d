//! The facts about a dataset, from the catalog.

use concordat_policy::{ColumnFacts, DatasetFacts};
use concordat_protocol::ids::{DatasetRef, InstitutionId};
use concordat_storage::catalog::{DatasetRecord, Manifest};

/// A dataset from `holder`'s catalog, as policies see it; system columns are left out.
pub(crate) fn catalog_facts(holder: &InstitutionId, record: &DatasetRecord, manifest: &Manifest) -> DatasetFacts {
    let columns = manifest.own_columns().map(|column| {
        ColumnFacts::new(
            column.name.clone(),
            record.classification.class(&column.name),
            column.kind,
        )
    });
    DatasetFacts {
        reference: DatasetRef {
            institution: holder.clone(),
            dataset: record.name.clone(),
        },
        segment: record.segment.clone(),
        published: record.published,
        columns: columns.collect(),
        release: record.release.clone(),
    }
}
