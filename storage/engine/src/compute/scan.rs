//! Reads the rows of a dataset that a scope admits: its row filter, its subjects, and only rows that are about a subject.
//!
//! Two objects are read at a time, each batch with the numbers of its rows, so that it does not matter in which order batches arrive.

use std::{collections::BTreeSet, sync::Arc};

use arrow::{
    array::{AsArray as _, BooleanArray, RecordBatch},
    compute::filter_record_batch,
    datatypes::{DataType, Field, Int64Type, UInt32Type},
};
use concordat_protocol::{ids::ColumnName, scope::Rows as RowFilter};
use concordat_storage::catalog::{Collection, ORDINAL_COLUMN, StoredDataset, StoredObject};
use datafusion::{
    common::DFSchema,
    datasource::{
        listing::PartitionedFile,
        object_store::ObjectStoreUrl,
        physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource},
        source::DataSourceExec,
        table_schema::TableSchemaBuilder,
    },
    error::{DataFusionError, Result as PlanResult},
    execution::{TaskContext, context::SessionState},
    logical_expr::Expr,
    physical_plan::{ExecutionPlan, PhysicalExpr},
};
use futures::StreamExt as _;
use parquet::arrow::RowNumber;
use tokio::{
    sync::mpsc::{Receiver, Sender, channel},
    task::JoinSet,
};

use super::{
    tables::Bits,
    values::{Column, NO_OWNER, Rows},
};
use crate::{
    QueryError,
    error_capture::{CapturedError, ErrorCapture},
    home_state, rows,
    source::OBJECTS_URL,
};

/// Objects that are read at the same time: each engine process has two threads.
const PARALLEL: usize = 2;
/// Batches of an object that are read before they are needed.
const PREFETCHED: usize = 2;
/// Name of the column with the number of a row in its object. No column of a dataset has it, because the prefix is reserved.
const ROW_NUMBER: &str = "__concordat_row_number";

/// Reads one version of a collection.
pub(super) struct Reader {
    state: SessionState,
    seen: CapturedError,
    subjects: u32,
    /// The subjects that the scope covers; all of them if `None`.
    pub(super) cohort: Option<Arc<Bits>>,
}

/// What is read of a dataset.
pub(super) struct Wanted<'a> {
    pub(super) dataset: &'a StoredDataset,
    pub(super) columns: &'a [ColumnName],
    pub(super) filter: &'a RowFilter,
    /// Whether the numbers of rows are needed.
    pub(super) numbers: bool,
}

/// Rows of a dataset as they are read, in any order.
pub(super) struct Scan {
    rows: Receiver<Result<Rows, QueryError>>,
    tasks: JoinSet<()>,
}

impl Reader {
    /// A reader with this much memory for batches, in bytes.
    ///
    /// # Errors
    /// [`QueryError::Engine`] if it cannot be set up.
    pub(super) fn new(collection: &dyn Collection, memory: usize) -> Result<Self, QueryError> {
        let (objects, seen) = ErrorCapture::wrap(collection.object_store());
        let state = home_state(memory, collection.name().as_str())?;
        let url = ObjectStoreUrl::parse(OBJECTS_URL).map_err(|_| QueryError::Engine { step: "starting" })?;
        state.runtime_env().register_object_store(url.as_ref(), objects);
        Ok(Self {
            state,
            seen,
            subjects: collection.subjects(),
            cohort: None,
        })
    }

