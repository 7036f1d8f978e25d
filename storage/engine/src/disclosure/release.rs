//! The only type of answer that can leave the node.

use std::{fmt, pin::Pin, sync::Arc};

use arrow::{
    array::RecordBatch,
    datatypes::{DataType, Schema, SchemaRef},
};
use bytes::Bytes;
use concordat_storage::ledger::LedgerReceipt;
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};

use crate::QueryError;

/// Maximum bytes in one released batch: small enough to stop the answer quickly, large enough to be worth a round trip. With the metadata and the
/// padding of its message it fits in one chunk of the network, which is confirmed as a whole.
const CHUNK_BYTES: usize = 960 << 10;
/// The same in bits.
const CHUNK_BITS: usize = 8 * CHUNK_BYTES;

/// Called before each batch is released.
pub trait StillPermitted: Send + Sync {
    /// Whether the next batch may be released.
    ///
    /// # Errors
    /// [`Cut`] with the reason if it may not.
    fn check(&self) -> Result<(), Cut>;
}

impl<F: Fn() -> Result<(), Cut> + Send + Sync> StillPermitted for F {
    fn check(&self) -> Result<(), Cut> {
        self()
    }
}

/// Why an answer must stop now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Cut {
    /// The reason, in a form that the consumer may see.
    pub reason: String,
}

/// What the engine computed, before anything may be released.
pub(crate) struct RawAnswer {
    pub(crate) schema: SchemaRef,
    pub(crate) batches: BoxStream<'static, Result<RawBatch, QueryError>>,
}

/// Rows of it.
#[derive(Clone, Debug)]
pub(crate) struct RawBatch {
    pub(crate) rows: RecordBatch,
    /// The message from which they were decoded, if a process has sent them.
    pub(crate) message: Option<Bytes>,
}

impl From<RecordBatch> for RawBatch {
    fn from(rows: RecordBatch) -> Self {
        Self { rows, message: None }
    }
}

/// An answer that may be released as long as it is still permitted. Drop it to stop the query.
pub struct ReleasedAnswer {
    raw: RawAnswer,
    rest: Option<RecordBatch>,
    rows: u64,
    max_rows: Option<u64>,
    receipt: LedgerReceipt,
    watch: Arc<dyn StillPermitted>,
    deadline: Pin<Box<tokio::time::Sleep>>,
    ended: bool,
    failed: bool,
}

/// A part of an answer, at most about a MiB.
#[derive(Clone, Debug)]
pub struct ReleasedBatch(RawBatch);

impl ReleasedBatch {
    /// The rows.
    #[must_use]
    pub fn records(&self) -> &RecordBatch {
        &self.0.rows
    }

    /// The message from which the rows were decoded, if these are all of its rows.
    pub(super) const fn message(&self) -> Option<&Bytes> {
        self.0.message.as_ref()
    }
}

impl ReleasedAnswer {
    pub(crate) fn new(
        raw: RawAnswer,
        max_rows: Option<u64>,
        receipt: LedgerReceipt,
        watch: Arc<dyn StillPermitted>,
        deadline: Pin<Box<tokio::time::Sleep>>,
    ) -> Self {
        Self {
            raw,
            rest: None,
            rows: 0,
            max_rows,
            receipt,
            watch,
            deadline,
            ended: false,
            failed: false,
        }
    }

    /// The columns of the answer.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.raw.schema)
    }

    /// The ledger's receipt for the decision behind this answer.
    pub fn receipt(&self) -> &LedgerReceipt {
        &self.receipt
    }

    /// The next part; `None` at the end and after an error.
    ///
    /// # Errors
    /// [`QueryError::Cut`] if the permission ended, [`QueryError::TooManyRows`] instead of the first part that exceeds
    /// the limit, and every error of the engine.
    pub async fn next_batch(&mut self) -> Result<Option<ReleasedBatch>, QueryError> {
        if self.ended {
            return Ok(None);
        }
        let next = self.permitted().await;
        self.ended = !matches!(next, Ok(Some(_)));
        self.failed = next.is_err();
        if self.ended {
            // This stops the computation now, not only when the answer is dropped.
            self.raw.batches = stream::empty().boxed();
        }
        next
    }

    /// Whether it ended with an error, so that no end marker may follow.
    pub(super) const fn failed(&self) -> bool {
        self.failed
    }

    async fn permitted(&mut self) -> Result<Option<ReleasedBatch>, QueryError> {
        let Some(chunk) = self.chunk().await? else {
            return Ok(None);
        };
        self.rows = self
            .rows
            .saturating_add(chunk.rows.num_rows().try_into().unwrap_or(u64::MAX));
        if let Some(limit) = self.max_rows.filter(|limit| self.rows > *limit) {
            return Err(QueryError::TooManyRows { limit });
        }
        // The last step before the batch is released, so that changes during the computation take effect.
        self.watch
            .check()
            .map_err(|Cut { reason }| QueryError::Cut { reason })?;
        Ok(Some(ReleasedBatch(chunk)))
    }

    async fn chunk(&mut self) -> Result<Option<RawBatch>, QueryError> {
        let batch = match self.rest.take() {
            Some(rest) => RawBatch::from(rest),
            None => match self.computed().await? {
                Some(batch) => batch,
                None => return Ok(None),
            },
        };
        let all = &batch.rows;
        let rows = rows_in_a_chunk(all);
        if rows < all.num_rows() {
            self.rest = Some(all.slice(rows, all.num_rows().saturating_sub(rows)));
            return Ok(Some(all.slice(0, rows).into()));
        }
        Ok(Some(batch))
    }

    async fn computed(&mut self) -> Result<Option<RawBatch>, QueryError> {
        loop {
            let batch = tokio::select! {
                biased;
                () = &mut self.deadline => return Err(QueryError::Deadline),
                batch = self.raw.batches.next() => batch.transpose()?,
            };
            match batch {
                Some(batch) if batch.rows.num_rows() == 0 => {}
                other => return Ok(other),
            }
        }
    }
}

