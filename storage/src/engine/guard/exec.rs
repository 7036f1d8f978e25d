//! The physical node that permitted rows and changed columns come out of.

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

/// One shown column: where the stored one is, and how it is changed.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    pub(super) place: usize,
    pub(super) change: Change,
}

impl Shown {
    /// The same column when only `places` are read.
    pub(super) fn within(self, places: &[usize]) -> Option<Self> {
        let place = places.binary_search(&self.place).ok()?;
        Some(Self {
            place,
            change: self.change,
        })
    }
}

/// Drops rows and changes columns. It keeps the default of refusing every filter offered to it, and that is the point.
#[derive(Debug)]
pub(super) struct Guard {
    input: Arc<dyn ExecutionPlan>,
    gate: Gate,
    properties: Arc<PlanProperties>,
}

/// What lets the permitted rows of a batch through, their columns changed.
#[derive(Clone, Debug)]
pub(super) struct Gate {
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
        Self::over(input, Gate::new(condition, shown, schema))
    }

    fn over(input: Arc<dyn ExecutionPlan>, gate: Gate) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&gate.schema)),
            input.output_partitioning().clone(),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self {
            input,
            gate,
            properties: Arc::new(properties),
        }
    }
}

impl Gate {
    pub(super) fn new(condition: Option<Arc<dyn PhysicalExpr>>, shown: Vec<Shown>, schema: SchemaRef) -> Self {
        Self {
            condition,
            shown: shown.into(),
            schema,
        }
    }

    pub(super) fn pass(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let permitted = match &self.condition {
            Some(condition) => {
                let holds = condition.evaluate(batch)?.into_array(batch.num_rows())?;
                filter_record_batch(batch, holds.as_boolean())?
            }
            None => batch.clone(),
        };
        let columns: Result<Vec<_>> = self
            .shown
            .iter()
            .map(|shown| {
                let stored = permitted
                    .columns()
                    .get(shown.place)
                    .ok_or_else(|| DataFusionError::Internal("a column is gone".to_owned()))?;
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
            Ok([input]) => Ok(Arc::new(Self::over(input, self.gate.clone()))),
            Err(_) => Err(DataFusionError::Internal("a guard stands over one scan".to_owned())),
        }
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let recompute = datafusion::physical_plan::ChildrenPropertiesMode::Recompute;
        self.replace_children(children, ReplaceChildrenOptions::new(recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let gate = self.gate.clone();
        let batches = self
            .input
            .execute(partition, context)?
            .map(move |batch| gate.pass(&batch?));
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            Arc::clone(&self.gate.schema),
            batches,
        )))
    }
}
