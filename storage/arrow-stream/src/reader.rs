//! The reader of streams: takes bytes as they arrive and returns rows.

use std::collections::HashMap;

use arrow::array::RecordBatch;
use arrow::buffer::{Buffer, MutableBuffer};
use arrow::datatypes::SchemaRef;
use arrow::ipc::reader::RecordBatchDecoder;
use arrow::ipc::{Message, MessageHeader, MetadataVersion, root_as_message_with_opts};
use bytes::Bytes;
use flatbuffers::VerifierOptions;

use super::schema::{difference, parse};
use super::{ALIGNMENT, CONTINUATION, MAX_BODY, MAX_COLUMNS, MAX_METADATA, PREFIX, StreamViolation, batch};

/// Tables inside the metadata of a message: the message, its schema, a field, its type.
const MAX_DEPTH: usize = 6;
/// Tables of a schema with the maximum number of columns: a field and its type for each.
const MAX_TABLES: usize = 2 * MAX_COLUMNS + 8;
/// Tables refer to names, and several may refer to the same one; this bounds how often all of the metadata may be read.
const MAX_READ: usize = 4 * MAX_METADATA;
/// Memory for a body grows by at least this much, and never beyond the size of the body.
const STEP: usize = 64 << 10;

/// An item of a stream.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// The columns, before any row.
    Schema(SchemaRef),
    /// The next rows, at least one.
    Batch(RecordBatch),
}

/// A stream that is being read. After a violation it only returns that violation.
#[derive(Debug, Default)]
pub struct CheckedStream {
    step: Step,
    /// The bytes of the part that is being read, as far as they have arrived, except those of a body.
    part: Vec<u8>,
    body: MutableBuffer,
    expected: Option<SchemaRef>,
    schema: Option<SchemaRef>,
}

/// Which part of a message comes next.
#[derive(Clone, Debug, Default, PartialEq)]
enum Step {
    #[default]
    Prefix,
    Metadata {
        length: usize,
    },
    /// The metadata is in `part` and has been checked.
    Body {
        length: usize,
    },
    End,
    Violated(StreamViolation),
}

impl CheckedStream {
    /// A stream of any columns; the caller checks [`Item::Schema`] before it continues.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A stream that has exactly the columns of `schema`, by name and type.
    #[must_use]
    pub fn expecting(schema: SchemaRef) -> Self {
        Self {
            expected: Some(schema),
            ..Self::default()
        }
    }

    /// Consumes bytes from the front of `bytes` until an item is complete; `None` if all of them are consumed and more
    /// are needed, or at the end.
    ///
    /// # Errors
    /// [`StreamViolation`] for the first thing that is invalid.
    pub fn decode(&mut self, bytes: &mut Bytes) -> Result<Option<Item>, StreamViolation> {
        loop {
            match self.step(bytes) {
                Ok(Progress::Item(item)) => return Ok(Some(item)),
                Ok(Progress::NeedsBytes) => return Ok(None),
                Ok(Progress::Continue) => {}
                Err(violation) => {
                    self.part = Vec::new();
                    self.body = MutableBuffer::default();
                    self.step = Step::Violated(violation.clone());
                    return Err(violation);
                }
            }
        }
    }

    /// The columns, once they have arrived.
    #[must_use]
    pub fn schema(&self) -> Option<SchemaRef> {
        self.schema.clone()
    }

