//! The physical node that outputs rows in a keyed order.
//!
//! 1. The row groups of all objects are put in their keyed order and, in that order, grouped into *bags* of up to
//!    [`BAG_ROWS`] rows and about [`BAG_BYTES`] of permitted columns, but with at least one row group. The contents of
//!    a bag depend on the version and the grant, not on the query.
//! 2. A bag is read completely, with the number of each stored row. Rows that are not permitted are dropped
//!    ([`ScopeFilter`]).
//! 3. Its rows are output by their rank ([`Order`], [`ranked_rows`](super::ranked_rows)), in batches of equal size, while the
//!    next bag is read. Columns are transformed as their rows are output: before any part of the query is evaluated, and
//!    only for rows that are needed.
//!
//! The order of a table with one bag reveals nothing about how it is stored. For a larger table it reveals which rows
//! share a bag. Nothing above may introduce another order: there is one partition, and this node is opaque to the
//! optimizer. Groups are sorted separately by [`regroup`](super::regroup).

use std::sync::Arc;

use arrow::{
    array::{AsArray, RecordBatch, RecordBatchOptions},
    datatypes::{Int64Type, SchemaRef},
};
use datafusion::{
    common::runtime::SpawnedTask,
    error::{DataFusionError, Result},
    execution::{TaskContext, memory_pool::MemoryConsumer},
    physical_plan::ExecutionPlan,
};
use futures::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};

use super::{
    exec::ScopeFilter,
    plan_node::{PlanNode, Step, internal},
    ranked_rows::{LoadedBag, OutputBatches},
};
use crate::order::Order;

/// Maximum rows of a bag with more than one row group: four of the largest row groups. Fewer in tests, where filling
/// several bags would take too long.
pub(super) const BAG_ROWS: u64 = if cfg!(test) { 4 * 1024 } else { 4 * 128 * 1024 };
/// Memory limit above which no further row group is added to a bag.
pub(super) const BAG_BYTES: u64 = 32 << 20;
/// A bag above this size is not read while another one is output.
const LARGE_BYTES: u64 = 64 << 20;

/// A part of one object that is read into a bag.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    /// The partition of the scan that reads it.
    pub(super) partition: usize,
    /// The object's index among those of the version.
    pub(super) object: usize,
}

/// Rows that are shuffled together.
#[derive(Clone, Debug, Default)]
pub(super) struct Bag {
    pub(super) parts: Vec<Part>,
    /// The estimated memory of its permitted columns.
    pub(super) bytes: u64,
}

/// Reads bag by bag and outputs rows by rank.
#[derive(Clone, Debug)]
pub(super) struct Shuffle {
    reader: Arc<Reader>,
    schema: SchemaRef,
}

#[derive(Debug)]
struct Reader {
    filter: ScopeFilter,
    /// The shown columns as they are stored.
    stored: SchemaRef,
    /// The column of the scan with the number of the stored row.
    number: usize,
    bags: Vec<Bag>,
    order: Order,
}

impl Shuffle {
    /// Over `scan`, whose last column is the number of the stored row, with a `filter` that shows the columns of `schema`.
    ///
    /// # Errors
    /// If `scan` does not read what `filter` shows.
    pub(super) fn over(
        scan: Arc<dyn ExecutionPlan>,
        filter: ScopeFilter,
        schema: SchemaRef,
        bags: Vec<Bag>,
        order: Order,
    ) -> Result<PlanNode<Self>> {
        let read = scan.schema();
        let number = read.fields().len().checked_sub(1);
        let reader = Reader {
            stored: filter.stored_schema(&read)?,
            number: number.ok_or_else(|| internal("rows without numbers"))?,
            filter,
            bags,
            order,
        };
        let step = Self {
            reader: Arc::new(reader),
            schema,
        };
        Ok(PlanNode::new(scan, step))
    }
}

impl Step for Shuffle {
    const NAME: &'static str = "Shuffle";
    const SHOWS_INPUT: bool = false;

    fn schema(&self, _scan: &Arc<dyn ExecutionPlan>) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn rows(
        &self,
        scan: &Arc<dyn ExecutionPlan>,
        _partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<BoxStream<'static, Result<RecordBatch>>> {
        let reader = Arc::clone(&self.reader);
        let scan = Arc::clone(scan);
        let prefetch = if reader.bags.iter().any(|bag| bag.bytes > LARGE_BYTES) {
            1
        } else {
            2
        };
        let batch_rows = context.session_config().batch_size();
        let bags = reader.bags.clone();
        let bags = stream::iter(bags)
            .map(move |bag| {
                let reader = Arc::clone(&reader);
                let scan = Arc::clone(&scan);
                let context = Arc::clone(&context);
                let reading = SpawnedTask::spawn(async move { reader.read(&bag, &scan, &context).await });
                async move {
                    reading
                        .join()
                        .await
                        .map_err(|error| DataFusionError::ExecutionJoin(Box::new(error)))?
                }
            })
            .buffered(prefetch)
            .boxed();
        let output = OutputBatches::new(bags, Arc::clone(&self.schema), batch_rows);
        Ok(output.into_stream())
    }
}

impl Reader {
    async fn read(&self, bag: &Bag, scan: &Arc<dyn ExecutionPlan>, context: &Arc<TaskContext>) -> Result<LoadedBag> {
        let memory = MemoryConsumer::new("rows in order").register(context.memory_pool());
        memory.try_grow(usize::try_from(bag.bytes).unwrap_or(usize::MAX))?;
        let mut batches = Vec::new();
        let mut ranks = Vec::new();
        for part in &bag.parts {
            let mut ranked = self.order.rows(part.object);
            let mut stored = scan.execute(part.partition, Arc::clone(context))?;
            while let Some(batch) = stored.try_next().await? {
                let (rows, numbers) = self.numbered(&self.filter.permitted(&batch, &[self.number])?)?;
                ranks.extend(numbers.iter().map(|number| ranked.of(number.cast_unsigned())));
                batches.push(rows);
            }
        }
        let bag = LoadedBag::new(&self.stored, batches, ranks, memory)?;
        Ok(bag.transformed_by(self.filter.clone()))
    }

    /// The stored values of the shown columns, and the number of each row.
    fn numbered(&self, permitted: &RecordBatch) -> Result<(RecordBatch, Vec<i64>)> {
        let (numbers, stored) = permitted
            .columns()
            .split_last()
            .ok_or_else(|| internal("rows without numbers"))?;
        let numbers = numbers
            .as_primitive_opt::<Int64Type>()
            .ok_or_else(|| internal("numbers of another type"))?;
        let count = RecordBatchOptions::new().with_row_count(Some(permitted.num_rows()));
        let rows = RecordBatch::try_new_with_options(Arc::clone(&self.stored), stored.to_vec(), &count)?;
        Ok((rows, numbers.values().to_vec()))
    }
}
