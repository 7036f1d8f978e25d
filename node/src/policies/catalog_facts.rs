//! The facts about a collection, from the catalog.

use concordat_policy::{CollectionFacts, ColumnFacts, DatasetFacts};
use concordat_protocol::ids::{CollectionRef, InstitutionId};
use concordat_storage::catalog::{Classification, CollectionManifest, CollectionRecord, DatasetManifest};

/// A collection from `holder`'s catalog, as policies see it; system columns are left out.
pub(crate) fn facts_of_collection(
    holder: &InstitutionId,
    record: &CollectionRecord,
    manifest: &CollectionManifest,
) -> CollectionFacts {
    let none = Classification::default();
    let dataset = |dataset: &DatasetManifest| {
        let declared = record.datasets().get(&dataset.name);
        let classes = declared.map_or(&none, |declared| &declared.classification);
        let columns = dataset
            .own_columns()
            .map(|column| ColumnFacts::new(column.name.clone(), classes.class(&column.name), column.kind));
        DatasetFacts {
            name: dataset.name.clone(),
            columns: columns.collect(),
        }
    };
    CollectionFacts {
        reference: CollectionRef {
            institution: holder.clone(),
            collection: record.name.clone(),
        },
        segment: record.segment.clone(),
        published: record.published,
        datasets: manifest.datasets().iter().map(dataset).collect(),
        release: record.release.clone(),
    }
}