    /// Whether the end marker has arrived, so that the stream is complete.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.step == Step::End
    }

    /// Checks that the bytes may end here: at the end marker, or between two messages, where an interrupted sender
    /// stops.
    ///
    /// # Errors
    /// [`StreamViolation::CutOff`] in the middle of a message.
    pub fn finish(&self) -> Result<(), StreamViolation> {
        match &self.step {
            Step::End => Ok(()),
            Step::Prefix if self.part.is_empty() => Ok(()),
            Step::Violated(violation) => Err(violation.clone()),
            Step::Prefix | Step::Metadata { .. } | Step::Body { .. } => Err(StreamViolation::CutOff),
        }
    }

    /// Bytes of memory used by the part of a message that has arrived so far.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.part.capacity().saturating_add(self.body.capacity())
    }

    fn step(&mut self, bytes: &mut Bytes) -> Result<Progress, StreamViolation> {
        match self.step.clone() {
            Step::Prefix => self.prefix(bytes),
            Step::Metadata { length } => self.metadata(length, bytes),
            Step::Body { length } => self.body(length, bytes),
            Step::End if bytes.is_empty() => Ok(Progress::NeedsBytes),
            Step::End => Err(StreamViolation::AfterEnd),
            Step::Violated(violation) => Err(violation),
        }
    }

    fn prefix(&mut self, bytes: &mut Bytes) -> Result<Progress, StreamViolation> {
        let whole = self.fill(PREFIX, bytes);
        let is_continuation = self
            .part
            .iter()
            .zip(CONTINUATION)
            .all(|(found, expected)| *found == expected);
        if !is_continuation {
            return Err(StreamViolation::MissingContinuation);
        }
        let Some(length) = self.part.last_chunk().filter(|_| whole) else {
            return Ok(Progress::NeedsBytes);
        };
        let stated = u32::from_le_bytes(*length);
        self.part.clear();
        let long = StreamViolation::LongMetadata { length: stated };
        let length = usize::try_from(stated).map_err(|_| long.clone())?;
        self.step = match length {
            0 if self.schema.is_none() => {
                return Err(StreamViolation::Order {
                    what: "the stream ends before its columns are known",
                });
            }
            0 => Step::End,
            1..=MAX_METADATA if length.is_multiple_of(ALIGNMENT) => Step::Metadata { length },
            1..=MAX_METADATA => return Err(StreamViolation::Unaligned { what: "the metadata" }),
            _ => return Err(long),
        };
        Ok(Progress::Continue)
    }

    fn metadata(&mut self, length: usize, bytes: &mut Bytes) -> Result<Progress, StreamViolation> {
        if !self.fill(length, bytes) {
            return Ok(Progress::NeedsBytes);
        }
        let message = message(&self.part)?;
        let body = body_length(&message)?;
        match message.header_type() {
            MessageHeader::Schema => self.schema_message(body),
            MessageHeader::RecordBatch => {
                let schema = self.schema.as_ref().ok_or(StreamViolation::Order {
                    what: "rows come before the columns",
                })?;
                let sent = message.header_as_record_batch().ok_or(StreamViolation::BadMetadata)?;
                batch::check(&sent, schema, body)?;
                self.step = Step::Body { length: body };
                Ok(Progress::Continue)
            }
            MessageHeader(kind) => Err(StreamViolation::Kind { kind }),
        }
    }

    fn schema_message(&mut self, body: usize) -> Result<Progress, StreamViolation> {
        if self.schema.is_some() {
            return Err(StreamViolation::Order {
                what: "the columns are stated a second time",
            });
        }
        if body != 0 {
            return Err(StreamViolation::Extra {
                what: "a body after its columns",
            });
        }
        let message = message(&self.part)?;
        let sent = message.header_as_schema().ok_or(StreamViolation::BadMetadata)?;
        let schema = parse(&sent)?;
        if let Some(column) = self
            .expected
            .as_ref()
            .and_then(|expected| difference(&schema, expected))
        {
            return Err(StreamViolation::Unexpected { column });
        }
        self.part.clear();
        self.step = Step::Prefix;
        self.schema = Some(schema.clone());
        Ok(Progress::Item(Item::Schema(schema)))
    }

    fn body(&mut self, length: usize, bytes: &mut Bytes) -> Result<Progress, StreamViolation> {
        if self.body.is_empty()
            && let Some(whole) = whole_body(length, bytes)
        {
            return self.complete(&whole);
        }
        let missing = length.saturating_sub(self.body.len());
        let more = bytes.split_to(missing.min(bytes.len()));
        // Memory is allocated for the bytes that have arrived, not for the stated length.
        let needed = self.body.len().saturating_add(more.len());
        if needed > self.body.capacity() {
            let wanted = needed.saturating_mul(2).max(STEP).min(length);
            self.body.reserve(wanted.saturating_sub(self.body.len()));
        }
        self.body.extend_from_slice(&more);
        if self.body.len() < length {
            return Ok(Progress::NeedsBytes);
        }
        let body = std::mem::take(&mut self.body).into();
        self.complete(&body)
    }

    fn complete(&mut self, body: &Buffer) -> Result<Progress, StreamViolation> {
        let batch = self.rows(body)?;
        self.part.clear();
        self.step = Step::Prefix;
        Ok(Progress::Item(Item::Batch(batch)))
    }

    /// The rows of a batch whose metadata has been checked. The decoder validates text, offsets and counts; its errors
    /// may quote values, so they are dropped. Decimals must have no more digits than their type.
    fn rows(&self, body: &Buffer) -> Result<RecordBatch, StreamViolation> {
        let message = message(&self.part)?;
        let (sent, schema) = message
            .header_as_record_batch()
            .zip(self.schema.clone())
            .ok_or(StreamViolation::BadMetadata)?;
        let dictionaries = HashMap::new();
        RecordBatchDecoder::try_new(body, sent, schema, &dictionaries, &MetadataVersion::V5)
            .and_then(RecordBatchDecoder::read_record_batch)
            .ok()
            .filter(|rows| batch::excess_digits(rows).is_none())
            .ok_or(StreamViolation::Values)
    }

    /// Moves bytes until `part` has `length`; false if there are not enough.
    fn fill(&mut self, length: usize, bytes: &mut Bytes) -> bool {
        let missing = length.saturating_sub(self.part.len());
        let more = bytes.split_to(missing.min(bytes.len()));
        self.part.extend_from_slice(&more);
        self.part.len() == length
    }
}

