//! From a checked statement to the plan that a provider computes.

use concordat_protocol::ids::DatasetRef;
use datafusion::{
    catalog::TableProvider,
    common::{TableReference, tree_node::Transformed},
    datasource::provider_as_source,
    execution::context::SessionState,
    logical_expr::LogicalPlan,
    sql::sqlparser::ast::Statement,
};
use std::sync::Arc;

use super::{
    QueryError,
    cast_rule::Casts,
    executable::executable,
    meaning::{checked, plan_of},
    size,
};

/// The plan of `statement` before type coercion, with its comparisons checked and rewritten. Errors name `dataset`.
///
/// # Errors
/// [`QueryError::UnknownColumn`], [`QueryError::Function`], and [`QueryError::Invalid`] for what cannot be compared or computed without
/// losing a value, with the form that can.
pub async fn meaning(
    state: &SessionState,
    statement: Statement,
    dataset: &DatasetRef,
) -> Result<LogicalPlan, QueryError> {
    let refused = |error| QueryError::planning_of(&statement, error, dataset);
    let plan = plan_of(state, &statement).await.map_err(refused)?;
    // What follows walks each expression once for each of its types.
    size::admitted(&plan)?;
    let plan = checked(plan).map_err(refused)?;
    size::admitted(&plan)?;
    Ok(plan)
}

/// The plan of `statement` at tier `records`.
///
/// # Errors
/// Those of [`meaning`] and [`executable`].
pub(super) async fn planned(
    state: &SessionState,
    statement: Statement,
    dataset: &DatasetRef,
) -> Result<LogicalPlan, QueryError> {
    let plan = meaning(state, statement, dataset).await?;
    executable(state, plan, Casts::Strict, dataset)
}

/// The same plan, reading the tables that `table_of` returns; a table for which there is none stays as it is. A plan of [`executable`] may
/// be computed from tables without metadata.
///
/// # Errors
/// [`QueryError::Engine`], which does not happen for tables with the same columns.
pub fn reading(
    plan: LogicalPlan,
    table_of: &dyn Fn(&TableReference) -> Option<Arc<dyn TableProvider>>,
) -> Result<LogicalPlan, QueryError> {
    let read = plan.transform_up_with_subqueries(|node| {
        let LogicalPlan::TableScan(mut scan) = node else {
            return Ok(Transformed::no(node));
        };
        let Some(table) = table_of(&scan.table_name) else {
            return Ok(Transformed::no(LogicalPlan::TableScan(scan)));
        };
        scan.source = provider_as_source(table);
        Ok(Transformed::yes(LogicalPlan::TableScan(scan)))
    });
    let read = read.map_err(|_| QueryError::Engine { step: "planning" })?;
    Ok(read.data)
}
