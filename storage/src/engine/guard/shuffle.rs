//! The physical node that rows leave in a keyed order from.
//!
//! 1. The row groups of all objects are put into their keyed order and, in that order, into *bags* of up to [`BAG_ROWS`] rows and
//!    about [`BAG_BYTES`] of permitted columns, but of one row group at least. What a bag holds depends on the version and the
//!    grant, not on the question.
//! 2. A bag is read whole, with the number of each stored row. Rows that are not permitted are dropped and columns changed
//!    ([`Gate`]), before anything of the query is evaluated.
//! 3. Its rows leave by their rank ([`Order`]), in batches of one size, while the next bag is read.
//!
//! A table of one bag leaves in an order that tells nothing of how it is stored. Of a larger one it can be told which rows share a
//! bag. Nothing above may bring another order in: there is one partition, and no optimiser looks beneath this node. Groups are put
//! into an order of their own by [`regroup`](super::regroup).

use std::{fmt, sync::Arc};

use arrow::{
    array::{AsArray, RecordBatch, RecordBatchOptions},
    compute::{concat_batches, interleave_record_batch},
    datatypes::{Int64Type, SchemaRef},
};
use datafusion::{
    common::{runtime::SpawnedTask, tree_node::TreeNodeRecursion},
    error::{DataFusionError, Result},
    execution::{
        SendableRecordBatchStream, TaskContext,
        memory_pool::{MemoryConsumer, MemoryReservation},
    },
    physical_expr::EquivalenceProperties,
    physical_plan::{
        DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PhysicalExpr, PlanProperties,
        ReplaceChildrenOptions,
        execution_plan::{Boundedness, EmissionType},
        stream::RecordBatchStreamAdapter,
    },
};
use futures::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};

use super::exec::Gate;
use crate::engine::order::Order;

/// Most rows of a bag that is not a single row group: four of the largest row groups. Fewer in tests, which would take long
/// to fill several.
pub(super) const BAG_ROWS: u64 = if cfg!(test) { 4 * 1024 } else { 4 * 128 * 1024 };
/// Memory after which a bag takes no further row group.
pub(super) const BAG_BYTES: u64 = 32 << 20;
/// Above this a bag is not read while another one leaves.
const LARGE_BYTES: u64 = 64 << 20;

/// A part of one object that is read into a bag.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    /// The partition of the scan that reads it.
    pub(super) partition: usize,
    /// The object's place among those of the version.
    pub(super) object: usize,
}

/// Rows that are mixed with each other.
#[derive(Clone, Debug, Default)]
pub(super) struct Bag {
    pub(super) parts: Vec<Part>,
    /// What its permitted columns are estimated to take.
    pub(super) bytes: u64,
}

/// Reads bag by bag and lets rows leave by rank.
#[derive(Debug)]
pub(super) struct Shuffle {
    reader: Arc<Reader>,
    schema: SchemaRef,
    properties: Arc<PlanProperties>,
}

#[derive(Debug)]
struct Reader {
    scan: Arc<dyn ExecutionPlan>,
    /// Lets the number of the stored row through as last column.
    gate: Gate,
    schema: SchemaRef,
    bags: Vec<Bag>,
    order: Order,
}

impl Shuffle {
    /// Over `scan`, whose last column is the number of the stored row, with `gate` that keeps it last; `schema` is without it.
    pub(super) fn new(
        scan: Arc<dyn ExecutionPlan>,
        gate: Gate,
        schema: SchemaRef,
        bags: Vec<Bag>,
        order: Order,
    ) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self {
            reader: Arc::new(Reader {
                scan,
                gate,
                schema: Arc::clone(&schema),
                bags,
                order,
            }),
            schema,
            properties: Arc::new(properties),
        }
    }
}

/// Where a row of a bag is, by rank.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ranked {
    pub(super) rank: u64,
    pub(super) batch: u32,
    pub(super) row: u32,
}

/// A bag that was read.
pub(super) struct Full {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
    rows: std::vec::IntoIter<Ranked>,
    /// Held until the last of its rows has left.
    _memory: MemoryReservation,
}

impl Reader {
    async fn read(&self, bag: &Bag, context: &Arc<TaskContext>) -> Result<Full> {
        let memory = MemoryConsumer::new("rows in order").register(context.memory_pool());
        memory.try_grow(usize::try_from(bag.bytes).unwrap_or(usize::MAX))?;
        let (mut batches, mut rows) = (Vec::new(), Vec::new());
        for part in &bag.parts {
            let mut ranks = self.order.rows(part.object);
            let mut stored = self.scan.execute(part.partition, Arc::clone(context))?;
            while let Some(batch) = stored.try_next().await? {
                let (shown, numbers) = self.numbered(&self.gate.pass(&batch)?)?;
                let batch = u32::try_from(batches.len()).map_err(|_| internal("a bag is too large"))?;
                rows.extend(numbers.iter().zip(0u32..).map(|(number, row)| Ranked {
                    rank: ranks.of(number.cast_unsigned()),
                    batch,
                    row,
                }));
                batches.push(shown);
            }
        }
        Ok(Full::new(Arc::clone(&self.schema), batches, rows, memory))
    }

