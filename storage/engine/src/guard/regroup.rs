//! The physical node that outputs groups in a keyed order.
//!
//! An aggregation outputs groups in the order in which it first saw them, which follows the stored rows and, if several
//! partitions run concurrently, chance. Here they are sorted by a keyed hash of their grouping columns. So the rows
//! below may be read in any order, in several partitions and without being shuffled first.

use std::{fmt, sync::Arc};

use arrow::row::{RowConverter, SortField};
use datafusion::{
    common::tree_node::TreeNodeRecursion,
    error::Result,
    execution::{SendableRecordBatchStream, TaskContext, memory_pool::MemoryConsumer},
    physical_expr::EquivalenceProperties,
    physical_plan::{
        ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PhysicalExpr,
        PlanProperties, ReplaceChildrenOptions,
        aggregates::{AggregateExec, AggregateMode},
        execute_stream,
        execution_plan::{Boundedness, EmissionType},
        stream::RecordBatchStreamAdapter,
    },
};
use futures::{FutureExt, StreamExt, TryStreamExt};

use super::ranked_rows::{LoadedBag, OutputBatches, internal};
use crate::order::Order;

/// `plan` with the output of its last grouping sorted by `order`.
pub(crate) fn regrouped(plan: Arc<dyn ExecutionPlan>, order: &Order) -> Result<Arc<dyn ExecutionPlan>> {
    if let Some(groups) = groups(plan.as_ref()) {
        return Ok(if groups == 0 {
            plan
        } else {
            Arc::new(Regroup::new(plan, groups, order.clone()))
        });
    }
    let children: Result<Vec<_>> = plan
        .children()
        .into_iter()
        .map(|child| regrouped(Arc::clone(child), order))
        .collect();
    let children = children?;
    if children.is_empty() {
        return Ok(plan);
    }
    let recompute = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
    plan.replace_children(children, recompute)
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
#[derive(Debug)]
struct Regroup {
    input: Arc<dyn ExecutionPlan>,
    groups: usize,
    order: Order,
    properties: Arc<PlanProperties>,
}

impl Regroup {
    fn new(input: Arc<dyn ExecutionPlan>, groups: usize, order: Order) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(input.schema()),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        Self {
            input,
            groups,
            order,
            properties: Arc::new(properties),
        }
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

impl DisplayAs for Regroup {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Regroup")
    }
}

impl ExecutionPlan for Regroup {
    fn name(&self) -> &'static str {
        "Regroup"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
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
        match <[_; 1]>::try_from(children) {
            Ok([input]) => Ok(Arc::new(Self::new(input, self.groups, self.order.clone()))),
            Err(_) => Err(internal("a regroup node has one input")),
        }
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let recompute = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
        self.replace_children(children, recompute)
    }

    fn execute(&self, _: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let schema = self.input.schema();
        let batch_rows = context.session_config().batch_size();
        let all = collected(Arc::clone(&self.input), self.groups, self.order.clone(), context);
        let output = OutputBatches::new(all.into_stream().boxed(), Arc::clone(&schema), batch_rows);
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, output.into_stream())))
    }
}
