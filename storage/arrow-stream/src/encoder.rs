//! The writer of streams, which enforces the limits of the reader.

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::buffer::Buffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::writer::{StreamEncoder as MessageEncoder, StreamWriter};
use bytes::Bytes;

use super::batch::excess_digits;
use super::schema::layout;
use super::{MAX_BODY, MAX_CELLS, MAX_COLUMNS, MAX_METADATA, MAX_ROWS, PREFIX};

/// Each buffer is padded by less than this, and a column has at most three.
const PADDING: usize = 3 * 64;

/// Why rows cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// A column of a type that streams do not support.
    #[error(
        "column `{column}` has the type {found}, which an answer cannot contain; cast it to text with `CAST(... AS VARCHAR)`"
    )]
    Type {
        /// Its name.
        column: String,
        /// Its type.
        found: String,
    },
    /// More columns, or longer names, than one stream may have.
    #[error(
        "the answer has more columns, or longer names, than one answer may have; select fewer columns or name them with `AS`"
    )]
    Columns,
    /// A row that is too large for any message.
    #[error(
        "a row of the answer is larger than {MAX_BODY} bytes, the maximum for one row; select fewer columns, or shorten text with `left`"
    )]
    Row,
    /// A decimal number with more digits than its type.
    #[error("column {column} of the answer has a number with more digits than its type; cast it to `DOUBLE`")]
    Digits {
        /// The number of the column, from 1.
        column: usize,
    },
    /// The encoder failed.
    #[error("the rows cannot be encoded")]
    Encoder(#[source] ArrowError),
}

/// Writes rows as a stream that [`super::CheckedStream`] reads.
pub struct StreamEncoder {
    /// Writes the columns and the end marker, and contains what was not taken yet.
    writer: StreamWriter<Vec<u8>>,
    /// Makes messages of rows, without copying them.
    messages: MessageEncoder,
    schema: SchemaRef,
}

impl StreamEncoder {
    /// Starts a stream with the columns of `schema`. All text types are sent as one type; metadata is omitted.
    ///
    /// # Errors
    /// [`EncodeError::Type`] for a type that streams do not support, [`EncodeError::Columns`] for too many columns.
    pub fn new(schema: &Schema) -> Result<Self, EncodeError> {
        if schema.fields().len() > MAX_COLUMNS {
            return Err(EncodeError::Columns);
        }
        let fields: Result<Vec<_>, _> = schema.fields().iter().map(|field| wire_field(field)).collect();
        let schema = Arc::new(Schema::new(fields?));
        let writer = StreamWriter::try_new(Vec::new(), &schema).map_err(EncodeError::Encoder)?;
        if writer.get_ref().len() > MAX_METADATA.saturating_add(PREFIX) {
            return Err(EncodeError::Columns);
        }
        let mut messages = MessageEncoder::try_new(&schema).map_err(EncodeError::Encoder)?;
        // Its first message comes with the columns, which are written above.
        let columns = messages.encode(&RecordBatch::new_empty(Arc::clone(&schema)));
        columns.map_err(EncodeError::Encoder)?;
        Ok(Self {
            writer,
            messages,
            schema,
        })
    }

    /// Writes the rows of `batch` in as many messages as needed; none if there are no rows.
    ///
    /// # Errors
    /// [`EncodeError::Row`] if a single row is too large, [`EncodeError::Digits`] for a decimal that its type does not have.
    pub fn encode(&mut self, batch: &RecordBatch) -> Result<(), EncodeError> {
        let parts = self.parts(batch)?;
        append(self.writer.get_mut(), &parts);
        Ok(())
    }

    /// The bytes that [`Self::encode`] would write, as parts that follow one another. Most of them are the values of the rows themselves, which are
    /// not copied.
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub fn parts(&mut self, batch: &RecordBatch) -> Result<Vec<Buffer>, EncodeError> {
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let columns = batch.columns().iter().zip(self.schema.fields());
        let columns: Result<Vec<_>, _> = columns.map(|(column, field)| to_wire(column, field)).collect();
        let batch = columns
            .and_then(|columns| RecordBatch::try_new_with_options(self.schema.clone(), columns, &options))
            .map_err(EncodeError::Encoder)?;
        if let Some(column) = excess_digits(&batch) {
            return Err(EncodeError::Digits { column });
        }
        let mut parts = Vec::new();
        self.split(&batch, &mut parts)?;
        Ok(parts)
    }

