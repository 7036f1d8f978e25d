//! The engine at home: what crosses several institutions is put together here.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the enums of the SQL engine are open: what is not named is refused"
)]

use std::sync::Arc;

use concordat_storage::engine::{QueryError, admitted, rows_in_a_batch};
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

use super::fault::QueryFault;
use super::statement::TableName;

/// Rows in a batch; small enough that a batch crosses in one piece.
const BATCH: usize = 8192;
/// Parallel parts of a plan; more only helps when a single query has the machine to itself.
const PARTITIONS: usize = 2;
/// The one catalogue.
const CATALOG: &str = "concordat";
/// The schema that holds the members' answers to parts of the question.
const ANSWERS: &str = "__answers";

/// A session with no tables but those that are put into it. It reads no files and writes none, not even to spill.
pub(super) struct Home(SessionContext);

impl Home {
    /// An empty session with so many bytes of memory for the joins, groups and orders of its query.
    ///
    /// # Errors
    /// When the engine cannot be set up.
    pub(super) fn new(memory: usize) -> Result<Self> {
        let mut config = SessionConfig::new()
            .with_default_catalog_and_schema(CATALOG, ANSWERS)
            .with_information_schema(false)
            .with_target_partitions(PARTITIONS)
            .with_batch_size(BATCH);
        // Column names keep their case, here as at the provider.
        config.options_mut().sql_parser.enable_ident_normalization = false;
        let disk = DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled);
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_limit(memory, 1.0)
            .with_disk_manager_builder(disk)
            .build_arc()?;
        Ok(Self(SessionContext::new_with_config_rt(config, runtime)))
    }

    /// Puts in a table under the name by which the question knows it.
    pub(super) fn add(&self, name: &TableName, table: Arc<dyn TableProvider>) -> Result<()> {
        self.put(name.schema(), &name.at_home(), table)
    }

    /// Puts in an answer that is already here.
    pub(super) fn add_answer(&self, name: &str, schema: SchemaRef, batches: Vec<RecordBatch>) -> Result<()> {
        self.put(ANSWERS, name, Arc::new(MemTable::try_new(schema, vec![batches])?))
    }

    fn put(&self, schema: &str, name: &str, table: Arc<dyn TableProvider>) -> Result<()> {
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

    /// Plans and starts `query`, on a thread with room for that.
    ///
    /// # Errors
    /// [`QueryFault`] when the text does not fit the tables, or its plan is too large.
    pub(super) async fn run(&self, query: &Query) -> std::result::Result<SendableRecordBatchStream, QueryFault> {
        let only_read = SQLOptions::new()
            .with_allow_ddl(false)
            .with_allow_dml(false)
            .with_allow_statements(false);
        let frame = self
            .0
            .sql_with_options(&query.to_string(), only_read)
            .await
            .map_err(mistake)?;
        let too_large = |error: QueryError| QueryFault::usage(error.to_string());
        admitted(frame.logical_plan()).map_err(too_large)?;
        let rows = rows_in_a_batch(frame.logical_plan(), BATCH).map_err(too_large)?;
        let (mut state, plan) = frame.into_parts();
        *state.config_mut() = state.config().clone().with_batch_size(rows);
        Ok(DataFrame::new(state, plan).execute_stream().await?)
    }
}

/// What the planner objects to is a mistake in the question; anything else is not.
fn mistake(error: DataFusionError) -> QueryFault {
    match error.find_root() {
        DataFusionError::Plan(_)
        | DataFusionError::SchemaError(..)
        | DataFusionError::SQL(..)
        | DataFusionError::NotImplemented(_) => QueryFault::usage(format!(
            "the question does not fit the tables: {}",
            error.find_root().strip_backtrace()
        )),
        _ => QueryFault::from(error),
    }
}
