//! The physical node that outputs groups in a keyed order.
//!
//! An aggregation outputs groups in the order in which it first saw them, which follows the stored rows and, if several
//! partitions run concurrently, chance. Here they are sorted by a keyed hash of their grouping columns. So the rows
//! below may be read in any order, in several partitions and without being shuffled first.

use std::sync::Arc;

use arrow::{
    array::RecordBatch,
    row::{RowConverter, SortField},
};
use datafusion::{
    error::Result,
    execution::{TaskContext, memory_pool::MemoryConsumer},
    physical_plan::{
        ExecutionPlan,
        aggregates::{AggregateExec, AggregateMode},
        execute_stream,
        execution_plan::EmissionType,
    },
};
use futures::{FutureExt, StreamExt, TryStreamExt, stream::BoxStream};

use super::{
    plan_node::{PlanNode, Step, with_inputs},
    ranked_rows::{LoadedBag, OutputBatches},
};
use crate::order::Order;

/// `plan` with the output of its last grouping sorted by `order`.
pub(crate) fn regrouped(plan: Arc<dyn ExecutionPlan>, order: &Order) -> Result<Arc<dyn ExecutionPlan>> {
    if let Some(groups) = groups(plan.as_ref()) {
        return Ok(if groups == 0 {
            plan
        } else {
            let order = order.clone();
            Arc::new(PlanNode::new(plan, Regroup { groups, order }))
        });
    }
    with_inputs(plan, |input| regrouped(input, order))
}

/// The number of grouping columns of a final aggregation.
fn groups(plan: &dyn ExecutionPlan) -> Option<usize> {
    let aggregate = plan.downcast_ref::<AggregateExec>()?;
    match aggregate.mode() {
        AggregateMode::Partial | AggregateMode::PartialReduce => None,
        AggregateMode::Final
        | AggregateMode::FinalPartitioned
        | AggregateMode::Single
        | AggregateMode::SinglePartitioned => Some(aggregate.group_expr().expr().len()),
    }
}

/// Collects groups, whose grouping columns come first, and outputs them sorted by a keyed hash of these.
#[derive(Clone, Debug)]
struct Regroup {
    groups: usize,
    order: Order,
}

impl Step for Regroup {
    const NAME: &'static str = "Regroup";
    const EMISSION: EmissionType = EmissionType::Final;

    fn rows(
        &self,
        input: &Arc<dyn ExecutionPlan>,
        _partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<BoxStream<'static, Result<RecordBatch>>> {
        let batch_rows = context.session_config().batch_size();
        let all = collected(Arc::clone(input), self.groups, self.order.clone(), context);
        let output = OutputBatches::new(all.into_stream().boxed(), input.schema(), batch_rows);
        Ok(output.into_stream())
    }
}

/// Reads all groups.
async fn collected(
    input: Arc<dyn ExecutionPlan>,
    groups: usize,
    order: Order,
    context: Arc<TaskContext>,
) -> Result<LoadedBag> {
    let schema = input.schema();
    let fields = schema.fields().iter().take(groups);
    let keys = RowConverter::new(fields.map(|field| SortField::new(field.data_type().clone())).collect())?;
    let memory = MemoryConsumer::new("groups in order").register(context.memory_pool());
    let mut batches = Vec::new();
    let mut ranks = Vec::new();
    let mut groups_stream = execute_stream(input, context)?;
    while let Some(group) = groups_stream.try_next().await? {
        memory.try_grow(group.get_array_memory_size())?;
        let columns: Vec<_> = group.columns().iter().take(groups).cloned().collect();
        let values = keys.convert_columns(&columns)?;
        ranks.extend(values.iter().map(|value| order.value(value.as_ref())));
        batches.push(group);
    }
    LoadedBag::new(&schema, batches, ranks, memory)
}
