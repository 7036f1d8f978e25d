//! Rows in memory that are output by their ranks.

use arrow::{
    array::{RecordBatch, RecordBatchOptions, UInt32Array},
    compute::{concat_batches, take},
    datatypes::SchemaRef,
};
use datafusion::{
    error::{DataFusionError, Result},
    execution::memory_pool::MemoryReservation,
};
use futures::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};

use super::{exec::ScopeFilter, plan_node::internal};
use crate::order::by_rank;

/// Memory of a value in a copy of a bag: texts are views, and not copied.
const COPIED_BYTES: usize = 16;

/// A bag in memory.
pub(super) struct LoadedBag {
    /// Its rows as they were read.
    stored: RecordBatch,
    /// The positions of those that were not output yet, by rank.
    rows: std::vec::IntoIter<u32>,
    /// Transforms their columns as they are output; `None` if they are output as they are.
    filter: Option<ScopeFilter>,
    /// Held until the last of its rows was output.
    _memory: MemoryReservation,
}

impl LoadedBag {
    /// The rows of `batches`, to be output by their `ranks`. They are put in one batch, because values are collected faster from one place.
    ///
    /// # Errors
    /// If they are too many, or there is not enough memory for a copy.
    pub(super) fn new(
        schema: &SchemaRef,
        batches: Vec<RecordBatch>,
        ranks: Vec<u64>,
        memory: MemoryReservation,
    ) -> Result<Self> {
        let rows = by_rank(ranks).ok_or_else(|| internal("a bag is too large"))?;
        let values = rows.len().saturating_mul(schema.fields().len());
        let copy = memory.new_empty();
        copy.try_grow(values.saturating_mul(COPIED_BYTES))?;
        let stored = concat_batches(schema, &batches)?;
        drop(batches);
        drop(copy);
        Ok(Self {
            rows: rows.into_iter(),
            filter: None,
            stored,
            _memory: memory,
        })
    }

    /// The same rows, whose columns `filter` transforms as they are output.
    pub(super) fn transformed_by(self, filter: ScopeFilter) -> Self {
        Self {
            filter: Some(filter),
            ..self
        }
    }

    /// The next rows, at most `most`.
    fn next(&mut self, most: usize) -> Result<RecordBatch> {
        let positions: UInt32Array = self.rows.by_ref().take(most).collect();
        let columns = self.stored.columns().iter();
        let columns: Vec<_> = columns
            .map(|column| take(column, &positions, None))
            .collect::<std::result::Result<_, _>>()?;
        let count = RecordBatchOptions::new().with_row_count(Some(positions.len()));
        let taken = RecordBatch::try_new_with_options(self.stored.schema(), columns, &count)?;
        match &self.filter {
            Some(filter) => filter.transformed(&taken),
            None => Ok(taken),
        }
    }

    fn is_empty(&self) -> bool {
        self.rows.as_slice().is_empty()
    }
}

/// The output rows. All batches but the last have the same size, so that none shows where a bag ends.
pub(super) struct OutputBatches {
    bags: BoxStream<'static, Result<LoadedBag>>,
    current: Option<LoadedBag>,
    pending: Option<RecordBatch>,
    schema: SchemaRef,
    batch_rows: usize,
}

impl OutputBatches {
    /// The rows of `bags`, one after the other, in batches of `batch_rows`.
    pub(super) fn new(bags: BoxStream<'static, Result<LoadedBag>>, schema: SchemaRef, batch_rows: usize) -> Self {
        Self {
            bags,
            current: None,
            pending: None,
            schema,
            batch_rows,
        }
    }

    /// The rows as a stream.
    pub(super) fn into_stream(self) -> BoxStream<'static, Result<RecordBatch>> {
        let batches = stream::try_unfold(self, async |mut output| {
            Ok::<_, DataFusionError>(output.next().await?.map(|batch| (batch, output)))
        });
        batches.boxed()
    }

    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            let Some(bag) = &mut self.current else {
                match self.bags.try_next().await? {
                    Some(bag) => self.current = Some(bag),
                    None => return Ok(self.pending.take()),
                }
                continue;
            };
            let pending = self.pending.take();
            let known = pending.as_ref().map_or(0, RecordBatch::num_rows);
            let more = bag.next(self.batch_rows.saturating_sub(known))?;
            if bag.is_empty() {
                self.current = None;
            }
            let batch = match pending {
                Some(pending) => concat_batches(&self.schema, [&pending, &more])?,
                None => more,
            };
            if batch.num_rows() >= self.batch_rows {
                return Ok(Some(batch));
            }
            self.pending = (batch.num_rows() > 0).then_some(batch);
        }
    }
}
