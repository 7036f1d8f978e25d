//! Doing what was planned.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::sql::sqlparser::ast::Query;
use futures::future::try_join_all;
use futures::{StreamExt, TryStreamExt};

use super::fault::QueryFault;
use super::home::Home;
use super::plan::{Piece, Plan};
use super::source::{Ask, Part, Target};
use super::statement::TableName;
use super::table::{Member, RemoteTable};
use super::threads::{FromThere, Threads};
use super::union::{fit, unite};

/// Most bytes of summaries that one part of a question may bring home. Records are not bound by this: they stream.
const MAX_SUMMARY: usize = 64 << 20;

/// Asks everybody and starts what is left to do at home, on `threads` and with `memory` bytes.
pub(super) async fn run(plan: Plan, asker: Arc<dyn Ask>, threads: &Threads, memory: usize) -> Result<Part, QueryFault> {
    match plan {
        Plan::Whole { target, sql } => asker.ask(&target, sql).await,
        Plan::Home { query, pieces, tables } => {
            let asker: Arc<dyn Ask> = Arc::new(FromThere::of(asker));
            threads.part(at_home(query, pieces, tables, asker, memory)).await
        }
    }
}

async fn at_home(
    query: Box<Query>,
    pieces: Vec<Piece>,
    tables: Vec<(TableName, Vec<Target>)>,
    asker: Arc<dyn Ask>,
    memory: usize,
) -> Result<Part, QueryFault> {
    let home = Home::new(memory)?;
    for (name, schema, batches) in try_join_all(pieces.into_iter().map(|piece| answer(piece, asker.as_ref()))).await? {
        home.add_answer(&name, schema, batches)?;
    }
    for (name, table) in try_join_all(tables.into_iter().map(|(name, targets)| remote(name, targets, &asker))).await? {
        home.add(&name, Arc::new(table))?;
    }
    let rows = home.run(&query).await?;
    Ok(Part {
        schema: rows.schema(),
        batches: rows.map_err(QueryFault::from).boxed(),
    })
}

/// The answers of all members to one piece, as one table.
async fn answer(piece: Piece, asker: &dyn Ask) -> Result<(String, SchemaRef, Vec<RecordBatch>), QueryFault> {
    let asks = piece
        .asks
        .iter()
        .map(|(target, sql)| collect(target, sql.clone(), asker));
    let answers = try_join_all(asks).await?;
    let shapes = piece
        .asks
        .iter()
        .zip(&answers)
        .map(|((target, _), (schema, _))| (&target.dataset.institution, schema.clone()));
    let schema = unite(shapes)?;
    let all = answers.iter().flat_map(|(_, batches)| batches);
    let batches = all.map(|batch| fit(batch, &schema)).collect::<Result<Vec<_>, _>>()?;
    Ok((piece.name, schema, batches))
}

async fn collect(target: &Target, sql: String, asker: &dyn Ask) -> Result<(SchemaRef, Vec<RecordBatch>), QueryFault> {
    let mut part = asker.ask(target, sql).await?;
    let (mut batches, mut size) = (Vec::new(), 0_usize);
    while let Some(batch) = part.batches.try_next().await? {
        size = size.saturating_add(batch.get_array_memory_size());
        if size > MAX_SUMMARY {
            return Err(QueryFault::usage_with(
                format!("the summary of `{}` is larger than {MAX_SUMMARY} bytes", target.dataset),
                "group by fewer or coarser columns",
            ));
        }
        batches.push(batch);
    }
    Ok((part.schema, batches))
}

async fn remote(
    name: TableName,
    targets: Vec<Target>,
    asker: &Arc<dyn Ask>,
) -> Result<(TableName, RemoteTable), QueryFault> {
    let shapes = try_join_all(targets.iter().map(|target| asker.shape(target))).await?;
    let members = targets
        .into_iter()
        .zip(shapes)
        .map(|(target, schema)| Member { target, schema })
        .collect();
    Ok((name, RemoteTable::new(asker.clone(), members)?))
}

#[cfg(test)]
mod tests;
