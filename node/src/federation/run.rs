//! Executes a plan.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::sql::sqlparser::ast::Query;
use futures::future::try_join_all;
use futures::{StreamExt, TryStreamExt};

use super::error::FederationError;
use super::local::LocalEngine;
use super::plan::{Fragment, Plan};
use super::source::{Answer, QuerySource, Target};
use super::statement::TableName;
use super::table::{Member, RemoteTable};
use super::threads::{OnNodeRuntime, Threads};
use super::union::{cast_to, union_schema};

/// Most bytes of summary rows that one member may return for one fragment. Records are not limited by this: they stream.
const MAX_SUMMARY: usize = 64 << 20;

/// Queries all members and starts the local part of the plan, on `threads` and with `memory` bytes.
pub(super) async fn run(
    plan: Plan,
    source: Arc<dyn QuerySource>,
    threads: &Threads,
    memory: usize,
) -> Result<Answer, FederationError> {
    match plan {
        Plan::Whole { target, sql } => source.query(&target, sql).await,
        Plan::Local {
            query,
            fragments,
            tables,
        } => {
            let source: Arc<dyn QuerySource> = Arc::new(OnNodeRuntime::new(source));
            threads.run(run_local(query, fragments, tables, source, memory)).await
        }
    }
}

async fn run_local(
    query: Box<Query>,
    fragments: Vec<Fragment>,
    tables: Vec<(TableName, Vec<Target>)>,
    source: Arc<dyn QuerySource>,
    memory: usize,
) -> Result<Answer, FederationError> {
    let engine = LocalEngine::new(memory)?;
    for (name, schema, batches) in
        try_join_all(fragments.into_iter().map(|fragment| answer(fragment, source.as_ref()))).await?
    {
        engine.add_answer(&name, schema, batches)?;
    }
    for (name, table) in try_join_all(tables.into_iter().map(|(name, targets)| remote(name, targets, &source))).await? {
        engine.add(&name, Arc::new(table))?;
    }
    let rows = engine.run(&query).await?;
    Ok(Answer {
        schema: rows.schema(),
        batches: rows.map_err(FederationError::from).boxed(),
    })
}

/// The answers of all members to one fragment, as one table.
async fn answer(
    fragment: Fragment,
    source: &dyn QuerySource,
) -> Result<(String, SchemaRef, Vec<RecordBatch>), FederationError> {
    let queries = fragment
        .queries
        .iter()
        .map(|(target, sql)| collect(target, sql.clone(), source));
    let answers = try_join_all(queries).await?;
    let schemas = fragment
        .queries
        .iter()
        .zip(&answers)
        .map(|((target, _), (schema, _))| (&target.dataset.institution, schema.clone()));
    let schema = union_schema(schemas)?;
    let all = answers.iter().flat_map(|(_, batches)| batches);
    let batches = all
        .map(|batch| cast_to(batch, &schema))
        .collect::<Result<Vec<_>, _>>()?;
    Ok((fragment.name, schema, batches))
}

async fn collect(
    target: &Target,
    sql: String,
    source: &dyn QuerySource,
) -> Result<(SchemaRef, Vec<RecordBatch>), FederationError> {
    let mut answer = source.query(target, sql).await?;
    let mut batches = Vec::new();
    let mut size = 0_usize;
    while let Some(batch) = answer.batches.try_next().await? {
        size = size.saturating_add(batch.get_array_memory_size());
        if size > MAX_SUMMARY {
            return Err(FederationError::usage_with(
                format!("the summary of `{}` is larger than {MAX_SUMMARY} bytes", target.dataset),
                "group by fewer or coarser columns",
            ));
        }
        batches.push(batch);
    }
    Ok((answer.schema, batches))
}

async fn remote(
    name: TableName,
    targets: Vec<Target>,
    source: &Arc<dyn QuerySource>,
) -> Result<(TableName, RemoteTable), FederationError> {
    let schemas = try_join_all(targets.iter().map(|target| source.schema(target))).await?;
    let members = targets
        .into_iter()
        .zip(schemas)
        .map(|(target, schema)| Member { target, schema })
        .collect();
    Ok((name, RemoteTable::new(source.clone(), members)?))
}

#[cfg(test)]
mod tests;
