//! The subjects whose rows differ from those of the version before.

use std::sync::Arc;

use arrow::{
    array::{AsArray as _, UInt32Array},
    datatypes::{DataType, Field, Schema, SchemaRef, UInt32Type},
    error::ArrowError,
    record_batch::RecordBatch,
};

use super::{
    SubjectError,
    stored::{OTHER_COLUMNS, StoredBatches, read_stored},
};

/// The column of stored changes: ordinals, ascending.
#[must_use]
pub fn changed_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("ordinal", DataType::UInt32, false)]))
}

/// Ordinals of subjects, ascending and each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedSubjects(Vec<u32>);

impl ChangedSubjects {
    /// `ordinals` are ascending.
    pub(super) fn of_sorted(ordinals: Vec<u32>) -> Self {
        Self(ordinals)
    }

    /// Reads the changes that a version stores, with the number of rows that its manifest states, of a collection with `subjects` ordinals.
    ///
    /// # Errors
    /// [`SubjectError::Read`] of the batches; [`SubjectError::Damaged`] if the ordinals do not ascend or are not of the collection, for
    /// other columns, and for more or fewer rows.
    pub fn open(
        subjects: u32,
        rows: u32,
        batches: impl IntoIterator<Item = Result<RecordBatch, ArrowError>>,
    ) -> Result<Self, SubjectError> {
        let mut ordinals: Vec<u32> = Vec::new();
        read_stored(&changed_schema(), rows, batches, |columns| {
            let column = columns
                .first()
                .and_then(|column| column.as_primitive_opt::<UInt32Type>());
            for ordinal in column.ok_or(OTHER_COLUMNS)?.values() {
                let ascends = ordinals.last().is_none_or(|last| last < ordinal);
                if !ascends || *ordinal >= subjects {
                    return Err(SubjectError::Damaged {
                        what: "the changed subjects do not ascend within the collection",
                    });
                }
                ordinals.push(*ordinal);
            }
            Ok(())
        })?;
        Ok(Self(ordinals))
    }

    /// The ordinals.
    #[must_use]
    pub fn ordinals(&self) -> &[u32] {
        &self.0
    }

    /// The ordinals as they are stored, by the column of [`changed_schema`].
    #[must_use]
    pub fn finish(self) -> StoredBatches {
        let rows = self.0.len();
        StoredBatches::new(changed_schema(), rows, move |rows| {
            let ordinals = self.0.get(rows).unwrap_or_default().iter().copied();
            Ok(vec![Arc::new(UInt32Array::from_iter_values(ordinals))])
        })
    }
}
