//! One permit, one query, one answer.

use std::{future::Future, sync::Arc};

use arrow::{
    array::{BooleanArray, RecordBatch},
    compute::concat_batches,
    datatypes::{DataType, Field, Schema},
};
use concordat_protocol::schema::VersionNumber;
use concordat_protocol::scope::{Limits, Scope, Tier};
use datafusion::{
    catalog::TableProvider,
    common::tree_node::TreeNode,
    datasource::{MemTable, empty::EmptyTable},
    error::DataFusionError,
    execution::{
        SendableRecordBatchStream,
        context::{SessionContext, SessionState},
    },
    logical_expr::LogicalPlan,
    physical_plan::{ExecutionPlan, execute_stream},
};
use futures::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};

use super::{
    Bounds, QueryError, Source, Table,
    aggregate::{Cells, Split, SubjectOverlap},
    error_capture::{CapturedError, ErrorCapture},
    foreseen::EXISTS,
    guard::{View, regrouped},
    known_plans::{KnownPlan, KnownPlans, PlanKey},
    one_dataset::OneDataset,
    order::Order,
    plan::reading,
    session::{for_groups, in_one_partition, session_context},
    source::AnswerKeys,
    text,
};
use crate::{
    Permit, ReleasedAnswer, StillPermitted,
    disclosure::{RawAnswer, Subjects},
};

/// Answers `sql` within `permit`, which is consumed, in this process: for tests and measurements. The node uses
/// [`Workers`](super::Workers).
///
/// The answer is streamed; before each batch is released, `watch` checks whether it still may be. All rows are computed
/// from one version of the dataset, the one of `source`, which `sql` does not name.
///
/// # Errors
/// [`QueryError`]; no row was released then.
pub async fn answer(
    permit: Permit,
    source: &dyn Source,
    sql: &str,
    watch: Arc<dyn StillPermitted>,
    bounds: Bounds,
) -> Result<ReleasedAnswer, QueryError> {
    let (holder, scope, receipt) = permit.open();
    let keys = AnswerKeys::of(source, &holder);
    let max_rows = max_rows(scope.tier, &scope.limits);
    let sleep = tokio::time::sleep(bounds.time);
    let plans = KnownPlans::default();
    let (raw, deadline) = with_deadline(sleep, compute(source, scope, &keys, (sql, None), bounds, &plans)).await?;
    Ok(ReleasedAnswer::new(raw, max_rows, receipt, watch, deadline))
}

/// The result of a statement over a version within `scope`, before anything may be released. A statement of `plans` is not planned again.
///
/// # Errors
/// [`QueryError`].
pub(super) async fn compute(
    source: &dyn Table,
    scope: Scope,
    keys: &AnswerKeys,
    statement: (&str, Option<VersionNumber>),
    bounds: Bounds,
    plans: &KnownPlans,
) -> Result<RawAnswer, QueryError> {
    let scope = OneDataset::of(&scope)?;
    let view = View::new(source, &scope, &keys.pseudonyms)?;
    let view = match scope.tier {
        Tier::Records => view.in_order(Order::new(&keys.order)),
        Tier::Aggregate | Tier::Count | Tier::Exists => view,
    };
    let shown = view.planned();
    let key = PlanKey::new(statement, &scope, Arc::clone(&shown));
    let (objects, seen) = ErrorCapture::wrap(source.object_store());
    let context = session_context(&scope.dataset, Arc::new(EmptyTable::new(shown)), objects, &bounds)?;
    let known = Box::pin(plans.get(key, &context.state())).await?;
    let engine = Engine {
        context,
        view,
        scope,
        bounds,
        seen,
    };
    Box::pin(engine.execute(&known)).await
}

/// Row limits apply to records; the number of released cells is bounded by the groups.
pub(super) fn max_rows(tier: Tier, limits: &Limits) -> Option<u64> {
    limits.max_rows.filter(|_| tier == Tier::Records)
}

pub(super) type Sleep = std::pin::Pin<Box<tokio::time::Sleep>>;

