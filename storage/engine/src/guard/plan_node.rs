//! The physical node of everything that the guard does with rows.
//!
//! A [`Step`] states what is known of its output and makes its rows; the rest is the same for all of them. A node keeps the default of
//! rejecting every filter that is pushed down to it, and shows no expressions. This is essential: what is above it must not be evaluated
//! below it.

use std::{fmt, sync::Arc};

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use datafusion::{
    common::tree_node::TreeNodeRecursion,
    error::{DataFusionError, Result},
    execution::{SendableRecordBatchStream, TaskContext},
    physical_expr::EquivalenceProperties,
    physical_plan::{
        ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PhysicalExpr,
        PlanProperties, ReplaceChildrenOptions,
        execution_plan::{Boundedness, EmissionType},
        stream::RecordBatchStreamAdapter,
    },
};
use futures::stream::BoxStream;

/// What a node does with the rows of its input.
pub(super) trait Step: fmt::Debug + Clone + Send + Sync + 'static {
    /// Its name, as it is printed.
    const NAME: &'static str;
    /// Whether rows are output before all of the input was read.
    const EMISSION: EmissionType = EmissionType::Incremental;
    /// Whether the optimizer sees the input. If it does not, it cannot merge or split its partitions, or pass a limit or condition to it.
    const SHOWS_INPUT: bool = true;

    /// The columns of its output.
    fn schema(&self, input: &Arc<dyn ExecutionPlan>) -> SchemaRef {
        input.schema()
    }

    /// The partitions of its output.
    fn partitioning(&self, _input: &Arc<dyn ExecutionPlan>) -> Partitioning {
        Partitioning::UnknownPartitioning(1)
    }

    /// The rows of one of its partitions.
    ///
    /// # Errors
    /// If the input cannot be read.
    fn rows(
        &self,
        input: &Arc<dyn ExecutionPlan>,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<BoxStream<'static, Result<RecordBatch>>>;
}

/// A step over its input.
#[derive(Debug)]
pub(super) struct PlanNode<S> {
    input: Arc<dyn ExecutionPlan>,
    step: S,
    properties: Arc<PlanProperties>,
}

impl<S: Step> PlanNode<S> {
    pub(super) fn new(input: Arc<dyn ExecutionPlan>, step: S) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(step.schema(&input)),
            step.partitioning(&input),
            S::EMISSION,
            Boundedness::Bounded,
        );
        Self {
            input,
            step,
            properties: Arc::new(properties),
        }
    }
}

impl<S: Step> DisplayAs for PlanNode<S> {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(S::NAME)
    }
}

impl<S: Step> ExecutionPlan for PlanNode<S> {
    fn name(&self) -> &'static str {
        S::NAME
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        if S::SHOWS_INPUT { vec![&self.input] } else { Vec::new() }
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
        if !S::SHOWS_INPUT && children.is_empty() {
            return Ok(self);
        }
        match <[_; 1]>::try_from(children) {
            Ok([input]) if S::SHOWS_INPUT => Ok(Arc::new(Self::new(input, self.step.clone()))),
            Ok(_) | Err(_) => Err(internal("a node has other inputs than it shows")),
        }
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let recompute = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
        self.replace_children(children, recompute)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let rows = self.step.rows(&self.input, partition, context)?;
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), rows)))
    }
}

/// `plan` over its inputs as `change` returns them.
///
/// # Errors
/// That of `change`, and if `plan` cannot have other inputs.
pub(super) fn with_inputs(
    plan: Arc<dyn ExecutionPlan>,
    change: impl Fn(Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let inputs: Result<Vec<_>> = plan
        .children()
        .into_iter()
        .map(|input| change(Arc::clone(input)))
        .collect();
    let inputs = inputs?;
    let is_changed = inputs
        .iter()
        .zip(plan.children())
        .any(|(new, old)| !Arc::ptr_eq(new, old));
    if !is_changed {
        return Ok(plan);
    }
    plan.replace_children(inputs, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
}

/// An error of this program.
pub(super) fn internal(what: &str) -> DataFusionError {
    DataFusionError::Internal(what.to_owned())
}