    /// Begins to read.
    ///
    /// # Errors
    /// [`QueryError`] if the columns or the filter do not fit the dataset.
    pub(super) fn scan(&self, wanted: &Wanted<'_>) -> Result<Scan, QueryError> {
        let filter = rows::condition(wanted.filter, &wanted.dataset.schema)?;
        let columns = indices(wanted, filter.as_ref())?;
        let mut parts: Vec<Vec<Part>> = (0..PARALLEL).map(|_| Vec::new()).collect();
        for (at, object) in wanted.dataset.objects.iter().enumerate() {
            let plan = object_plan(wanted, object, &columns);
            let plan = plan.map_err(|error| QueryError::running(&error, &self.seen))?;
            let condition = filter.clone().map(|filter| {
                let schema = DFSchema::try_from(plan.schema())?;
                self.state.create_physical_expr(filter, &schema)
            });
            let condition = condition.transpose();
            let part = Part {
                plan,
                condition: condition.map_err(|error| QueryError::running(&error, &self.seen))?,
                first_row: object.first_row,
            };
            if let Some(list) = parts.get_mut(at % PARALLEL) {
                list.push(part);
            }
        }
        let (sender, rows) = channel(PREFETCHED);
        let mut tasks = JoinSet::new();
        for list in parts.into_iter().filter(|list| !list.is_empty()) {
            let worker = Worker {
                context: self.state.task_ctx(),
                seen: self.seen.clone(),
                columns: wanted.columns.iter().map(ToString::to_string).collect(),
                subjects: self.subjects,
                is_owned: wanted.dataset.ordinals,
                numbers: wanted.numbers,
                cohort: self.cohort.clone(),
            };
            tasks.spawn(worker.read(list, sender.clone()));
        }
        Ok(Scan { rows, tasks })
    }
}

impl Scan {
    /// The next rows; `None` after the last ones.
    ///
    /// # Errors
    /// [`QueryError`] if rows cannot be read.
    pub(super) async fn next(&mut self) -> Result<Option<Rows>, QueryError> {
        if let Some(rows) = self.rows.recv().await {
            return rows.map(Some);
        }
        // A task that ended without its last rows would be missing rows.
        while let Some(ended) = self.tasks.join_next().await {
            ended.map_err(|_| QueryError::Engine { step: "reading" })?;
        }
        Ok(None)
    }
}

/// An object, ready to be read.
struct Part {
    plan: Arc<dyn ExecutionPlan>,
    condition: Option<Arc<dyn PhysicalExpr>>,
    first_row: u64,
}

/// Reads objects one after the other.
struct Worker {
    context: Arc<TaskContext>,
    seen: CapturedError,
    columns: Vec<String>,
    subjects: u32,
    is_owned: bool,
    numbers: bool,
    cohort: Option<Arc<Bits>>,
}

impl Worker {
    async fn read(self, parts: Vec<Part>, sender: Sender<Result<Rows, QueryError>>) {
        for part in parts {
            let mut batches = match part.plan.execute(0, Arc::clone(&self.context)) {
                Ok(batches) => batches,
                Err(error) => {
                    let _ = sender.send(Err(QueryError::running(&error, &self.seen))).await;
                    return;
                }
            };
            while let Some(batch) = batches.next().await {
                let rows = batch.and_then(|batch| self.rows(&part, &batch));
                let rows = rows.map_err(|error| QueryError::running(&error, &self.seen));
                let is_over = rows.is_err();
                if sender.send(rows).await.is_err() || is_over {
                    return;
                }
            }
        }
    }

    /// The admitted rows of a batch.
    fn rows(&self, part: &Part, batch: &RecordBatch) -> PlanResult<Rows> {
        let mut batch = batch.clone();
        if let Some(condition) = &part.condition {
            let admits = condition.evaluate(&batch)?.into_array(batch.num_rows())?;
            let admits = admits.as_boolean_opt().ok_or_else(|| missing("a filter"))?;
            batch = filter_record_batch(&batch, admits)?;
        }
        let owners = if self.is_owned {
            let is_counted = self.counted(&batch)?;
            batch = filter_record_batch(&batch, &is_counted)?;
            self.owners(&batch)?
        } else {
            vec![NO_OWNER; batch.num_rows()]
        };
        let column = |name: &String| batch.column_by_name(name).map(Column::of);
        let columns = self.columns.iter().map(column).collect::<Option<Vec<_>>>();
        Ok(Rows {
            columns: columns.ok_or_else(|| missing("a column"))?,
            owners,
            numbers: if self.numbers {
                numbers(&batch, part.first_row)?
            } else {
                Vec::new()
            },
        })
    }

