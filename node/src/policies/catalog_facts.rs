//! The facts about a collection, from the catalog.

use concordat_policy::{CollectionFacts, ColumnFacts, DatasetFacts};
use concordat_protocol::ids::{CollectionName, CollectionRef, InstitutionId};
use concordat_storage::catalog::{DatasetRecord, Manifest};

/// A collection of one from `holder`'s catalog, as policies see it; system columns are left out.
pub(crate) fn catalog_facts(holder: &InstitutionId, record: &DatasetRecord, manifest: &Manifest) -> CollectionFacts {
    let columns = manifest.own_columns().map(|column| {
        ColumnFacts::new(
            column.name.clone(),
            record.classification.class(&column.name),
            column.kind,
        )
    });
    CollectionFacts {
        reference: CollectionRef {
            institution: holder.clone(),
            collection: CollectionName::from(&record.name),
        },
        segment: record.segment.clone(),
        published: record.published,
        datasets: vec![DatasetFacts {
            name: record.name.clone(),
            columns: columns.collect(),
        }],
        release: record.release.clone(),
    }
}
