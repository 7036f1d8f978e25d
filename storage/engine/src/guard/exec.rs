//! The physical node that outputs permitted rows and transformed columns.

use std::sync::Arc;

use arrow::{
    array::{AsArray, BooleanArray, RecordBatch, RecordBatchOptions},
    compute::filter_record_batch,
    datatypes::{Schema, SchemaRef, UInt32Type},
};
use datafusion::{
    error::Result,
    execution::TaskContext,
    physical_plan::{ExecutionPlan, ExecutionPlanProperties, Partitioning, PhysicalExpr},
};
use futures::{StreamExt, stream::BoxStream};

use super::{
    Change,
    cohort::Cohort,
    plan_node::{PlanNode, Step, internal},
};

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

/// Drops rows and transforms columns.
pub(super) type Guard = PlanNode<ScopeFilter>;

/// Keeps the permitted rows of a batch and transforms its columns.
#[derive(Clone, Debug)]
pub(super) struct ScopeFilter {
    condition: Option<Arc<dyn PhysicalExpr>>,
    owners: Option<OwnerFilter>,
    shown: Arc<[Shown]>,
    schema: SchemaRef,
}

/// Keeps the rows of a cohort.
#[derive(Clone, Debug)]
pub(super) struct OwnerFilter {
    /// The index of the column with the owners' ordinals.
    index: usize,
    cohort: Cohort,
}

impl OwnerFilter {
    pub(super) const fn new(index: usize, cohort: Cohort) -> Self {
        Self { index, cohort }
    }

    /// A row without an owner is of no cohort.
    fn apply(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let owners = batch.columns().get(self.index);
        let owners = owners.and_then(|owners| owners.as_primitive_opt::<UInt32Type>());
        let owners = owners.ok_or_else(|| internal("the owners of rows are missing"))?;
        let is_in = |owner: Option<u32>| Some(owner.is_some_and(|owner| self.cohort.contains(owner)));
        let permits: BooleanArray = owners.iter().map(is_in).collect();
        Ok(filter_record_batch(batch, &permits)?)
    }
}

impl ScopeFilter {
    pub(super) fn new(
        condition: Option<Arc<dyn PhysicalExpr>>,
        owners: Option<OwnerFilter>,
        shown: Vec<Shown>,
        schema: SchemaRef,
    ) -> Self {
        Self {
            condition,
            owners,
            shown: shown.into(),
            schema,
        }
    }

    /// The permitted rows of `batch` with the shown columns.
    fn apply(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        self.transformed(&self.permitted(batch, &[])?)
    }

    /// The columns of [`Self::permitted`] without others, if those of `read` are read.
    pub(super) fn stored_schema(&self, read: &Schema) -> Result<SchemaRef> {
        let stored = read.project(&self.indices())?;
        let fields = stored.fields().iter();
        let fields = fields.map(|field| field.as_ref().clone().with_nullable(true));
        Ok(Arc::new(Schema::new(fields.collect::<Vec<_>>())))
    }

    /// The permitted rows of `batch`: the stored values of the shown columns, and after them those of the columns at `others`.
    pub(super) fn permitted(&self, batch: &RecordBatch, others: &[usize]) -> Result<RecordBatch> {
        let mut indices = self.indices();
        indices.extend_from_slice(others);
        let permitted = match &self.condition {
            Some(condition) => {
                let permits = condition.evaluate(batch)?.into_array(batch.num_rows())?;
                filter_record_batch(batch, permits.as_boolean())?
            }
            None => batch.clone(),
        };
        let permitted = match &self.owners {
            Some(owners) => owners.apply(&permitted)?,
            None => permitted,
        };
        Ok(permitted.project(&indices)?)
    }

    /// The shown columns of rows whose `stored` values are those of [`Self::permitted`] without others.
    pub(super) fn transformed(&self, stored: &RecordBatch) -> Result<RecordBatch> {
        if stored.num_columns() != self.shown.len() {
            return Err(internal("a column is missing"));
        }
        let columns = self.shown.iter().zip(stored.columns());
        let columns: std::result::Result<Vec<_>, _> =
            columns.map(|(shown, stored)| shown.change.apply(stored)).collect();
        let rows = RecordBatchOptions::new().with_row_count(Some(stored.num_rows()));
        Ok(RecordBatch::try_new_with_options(
            Arc::clone(&self.schema),
            columns?,
            &rows,
        )?)
    }

    fn indices(&self) -> Vec<usize> {
        self.shown.iter().map(|shown| shown.index).collect()
    }
}

impl Step for ScopeFilter {
    const NAME: &'static str = "Guard";

    fn schema(&self, _input: &Arc<dyn ExecutionPlan>) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn partitioning(&self, input: &Arc<dyn ExecutionPlan>) -> Partitioning {
        input.output_partitioning().clone()
    }

    fn rows(
        &self,
        input: &Arc<dyn ExecutionPlan>,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<BoxStream<'static, Result<RecordBatch>>> {
        let filter = self.clone();
        let stored = input.execute(partition, context)?;
        Ok(stored.map(move |batch| filter.apply(&batch?)).boxed())
    }
}
