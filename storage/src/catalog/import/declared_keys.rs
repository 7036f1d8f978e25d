//! Whether the rows of a file are as unique as is declared.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use concordat_keys::SubjectsKey;
use concordat_protocol::collection::DatasetKind;

use super::{ImportError, prepared::Prepared};
use crate::{ingest::Note, subjects::RepeatedKeys};

/// The columns of a file that are declared to have another value in each row.
pub(super) struct DeclaredKeys {
    columns: Vec<DeclaredKey>,
}

struct DeclaredKey {
    name: String,
    index: usize,
    rows: RepeatedKeys,
}

impl DeclaredKeys {
    pub(super) fn of(prepared: &Prepared<'_>, key: &Arc<SubjectsKey>) -> Self {
        let columns = prepared.keys.iter().filter_map(|index| {
            Some(DeclaredKey {
                name: prepared.shape.columns().get(*index)?.name.to_string(),
                index: *index,
                rows: RepeatedKeys::new(Arc::clone(key)),
            })
        });
        Self {
            columns: columns.collect(),
        }
    }

    pub(super) fn add(&mut self, rows: &RecordBatch) -> Result<(), ImportError> {
        for column in &mut self.columns {
            if let Some(keys) = rows.columns().get(column.index) {
                column.rows.add(keys)?;
            }
        }
        Ok(())
    }

    /// A note for each column in which rows have the value of an earlier one.
    pub(super) fn notes(self) -> impl Iterator<Item = Note> {
        let repeated = self.columns.into_iter().filter(|column| column.rows.count() > 0);
        repeated.map(|column| Note::RepeatedKey {
            count: column.rows.count(),
            column: column.name,
        })
    }
}

/// That subjects have several rows where one is declared.
pub(super) fn several_rows(declared: &DatasetKind, found: &DatasetKind) -> Option<Note> {
    match (declared, found) {
        (DatasetKind::Keyed { subject, unique: true }, DatasetKind::Keyed { unique: false, .. }) => {
            Some(Note::SeveralRows {
                column: subject.to_string(),
            })
        }
        (_, _) => None,
    }
}