    /// Writes the rows of `batch`, and takes all bytes that were written since the last call.
    ///
    /// `received` is the message from which `batch` was decoded. If it has exactly the bytes that are written for these rows, it is returned, and not
    /// copied: what is not in the rows, in padding or between the values, is never passed on.
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub fn encode_received(&mut self, batch: &RecordBatch, received: &Bytes) -> Result<Bytes, EncodeError> {
        let parts = self.parts(batch)?;
        if self.writer.get_ref().is_empty() && is_same(received, &parts) {
            return Ok(received.clone());
        }
        append(self.writer.get_mut(), &parts);
        Ok(Bytes::from(self.take()))
    }

    /// Writes the end marker.
    ///
    /// # Errors
    /// [`EncodeError::Encoder`], which does not happen in memory.
    pub fn finish(&mut self) -> Result<(), EncodeError> {
        self.writer.finish().map_err(EncodeError::Encoder)
    }

    /// Returns and removes the bytes written since the last call.
    #[must_use]
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(self.writer.get_mut())
    }

    /// Splits a batch that is too large for one message in halves, down to single rows. The recursion is as deep as the
    /// number of rows has binary digits.
    fn split(&mut self, batch: &RecordBatch, parts: &mut Vec<Buffer>) -> Result<(), EncodeError> {
        let rows = batch.num_rows();
        match (rows, fits(batch)) {
            (0, _) => Ok(()),
            (_, true) => {
                parts.extend(self.messages.encode(batch).map_err(EncodeError::Encoder)?);
                Ok(())
            }
            (1, false) => Err(EncodeError::Row),
            (_, false) => {
                let half = rows.div_ceil(2);
                self.split(&batch.slice(0, half), parts)?;
                self.split(&batch.slice(half, rows.saturating_sub(half)), parts)
            }
        }
    }
}

/// Appends `parts` to `written`, which grows once.
fn append(written: &mut Vec<u8>, parts: &[Buffer]) {
    let length = parts.iter().map(|part| part.len()).fold(0, usize::saturating_add);
    written.reserve_exact(length);
    for part in parts {
        written.extend_from_slice(part.as_slice());
    }
}

/// Whether `message` is `parts`, one after the other.
fn is_same(message: &[u8], parts: &[Buffer]) -> bool {
    let mut rest = message;
    for part in parts.iter().map(Buffer::as_slice) {
        let Some((found, after)) = rest.split_at_checked(part.len()) else {
            return false;
        };
        // Values that were decoded from the message are still in it, and need no comparison.
        if !std::ptr::eq(found, part) && found != part {
            return false;
        }
        rest = after;
    }
    rest.is_empty()
}

impl fmt::Debug for StreamEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamEncoder")
            .field("schema", &self.schema)
            .finish_non_exhaustive()
    }
}

/// Whether all of `batch` fits in one message.
fn fits(batch: &RecordBatch) -> bool {
    let rows = batch.num_rows();
    let columns = batch.num_columns();
    let bytes = batch
        .columns()
        .iter()
        // A column of unknown size counts as too large.
        .map(|column| column.to_data().get_slice_memory_size().unwrap_or(usize::MAX))
        .fold(columns.saturating_mul(PADDING), usize::saturating_add);
    rows <= MAX_ROWS && rows.saturating_mul(columns) <= MAX_CELLS && bytes <= MAX_BODY
}

#[expect(clippy::wildcard_enum_match_arm, reason = "only text has several types")]
fn wire_field(field: &Field) -> Result<Field, EncodeError> {
    let kind = match field.data_type() {
        DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
        other => other.clone(),
    };
    if layout(&kind).is_none() {
        return Err(EncodeError::Type {
            column: field.name().clone(),
            found: kind.to_string(),
        });
    }
    Ok(Field::new(field.name(), kind, field.is_nullable()))
}

fn to_wire(column: &ArrayRef, field: &Field) -> Result<ArrayRef, ArrowError> {
    if column.data_type() == field.data_type() {
        return Ok(column.clone());
    }
    cast(column, field.data_type())
}
