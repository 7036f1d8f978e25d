//! The physical node that outputs permitted rows and transformed columns.

use std::{fmt, sync::Arc};

use arrow::{
    array::{AsArray, RecordBatch, RecordBatchOptions},
    compute::filter_record_batch,
    datatypes::SchemaRef,
};
use datafusion::{
    common::tree_node::TreeNodeRecursion,
    error::{DataFusionError, Result},
    execution::{SendableRecordBatchStream, TaskContext},
    physical_expr::EquivalenceProperties,
    physical_plan::{
        DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PhysicalExpr, PlanProperties,
        ReplaceChildrenOptions,
        execution_plan::{Boundedness, EmissionType},
        stream::RecordBatchStreamAdapter,
    },
};
use futures::StreamExt;

use super::Change;

/// One visible column: the index of the stored column, and its transform.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    pub(super) index: usize,
    pub(super) change: Change,
}

impl Shown {
    /// The same column when only `indices` are read.
    pub(super) fn within(self, indices: &[usize]) -> Option<Self> {
        let index = indices.binary_search(&self.index).ok()?;
        Some(Self {
            index,
            change: self.change,
        })
    }
}

/// Drops rows and transforms columns. It keeps the default of rejecting every filter that is pushed down to it; this is
/// essential.
#[derive(Debug)]
pub(super) struct Guard {
    input: Arc<dyn ExecutionPlan>,
    filter: ScopeFilter,
    properties: Arc<PlanProperties>,
}

/// Keeps the permitted rows of a batch and transforms its columns.
#[derive(Clone, Debug)]
pub(super) struct ScopeFilter {
    condition: Option<Arc<dyn PhysicalExpr>>,
    shown: Arc<[Shown]>,
    schema: SchemaRef,
}

impl Guard {
    pub(super) fn new(
        input: Arc<dyn ExecutionPlan>,
        condition: Option<Arc<dyn PhysicalExpr>>,
        shown: Vec<Shown>,
        schema: SchemaRef,
    ) -> Self {
        Self::with_filter(input, ScopeFilter::new(condition, shown, schema))
    }

    fn with_filter(input: Arc<dyn ExecutionPlan>, filter: ScopeFilter) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&filter.schema)),
            input.output_partitioning().clone(),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self {
            input,
            filter,
            properties: Arc::new(properties),
        }
    }
}

impl ScopeFilter {
    pub(super) fn new(condition: Option<Arc<dyn PhysicalExpr>>, shown: Vec<Shown>, schema: SchemaRef) -> Self {
        Self {
            condition,
            shown: shown.into(),
            schema,
        }
    }

    pub(super) fn apply(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let permitted = match &self.condition {
            Some(condition) => {
                let permits = condition.evaluate(batch)?.into_array(batch.num_rows())?;
                filter_record_batch(batch, permits.as_boolean())?
            }
            None => batch.clone(),
        };
        let columns: Result<Vec<_>> = self
            .shown
            .iter()
            .map(|shown| {
                let stored = permitted
                    .columns()
                    .get(shown.index)
                    .ok_or_else(|| DataFusionError::Internal("a column is missing".to_owned()))?;
                Ok(shown.change.apply(stored)?)
            })
            .collect();
        let rows = RecordBatchOptions::new().with_row_count(Some(permitted.num_rows()));
        Ok(RecordBatch::try_new_with_options(
            Arc::clone(&self.schema),
            columns?,
            &rows,
        )?)
    }
}

impl DisplayAs for Guard {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Guard")
    }
}

impl ExecutionPlan for Guard {
    fn name(&self) -> &'static str {
        "Guard"
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
            Ok([input]) => Ok(Arc::new(Self::with_filter(input, self.filter.clone()))),
            Err(_) => Err(DataFusionError::Internal("a guard has one input".to_owned())),
        }
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let recompute = datafusion::physical_plan::ChildrenPropertiesMode::Recompute;
        self.replace_children(children, ReplaceChildrenOptions::new(recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let filter = self.filter.clone();
        let batches = self
            .input
            .execute(partition, context)?
            .map(move |batch| filter.apply(&batch?));
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            Arc::clone(&self.filter.schema),
            batches,
        )))
    }
}
