//! One permit, one query, one answer with records.

use std::{future::Future, sync::Arc};

use arrow::array::RecordBatch;
use concordat_protocol::ids::DatasetRef;
use concordat_protocol::schema::VersionNumber;
use concordat_protocol::scope::{Limits, Scope, Tier};
use datafusion::{
    catalog::TableProvider,
    common::tree_node::TreeNode,
    datasource::empty::EmptyTable,
    error::DataFusionError,
    execution::{
        SendableRecordBatchStream,
        context::{SessionContext, SessionState},
    },
    logical_expr::{Expr, LogicalPlan},
    physical_plan::{ExecutionPlan, execute_stream},
};
use futures::{StreamExt, TryStreamExt, stream::BoxStream};

use super::{
    Bounds, QueryError, Source, Table,
    error_capture::{CapturedError, ErrorCapture},
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
    disclosure::{RawAnswer, RawBatch},
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
/// [`QueryError`]; [`QueryError::NotApplied`] below `records`, where answers come from decided cells
/// ([`Workers::disclosed`](super::Workers::disclosed)).
pub(super) async fn compute(
    source: &dyn Table,
    scope: Scope,
    keys: &AnswerKeys,
    statement: (&str, Option<VersionNumber>),
    bounds: Bounds,
    plans: &KnownPlans,
) -> Result<RawAnswer, QueryError> {
    let scope = OneDataset::of(&scope)?;
    let view = View::new(source, &scope, &keys.pseudonyms)?.in_order(Order::new(&keys.order));
    let shown = view.planned();
    let key = PlanKey::new(statement, &scope, Arc::clone(&shown));
    let (objects, seen) = ErrorCapture::wrap(source.object_store());
    let context = session_context(&scope.dataset, Arc::new(EmptyTable::new(shown)), objects, &bounds)?;
    let known = Box::pin(plans.get(key, &context.state())).await?;
    let engine = Engine {
        context,
        view,
        scope,
        seen,
    };
    Box::pin(engine.execute(&known)).await
}

/// Row limits apply to records; the number of released cells is bounded by the grid.
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
    seen: CapturedError,
}

impl Engine {
    async fn execute(&self, known: &KnownPlan) -> Result<RawAnswer, QueryError> {
        let mut state = self.context.state();
        *state.config_mut() = state.config().clone().with_batch_size(known.batch_rows);
        let table: Arc<dyn TableProvider> = Arc::new(self.view.clone());
        let plan = reading(known.plan.clone(), &|_| Some(Arc::clone(&table)))?;
        raw(Box::pin(self.records(&state, plan, known)).await?, &self.seen)
    }

    /// Rows in the order of the grant, or groups in their keyed order; below a grouping, the order of the rows is not
    /// visible.
    async fn records(
        &self,
        state: &SessionState,
        plan: LogicalPlan,
        known: &KnownPlan,
    ) -> Result<SendableRecordBatchStream, QueryError> {
        let prepared = self.prepared(state, plan)?;
        let optimized = self.optimized_once(&prepared, known)?;
        let physical = Box::pin(self.executable(&prepared.state, &optimized)).await?;
        self.started(&prepared, physical)
    }

    /// The optimized plan over the view of `prepared`. Optimizing a small query takes longer than reading its rows, so it is done once for a
    /// statement; what is kept has neither the objects nor the keys of the view.
    fn optimized_once(&self, prepared: &Prepared, known: &KnownPlan) -> Result<LogicalPlan, QueryError> {
        let pruning = self.view.pruning();
        if let Some(plan) = known.optimized(&pruning) {
            return reading(plan, &|_| Some(Arc::clone(&prepared.table)));
        }
        let plan = self.optimized(&prepared.state, &prepared.plan)?;
        let empty: Arc<dyn TableProvider> = Arc::new(EmptyTable::new(self.view.schema()));
        known.keep_optimized(pruning, reading(plan.clone(), &|_| Some(Arc::clone(&empty)))?);
        Ok(plan)
    }

