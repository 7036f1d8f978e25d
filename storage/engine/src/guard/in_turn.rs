//! The physical node that outputs partitions one after the other.
//!
//! The inputs of a set operation are partitions of their own, which the library would merge as they arrive: the order of the rows would show
//! how long each of them took to read. Here one is read after the other, so that the order depends on the rows and their keyed orders only.

use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::{
    error::Result,
    execution::TaskContext,
    physical_plan::{ExecutionPlan, ExecutionPlanProperties},
};
use futures::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};

use super::plan_node::{PlanNode, Step, with_inputs};

/// `plan` with each node that has several partitions read partition by partition.
pub(crate) fn in_turn(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let plan = with_inputs(plan, in_turn)?;
    Ok(if plan.output_partitioning().partition_count() > 1 {
        Arc::new(PlanNode::new(plan, InTurn))
    } else {
        plan
    })
}

/// Outputs the partitions of its input, each after the end of the one before.
#[derive(Clone, Debug)]
struct InTurn;

impl Step for InTurn {
    const NAME: &'static str = "InTurn";

    fn rows(
        &self,
        input: &Arc<dyn ExecutionPlan>,
        _partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<BoxStream<'static, Result<RecordBatch>>> {
        let input = Arc::clone(input);
        let partitions = 0..input.output_partitioning().partition_count();
        let batches = stream::iter(partitions)
            .map(move |partition| input.execute(partition, Arc::clone(&context)))
            .try_flatten();
        Ok(batches.boxed())
    }
}
