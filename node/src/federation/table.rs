//! Remote records as a table of the local engine: columns, conditions and limits are sent to the provider, rows are returned.

use std::sync::Arc;

use concordat_protocol::query::MAX_SQL;
use datafusion::arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::TableType;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use futures::future::{BoxFuture, ready};
use futures::{StreamExt, TryStreamExt};

use super::error::FederationError;
use super::filter;
use super::institution::{institution_only, is_true_at};
use super::source::{MemberQuery, QuerySource};
use super::statement::{quoted, table_text};
use super::union_table::{Member, UnionTable};

/// The records of one or more members.
#[derive(Debug)]
pub(super) struct RemoteTable {
    source: Arc<dyn QuerySource>,
    table: Arc<UnionTable>,
}

impl RemoteTable {
    /// The rows of `table`, which `source` requests.
    pub(super) fn new(source: Arc<dyn QuerySource>, table: UnionTable) -> Self {
        Self {
            source,
            table: Arc::new(table),
        }
    }

    /// Whether every member can check `filter` with the same result as the local engine.
    fn can_send(&self, filter: &Expr) -> bool {
        let schema = &self.table.schema;
        let same_everywhere = |column: &str| {
            let Ok(at) = schema.index_of(column) else { return false };
            let ours = schema.field(at).data_type();
            let same = |member: &Member| member.column(at).is_some_and(|theirs| theirs.data_type() == ours);
            is_comparable(ours) && self.table.members.iter().all(same)
        };
        let sendable = filter::as_text(filter, &|column| Some(column.to_owned())).is_some();
        sendable && filter.column_refs().iter().all(|column| same_everywhere(&column.name))
    }

    fn planned(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let all: Vec<usize> = (0..self.table.schema.fields().len()).collect();
        let shown = projection.unwrap_or(&all);
        let schema = Arc::new(self.table.schema.project(shown)?);
        let (on_institution, others): (Vec<&Expr>, Vec<&Expr>) =
            filters.iter().partition(|filter| institution_only(filter, &self.table));
        let mut partitions: Vec<Arc<dyn PartitionStream>> = Vec::new();
        for member in &self.table.members {
            let mut asked = true;
            for condition in &on_institution {
                asked &= is_true_at(condition, &member.target.dataset.institution, session)?;
            }
            if asked {
                partitions.push(Arc::new(self.partition(member, shown, &schema, &others, limit)?));
            }
        }
        if partitions.is_empty() {
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        Ok(Arc::new(StreamingTableExec::try_new(
            schema,
            partitions,
            None,
            [],
            false,
            limit,
        )?))
    }

    fn partition(
        &self,
        member: &Member,
        shown: &[usize],
        schema: &SchemaRef,
        filters: &[&Expr],
        limit: Option<usize>,
    ) -> Result<MemberPartition> {
        let own_name = |column: &str| {
            let at = self.table.schema.index_of(column).ok()?;
            member.column(at).map(|own| own.name().clone())
        };
        let conditions: Vec<_> = filters
            .iter()
            .filter_map(|filter| filter::as_text(filter, &own_name))
            .collect();
        Ok(MemberPartition {
            source: self.source.clone(),
            table: Arc::clone(&self.table),
            member: member.clone(),
            query: member_query(member, shown, &conditions, limit)?,
            shown: shown.to_vec(),
            schema: Arc::clone(schema),
        })
    }
}

/// Types whose values can be written exactly as literals.
fn is_comparable(kind: &DataType) -> bool {
    matches!(
        kind,
        DataType::Boolean
            | DataType::Int64
            | DataType::Float64
            | DataType::Date32
            | DataType::Utf8
            | DataType::Utf8View
    )
}

impl TableProvider for RemoteTable {
    fn schema(&self) -> SchemaRef {
        self.table.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let answer = |filter: &&Expr| match institution_only(filter, &self.table) || self.can_send(filter) {
            true => TableProviderFilterPushDown::Exact,
            false => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(answer).collect())
    }