    /// The shown columns, and the number of each row.
    fn numbered(&self, passed: &RecordBatch) -> Result<(RecordBatch, Vec<i64>)> {
        let (numbers, shown) = passed
            .columns()
            .split_last()
            .ok_or_else(|| internal("rows without numbers"))?;
        let numbers = numbers
            .as_primitive_opt::<Int64Type>()
            .ok_or_else(|| internal("numbers of another type"))?;
        let count = RecordBatchOptions::new().with_row_count(Some(passed.num_rows()));
        let shown = RecordBatch::try_new_with_options(Arc::clone(&self.schema), shown.to_vec(), &count)?;
        Ok((shown, numbers.values().to_vec()))
    }
}

impl Full {
    pub(super) fn new(
        schema: SchemaRef,
        batches: Vec<RecordBatch>,
        mut rows: Vec<Ranked>,
        memory: MemoryReservation,
    ) -> Self {
        rows.sort_unstable();
        Self {
            schema,
            batches,
            rows: rows.into_iter(),
            _memory: memory,
        }
    }

    /// The next rows, `most` of them at most.
    fn next(&mut self, most: usize) -> Result<RecordBatch> {
        let places: Vec<(usize, usize)> = self
            .rows
            .by_ref()
            .take(most)
            .map(|ranked| (ranked.batch as usize, ranked.row as usize))
            .collect();
        if self.schema.fields().is_empty() || places.is_empty() {
            let count = RecordBatchOptions::new().with_row_count(Some(places.len()));
            let none = arrow::array::new_empty_array;
            let columns = self
                .schema
                .fields()
                .iter()
                .map(|field| none(field.data_type()))
                .collect();
            return Ok(RecordBatch::try_new_with_options(
                Arc::clone(&self.schema),
                columns,
                &count,
            )?);
        }
        let batches: Vec<&RecordBatch> = self.batches.iter().collect();
        Ok(interleave_record_batch(&batches, &places)?)
    }

    fn is_empty(&self) -> bool {
        self.rows.as_slice().is_empty()
    }
}

/// Rows on their way out. All batches but the last are of one size, so that none shows where a bag ends.
pub(super) struct Leaving {
    bags: BoxStream<'static, Result<Full>>,
    current: Option<Full>,
    pending: Option<RecordBatch>,
    schema: SchemaRef,
    batch_rows: usize,
}

impl Leaving {
    pub(super) fn new(bags: BoxStream<'static, Result<Full>>, schema: SchemaRef, batch_rows: usize) -> Self {
        Self {
            bags,
            current: None,
            pending: None,
            schema,
            batch_rows,
        }
    }

    pub(super) async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            let Some(full) = &mut self.current else {
                match self.bags.try_next().await? {
                    Some(full) => self.current = Some(full),
                    None => return Ok(self.pending.take()),
                }
                continue;
            };
            let pending = self.pending.take();
            let known = pending.as_ref().map_or(0, RecordBatch::num_rows);
            let more = full.next(self.batch_rows.saturating_sub(known))?;
            if full.is_empty() {
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

pub(super) fn internal(what: &str) -> DataFusionError {
    DataFusionError::Internal(what.to_owned())
}

impl DisplayAs for Shuffle {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shuffle")
    }
}

impl ExecutionPlan for Shuffle {
    fn name(&self) -> &'static str {
        "Shuffle"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    /// None are shown, so nothing puts partitions together, takes them apart or passes a limit or condition on to the scan.
    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if children.is_empty() {
            Ok(self)
        } else {
            Err(internal("nothing stands beneath a shuffle"))
        }
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let recompute = datafusion::physical_plan::ChildrenPropertiesMode::Recompute;
        self.replace_children(children, ReplaceChildrenOptions::new(recompute))
    }

    fn execute(&self, _: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let reader = Arc::clone(&self.reader);
        let ahead = if reader.bags.iter().any(|bag| bag.bytes > LARGE_BYTES) {
            1
        } else {
            2
        };
        let batch_rows = context.session_config().batch_size();
        let bags = reader.bags.clone();
        let bags = stream::iter(bags)
            .map(move |bag| {
                let (reader, context) = (Arc::clone(&reader), Arc::clone(&context));
                let reading = SpawnedTask::spawn(async move { reader.read(&bag, &context).await });
                async move {
                    reading
                        .join()
                        .await
                        .map_err(|error| DataFusionError::ExecutionJoin(Box::new(error)))?
                }
            })
            .buffered(ahead)
            .boxed();
        let leaving = Leaving::new(bags, Arc::clone(&self.schema), batch_rows);
        let batches = stream::try_unfold(leaving, async |mut leaving| {
            Ok(leaving.next().await?.map(|batch| (batch, leaving)))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            Arc::clone(&self.schema),
            batches,
        )))
    }
}
