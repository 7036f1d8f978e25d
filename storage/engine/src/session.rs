//! The bounded runtime of one query and its functions.

use std::{sync::Arc, time::Duration};

use concordat_protocol::ids::DatasetRef;
use datafusion::{
    catalog::TableProvider,
    common::TableReference,
    execution::{
        SessionStateBuilder, SessionStateDefaults,
        context::{SessionContext, SessionState},
        disk_manager::{DiskManagerBuilder, DiskManagerMode},
        memory_pool::GreedyMemoryPool,
        object_store::ObjectStoreUrl,
        runtime_env::RuntimeEnvBuilder,
    },
    logical_expr::{AggregateUDF, ScalarUDF},
    prelude::SessionConfig,
};
use object_store::ObjectStore;

use super::{QueryError, source::OBJECTS_URL};

/// Rows in one batch of the engine: enough that the cost of each batch is negligible.
const BATCH_ROWS: usize = 32 * 1024;
/// Partitions of one query that run concurrently.
const PARTITIONS: usize = 2;

/// Functions of one row: deterministic, without large output from small input, and with no value that makes them fail.
const SCALARS: [&str; 38] = [
    "abs",
    "btrim",
    "ceil",
    "char_length",
    "character_length",
    "coalesce",
    "concat",
    "contains",
    "date_part",
    "date_trunc",
    "ends_with",
    "exp",
    "floor",
    "greatest",
    "isnan",
    "least",
    "left",
    "length",
    "ln",
    "log",
    "log10",
    "log2",
    "lower",
    "ltrim",
    "nullif",
    "nvl",
    "octet_length",
    "right",
    "round",
    "rtrim",
    "signum",
    "sqrt",
    "starts_with",
    "strpos",
    "substr",
    "substring",
    "trim",
    "upper",
];
/// Aggregate functions. Which of them a tier allows is decided where the tier is handled.
const AGGREGATES: [&str; 15] = [
    "avg",
    "corr",
    "count",
    "max",
    "mean",
    "median",
    "min",
    "stddev",
    "stddev_pop",
    "stddev_samp",
    "sum",
    "var",
    "var_pop",
    "var_samp",
    "var_sample",
];

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

/// The names of all functions that a query may use at some tier.
pub fn allowed_functions() -> impl Iterator<Item = &'static str> {
    SCALARS.into_iter().chain(AGGREGATES)
}

pub(super) fn is_allowed_function(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    allowed_functions().any(|allowed| allowed == name)
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
    let failed = |_| QueryError::Engine { step: "starting" };
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(GreedyMemoryPool::new(bounds.memory)))
        .with_disk_manager_builder(DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled))
        .build_arc()
        .map_err(failed)?;
    runtime.register_object_store(ObjectStoreUrl::parse(OBJECTS_URL).map_err(failed)?.as_ref(), objects);
    let state = SessionStateBuilder::new()
        .with_config(config(dataset))
        .with_runtime_env(runtime)
        .with_expr_planners(SessionStateDefaults::default_expr_planners())
        .with_scalar_functions(scalars())
        .with_aggregate_functions(aggregates())
        .build();
    let context = SessionContext::new_with_state(state);
    context
        .register_table(TableReference::bare(dataset.dataset.as_str()), table)
        .map_err(failed)?;
    Ok(context)
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

fn config(dataset: &DatasetRef) -> SessionConfig {
    let mut config = SessionConfig::new()
        .with_batch_size(BATCH_ROWS)
        .with_target_partitions(PARTITIONS)
        .with_information_schema(false)
        .with_create_default_catalog_and_schema(true)
        .with_default_catalog_and_schema("concordat", dataset.institution.as_str());
    let options = config.options_mut();
    options.sql_parser.enable_ident_normalization = false;
    options.sql_parser.map_string_types_to_utf8view = false;
    options.execution.parquet.schema_force_view_types = false;
    config
}

fn scalars() -> Vec<Arc<ScalarUDF>> {
    let all = datafusion::functions::all_default_functions().into_iter();
    all.filter(|function| {
        SCALARS.contains(&function.name()) || function.aliases().iter().any(|name| SCALARS.contains(&name.as_str()))
    })
    .collect()
}

fn aggregates() -> Vec<Arc<AggregateUDF>> {
    let all = datafusion::functions_aggregate::all_default_aggregate_functions().into_iter();
    all.filter(|function| AGGREGATES.contains(&function.name())).collect()
}