    // Not an `async fn`: its future would hold `filters`, and a proof that an `Expr` is `Send` takes the compiler seconds.
    fn scan<'life0, 'life1, 'life2, 'life3, 'async_trait>(
        &'life0 self,
        session: &'life1 dyn Session,
        projection: Option<&'life2 Vec<usize>>,
        filters: &'life3 [Expr],
        limit: Option<usize>,
    ) -> BoxFuture<'async_trait, Result<Arc<dyn ExecutionPlan>>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        'life2: 'async_trait,
        'life3: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(ready(self.planned(session, projection, filters, limit)))
    }
}

/// The query for the member's columns that are `shown`. If their names do not fit in the text of a query, all columns are requested as `*`:
/// the provider has the same columns in the same order, or its answer is refused.
///
/// # Errors
/// [`FederationError::Usage`] if the text is longer than a provider accepts.
fn member_query(
    member: &Member,
    shown: &[usize],
    conditions: &[String],
    limit: Option<usize>,
) -> Result<MemberQuery, FederationError> {
    let requested = requested_columns(member, shown);
    let names: Vec<String> = requested
        .fields()
        .iter()
        .map(|field| quoted(field.name()).to_string())
        .collect();
    let query = |columns: &str, schema| MemberQuery {
        sql: member_text(member, columns, conditions, limit),
        schema,
        grouped: false,
        figures: None,
    };
    let by_name = query(&names.join(", "), Arc::clone(&requested));
    if by_name.sql.len() <= MAX_SQL {
        return Ok(by_name);
    }
    let all: SchemaRef = Arc::new(Schema::new(
        member.schema.fields().iter().map(plain).collect::<Vec<_>>(),
    ));
    let as_star = query("*", all);
    if as_star.sql.len() > MAX_SQL {
        return Err(FederationError::usage_with(
            format!(
                "the conditions on `{}` are too long: a query may have {MAX_SQL} bytes",
                member.target.dataset
            ),
            "write shorter conditions",
        ));
    }
    if requested.fields().len() == member.schema.fields().len() {
        return Ok(as_star);
    }
    Err(FederationError::usage_with(
        format!(
            "the names of the {} columns of `{}` that the query reads are too long: a query may have {MAX_SQL} bytes",
            names.len(),
            member.target.dataset
        ),
        "select fewer columns, or all of them with `*`",
    ))
}

/// The member's columns for those that are `shown`. If only the number of rows matters, its first column.
fn requested_columns(member: &Member, shown: &[usize]) -> SchemaRef {
    let own = shown.iter().filter_map(|at| member.column(*at)).map(plain);
    let mut fields: Vec<FieldRef> = own.collect();
    if fields.is_empty() {
        fields.extend(member.schema.fields().first().map(plain));
    }
    Arc::new(Schema::new(fields))
}

/// A column as an answer has it: its form is known to this node only.
fn plain(field: &FieldRef) -> FieldRef {
    let field = field.as_ref().clone();
    Arc::new(field.with_metadata(Default::default()).with_nullable(true))
}

fn member_text(member: &Member, columns: &str, conditions: &[String], limit: Option<usize>) -> String {
    let mut text = format!(
        "SELECT {columns} FROM {}",
        table_text(&member.target.dataset.dataset, member.target.version)
    );
    if !conditions.is_empty() {
        text.push_str(&format!(" WHERE {}", conditions.join(" AND ")));
    }
    if let Some(limit) = limit {
        text.push_str(&format!(" LIMIT {limit}"));
    }
    text
}

/// One member's rows, requested when the engine begins to read them.
#[derive(Debug)]
struct MemberPartition {
    source: Arc<dyn QuerySource>,
    table: Arc<UnionTable>,
    member: Member,
    query: MemberQuery,
    /// The columns of the table that are shown.
    shown: Vec<usize>,
    schema: SchemaRef,
}

impl PartitionStream for MemberPartition {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let source = self.source.clone();
        let member = self.member.clone();
        let query = self.query.clone();
        let target = member.target.clone();
        let opened = async move { source.query(&target, query).await.map_err(DataFusionError::from) };
        let table = Arc::clone(&self.table);
        let shown = self.shown.clone();
        let schema = self.schema.clone();
        let rows = futures::stream::once(opened)
            .map_ok(|answer| answer.batches.map_err(DataFusionError::from))
            .try_flatten()
            .map(move |batch| batch.and_then(|batch| table.rows_of(&member, &batch, &shown, &schema)));
        Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), rows))
    }
}

#[cfg(test)]
mod tests;
