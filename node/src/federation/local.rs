//! The local engine: combines the answers of several institutions.

use std::sync::Arc;

use concordat_engine::{QueryError, admitted, rows_per_batch};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{MemTable, MemorySchemaProvider, TableProvider};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::context::{SQLOptions, SessionContext};
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{DataFrame, SessionConfig};
use datafusion::sql::sqlparser::ast::Query;

use super::error::FederationError;
use super::statement::TableName;

/// Rows in a batch; small enough that a batch fits into one chunk.
const BATCH: usize = 8192;
/// Parallel partitions of a plan; more only helps if a single query has the whole machine.
const PARTITIONS: usize = 2;
/// The only catalog.
const CATALOG: &str = "concordat";
/// The schema that holds the members' answers to fragments of the query.
const ANSWERS: &str = "__answers";

/// A session that contains only the tables added to it. It reads and writes no files, not even to spill.
pub(super) struct LocalEngine(SessionContext);

impl LocalEngine {
    /// An empty session with `memory` bytes for the joins, groupings and sorts of its query.
    ///
    /// # Errors
    /// If the engine cannot be set up.
    pub(super) fn new(memory: usize) -> Result<Self> {
        let mut config = SessionConfig::new()
            .with_default_catalog_and_schema(CATALOG, ANSWERS)
            .with_information_schema(false)
            .with_target_partitions(PARTITIONS)
            .with_batch_size(BATCH);
        // Column names keep their case, as they do at the provider.
        config.options_mut().sql_parser.enable_ident_normalization = false;
        let disk = DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled);
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_limit(memory, 1.0)
            .with_disk_manager_builder(disk)
            .build_arc()?;
        Ok(Self(SessionContext::new_with_config_rt(config, runtime)))
    }

    /// Adds a table under the name that the query uses.
    pub(super) fn add(&self, name: &TableName, table: Arc<dyn TableProvider>) -> Result<()> {
        self.register(name.schema(), &name.local_name(), table)
    }

    /// Adds an answer that has already been received.
    pub(super) fn add_answer(&self, name: &str, schema: SchemaRef, batches: Vec<RecordBatch>) -> Result<()> {
        self.register(ANSWERS, name, Arc::new(MemTable::try_new(schema, vec![batches])?))
    }

    fn register(&self, schema: &str, name: &str, table: Arc<dyn TableProvider>) -> Result<()> {
        if let Some(catalog) = self.0.catalog(CATALOG) {
            if catalog.schema(schema).is_none() {
                catalog.register_schema(schema, Arc::new(MemorySchemaProvider::new()))?;
            }
            if let Some(schema) = catalog.schema(schema) {
                schema.register_table(name.to_owned(), table)?;
            }
        }
        Ok(())
    }

    /// Plans and starts `query`, on a thread with a large enough stack.
    ///
    /// # Errors
    /// [`FederationError`] if the text does not match the tables or its plan is too large.
    pub(super) async fn run(&self, query: &Query) -> std::result::Result<SendableRecordBatchStream, FederationError> {
        let only_read = SQLOptions::new()
            .with_allow_ddl(false)
            .with_allow_dml(false)
            .with_allow_statements(false);
        let frame = self
            .0
            .sql_with_options(&query.to_string(), only_read)
            .await
            .map_err(planning_error)?;
        let too_large = |error: QueryError| FederationError::usage(error.to_string());
        admitted(frame.logical_plan()).map_err(too_large)?;
        let rows = rows_per_batch(frame.logical_plan(), BATCH).map_err(too_large)?;
        let (mut state, plan) = frame.into_parts();
        *state.config_mut() = state.config().clone().with_batch_size(rows);
        Ok(DataFrame::new(state, plan).execute_stream().await?)
    }
}

/// An error of the planner is a mistake in the query; any other error is not.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the engine adds errors; those that are not listed are not mistakes in the query"
)]
fn planning_error(error: DataFusionError) -> FederationError {
    match error.find_root() {
        DataFusionError::Plan(_)
        | DataFusionError::SchemaError(..)
        | DataFusionError::SQL(..)
        | DataFusionError::NotImplemented(_) => FederationError::usage(format!(
            "the query does not match the tables: {}",
            error.find_root().strip_backtrace()
        )),
        _ => FederationError::from(error),
    }
}