    /// Prepares the planning of a query for records. The result is on the heap, because planning walks deep expressions
    /// with the remaining stack.
    fn prepared(&self, state: &SessionState, plan: LogicalPlan) -> Result<Box<Prepared>, QueryError> {
        let grouped = plan.exists(|node| Ok(matches!(node, LogicalPlan::Aggregate(_) | LogicalPlan::Distinct(_))));
        let grouped = grouped.map_err(planning)?;
        let view = self.view.clone();
        let table: Arc<dyn TableProvider> = Arc::new(if grouped { view.without_order() } else { view });
        Ok(Box::new(Prepared {
            state: if grouped {
                for_groups(state.clone())
            } else {
                in_one_partition(state.clone())
            },
            plan: reading(plan, &|_| Some(Arc::clone(&table)))?,
            grouped,
            table,
        }))
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

    fn optimized(&self, state: &SessionState, plan: &LogicalPlan) -> Result<LogicalPlan, QueryError> {
        optimized(state, plan, &self.scope.dataset)
    }

    async fn executable(
        &self,
        state: &SessionState,
        optimized: &LogicalPlan,
    ) -> Result<Arc<dyn ExecutionPlan>, QueryError> {
        executable(state, optimized, &self.seen).await
    }
}

/// The physical plan of a query; errors name `dataset`.
///
/// # Errors
/// [`QueryError`] if it cannot be planned, or what a file states about itself cannot be read.
pub(super) async fn physical(
    state: &SessionState,
    plan: &LogicalPlan,
    (seen, dataset): (&CapturedError, &DatasetRef),
) -> Result<Arc<dyn ExecutionPlan>, QueryError> {
    executable(state, &optimized(state, plan, dataset)?, seen).await
}

fn optimized(state: &SessionState, plan: &LogicalPlan, dataset: &DatasetRef) -> Result<LogicalPlan, QueryError> {
    let invalid = |error: DataFusionError| QueryError::planning(error, dataset);
    state.optimize(plan).map_err(invalid)
}

async fn executable(
    state: &SessionState,
    optimized: &LogicalPlan,
    seen: &CapturedError,
) -> Result<Arc<dyn ExecutionPlan>, QueryError> {
    let physical = state.create_physical_plan(optimized).await;
    // Nothing was computed from rows so far. The message may contain what a file states about its values.
    physical.map_err(|error| {
        let found = QueryError::running(&error, seen);
        if !matches!(found, QueryError::Computation) {
            found
        } else if tests_subqueries(optimized) {
            QueryError::subquery_outside_of_conditions()
        } else {
            QueryError::Invalid {
                detail: "it cannot be planned".to_owned(),
            }
        }
    })
}

/// Whether a test of a subquery is left in an optimized plan: those of `WHERE` and `HAVING` are joins by then.
fn tests_subqueries(optimized: &LogicalPlan) -> bool {
    let is_test = |part: &Expr| matches!(part, Expr::InSubquery(_) | Expr::Exists(_) | Expr::SetComparison(_));
    let has_test = |expression: &Expr| expression.exists(|part| Ok(is_test(part)));
    let found = optimized.exists(|node| {
        let expressions = node.expressions();
        let found = expressions.iter().map(has_test).collect::<Result<Vec<bool>, _>>()?;
        Ok(found.contains(&true))
    });
    found.unwrap_or(false)
}

/// The rows of `stream` in a form that can be released, before anything may be.
///
/// # Errors
/// [`QueryError::Engine`] for columns of a type that is not released.
pub(super) fn raw(stream: SendableRecordBatchStream, seen: &CapturedError) -> Result<RawAnswer, QueryError> {
    let schema = text::owned_schema(&stream.schema())?;
    let owned_schema = Arc::clone(&schema);
    let batches = with_query_errors(stream, seen);
    let batches = batches.map(move |batch| text::owned(&batch?, &owned_schema).map(RawBatch::from));
    Ok(RawAnswer {
        schema,
        batches: batches.boxed(),
    })
}

/// A query for records, ready to be planned.
struct Prepared {
    state: SessionState,
    plan: LogicalPlan,
    grouped: bool,
    /// The view that the plan reads.
    table: Arc<dyn TableProvider>,
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
