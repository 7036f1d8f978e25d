//! The answer that a provider will give to a text, before it reads a row.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use concordat_protocol::{ids::DatasetRef, schema::VersionNumber, scope::Tier};
use datafusion::{catalog::TableProvider, datasource::empty::EmptyTable, logical_expr::LogicalPlan};

use super::{QueryError, aggregate::Split, known_plans::PlanKey, session::planning_context, shown::as_read, text};

/// The one column of an answer at tier `exists`.
pub(super) const EXISTS: &str = "exists";

/// Everything that a provider checks before it reads a row, and the columns that its answer has: their names and Arrow types, all nullable,
/// without metadata. `shown` are the columns of [`shown_schema`](crate::shown_schema).
///
/// It walks the text recursively, so it needs a thread with a large stack ([`on_large_stack`](crate::on_large_stack)).
///
/// # Errors
/// The error with which the provider would refuse the text.
pub async fn foreseen(
    sql: &str,
    dataset: &DatasetRef,
    version: Option<VersionNumber>,
    shown: &SchemaRef,
    tier: Tier,
) -> Result<SchemaRef, QueryError> {
    let table = Arc::new(EmptyTable::new(as_read(shown)));
    let key = PlanKey {
        sql: sql.to_owned(),
        version,
        dataset: dataset.clone(),
        tier,
        shown: table.schema(),
    };
    let context = planning_context(dataset, table)?;
    columns_of(key.planned(&context.state()).await?.plan, tier)
}

fn columns_of(plan: LogicalPlan, tier: Tier) -> Result<SchemaRef, QueryError> {
    let answer = Arc::clone(plan.schema());
    if tier < Tier::Records {
        Split::new(plan, tier)?;
    }
    if tier == Tier::Exists {
        return Ok(Arc::new(Schema::new(vec![Field::new(EXISTS, DataType::Boolean, true)])));
    }
    text::owned_schema(answer.as_arrow())
}
