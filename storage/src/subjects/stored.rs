//! Record batches of what is stored about subjects.

use std::{fmt, ops::Range};

use arrow::{
    array::{Array as _, ArrayRef},
    datatypes::{Schema, SchemaRef},
    error::ArrowError,
    record_batch::RecordBatch,
};

use super::SubjectError;

/// The columns are not those that are stored.
pub(super) const OTHER_COLUMNS: SubjectError = SubjectError::Damaged {
    what: "its columns are others",
};

/// Rows of a batch: a megabyte of keys.
const ROWS_PER_BATCH: usize = 1 << 16;

/// The record batches of what is stored, in order; made one by one from what is in memory.
pub struct StoredBatches {
    schema: SchemaRef,
    rows: usize,
    written: usize,
    columns: Box<Columns>,
}

/// Makes the columns of these rows.
type Columns = dyn Fn(Range<usize>) -> Result<Vec<ArrayRef>, ArrowError> + Send;

impl fmt::Debug for StoredBatches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredBatches")
            .field("rows", &self.rows)
            .finish_non_exhaustive()
    }
}

impl StoredBatches {
    pub(super) fn new(
        schema: SchemaRef,
        rows: usize,
        columns: impl Fn(Range<usize>) -> Result<Vec<ArrayRef>, ArrowError> + Send + 'static,
    ) -> Self {
        Self {
            schema,
            rows,
            written: 0,
            columns: Box::new(columns),
        }
    }

    /// The schema of the batches.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.schema)
    }
}

impl Iterator for StoredBatches {
    type Item = Result<RecordBatch, SubjectError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.written >= self.rows {
            return None;
        }
        let rows = self.written..self.rows.min(self.written + ROWS_PER_BATCH);
        self.written = rows.end;
        let batch = (self.columns)(rows).and_then(|columns| RecordBatch::try_new(self.schema(), columns));
        Some(batch.map_err(SubjectError::Arrow))
    }
}

/// Reads batches that were stored, `rows` in all, each checked against the schema. `add` gets their columns.
///
/// # Errors
/// [`SubjectError::Read`] of the batches, [`SubjectError::Damaged`] for other columns, missing values where there are none, and more or
/// fewer rows.
pub(super) fn read_stored(
    schema: &Schema,
    rows: u32,
    batches: impl IntoIterator<Item = Result<RecordBatch, ArrowError>>,
    mut add: impl FnMut(&[ArrayRef]) -> Result<(), SubjectError>,
) -> Result<(), SubjectError> {
    let mut left = usize::try_from(rows).unwrap_or(usize::MAX);
    for batch in batches {
        let batch = batch.map_err(SubjectError::Read)?;
        left = left.checked_sub(batch.num_rows()).ok_or(SubjectError::Damaged {
            what: "it has more rows than its version states",
        })?;
        if !has_columns(&batch, schema) {
            return Err(OTHER_COLUMNS);
        }
        add(batch.columns())?;
    }
    if left == 0 {
        Ok(())
    } else {
        Err(SubjectError::Damaged {
            what: "it has fewer rows than its version states",
        })
    }
}

fn has_columns(batch: &RecordBatch, schema: &Schema) -> bool {
    let same_number = batch.num_columns() == schema.fields().len();
    let mut pairs = batch.columns().iter().zip(schema.fields());
    same_number
        && pairs.all(|(found, field)| {
            found.data_type() == field.data_type() && (field.is_nullable() || found.null_count() == 0)
        })
}
