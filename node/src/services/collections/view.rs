//! Collections as documents.

use std::collections::BTreeMap;

use concordat_documents::collection::{
    Collection, CollectionDataset, CollectionEvent, CollectionImported, CollectionSummary, ImportedDataset,
    InspectedFile, RefusedFileRow, RemovedDataset, UnclassifiedColumns, WithheldColumns,
};
use concordat_documents::import::RowsWritten;
use concordat_policy::ColumnFacts;
use concordat_protocol::collection::{DatasetKind, Levels};
use concordat_protocol::ids::{CollectionName, ColumnName, DatasetName};
use concordat_protocol::schema::ColumnClass;
use concordat_storage::catalog::{
    self, CatalogError, CollectionRecord, ColumnMeta, DatasetManifest, ImportedCollection, Progress,
};
use concordat_storage::ingest::{LeftOut, Note};
use concordat_storage::subjects::OwnerCounts;

use crate::node::Node;

/// A collection in a list.
pub(super) fn summary(node: &Node, record: &CollectionRecord) -> Result<CollectionSummary, CatalogError> {
    let datasets = node.storage().catalog().datasets();
    let version = datasets.current_version(record)?;
    let all = version.datasets();
    Ok(CollectionSummary {
        name: record.name.clone(),
        segment: record.segment.clone(),
        version: record.current,
        datasets: count(all.len()),
        rows: all.iter().map(|dataset| dataset.rows).fold(0, u64::saturating_add),
        columns: count(all.iter().map(|dataset| dataset.own_columns().count()).sum()),
        unclassified: count(datasets.unclassified_columns(record)?.len()),
        published: record.published,
    })
}

/// A collection with its datasets.
pub(super) fn details(node: &Node, record: &CollectionRecord) -> Result<Collection, CatalogError> {
    let catalog = node.storage().catalog().datasets();
    let version = catalog.current_version(record)?;
    let proposed = catalog.proposals(&record.name)?;
    let datasets = version.datasets().iter().map(|dataset| {
        let proposed = proposed.get(&dataset.name).map_or(0, BTreeMap::len);
        of_dataset(record, dataset, proposed)
    });
    Ok(Collection {
        name: record.name.clone(),
        segment: record.segment.clone(),
        version: record.current,
        oldest_version: record.oldest,
        keep: record.keep,
        subjects: version.subjects().count,
        published: record.published,
        datasets: datasets.collect(),
        unclassified: unclassified(node, record)?,
        withheld: withheld(node, record)?,
    })
}

fn of_dataset(record: &CollectionRecord, dataset: &DatasetManifest, proposed: usize) -> CollectionDataset {
    let declared = record.datasets().get(&dataset.name);
    let has_class =
        |column: &ColumnName| declared.is_some_and(|declared| declared.classification.class(column).is_some());
    let rules = record.rules().and_then(|rules| rules.dataset(&dataset.name));
    let with_levels = rules.into_iter().flat_map(|rules| rules.columns());
    let with_levels = with_levels.filter(|(_, column)| *column.levels() != Levels::None);
    CollectionDataset {
        name: dataset.name.clone(),
        kind: declared
            .map_or(&dataset.kind, |declared| &declared.kind)
            .label()
            .to_owned(),
        one_row_a_subject: matches!(
            dataset.kind,
            DatasetKind::Keyed { unique: true, .. } | DatasetKind::EachRow
        ),
        rows: dataset.rows,
        unowned: dataset.unowned,
        columns: count(dataset.own_columns().count()),
        unclassified: count(dataset.own_columns().filter(|column| !has_class(&column.name)).count()),
        with_levels: count(with_levels.count()),
        proposed: count(proposed),
        file: dataset.provenance.file.to_string(),
    }
}

/// The columns without a class, by dataset.
pub(super) fn unclassified(node: &Node, record: &CollectionRecord) -> Result<Vec<UnclassifiedColumns>, CatalogError> {
    let datasets = node.storage().catalog().datasets();
    let version = datasets.current_version(record)?;
    let mut found: Vec<UnclassifiedColumns> = Vec::new();
    for (dataset, column) in datasets.unclassified_columns(record)? {
        match found.last_mut().filter(|last| last.dataset == dataset) {
            Some(last) => last.columns.push(column.to_string()),
            None => found.push(UnclassifiedColumns {
                dataset,
                columns: vec![column.to_string()],
            }),
        }
    }
    for of_dataset in &mut found {
        let all = version
            .dataset(&of_dataset.dataset)
            .map(|dataset| dataset.own_columns().count());
        if all == Some(of_dataset.columns.len()) {
            of_dataset.columns = vec!["*".to_owned()];
        }
    }
    Ok(found)
}

