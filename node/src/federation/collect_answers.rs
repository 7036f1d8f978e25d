//! Executes a plan.

use std::sync::Arc;

use concordat_engine::{QueryError, admitted, rows_per_batch};
use concordat_protocol::scope::Tier;
use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, StringArray};
use datafusion::catalog::TableProvider;
use datafusion::common::tree_node::Transformed;
use datafusion::datasource::{MemTable, provider_as_source};
use datafusion::error::Result as PlanResult;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::DataFrame;
use futures::future::try_join_all;
use futures::{StreamExt, TryStreamExt};

use super::cell_table::CellTable;
use super::coverage::{self, MemberAnswer};
use super::error::FederationError;
use super::fragment::{Fragment, FragmentQuery, ROWS};
use super::plan::LocalPlan;
use super::report::QueryReport;
use super::source::{Answer, QuerySource, Target};
use super::union_table::converted;

/// Most bytes of summary rows that one member may return for one fragment. Records are not limited by this: they stream.
const MAX_SUMMARY: usize = 64 << 20;

/// Queries all members for their fragments, and starts the local part of the plan.
///
/// # Errors
/// [`FederationError`] if a member does not answer or the plan cannot be run.
pub(super) async fn run_local(
    local: LocalPlan,
    source: Arc<dyn QuerySource>,
    report: QueryReport,
) -> Result<Answer, FederationError> {
    let LocalPlan {
        mut state,
        mut plan,
        fragments,
        ..
    } = local;
    let answered = fragments
        .into_iter()
        .map(|fragment| answer(fragment, source.as_ref(), &report));
    for (name, table) in try_join_all(answered).await? {
        plan = reading(plan, &name, &table)?;
    }
    let too_large = |error: QueryError| FederationError::usage(error.to_string());
    admitted(&plan).map_err(too_large)?;
    let rows = rows_per_batch(&plan, state.config().batch_size()).map_err(too_large)?;
    *state.config_mut() = state.config().clone().with_batch_size(rows);
    let rows = DataFrame::new(state, plan).execute_stream().await?;
    Ok(Answer {
        schema: rows.schema(),
        batches: rows.map_err(FederationError::from).boxed(),
    })
}

/// The same plan with the scans of `name` reading `table`.
fn reading(plan: LogicalPlan, name: &str, table: &Arc<dyn TableProvider>) -> PlanResult<LogicalPlan> {
    let read = plan.transform_down_with_subqueries(|node| {
        let LogicalPlan::TableScan(mut scan) = node else {
            return Ok(Transformed::no(node));
        };
        if scan.table_name.table() != name {
            return Ok(Transformed::no(LogicalPlan::TableScan(scan)));
        }
        scan.source = provider_as_source(Arc::clone(table));
        Ok(Transformed::yes(LogicalPlan::TableScan(scan)))
    })?;
    Ok(read.data)
}

/// The answers of all members to one fragment, as one table.
async fn answer(
    fragment: Fragment,
    source: &dyn QuerySource,
    report: &QueryReport,
) -> Result<(String, Arc<dyn TableProvider>), FederationError> {
    let answers = try_join_all(fragment.queries.iter().map(|query| collect(query, source))).await?;
    if let Some(cells) = &fragment.cells {
        let batch = cell_table(&fragment, cells, answers, report)?;
        let table = MemTable::try_new(batch.schema(), vec![vec![batch]])?;
        return Ok((fragment.name, Arc::new(table)));
    }
    let mut batches = Vec::new();
    let mut by_member = Vec::new();
    for (query, answer) in fragment.queries.iter().zip(answers) {
        let rows: Vec<RecordBatch> = answer
            .iter()
            .map(|batch| in_schema(batch, query, &fragment))
            .collect::<PlanResult<_>>()?;
        batches.extend(rows.iter().cloned());
        by_member.push(MemberAnswer {
            dataset: query.target.dataset.clone(),
            withholds: query.target.tier < Tier::Records,
            batches: rows,
        });
    }
    // If the institution is a group, no cell has parts of several members.
    if fragment.queries.iter().all(|query| query.institution.is_empty()) {
        for remark in coverage::missing_cells(&fragment.groups, &fragment.measures, &by_member)? {
            report.remark(remark);
        }
    }
    let table = MemTable::try_new(fragment.schema, vec![batches])?;
    Ok((fragment.name, Arc::new(table)))
}

/// The table of the cells of all members. A remark names those that lack the part of one.
fn cell_table(
    fragment: &Fragment,
    cells: &CellTable,
    answers: Vec<Vec<RecordBatch>>,
    report: &QueryReport,
) -> Result<RecordBatch, FederationError> {
    let targets = fragment.queries.iter().map(|query| &query.target);
    let answers: Vec<(&Target, Vec<RecordBatch>)> = targets.zip(answers).collect();
    let measures = fragment.measures.iter().map(|measure| &measure.name);
    let names: Vec<String> = fragment.groups.iter().chain(measures).cloned().collect();
    let (table, parts) = cells.merged((&fragment.schema, names.as_slice()), &answers)?;
    let by_member = answers.iter().zip(parts).map(|((target, _), parts)| MemberAnswer {
        dataset: target.dataset.clone(),
        withholds: target.tier < Tier::Records,
        batches: vec![parts],
    });
    let by_member: Vec<MemberAnswer> = by_member.collect();
    if !cells.is_by_institution() {
        let groups = cells.names_of_groups(&names);
        for remark in coverage::missing_cells(&groups, &fragment.measures, &by_member)? {
            report.remark(remark);
        }
    }
    Ok(table)
}

async fn collect(part: &FragmentQuery, source: &dyn QuerySource) -> Result<Vec<RecordBatch>, FederationError> {
    let target: &Target = &part.target;
    let mut answer = source.query(target, part.query.clone()).await?;
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
    Ok(batches)
}

/// The rows of a member's answer in the schema of the fragment. A row that counts nothing is no group.
fn in_schema(batch: &RecordBatch, part: &FragmentQuery, fragment: &Fragment) -> PlanResult<RecordBatch> {
    let schema = &fragment.schema;
    let empty = |column: &ArrayRef| {
        let counted =
            datafusion::arrow::array::cast::as_primitive_array::<datafusion::arrow::datatypes::Int64Type>(column);
        counted.iter().all(|rows| rows == Some(0))
    };
    if !part.institution.is_empty() && batch.column_by_name(ROWS).is_some_and(empty) {
        return Ok(RecordBatch::new_empty(Arc::clone(schema)));
    }
    let rows = batch.num_rows();
    let institution = part.target.dataset.institution.as_str();
    let column = |(at, field): (usize, &Arc<datafusion::arrow::datatypes::Field>)| -> PlanResult<ArrayRef> {
        if part.institution.contains(&at) {
            return Ok(Arc::new(StringArray::from_iter_values(std::iter::repeat_n(
                institution,
                rows,
            ))));
        }
        let of = (&part.target.dataset, fragment.column_in_query(at));
        converted(batch.column_by_name(field.name()), field.data_type(), rows, of)
    };
    let columns = schema
        .fields()
        .iter()
        .enumerate()
        .map(column)
        .collect::<PlanResult<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(
        Arc::clone(schema),
        columns,
        &options,
    )?)
}
