//! Text in a form that can be released.
//!
//! The engine reads text as views into the pages that it was read from, and a page also holds the text of rows that are
//! not permitted. A view is encoded together with its page, so no view may be released: every value is copied first.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, RecordBatch, RecordBatchOptions},
    compute::cast,
    datatypes::{DataType, Field, Schema, SchemaRef},
};

use super::QueryError;

/// The schema in which no value is a view.
///
/// # Errors
/// [`QueryError::Engine`] for a type for which this is not known.
pub(super) fn owned_schema(schema: &Schema) -> Result<SchemaRef, QueryError> {
    let field = |field: &Arc<Field>| {
        let owned = owned_type(field.data_type())?;
        Some(field.as_ref().clone().with_data_type(owned))
    };
    let fields: Option<Vec<_>> = schema.fields().iter().map(field).collect();
    let fields = fields.ok_or(QueryError::Engine { step: "answering" })?;
    Ok(Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone())))
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a type that is not listed is not released"
)]
fn owned_type(found: &DataType) -> Option<DataType> {
    match found {
        DataType::Utf8View => Some(DataType::Utf8),
        DataType::Utf8 | DataType::Boolean | DataType::Null => Some(found.clone()),
        _ => found.is_primitive().then(|| found.clone()),
    }
}

/// The same rows with that schema.
///
/// # Errors
/// [`QueryError::Memory`] if a batch contains more text than fits in one column.
pub(super) fn owned(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, QueryError> {
    let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let column = |(column, field): (&ArrayRef, &Arc<Field>)| cast(column, field.data_type());
    let columns: Result<Vec<_>, _> = batch.columns().iter().zip(schema.fields()).map(column).collect();
    let owned = columns.and_then(|columns| RecordBatch::try_new_with_options(Arc::clone(schema), columns, &rows));
    owned.map_err(|_| QueryError::Memory)
}
