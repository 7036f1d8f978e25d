//! The answer with records that a provider will give to a text, before it reads a row.

use std::{collections::BTreeMap, sync::Arc};

use arrow::datatypes::SchemaRef;
use concordat_protocol::{
    ids::{CollectionRef, DatasetName, DatasetRef},
    schema::VersionNumber,
    scope::Tier,
};
use datafusion::{catalog::TableProvider, datasource::empty::EmptyTable, logical_expr::LogicalPlan};

use super::{
    QueryError,
    known_plans::{PlanKey, ShownTables},
    session::{collection_planning_context, planning_context},
    shown::as_read,
    text,
};

/// Everything that a provider checks before it reads a row at tier `records`, and the columns that its answer has: their names and Arrow types,
/// all nullable, without metadata. `shown` are the columns of [`shown_schema`](crate::shown_schema). Below `records` that is
/// [`foreseen_statistic`](crate::foreseen_statistic).
///
/// It walks the text recursively, so it needs a thread with a large stack, as in an engine process.
///
/// # Errors
/// The error with which the provider would refuse the text, and [`QueryError::NotApplied`] for other tiers.
pub async fn foreseen(
    sql: &str,
    dataset: &DatasetRef,
    version: Option<VersionNumber>,
    shown: &SchemaRef,
    tier: Tier,
) -> Result<SchemaRef, QueryError> {
    if tier != Tier::Records {
        return Err(QueryError::NotApplied {
            detail: format!("what is answered at tier `{tier}` follows from declarations"),
        });
    }
    let table = Arc::new(EmptyTable::new(as_read(shown)));
    let key = PlanKey {
        sql: sql.to_owned(),
        version,
        dataset: dataset.clone(),
        shown: ShownTables::One(table.schema()),
    };
    let context = planning_context(dataset, table)?;
    columns_of(&key.planned(&context.state()).await?.plan)
}

/// The same for a text over datasets of a collection, at tier `records`. `shown` are the columns of each dataset that the grant contains, as
/// [`shown_dataset`](crate::shown_dataset) returns them.
///
/// # Errors
/// The error with which the provider would refuse the text.
pub async fn foreseen_in_collection(
    sql: &str,
    collection: &CollectionRef,
    version: Option<VersionNumber>,
    shown: &BTreeMap<DatasetName, SchemaRef>,
) -> Result<SchemaRef, QueryError> {
    let read: BTreeMap<DatasetName, SchemaRef> = shown
        .iter()
        .map(|(name, shown)| (name.clone(), as_read(shown)))
        .collect();
    let context = collection_planning_context(collection, empty_tables(&read))?;
    let key = PlanKey::of_collection((sql, version), collection, read);
    columns_of(&key.planned(&context.state()).await?.plan)
}

/// A table without rows for each dataset.
pub(super) fn empty_tables(
    shown: &BTreeMap<DatasetName, SchemaRef>,
) -> impl Iterator<Item = (DatasetName, Arc<dyn TableProvider>)> {
    shown.iter().map(|(name, shown)| {
        let table: Arc<dyn TableProvider> = Arc::new(EmptyTable::new(Arc::clone(shown)));
        (name.clone(), table)
    })
}

fn columns_of(plan: &LogicalPlan) -> Result<SchemaRef, QueryError> {
    text::owned_schema(plan.schema().as_arrow())
}