    /// Which rows are about a subject of the scope. An ordinal that was not given is none.
    fn counted(&self, batch: &RecordBatch) -> PlanResult<BooleanArray> {
        let ordinals = batch.column_by_name(ORDINAL_COLUMN);
        let ordinals = ordinals.and_then(|ordinals| ordinals.as_primitive_opt::<UInt32Type>());
        let ordinals = ordinals.ok_or_else(|| missing("the column of ordinals"))?;
        let is_counted = |ordinal: u32| {
            let is_covered = self.cohort.as_ref().is_none_or(|cohort| cohort.has(ordinal));
            ordinal < self.subjects && is_covered
        };
        let counted = ordinals.iter().map(|ordinal| Some(ordinal.is_some_and(is_counted)));
        Ok(counted.collect())
    }

    fn owners(&self, batch: &RecordBatch) -> PlanResult<Vec<u32>> {
        let ordinals = batch.column_by_name(ORDINAL_COLUMN);
        let ordinals = ordinals.and_then(|ordinals| ordinals.as_primitive_opt::<UInt32Type>());
        Ok(ordinals
            .ok_or_else(|| missing("the column of ordinals"))?
            .values()
            .to_vec())
    }
}

/// The numbers of rows in their dataset.
fn numbers(batch: &RecordBatch, first_row: u64) -> PlanResult<Vec<u32>> {
    let numbers = batch.column_by_name(ROW_NUMBER);
    let numbers = numbers.and_then(|numbers| numbers.as_primitive_opt::<Int64Type>());
    let numbers = numbers.ok_or_else(|| missing("the column of row numbers"))?;
    let in_dataset = |number: &i64| {
        let number = u64::try_from(*number).ok()?.checked_add(first_row)?;
        u32::try_from(number).ok()
    };
    let all: Option<Vec<u32>> = numbers.values().iter().map(in_dataset).collect();
    all.ok_or_else(|| missing("the number of a row"))
}

/// The stored columns that are read, in their order.
fn indices(wanted: &Wanted<'_>, filter: Option<&Expr>) -> Result<Vec<usize>, QueryError> {
    let mut names: BTreeSet<&str> = wanted.columns.iter().map(ColumnName::as_str).collect();
    names.extend(wanted.dataset.ordinals.then_some(ORDINAL_COLUMN));
    let filtered = filter.into_iter().flat_map(Expr::column_refs);
    names.extend(filtered.map(|column| column.name.as_str()));
    let mut indices = BTreeSet::new();
    for name in names {
        let index = wanted.dataset.stored_schema.index_of(name);
        indices.insert(index.map_err(|_| QueryError::MissingColumn {
            column: name.to_owned(),
        })?);
    }
    Ok(indices.into_iter().collect())
}

/// Reads the columns of one object, and the numbers of its rows if they are needed.
fn object_plan(wanted: &Wanted<'_>, object: &StoredObject, columns: &[usize]) -> PlanResult<Arc<dyn ExecutionPlan>> {
    let stored = &wanted.dataset.stored_schema;
    let mut columns = columns.to_vec();
    let source = if wanted.numbers {
        columns.push(stored.fields().len());
        let number = Field::new(ROW_NUMBER, DataType::Int64, false).with_extension_type(RowNumber);
        let table = TableSchemaBuilder::new(Arc::clone(stored)).with_virtual_columns(vec![Arc::new(number)]);
        ParquetSource::new(table.build())
    } else {
        ParquetSource::new(Arc::clone(stored))
    };
    let file = PartitionedFile::new_from_meta(object.meta.clone());
    let config = FileScanConfigBuilder::new(ObjectStoreUrl::parse(OBJECTS_URL)?, Arc::new(source))
        .with_file_groups(vec![FileGroup::new(vec![file])])
        .with_preserve_order(true)
        .with_projection_indices(Some(columns))?
        .build();
    Ok(DataSourceExec::from_data_source(config))
}

fn missing(what: &str) -> DataFusionError {
    DataFusionError::Internal(format!("{what} is missing"))
}
