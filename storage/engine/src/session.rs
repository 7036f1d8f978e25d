//! The bounded runtime of one query and its functions.

use std::{sync::Arc, time::Duration};

use concordat_protocol::ids::{CollectionRef, DatasetName, DatasetRef};
use datafusion::{
    catalog::TableProvider,
    common::TableReference,
    execution::{
        SessionStateBuilder, SessionStateDefaults,
        context::{SessionContext, SessionState},
        disk_manager::{DiskManagerBuilder, DiskManagerMode},
        memory_pool::GreedyMemoryPool,
        object_store::ObjectStoreUrl,
        runtime_env::{RuntimeEnv, RuntimeEnvBuilder},
    },
    logical_expr::planner::ExprPlanner,
    prelude::SessionConfig,
};
use object_store::ObjectStore;

use super::{
    QueryError,
    functions::{aggregates, collection_aggregates, provided_aggregates, provided_scalars, scalars, windows},
    meaning::ComparisonPlanner,
    source::OBJECTS_URL,
    types::Types,
};

/// The catalog of every session but those of a provider's collection.
pub const CATALOG: &str = "concordat";
/// Rows in one batch of the engine: enough that the cost of each batch is negligible.
const BATCH_ROWS: usize = 32 * 1024;
/// Rows in one batch of the consumer's node: few enough that a batch fits in one chunk of an answer.
const HOME_BATCH_ROWS: usize = 8192;
/// Partitions of one query that run concurrently; more only help if a single query has the whole machine.
const PARTITIONS: usize = 2;
/// Memory of a session that only plans, in bytes.
const PLANNING_BYTES: usize = 1 << 20;

/// Memory of an engine process beyond that of its query, in bytes: batches that are read and sent.
const PROCESS_BYTES: usize = 64 << 20;

/// The resource limits of one query.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Memory for the groups, orders and joins of the engine, in bytes.
    pub memory: usize,
    /// Time from the start until the last batch was released.
    pub time: Duration,
    /// Maximum groups of one query below tier `records`.
    pub groups: usize,
}

impl Default for Bounds {
    /// 256 MiB, ten minutes, 100,000 groups.
    fn default() -> Self {
        Self {
            memory: 256 << 20,
            time: Duration::from_secs(600),
            groups: 100_000,
        }
    }
}

impl Bounds {
    /// The total memory limit of a process that answers one query, in bytes; the kernel enforces it.
    #[must_use]
    pub const fn process(&self) -> usize {
        self.memory
            .saturating_add(self.memory / 4)
            .saturating_add(PROCESS_BYTES)
    }
}

/// A session with a single table.
pub(super) fn session_context(
    dataset: &DatasetRef,
    table: Arc<dyn TableProvider>,
    objects: Arc<dyn ObjectStore>,
    bounds: &Bounds,
) -> Result<SessionContext, QueryError> {
    let runtime = runtime(bounds.memory)?;
    runtime.register_object_store(ObjectStoreUrl::parse(OBJECTS_URL).map_err(failed)?.as_ref(), objects);
    let context = SessionContext::new_with_state(provider_state(dataset, runtime));
    context
        .register_table(TableReference::bare(dataset.dataset.as_str()), table)
        .map_err(failed)?;
    Ok(context)
}

/// A session of a provider without tables, to plan with.
pub(super) fn planning_context(
    dataset: &DatasetRef,
    table: Arc<dyn TableProvider>,
) -> Result<SessionContext, QueryError> {
    let context = SessionContext::new_with_state(provider_state(dataset, runtime(PLANNING_BYTES)?));
    context
        .register_table(TableReference::bare(dataset.dataset.as_str()), table)
        .map_err(failed)?;
    Ok(context)
}

/// A session with the datasets of one collection as tables. A query names them with or without the collection and its institution.
pub(super) fn collection_context(
    collection: &CollectionRef,
    tables: impl IntoIterator<Item = (DatasetName, Arc<dyn TableProvider>)>,
    objects: Arc<dyn ObjectStore>,
    bounds: &Bounds,
) -> Result<SessionContext, QueryError> {
    let runtime = runtime(bounds.memory)?;
    runtime.register_object_store(ObjectStoreUrl::parse(OBJECTS_URL).map_err(failed)?.as_ref(), objects);
    with_tables(collection, tables, runtime)
}

/// A session of a provider, to plan queries over the datasets of a collection with.
pub(super) fn collection_planning_context(
    collection: &CollectionRef,
    tables: impl IntoIterator<Item = (DatasetName, Arc<dyn TableProvider>)>,
) -> Result<SessionContext, QueryError> {
    with_tables(collection, tables, runtime(PLANNING_BYTES)?)
}

