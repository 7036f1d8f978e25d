//! The second pass: typed columns, a batch at a time.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow::{
    array::{
        ArrayBuilder, ArrayRef, BooleanBuilder, Date32Builder, Float64Builder, Int64Builder, RecordBatch,
        StringBuilder, TimestampMillisecondBuilder,
    },
    datatypes::SchemaRef,
};

use super::{
    error::IngestError,
    records::Row,
    source::Fingerprint,
    survey::{Column, Subject, Survey},
    table::{Next, Table},
    values::{self, ColumnKind, UTC, is_marker, trim},
};

/// The most rows in a batch.
pub const BATCH_ROWS: usize = 8192;
/// A batch ends early once its rows held this many bytes of text, which bounds its memory whatever the rows are like.
pub const BATCH_BYTES: usize = 16 * 1024 * 1024;

/// Reads a surveyed file again, as record batches of [`Survey::schema`].
///
/// The iterator ends with an error if the bytes are not those of the survey, so what it gave before counts only once it
/// has ended without one. After an error it ends.
///
/// # Errors
/// [`IngestError::RowsRefused`] while there are refused rows that may not be left out, and errors of opening the file.
pub fn batches(path: &Path, survey: &Survey) -> Result<Batches, IngestError> {
    survey.check_rejects()?;
    let (table, header) = Table::open(path, &survey.options, survey.layout)?;
    if header.len() != survey.columns().len() {
        return Err(IngestError::Changed { path: path.to_owned() });
    }
    Ok(Batches {
        path: path.to_owned(),
        table: Some(table),
        row: Row::default(),
        schema: survey.schema(),
        subjects: (*survey.subject() == Subject::Assigned).then(Int64Builder::new),
        columns: survey.columns().iter().map(ColumnBuilder::new).collect(),
        rows: 0,
        expected_rows: survey.rows(),
        expected: survey.fingerprint(),
    })
}

/// The record batches of a file.
pub struct Batches {
    path: PathBuf,
    table: Option<Table>,
    row: Row,
    schema: SchemaRef,
    subjects: Option<Int64Builder>,
    columns: Vec<ColumnBuilder>,
    rows: u64,
    expected_rows: u64,
    expected: Fingerprint,
}

impl Batches {
    /// The schema of the batches.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn read(&mut self) -> Result<Option<RecordBatch>, IngestError> {
        let Some(mut table) = self.table.take() else {
            return Ok(None);
        };
        let (mut rows, mut bytes) = (0, 0);
        while rows < BATCH_ROWS && bytes < BATCH_BYTES {
            match table.next(&mut self.row)? {
                Next::Row => {
                    rows += 1;
                    bytes += self.push()?;
                }
                Next::Refused(_) => {}
                Next::End => {
                    self.check_end(table.finish()?)?;
                    return if rows == 0 { Ok(None) } else { self.batch().map(Some) };
                }
            }
        }
        self.table = Some(table);
        self.batch().map(Some)
    }

    /// Appends the row and gives its length in bytes.
    fn push(&mut self) -> Result<usize, IngestError> {
        self.rows += 1;
        if self.rows > self.expected_rows {
            return Err(self.changed());
        }
        if let Some(subjects) = &mut self.subjects {
            subjects.append_value(self.rows.cast_signed());
        }
        let mut bytes = 0;
        for (column, field) in self.columns.iter_mut().zip(self.row.fields()) {
            bytes += field.len();
            if column.append(field).is_none() {
                return Err(IngestError::Changed {
                    path: self.path.clone(),
                });
            }
        }
        Ok(bytes)
    }

    fn batch(&mut self) -> Result<RecordBatch, IngestError> {
        let subjects = self
            .subjects
            .as_mut()
            .map(|subjects| Arc::new(subjects.finish()) as ArrayRef);
        let arrays = subjects
            .into_iter()
            .chain(self.columns.iter_mut().map(ColumnBuilder::finish))
            .collect();
        RecordBatch::try_new(Arc::clone(&self.schema), arrays).map_err(|source| IngestError::Arrow { source })
    }

    fn check_end(&self, found: Fingerprint) -> Result<(), IngestError> {
        if found == self.expected && self.rows == self.expected_rows {
            Ok(())
        } else {
            Err(self.changed())
        }
    }

    fn changed(&self) -> IngestError {
        IngestError::Changed {
            path: self.path.clone(),
        }
    }
}

impl Iterator for Batches {
    type Item = Result<RecordBatch, IngestError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

impl fmt::Debug for Batches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batches")
            .field("path", &self.path)
            .field("rows", &self.rows)
            .finish_non_exhaustive()
    }
}

/// One column of the batch at hand.
struct ColumnBuilder {
    markers_are_missing: bool,
    nullable: bool,
    values: Values,
}

enum Values {
    Int(Int64Builder),
    Float(Float64Builder),
    Boolean(BooleanBuilder),
    Date(Date32Builder),
    Timestamp(TimestampMillisecondBuilder),
    Text(StringBuilder),
}

impl ColumnBuilder {
    fn new(column: &Column) -> Self {
        let values = match column.kind {
            ColumnKind::Int => Values::Int(Int64Builder::new()),
            ColumnKind::Float => Values::Float(Float64Builder::new()),
            ColumnKind::Boolean => Values::Boolean(BooleanBuilder::new()),
            ColumnKind::Date => Values::Date(Date32Builder::new()),
            ColumnKind::Timestamp => Values::Timestamp(TimestampMillisecondBuilder::new()),
            ColumnKind::TimestampUtc => Values::Timestamp(TimestampMillisecondBuilder::new().with_timezone(UTC)),
            ColumnKind::Text => Values::Text(StringBuilder::new()),
        };
        Self {
            markers_are_missing: column.markers_are_missing,
            nullable: column.missing > 0,
            values,
        }
    }

    /// Appends a field; `None` if it is not what the survey found in this column.
    fn append(&mut self, field: &str) -> Option<()> {
        let value = trim(field);
        let missing = value.is_empty() || (self.markers_are_missing && is_marker(value));
        if missing && !self.nullable {
            return None;
        }
        match &mut self.values {
            Values::Int(builder) if missing => builder.append_null(),
            Values::Int(builder) => builder.append_value(value.parse().ok()?),
            Values::Float(builder) if missing => builder.append_null(),
            Values::Float(builder) => builder.append_value(values::float(value)?),
            Values::Boolean(builder) if missing => builder.append_null(),
            Values::Boolean(builder) => builder.append_value(values::boolean(value)?),
            Values::Date(builder) if missing => builder.append_null(),
            Values::Date(builder) => builder.append_value(values::date(value)?),
            Values::Timestamp(builder) if missing => builder.append_null(),
            Values::Timestamp(builder) => builder.append_value(values::timestamp(value)?.0),
            Values::Text(builder) if missing => builder.append_null(),
            Values::Text(builder) => builder.append_value(field),
        }
        Some(())
    }

    fn finish(&mut self) -> ArrayRef {
        let builder: &mut dyn ArrayBuilder = match &mut self.values {
            Values::Int(builder) => builder,
            Values::Float(builder) => builder,
            Values::Boolean(builder) => builder,
            Values::Date(builder) => builder,
            Values::Timestamp(builder) => builder,
            Values::Text(builder) => builder,
        };
        builder.finish()
    }
}