/// The result of `work` if it is ready before `sleep` is over, and the rest of the sleep.
///
/// # Errors
/// [`QueryError::Deadline`], and those of `work`.
pub(super) async fn with_deadline<T>(
    sleep: tokio::time::Sleep,
    work: impl Future<Output = Result<T, QueryError>>,
) -> Result<(T, Sleep), QueryError> {
    let mut deadline = Box::pin(sleep);
    let done = tokio::select! {
        biased;
        () = &mut deadline => Err(QueryError::Deadline),
        done = work => done,
    };
    Ok((done?, deadline))
}

struct Engine {
    context: SessionContext,
    view: View,
    scope: OneDataset,
    bounds: Bounds,
    seen: CapturedError,
}

impl Engine {
    async fn execute(&self, known: &KnownPlan) -> Result<RawAnswer, QueryError> {
        let mut state = self.context.state();
        *state.config_mut() = state.config().clone().with_batch_size(known.batch_rows);
        let table: Arc<dyn TableProvider> = Arc::new(self.view.clone());
        let plan = reading(known.plan.clone(), &|_| Some(Arc::clone(&table)))?;
        match self.scope.tier {
            Tier::Records => self.raw(Box::pin(self.records(&state, plan)).await?, 0),
            Tier::Aggregate | Tier::Count => self.aggregate(&state, plan).await,
            Tier::Exists => self.exists(&state, plan).await,
        }
    }

    async fn aggregate(&self, state: &SessionState, plan: LogicalPlan) -> Result<RawAnswer, QueryError> {
        let split = Split::new(plan, self.scope.tier)?;
        let cells = self.cells(state, &split).await?;
        let subjects = self.overlap(state, &split, &cells).await;
        let subjects = subjects.map_err(QueryError::below_records)?;
        let (released, suppressed_cells) = cells.release(self.min_cell(), subjects)?;
        let table = MemTable::try_new(released.schema(), vec![vec![released]]).map_err(planning)?;
        let rest = split.rest(Arc::new(table)).map_err(planning)?;
        self.raw(self.stream(state, &rest).await?, suppressed_cells)
    }

    fn raw(&self, stream: SendableRecordBatchStream, suppressed_cells: u64) -> Result<RawAnswer, QueryError> {
        let schema = text::owned_schema(&stream.schema())?;
        let owned_schema = Arc::clone(&schema);
        let batches = with_query_errors(stream, &self.seen).map(move |batch| text::owned(&batch?, &owned_schema));
        Ok(RawAnswer {
            schema,
            batches: batches.boxed(),
            suppressed_cells,
        })
    }