/// The number of rows in each of the fewest equal parts that fit in [`CHUNK_BYTES`], at least one: a chunk takes a round trip, however short.
pub(crate) fn rows_in_a_chunk(batch: &RecordBatch) -> usize {
    let parts = slice_bytes(batch).div_ceil(CHUNK_BYTES).max(1);
    batch.num_rows().div_ceil(parts).max(1)
}

/// The bytes of the values of `batch`; of an array that is a part of another one, only its own.
pub(crate) fn slice_bytes(batch: &RecordBatch) -> usize {
    let columns = batch.columns().iter();
    columns
        .map(|column| column.to_data().get_slice_memory_size().unwrap_or(0))
        .sum()
}

/// How many rows with the columns of `schema` a batch may have to fill whole chunks, at most `most`. A batch that is a little longer than a chunk
/// would be sent in two that are half empty, and each takes a round trip.
///
/// It is `most` if so many rows fit in one chunk, and if there are texts, whose lengths are not known.
pub(crate) fn rows_in_whole_chunks(schema: &Schema, most: usize) -> usize {
    let bits = schema.fields().iter().map(|field| bits_of_value(field.data_type()));
    let bits = bits.sum::<Option<usize>>().unwrap_or(0);
    let chunks = most.saturating_mul(bits) / CHUNK_BITS;
    if chunks == 0 {
        return most;
    }
    let rows = chunks.saturating_mul(CHUNK_BITS).checked_div(bits).unwrap_or(most);
    // With a multiple of eight rows, the bits of no column begin another byte.
    rows.saturating_sub(rows % 8).clamp(1, most)
}

/// The bits of a value and of its validity; `None` if values differ in length.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "all other types have a width, or values that differ"
)]
fn bits_of_value(kind: &DataType) -> Option<usize> {
    match kind {
        DataType::Null => Some(0),
        DataType::Boolean => Some(2),
        other => Some(other.primitive_width()?.saturating_mul(8).saturating_add(1)),
    }
}

impl fmt::Debug for ReleasedAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReleasedAnswer")
            .field("rows", &self.rows)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array, StringArray};

    use super::*;

    /// Rows of these columns, all of which are alike.
    fn rows(column: &ArrayRef, columns: usize) -> RecordBatch {
        let columns = (0..columns).map(|at| (format!("c{at}"), Arc::clone(column)));
        RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap()
    }

    #[test]
    fn batches_of_numbers_fill_whole_chunks() {
        let most = 32 * 1024;
        let full: ArrayRef = Arc::new((0_i64..).take(most).map(Some).collect::<Int64Array>());
        let some: ArrayRef = Arc::new(
            (0_i64..)
                .take(most)
                .map(|n| (n % 3 > 0).then_some(n))
                .collect::<Int64Array>(),
        );
        for columns in 4..40 {
            for column in [&full, &some] {
                let all = rows(column, columns);
                let batch = all.slice(0, rows_in_whole_chunks(&all.schema(), most));
                let chunk = batch.slice(0, rows_in_a_chunk(&batch));
                let bytes = slice_bytes(&chunk);
                assert!(bytes > CHUNK_BYTES / 100 * 95, "{columns} columns: {bytes}");
                assert!(batch.num_rows() >= most / 2, "{columns} columns");
            }
        }
    }

    #[test]
    fn batches_of_texts_and_of_few_numbers_are_as_large_as_they_may_be() {
        let number: ArrayRef = Arc::new(Int64Array::from(vec![1]));
        let text: ArrayRef = Arc::new(StringArray::from(vec!["a"]));
        for (column, columns) in [(&number, 1), (&number, 3), (&text, 1), (&text, 40)] {
            let schema = rows(column, columns).schema();
            assert_eq!(rows_in_whole_chunks(&schema, 32 * 1024), 32 * 1024, "{columns} columns");
        }
    }
}