fn with_tables(
    collection: &CollectionRef,
    tables: impl IntoIterator<Item = (DatasetName, Arc<dyn TableProvider>)>,
    runtime: Arc<RuntimeEnv>,
) -> Result<SessionContext, QueryError> {
    let context = SessionContext::new_with_state(collection_state(collection, runtime));
    for (name, table) in tables {
        context
            .register_table(TableReference::bare(name.as_str()), table)
            .map_err(failed)?;
    }
    Ok(context)
}

/// A session of the consumer's node: for planning a query over the tables of several institutions, and for computing it from their
/// answers with `memory` bytes. It has all functions, and no tables; tables are registered in [`CATALOG`], and `schema` is the default
/// schema. It reads and writes no files. `now()` and the like are the time at which it was made, so it is made for one query.
///
/// # Errors
/// [`QueryError::Engine`] if it cannot be set up.
pub fn home_state(memory: usize, schema: &str) -> Result<SessionState, QueryError> {
    let config = config(SessionConfig::new().with_batch_size(HOME_BATCH_ROWS), schema);
    let state = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime(memory)?)
        .with_expr_planners(expression_planners())
        .with_type_planner(Arc::new(Types))
        .with_scalar_functions(scalars().to_vec())
        .with_aggregate_functions(aggregates().to_vec())
        .with_window_functions(windows().to_vec());
    let mut state = state.build();
    state.mark_start_execution();
    Ok(state)
}

fn provider_state(dataset: &DatasetRef, runtime: Arc<RuntimeEnv>) -> SessionState {
    let config = config(
        SessionConfig::new().with_batch_size(BATCH_ROWS),
        dataset.institution.as_str(),
    );
    SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime)
        .with_expr_planners(expression_planners())
        .with_type_planner(Arc::new(Types))
        .with_scalar_functions(provided_scalars().to_vec())
        .with_aggregate_functions(provided_aggregates().to_vec())
        .build()
}

/// The state for one collection: its institution is the catalog, and it is the schema, so that every form of a name is the same table.
fn collection_state(collection: &CollectionRef, runtime: Arc<RuntimeEnv>) -> SessionState {
    let config = config(
        SessionConfig::new().with_batch_size(BATCH_ROWS),
        collection.collection.as_str(),
    );
    let config =
        config.with_default_catalog_and_schema(collection.institution.as_str(), collection.collection.as_str());
    SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime)
        .with_expr_planners(expression_planners())
        .with_type_planner(Arc::new(Types))
        .with_scalar_functions(provided_scalars().to_vec())
        .with_aggregate_functions(collection_aggregates())
        .with_window_functions(windows().to_vec())
        .build()
}

/// A runtime that never writes to disk.
fn runtime(memory: usize) -> Result<Arc<RuntimeEnv>, QueryError> {
    RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(GreedyMemoryPool::new(memory)))
        .with_disk_manager_builder(DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled))
        .build_arc()
        .map_err(failed)
}

/// The same state for rows whose order matters: the output of concurrent partitions would be merged in any order.
pub(super) fn in_one_partition(mut state: SessionState) -> SessionState {
    state.config_mut().options_mut().execution.target_partitions = 1;
    state
}

/// The same state for groups that are sorted afterwards: the aggregation outputs all of them, and nothing above it runs
/// in several partitions.
pub(super) fn for_groups(mut state: SessionState) -> SessionState {
    let optimizer = &mut state.config_mut().options_mut().optimizer;
    optimizer.enable_distinct_aggregation_soft_limit = false;
    optimizer.enable_topk_aggregation = false;
    optimizer.enable_round_robin_repartition = false;
    state
}

/// What providers and consumers have in common, so that a text means the same for both.
fn config(config: SessionConfig, schema: &str) -> SessionConfig {
    let mut config = config
        .with_target_partitions(PARTITIONS)
        .with_information_schema(false)
        .with_create_default_catalog_and_schema(true)
        .with_default_catalog_and_schema(CATALOG, schema);
    let options = config.options_mut();
    options.sql_parser.enable_ident_normalization = false;
    options.sql_parser.map_string_types_to_utf8view = false;
    // `LIMIT` around a subquery with `ORDER BY` returns its first rows, as in PostgreSQL and DuckDB.
    options.sql_parser.enable_subquery_sort_elimination = false;
    options.execution.parquet.schema_force_view_types = false;
    // A union of a column and a literal is planned as never missing, and computed as perhaps missing.
    options.execution.skip_physical_aggregate_schema_check = true;
    config
}

fn expression_planners() -> Vec<Arc<dyn ExprPlanner>> {
    let mut planners = SessionStateDefaults::default_expr_planners();
    planners.push(Arc::new(ComparisonPlanner));
    planners
}

fn failed<E>(_: E) -> QueryError {
    QueryError::Engine { step: "starting" }
}
