//! A query as it is planned on the columns of its tables, before it is decided who computes what.

use concordat_engine::{countable, home_state, meaning, resolve_names};
use concordat_protocol::ids::DatasetRef;
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::sqlparser::ast::{ObjectName, Query, Statement};

use crate::federation::error::FederationError;
use crate::federation::tables::Tables;

/// The schema of tables that a query names without one; there are none.
const ANSWERS: &str = "__answers";

/// A query as it is planned.
pub(super) struct Planned {
    /// The session with all functions.
    pub(super) state: SessionState,
    /// The plan over the tables that the query names.
    pub(super) plan: LogicalPlan,
    /// A dataset of the query, to be named in errors about no table in particular.
    pub(super) dataset: DatasetRef,
}

/// The plan of `query`, in which names have the spelling of `tables`.
///
/// # Errors
/// [`FederationError::Query`] with the reason for which it cannot be planned, [`FederationError::Usage`] if it names no table.
pub(super) async fn planned(query: Query, tables: &Tables, memory: usize) -> Result<Planned, FederationError> {
    let state = home_state(memory, ANSWERS).map_err(FederationError::planning)?;
    tables.register(&state)?;
    let statement = Statement::Query(Box::new(query));
    let dataset = tables.any_dataset().ok_or_else(no_table)?;
    let plan = meaning(&state, statement, &dataset)
        .await
        .map_err(FederationError::planning)?;
    Ok(Planned { state, plan, dataset })
}

/// The plan of a query of which parts are counted below `records`, where levels decide comparisons: nothing of it is checked or converted
/// yet.
///
/// # Errors
/// As [`planned`].
pub(super) async fn planned_to_count(query: Query, tables: &Tables, memory: usize) -> Result<Planned, FederationError> {
    let state = home_state(memory, ANSWERS).map_err(FederationError::planning)?;
    tables.register(&state)?;
    let statement = Statement::Query(Box::new(query));
    let dataset = tables.any_dataset().ok_or_else(no_table)?;
    let plan = countable(&state, &statement, &dataset).await;
    let plan = plan.map_err(FederationError::planning)?;
    Ok(Planned { state, plan, dataset })
}

fn no_table() -> FederationError {
    FederationError::usage_with("the query names no table", "write `FROM INSTITUTION.DATASET`")
}

/// Gives the names of columns in `query` the spelling of `tables`.
///
/// # Errors
/// [`FederationError::Query`] if it has too many columns.
pub(super) fn resolve(query: &mut Query, tables: &Tables) -> Result<(), FederationError> {
    resolve_names(query, &|name: &ObjectName| tables.columns_of(name)).map_err(FederationError::planning)
}
