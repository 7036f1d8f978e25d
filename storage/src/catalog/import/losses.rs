//! What a version lacks that the version before has.

use concordat_protocol::ids::DatasetName;

use super::{
    super::{CollectionManifest, ColumnMeta},
    destination::Destination,
    prepared::Prepared,
    request::ImportMode,
};
use crate::ingest::Note;

/// The version before, if none of its rows stay.
fn replaced(destination: &Destination) -> Option<&CollectionManifest> {
    destination
        .previous()
        .filter(|_| destination.mode == ImportMode::Replace)
}

/// The columns and rows of a dataset that are not in its replacement. Fewer rows are noted if they are fewer than half, or if columns are
/// missing too: a file that was cut off, or another table, looks like that.
pub(super) fn losses(destination: &Destination, prepared: &Prepared<'_>) -> Vec<Note> {
    let Some(before) = replaced(destination).and_then(|version| version.dataset(prepared.name)) else {
        return Vec::new();
    };
    let is_lost = |column: &&ColumnMeta| prepared.shape.index_of(&column.name).is_none();
    let lost = before.own_columns().filter(is_lost);
    let columns: Vec<String> = lost.map(|column| column.name.to_string()).collect();
    let (rows, now) = (before.rows, prepared.rows.count());
    let has_fewer = now < rows && (!columns.is_empty() || now < rows.div_ceil(2));
    let fewer = has_fewer.then_some(Note::FewerRows { before: rows, now });
    let columns = (!columns.is_empty()).then_some(Note::RemovedColumns { columns });
    columns.into_iter().chain(fewer).collect()
}

/// The datasets that are not in the new version, with the rows that they have in the version before.
pub(super) fn removed_datasets(destination: &Destination, now: &CollectionManifest) -> Vec<(DatasetName, u64)> {
    let before = replaced(destination).into_iter().flat_map(CollectionManifest::datasets);
    let removed = before.filter(|dataset| now.dataset(&dataset.name).is_none());
    removed.map(|dataset| (dataset.name.clone(), dataset.rows)).collect()
}
