//! Remote records as a table of the engine at home: columns, conditions and limits travel to the provider, rows come back.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::TableType;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use futures::{StreamExt, TryStreamExt};

use super::fault::QueryFault;
use super::filter;
use super::source::{Ask, Target};
use super::statement::{quoted, table_text};
use super::union::{fit, unite};

/// One member's rows in a table: whom to ask, and what its table looks like.
#[derive(Clone, Debug)]
pub(super) struct Member {
    /// Whom to ask.
    pub(super) target: Target,
    /// Its columns.
    pub(super) schema: SchemaRef,
}

/// The records of one or more members.
#[derive(Debug)]
pub(super) struct RemoteTable {
    asker: Arc<dyn Ask>,
    members: Vec<Member>,
    schema: SchemaRef,
}

impl RemoteTable {
    /// The table of `members` under each other.
    ///
    /// # Errors
    /// [`QueryFault::Disunion`] when their columns do not fit together.
    pub(super) fn new(asker: Arc<dyn Ask>, members: Vec<Member>) -> std::result::Result<Self, QueryFault> {
        let shapes = members
            .iter()
            .map(|member| (&member.target.dataset.institution, member.schema.clone()));
        let schema = unite(shapes)?;
        Ok(Self { asker, members, schema })
    }

    /// Whether every member can check `filter` and comes to the same result as the engine at home.
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
}

/// Types whose literals are written exactly.
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

#[async_trait]
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

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let wanted = match projection {
            Some(columns) => Arc::new(self.schema.project(columns)?),
            None => self.schema.clone(),
        };
        let conditions: Vec<_> = filters.iter().filter_map(filter::as_text).collect();
        let share = |member: &Member| -> Arc<dyn PartitionStream> {
            let asked = asked_of(member, &wanted);
            Arc::new(Share {
                asker: self.asker.clone(),
                target: member.target.clone(),
                sql: member_text(member, &asked, &conditions, limit),
                asked,
                schema: wanted.clone(),
            })
        };
        let shares = self.members.iter().map(share).collect();
        Ok(Arc::new(StreamingTableExec::try_new(
            wanted.clone(),
            shares,
            None,
            [],
            false,
            limit,
        )?))
    }
}

/// The columns of `wanted` that the member has, as it has them. Where nothing but the number of rows matters, its first column.
fn asked_of(member: &Member, wanted: &SchemaRef) -> SchemaRef {
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

fn member_text(member: &Member, asked: &SchemaRef, conditions: &[String], limit: Option<usize>) -> String {
    let columns: Vec<_> = asked
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

/// One member's rows, asked for when the engine begins to read them.
#[derive(Debug)]
struct Share {
    asker: Arc<dyn Ask>,
    target: Target,
    sql: String,
    /// The columns that have to come back.
    asked: SchemaRef,
    schema: SchemaRef,
}

impl PartitionStream for Share {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let (asker, target, sql, asked) = (
            self.asker.clone(),
            self.target.clone(),
            self.sql.clone(),
            self.asked.clone(),
        );
        let opened = async move {
            let part = asker.ask(&target, sql).await?;
            check_columns(&target, &asked, &part.schema).inspect_err(|_| asker.forget(&target))?;
            Ok::<_, DataFusionError>(part)
        };
        let fitted = self.schema.clone();
        let rows = futures::stream::once(opened)
            .map_ok(|part| part.batches.map_err(DataFusionError::from))
            .try_flatten()
            .map(move |batch| batch.and_then(|batch| fit(&batch, &fitted)));
        Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), rows))
    }
}

/// Refuses an answer whose columns are not the ones asked for: filling the difference with missing values would hide it.
fn check_columns(target: &Target, asked: &SchemaRef, came: &SchemaRef) -> std::result::Result<(), QueryFault> {
    let shape = |schema: &SchemaRef| -> Vec<_> {
        schema
            .fields()
            .iter()
            .map(|field| (field.name().clone(), field.data_type().clone()))
            .collect()
    };
    if shape(asked) == shape(came) {
        return Ok(());
    }
    Err(QueryFault::Misbehaved {
        provider: target.dataset.institution.clone(),
        detail: format!(
            "its columns of `{}` are not the ones asked for; ask again if it has a new version",
            target.dataset
        ),
    })
}

#[cfg(test)]
pub(super) mod tests;