    async fn exists(&self, state: &SessionState, plan: LogicalPlan) -> Result<RawAnswer, QueryError> {
        let split = Split::new(plan, self.scope.tier)?;
        let subjects = self.cells(state, &split).await?.subjects()?;
        let exists = subjects.iter().any(|subjects| *subjects >= self.min_cell());
        let schema = Arc::new(Schema::new(vec![Field::new(EXISTS, DataType::Boolean, true)]));
        let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(BooleanArray::from(vec![exists]))]);
        let batch = batch.map_err(|_| QueryError::Engine { step: "answering" })?;
        Ok(RawAnswer {
            schema,
            batches: stream::iter([Ok(batch)]).boxed(),
            suppressed_cells: 0,
        })
    }

    async fn cells(&self, state: &SessionState, split: &Split) -> Result<Cells, QueryError> {
        let enough = usize::try_from(self.min_cell()).unwrap_or(usize::MAX);
        let counted: Arc<dyn TableProvider> = Arc::new(self.view.clone().with_subject()?);
        let plan = split.measured(&counted, enough, self.bounds.groups).map_err(planning)?;
        let table = self.collect(state, &plan).await.map_err(QueryError::below_records)?;
        if table.num_rows() > self.bounds.groups {
            return Err(QueryError::TooManyGroups {
                limit: self.bounds.groups,
            });
        }
        Ok(Cells::new(table, split.dimensions(), split.measures()))
    }

    /// Whether the groups share subjects. If there are more subjects than fit in memory, this is assumed.
    async fn overlap(&self, state: &SessionState, split: &Split, cells: &Cells) -> Result<Subjects, QueryError> {
        if cells.groups() < 2 {
            return Ok(Subjects::InOneCell);
        }
        let counted: Arc<dyn TableProvider> = Arc::new(self.view.clone().with_subject()?);
        let plan = split.subjects_by_group(&counted).map_err(planning)?;
        let mut rows = with_query_errors(self.stream(state, &plan).await?, &self.seen);
        let mut overlap = SubjectOverlap::new(self.bounds.memory);
        while let Some(batch) = rows.try_next().await? {
            if !overlap.add_disjoint(&batch)? {
                return Ok(Subjects::InSeveral);
            }
        }
        Ok(Subjects::InOneCell)
    }

    fn min_cell(&self) -> u64 {
        u64::from(self.scope.limits.min_cell)
    }

    async fn collect(&self, state: &SessionState, plan: &LogicalPlan) -> Result<RecordBatch, QueryError> {
        let stream = self.stream(state, plan).await?;
        let schema = stream.schema();
        let batches: Vec<RecordBatch> = with_query_errors(stream, &self.seen).try_collect().await?;
        concat_batches(&schema, &batches).map_err(|_| QueryError::Memory)
    }

    /// Rows in the order of the grant, or groups in their keyed order; below a grouping, the order of the rows is not
    /// visible.
    async fn records(&self, state: &SessionState, plan: LogicalPlan) -> Result<SendableRecordBatchStream, QueryError> {
        let prepared = self.prepared(state, plan)?;
        let physical = Box::pin(self.physical(&prepared.state, &prepared.plan)).await?;
        self.started(&prepared, physical)
    }

    /// Prepares the planning of a query for records. The result is on the heap, because planning walks deep expressions
    /// with the remaining stack.
    fn prepared(&self, state: &SessionState, plan: LogicalPlan) -> Result<Box<Prepared>, QueryError> {
        let grouped = plan.exists(|node| Ok(matches!(node, LogicalPlan::Aggregate(_) | LogicalPlan::Distinct(_))));
        let grouped = grouped.map_err(planning)?;
        if !grouped {
            let state = in_one_partition(state.clone());
            return Ok(Box::new(Prepared { state, plan, grouped }));
        }
        let unordered: Arc<dyn TableProvider> = Arc::new(self.view.clone().without_order());
        let plan = reading(plan, &|_| Some(Arc::clone(&unordered)))?;
        let state = for_groups(state.clone());
        Ok(Box::new(Prepared { state, plan, grouped }))
    }

    fn started(
        &self,
        prepared: &Prepared,
        physical: Arc<dyn ExecutionPlan>,
    ) -> Result<SendableRecordBatchStream, QueryError> {
        let failed = |error: DataFusionError| QueryError::running(&error, &self.seen);
        let physical = match self.view.order() {
            Some(order) if prepared.grouped => regrouped(physical, order).map_err(failed)?,
            Some(_) => physical,
            None => return Err(QueryError::Engine { step: "planning" }),
        };
        execute_stream(physical, prepared.state.task_ctx()).map_err(failed)
    }

    async fn stream(&self, state: &SessionState, plan: &LogicalPlan) -> Result<SendableRecordBatchStream, QueryError> {
        let physical = self.physical(state, plan).await?;
        execute_stream(physical, state.task_ctx()).map_err(|error| QueryError::running(&error, &self.seen))
    }

    async fn physical(&self, state: &SessionState, plan: &LogicalPlan) -> Result<Arc<dyn ExecutionPlan>, QueryError> {
        let invalid = |error: DataFusionError| QueryError::planning(error, &self.scope.dataset);
        let optimized = state.optimize(plan).map_err(invalid)?;
        let physical = state.create_physical_plan(&optimized).await;
        // Nothing was computed from rows so far. The message may contain what a file states about its values.
        physical.map_err(|error| {
            let found = QueryError::running(&error, &self.seen);
            if matches!(found, QueryError::Computation) {
                QueryError::Invalid {
                    detail: "it cannot be planned".to_owned(),
                }
            } else {
                found
            }
        })
    }
}

/// A query for records, ready to be planned.
struct Prepared {
    state: SessionState,
    plan: LogicalPlan,
    grouped: bool,
}

fn with_query_errors(
    stream: SendableRecordBatchStream,
    seen: &CapturedError,
) -> BoxStream<'static, Result<RecordBatch, QueryError>> {
    let seen = seen.clone();
    stream.map_err(move |error| QueryError::running(&error, &seen)).boxed()
}

fn planning(_: DataFusionError) -> QueryError {
    QueryError::Engine { step: "planning" }
}