/// A body that has arrived at once, without a copy: the rows keep the chunk in memory, so it must be mostly theirs. `None` if it has not, or if
/// its values would not be aligned.
fn whole_body(length: usize, bytes: &mut Bytes) -> Option<Buffer> {
    let others = bytes.len().checked_sub(length)?;
    let is_aligned = bytes.as_ptr().addr().is_multiple_of(ALIGNMENT);
    (is_aligned && others <= length && length > 0).then(|| Buffer::from(bytes.split_to(length)))
}

/// The result of a step.
enum Progress {
    Continue,
    NeedsBytes,
    Item(Item),
}

/// The message in `metadata`, verified within limits.
fn message(metadata: &[u8]) -> Result<Message<'_>, StreamViolation> {
    let limits = VerifierOptions {
        max_depth: MAX_DEPTH,
        max_tables: MAX_TABLES,
        max_apparent_size: MAX_READ,
        ignore_missing_null_terminator: false,
    };
    let message = root_as_message_with_opts(&limits, metadata).map_err(|_| StreamViolation::BadMetadata)?;
    if message.version() != MetadataVersion::V5 {
        return Err(StreamViolation::Version);
    }
    if message.custom_metadata().is_some_and(|metadata| !metadata.is_empty()) {
        return Err(StreamViolation::Extra {
            what: "custom metadata",
        });
    }
    Ok(message)
}

fn body_length(message: &Message<'_>) -> Result<usize, StreamViolation> {
    let stated = message.bodyLength();
    let wrong = StreamViolation::Body { length: stated };
    let length = usize::try_from(stated).map_err(|_| wrong.clone())?;
    match length {
        0..=MAX_BODY if length.is_multiple_of(ALIGNMENT) => Ok(length),
        0..=MAX_BODY => Err(StreamViolation::Unaligned { what: "a body" }),
        _ => Err(wrong),
    }
}
