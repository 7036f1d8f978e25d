//! The second pass: typed columns, a batch at a time.

use std::{path::PathBuf, sync::Arc};

use arrow::{
    array::{
        ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray,
        TimestampMillisecondArray,
    },
    datatypes::SchemaRef,
};
use concordat_protocol::schema::ColumnKind;

use super::{
    block::{Block, Field},
    column_reading::ColumnReading,
    count::{Column, Subject},
    error::IngestError,
    fingerprint::Fingerprint,
    inspection::Inspection,
    missing::MissingRule,
    notation::Notation,
    parse_field::{UTC, trim},
    prefetch::Prefetch,
    row_filter::RowFilter,
    row_source::{Chunk, Ending, chunks},
    source::Source,
};

/// Reads an inspected file again, as record batches of [`Inspection::schema`], which are prefetched on separate
/// threads.
///
/// The iterator ends with an error if the bytes differ from those of the inspection, so its batches are valid only once
/// it has ended without one. It ends after an error.
///
/// # Errors
/// [`IngestError::RowsRefused`] if there are refused rows that may not be skipped, and errors of opening the file.
pub fn batches(source: &Source, inspection: &Inspection) -> Result<Batches, IngestError> {
    inspection.check_rejects()?;
    let path = source.name();
    let rows = inspection
        .layout
        .open(source, &inspection.options, Some(inspection.fingerprint()))?;
    if rows.header().len() != inspection.columns().len() {
        return Err(IngestError::Changed { path: path.to_owned() });
    }
    let names = inspection.layout.names_of_first_line(rows.header());
    let filter = RowFilter::new(&inspection.options, names);
    let typing = Typing {
        path: path.to_owned(),
        chunks: Some(chunks(rows, filter, path)?),
        schema: inspection.schema(),
        subjects: *inspection.subject() == Subject::Assigned,
        columns: inspection.columns().to_vec(),
        readings: inspection.readings.clone(),
        rows: 0,
        expected_rows: inspection.rows(),
        expected: inspection.fingerprint(),
    };
    Ok(Batches {
        schema: inspection.schema(),
        prefetch: Prefetch::run(path, typing)?,
    })
}

/// The record batches of a file.
#[derive(Debug)]
pub struct Batches {
    schema: SchemaRef,
    prefetch: Prefetch<RecordBatch>,
}

impl Batches {
    /// The schema of the batches.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

impl Iterator for Batches {
    type Item = Result<RecordBatch, IngestError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.prefetch.next()
    }
}

/// Converts a file's blocks to typed columns.
struct Typing {
    path: PathBuf,
    chunks: Option<Prefetch<Chunk>>,
    schema: SchemaRef,
    /// Whether each row is its own subject.
    subjects: bool,
    columns: Vec<Column>,
    readings: Vec<ColumnReading>,
    rows: u64,
    expected_rows: u64,
    expected: Fingerprint,
}

impl Iterator for Typing {
    type Item = Result<RecordBatch, IngestError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let mut chunks = self.chunks.take()?;
            let block = match chunks.next()? {
                Ok(Chunk::Rows(block)) => block,
                Ok(Chunk::End(ending)) => return self.check_end(&ending).err().map(Err),
                Err(error) => return Some(Err(error)),
            };
            let batch = (block.rows() > 0).then(|| self.batch(&block));
            if !matches!(batch, Some(Err(_))) {
                self.chunks = Some(chunks);
            }
            if batch.is_some() {
                return batch;
            }
        }
    }
}

impl Typing {
    fn batch(&mut self, block: &Block) -> Result<RecordBatch, IngestError> {
        let first = self.rows + 1;
        self.rows += block.rows() as u64;
        if self.rows > self.expected_rows {
            return Err(self.changed());
        }
        let subjects = self.subjects.then(|| {
            let numbers = (first..=self.rows).map(u64::cast_signed);
            Ok(Arc::new(Int64Array::from_iter_values(numbers)) as ArrayRef)
        });
        let columns = self.columns.iter().zip(&self.readings).enumerate();
        let columns = columns
            .map(|(index, (column, reading))| typed(column, reading, block, index).ok_or_else(|| self.changed()));
        let arrays: Result<Vec<_>, _> = subjects.into_iter().chain(columns).collect();
        RecordBatch::try_new(Arc::clone(&self.schema), arrays?).map_err(|source| IngestError::Arrow { source })
    }

    fn check_end(&self, ending: &Ending) -> Result<(), IngestError> {
        if ending.fingerprint == self.expected && self.rows == self.expected_rows {
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

/// One column of a block; `None` if a field does not match the result of the inspection for this column.
fn typed(column: &Column, reading: &ColumnReading, block: &Block, index: usize) -> Option<ArrayRef> {
    let cells = block.column(index).map(|field| cell(column, field, &reading.missing));
    Some(match column.kind {
        ColumnKind::Int => Arc::new(read(cells, reading, Notation::int).collect::<Option<Int64Array>>()?),
        ColumnKind::Float => Arc::new(read(cells, reading, Notation::float).collect::<Option<Float64Array>>()?),
        ColumnKind::Boolean => Arc::new(read(cells, reading, Notation::boolean).collect::<Option<BooleanArray>>()?),
        ColumnKind::Date => Arc::new(read(cells, reading, Notation::date).collect::<Option<Date32Array>>()?),
        ColumnKind::Timestamp => Arc::new(instants(cells, reading)?),
        ColumnKind::TimestampUtc => Arc::new(instants(cells, reading)?.with_timezone(UTC)),
        ColumnKind::Text => {
            let texts = cells.map(|cell| Some(cell?.map(|field| field.text)));
            Arc::new(texts.collect::<Option<StringArray>>()?)
        }
    })
}

/// The value of a field: `Some(None)` if it is missing and may be; `None` if it is missing but must not be.
fn cell<'a>(column: &Column, field: Field<'a>, missing: &MissingRule) -> Option<Option<Field<'a>>> {
    let value = trim(field.text);
    if missing.is_without_value(value) || (column.markers_are_missing && missing.is_marker(value)) {
        (column.missing > 0).then_some(None)
    } else if column.kind == ColumnKind::Text {
        Some(Some(field))
    } else {
        Some(Some(Field { text: value, ..field }))
    }
}

fn read<'a, T>(
    cells: impl Iterator<Item = Option<Option<Field<'a>>>>,
    reading: &ColumnReading,
    read: impl Fn(&Notation, &str) -> Option<T>,
) -> impl Iterator<Item = Option<Option<T>>> {
    cells.map(move |cell| match cell? {
        Some(field) => read(reading.notation(field.is_typed), field.text).map(Some),
        None => Some(None),
    })
}

fn instants<'a>(
    cells: impl Iterator<Item = Option<Option<Field<'a>>>>,
    reading: &ColumnReading,
) -> Option<TimestampMillisecondArray> {
    let instant = |notation: &Notation, value: &str| notation.timestamp(value).map(|(instant, _)| instant);
    read(cells, reading, instant).collect()
}
