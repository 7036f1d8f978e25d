//! Remote records as a table of the local engine: columns, conditions and limits are sent to the provider, rows are returned.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::TableType;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use futures::future::{BoxFuture, ready};
use futures::{StreamExt, TryStreamExt};

use super::error::FederationError;
use super::filter;
use super::source::{QuerySource, Target};
use super::statement::{quoted, table_text};
use super::union::{cast_to, union_schema};

/// One member of a table: the dataset to query, and its schema.
#[derive(Clone, Debug)]
pub(super) struct Member {
    /// The dataset to query.
    pub(super) target: Target,
    /// Its columns.
    pub(super) schema: SchemaRef,
}

/// The records of one or more members.
#[derive(Debug)]
pub(super) struct RemoteTable {
    source: Arc<dyn QuerySource>,
    members: Vec<Member>,
    schema: SchemaRef,
}

impl RemoteTable {
    /// The union of the tables of `members`.
    ///
    /// # Errors
    /// [`FederationError::SchemaMismatch`] if their columns cannot be combined.
    pub(super) fn new(
        source: Arc<dyn QuerySource>,
        members: Vec<Member>,
    ) -> std::result::Result<Self, FederationError> {
        let schemas = members
            .iter()
            .map(|member| (&member.target.dataset.institution, member.schema.clone()));
        let schema = union_schema(schemas)?;
        Ok(Self {
            source,
            members,
            schema,
        })
    }

    /// Whether every member can check `filter` with the same result as the local engine.
    fn can_send(&self, filter: &Expr) -> bool {
        let same_everywhere = |column: &str| {
            self.members.iter().all(|member| {
                let theirs = member.schema.field_with_name(column).map(|field| field.data_type());
                let ours = self.schema.field_with_name(column).map(|field| field.data_type());
                matches!((theirs, ours), (Ok(theirs), Ok(ours)) if theirs == ours && is_comparable(ours))
            })
        };
        filter::as_text(filter).is_some() && filter.column_refs().iter().all(|column| same_everywhere(&column.name))
    }

    fn planned(
        &self,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let wanted = match projection {
            Some(columns) => Arc::new(self.schema.project(columns)?),
            None => self.schema.clone(),
        };
        let conditions: Vec<_> = filters.iter().filter_map(filter::as_text).collect();
        let partition = |member: &Member| -> Arc<dyn PartitionStream> {
            let requested = requested_columns(member, &wanted);
            Arc::new(MemberPartition {
                source: self.source.clone(),
                target: member.target.clone(),
                sql: member_text(member, &requested, &conditions, limit),
                requested,
                schema: wanted.clone(),
            })
        };
        let partitions = self.members.iter().map(partition).collect();
        Ok(Arc::new(StreamingTableExec::try_new(
            wanted.clone(),
            partitions,
            None,
            [],
            false,
            limit,
        )?))
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
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let answer = |filter: &&Expr| match self.can_send(filter) {
            true => TableProviderFilterPushDown::Exact,
            false => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(answer).collect())
    }

    // Not an `async fn`: its future would hold `filters`, and a proof that an `Expr` is `Send` takes the compiler seconds.
    fn scan<'life0, 'life1, 'life2, 'life3, 'async_trait>(
        &'life0 self,
        _: &'life1 dyn Session,
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
        Box::pin(ready(self.planned(projection, filters, limit)))
    }
}

/// The columns of `wanted` that the member has, with its own types. If only the number of rows matters, its first column.
fn requested_columns(member: &Member, wanted: &SchemaRef) -> SchemaRef {
    let theirs = member.schema.fields();
    let common = wanted
        .fields()
        .iter()
        .filter_map(|field| theirs.find(field.name()).map(|(_, field)| field.clone()));
    let mut fields: Vec<FieldRef> = common.collect();
    if fields.is_empty() {
        fields.extend(theirs.first().cloned());
    }
    Arc::new(Schema::new(fields))
}

fn member_text(member: &Member, requested: &SchemaRef, conditions: &[String], limit: Option<usize>) -> String {
    let columns: Vec<_> = requested
        .fields()
        .iter()
        .map(|field| quoted(field.name()).to_string())
        .collect();
    let mut text = format!(
        "SELECT {} FROM {}",
        columns.join(", "),
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
    target: Target,
    sql: String,
    /// The columns that the answer must have.
    requested: SchemaRef,
    schema: SchemaRef,
}

impl PartitionStream for MemberPartition {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let source = self.source.clone();
        let target = self.target.clone();
        let sql = self.sql.clone();
        let requested = self.requested.clone();
        let opened = async move {
            let answer = source.query(&target, sql).await?;
            check_columns(&target, &requested, &answer.schema).inspect_err(|_| source.forget_schema(&target))?;
            Ok::<_, DataFusionError>(answer)
        };
        let target_schema = self.schema.clone();
        let rows = futures::stream::once(opened)
            .map_ok(|answer| answer.batches.map_err(DataFusionError::from))
            .try_flatten()
            .map(move |batch| batch.and_then(|batch| cast_to(&batch, &target_schema)));
        Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), rows))
    }
}

/// Rejects an answer whose columns are not the requested ones: filling the difference with nulls would hide it.
fn check_columns(
    target: &Target,
    requested: &SchemaRef,
    received: &SchemaRef,
) -> std::result::Result<(), FederationError> {
    let columns = |schema: &SchemaRef| -> Vec<_> {
        schema
            .fields()
            .iter()
            .map(|field| (field.name().clone(), field.data_type().clone()))
            .collect()
    };
    if columns(requested) == columns(received) {
        return Ok(());
    }
    Err(FederationError::Misbehaved {
        provider: target.dataset.institution.clone(),
        detail: format!(
            "its columns of `{}` are not the requested ones; query again if it has a new version",
            target.dataset
        ),
    })
}

#[cfg(test)]
pub(super) mod tests;
