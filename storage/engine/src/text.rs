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

#[cfg(test)]
mod tests {
    use arrow::array::{Array, StringViewArray};

    use super::*;

    /// The encoder converts views too; this is the check of the engine itself.
    #[test]
    fn view_is_copied_without_the_page_it_points_into() {
        let page: StringViewArray = ["a permitted text of some length", "another text that is not permitted"]
            .into_iter()
            .map(Some)
            .collect();
        let schema = Arc::new(Schema::new(vec![Field::new("text", DataType::Utf8View, true)]));
        let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(page.slice(0, 1))]).unwrap();
        let schema = owned_schema(&schema).unwrap();
        let column = Arc::clone(owned(&batch, &schema).unwrap().column(0));
        assert_eq!(column.data_type(), &DataType::Utf8);
        for buffer in column.to_data().buffers() {
            let bytes = buffer.as_slice();
            assert!(!bytes.windows(7).any(|window| window == b"another"), "{bytes:?}");
        }
    }
}