/// The quasi-identifiers that cannot be generalized, by dataset.
pub(super) fn withheld(node: &Node, record: &CollectionRecord) -> Result<Vec<WithheldColumns>, CatalogError> {
    let version = node.storage().catalog().datasets().current_version(record)?;
    let of_dataset = |dataset: &DatasetManifest| {
        let declared = record.datasets().get(&dataset.name)?;
        let is_withheld = |column: &&ColumnMeta| {
            let class = declared.classification.class(&column.name);
            let facts = ColumnFacts::new(column.name.clone(), class, column.kind);
            class == Some(ColumnClass::QuasiIdentifier) && facts.generalization.is_none()
        };
        let columns = dataset.own_columns().filter(is_withheld);
        let columns: Vec<String> = columns.map(|column| column.name.to_string()).collect();
        (!columns.is_empty()).then(|| WithheldColumns {
            dataset: dataset.name.clone(),
            columns,
        })
    };
    Ok(version.datasets().iter().filter_map(of_dataset).collect())
}

/// The progress as it is reported.
pub(super) fn event(dataset: &DatasetName, progress: Progress) -> CollectionEvent {
    match progress {
        Progress::Inspecting => CollectionEvent::Inspecting(InspectedFile {
            dataset: dataset.clone(),
        }),
        Progress::Refused(reject) => CollectionEvent::Refused(RefusedFileRow {
            dataset: dataset.clone(),
            line: reject.line,
            reason: reject.reason.to_string(),
        }),
        Progress::Writing { rows, of } => CollectionEvent::Written(RowsWritten { rows, of }),
        Progress::Committing => CollectionEvent::Committing(true),
    }
}

/// What was imported.
pub(super) fn imported(
    collection: &CollectionName,
    done: &ImportedCollection,
    left_out: LeftOut,
    (unclassified, withheld): (usize, Vec<WithheldColumns>),
) -> CollectionImported {
    let rows = done.datasets.iter().map(|dataset| dataset.rows);
    let refused = done.datasets.iter().map(|dataset| dataset.refused);
    CollectionImported {
        collection: collection.clone(),
        version: done.version,
        rows: rows.fold(0, u64::saturating_add),
        refused: refused.fold(0, u64::saturating_add),
        subjects: done.subjects,
        datasets: done.datasets.iter().map(imported_dataset).collect(),
        removed: done.removed.iter().map(removed_dataset).collect(),
        left_out: left_out.first,
        more_left_out: left_out.more,
        unclassified: count(unclassified),
        withheld,
        withdrawn: done.is_withdrawn(),
    }
}

fn removed_dataset((dataset, rows): &(DatasetName, u64)) -> RemovedDataset {
    RemovedDataset {
        dataset: dataset.clone(),
        rows: *rows,
    }
}

fn imported_dataset(dataset: &catalog::ImportedDataset) -> ImportedDataset {
    let about_owners = owner_notes(dataset.owners).into_iter();
    // Rows of a collection lead to subjects as is declared, whatever its columns look like.
    let others = dataset
        .notes
        .iter()
        .filter(|note| !matches!(note, Note::Repeats { .. }));
    ImportedDataset {
        dataset: dataset.name.clone(),
        rows: dataset.rows,
        total_rows: dataset.total_rows,
        refused: dataset.refused,
        unowned: dataset.owners.without_owner(),
        notes: about_owners.chain(Note::sentences(others)).collect(),
    }
}

/// Rows without an owner, by the reason, and keys that look like those of others. No value is named.
fn owner_notes(counts: OwnerCounts) -> Vec<String> {
    let reasons = [
        (counts.missing, "have no key"),
        (counts.unusable, "have a number as their key that is not exact"),
        (counts.unknown, "have a key that no subject has"),
        (counts.ambiguous, "lead to several subjects"),
        (counts.unowned, "lead to rows without a subject"),
    ];
    let found = reasons.into_iter().filter(|(rows, _)| *rows > 0);
    let found: Vec<String> = found.map(|(rows, reason)| format!("{rows} {reason}")).collect();
    let mut notes = Vec::new();
    if !found.is_empty() {
        let all = if counts.owned == 0 {
            "no row has an owner"
        } else {
            "rows without an owner are in no statistic"
        };
        notes.push(format!("{all}: {}", found.join(", ")));
    }
    if counts.respelled > 0 {
        notes.push(format!(
            "{} keys are those of known subjects in another spelling, such as with other blanks, dashes, case or leading zeros; they are not \
             taken to be the same",
            counts.respelled
        ));
    }
    notes
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_without_an_owner_are_noted_by_reason() {
        assert_eq!(
            owner_notes(OwnerCounts {
                owned: 7,
                ..OwnerCounts::default()
            }),
            Vec::<String>::new()
        );
        let some = OwnerCounts {
            owned: 7,
            missing: 2,
            unknown: 1,
            respelled: 1,
            ..OwnerCounts::default()
        };
        let notes = owner_notes(some);
        assert_eq!(
            notes[0],
            "rows without an owner are in no statistic: 2 have no key, 1 have a key that no subject has"
        );
        assert!(
            notes[1].starts_with("1 keys are those of known subjects in another spelling"),
            "{notes:?}"
        );
        let none = OwnerCounts {
            missing: 3,
            ..OwnerCounts::default()
        };
        assert_eq!(owner_notes(none), ["no row has an owner: 3 have no key"]);
    }
}
