//! The only type of answer that can leave the node.

use std::{fmt, pin::Pin, sync::Arc};

use arrow::{array::RecordBatch, datatypes::SchemaRef};
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
    let bytes: usize = batch
        .columns()
        .iter()
        .map(|column| column.to_data().get_slice_memory_size().unwrap_or(0))
        .sum();
    let parts = bytes.div_ceil(CHUNK_BYTES).max(1);
    batch.num_rows().div_ceil(parts).max(1)
}

impl fmt::Debug for ReleasedAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReleasedAnswer")
            .field("rows", &self.rows)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}
