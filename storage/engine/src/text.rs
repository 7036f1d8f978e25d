//! Rows in a form that can be released: what is encoded contains nothing but the values of the rows.
//!
//! 1. The engine reads text as views into the pages that it was read from, and a page also holds the text of rows that
//!    are not permitted. A view is encoded together with its page, so no view may be released: every value is copied
//!    first.
//! 2. A missing value has a place in the buffer of values, and what makes a value missing (`nullif`, a withheld cell)
//!    leaves the value there. It is encoded too, so every such place is cleared first.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions, StringArray, UInt32Array},
    buffer::{NullBuffer, ScalarBuffer},
    compute::{cast, take},
    datatypes::{DataType, Field, Schema, SchemaRef},
    error::ArrowError,
};

use super::QueryError;

/// The columns of an answer: nullable, without metadata, and with types in which no value is a view.
///
/// # Errors
/// [`QueryError::Engine`] for a type for which this is not known.
pub(super) fn owned_schema(schema: &Schema) -> Result<SchemaRef, QueryError> {
    let field = |field: &Arc<Field>| {
        let owned = owned_type(field.data_type())?;
        Some(Field::new(field.name(), owned, true))
    };
    let fields: Option<Vec<_>> = schema.fields().iter().map(field).collect();
    let fields = fields.ok_or(QueryError::Engine { step: "answering" })?;
    Ok(Arc::new(Schema::new(fields)))
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
    let column = |(column, field): (&ArrayRef, &Arc<Field>)| cleared(&cast(column, field.data_type())?);
    let columns: Result<Vec<_>, _> = batch.columns().iter().zip(schema.fields()).map(column).collect();
    let owned = columns.and_then(|columns| RecordBatch::try_new_with_options(Arc::clone(schema), columns, &rows));
    owned.map_err(|_| QueryError::Memory)
}

/// The same values, with zeros or empty text in the places of those that are missing.
fn cleared(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let Some(missing) = column.logical_nulls().filter(|missing| missing.null_count() > 0) else {
        return Ok(Arc::clone(column));
    };
    // Texts are copied out of their views with nothing in these places, and need no second copy. Numbers that are read have others in them.
    if column
        .as_string_opt::<i32>()
        .is_some_and(|texts| are_empty(texts, &missing))
    {
        return Ok(Arc::clone(column));
    }
    let length = u32::try_from(column.len()).map_err(|_| ArrowError::ComputeError("too many rows".to_owned()))?;
    // What is taken at a missing place beyond the end is the default of its type; at one within, it is what lies there.
    let place = |index: u32| match usize::try_from(index).is_ok_and(|index| missing.is_null(index)) {
        true => u32::MAX,
        false => index,
    };
    let places: ScalarBuffer<u32> = (0..length).map(place).collect();
    take(column, &UInt32Array::new(places, Some(missing)), None)
}

/// Whether the texts in the places of those that are `missing` are empty.
fn are_empty(texts: &StringArray, missing: &NullBuffer) -> bool {
    let offsets = texts.value_offsets();
    let places = !missing.inner();
    places
        .set_indices()
        .all(|place| offsets.get(place) == offsets.get(place.saturating_add(1)))
}

#[cfg(test)]
mod tests {
    use arrow::array::{
        ArrowPrimitiveType, BooleanArray, Date32Array, Float64Array, Int64Array, StringViewArray,
        TimestampMillisecondArray,
    };
    use arrow::compute::nullif;
    use arrow::datatypes::{Date32Type, Float64Type, Int64Type, TimestampMillisecondType};

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

    /// The value that lies in the place of a missing one.
    fn hidden<T: ArrowPrimitiveType>(column: &ArrayRef) -> T::Native {
        column.as_primitive::<T>().values()[1]
    }

    #[test]
    fn nothing_lies_in_the_place_of_a_missing_value() {
        let columns: [ArrayRef; 6] = [
            Arc::new(Int64Array::from(vec![1, 4711, 3])),
            Arc::new(Float64Array::from(vec![1.0, 4711.5, 3.0])),
            Arc::new(Date32Array::from(vec![1, 4711, 3])),
            Arc::new(TimestampMillisecondArray::from(vec![1, 4711, 3])),
            Arc::new(StringArray::from(vec!["a", "secret", "c"])),
            Arc::new(BooleanArray::from(vec![false, true, false])),
        ];
        let second = BooleanArray::from(vec![false, true, false]);
        let withheld = columns.map(|column| nullif(&column, &second).unwrap());
        assert_eq!(
            hidden::<Int64Type>(&withheld[0]),
            4711,
            "the function leaves the value there"
        );
        let fields: Vec<_> = withheld
            .iter()
            .enumerate()
            .map(|(at, column)| Field::new(format!("c{at}"), column.data_type().clone(), true))
            .collect();
        let schema = Arc::new(Schema::new(fields));
        let batch = RecordBatch::try_new(Arc::clone(&schema), withheld.to_vec()).unwrap();
        let released = owned(&batch, &schema).unwrap();
        assert_eq!(released, batch);
        let columns = released.columns();
        assert_eq!(hidden::<Int64Type>(&columns[0]), 0);
        assert_eq!(hidden::<Float64Type>(&columns[1]), 0.0);
        assert_eq!(hidden::<Date32Type>(&columns[2]), 0);
        assert_eq!(hidden::<TimestampMillisecondType>(&columns[3]), 0);
        assert_eq!(columns[4].as_string::<i32>().value_data(), b"ac");
        assert!(!columns[5].as_boolean().values().value(1));
    }

    #[test]
    fn texts_with_nothing_in_missing_places_are_not_copied_again() {
        let schema = Arc::new(Schema::new(vec![Field::new("text", DataType::Utf8, true)]));
        let released = |texts: StringArray| {
            let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(texts)]).unwrap();
            let columns = owned(&batch, &schema).unwrap();
            columns.column(0).as_string::<i32>().clone()
        };
        let texts = StringArray::from(vec![Some("a"), None, Some("c"), None]);
        for texts in [texts.clone(), texts.slice(1, 3)] {
            let found = released(texts.clone());
            assert_eq!(found, texts);
            assert!(std::ptr::eq(found.value_data(), texts.value_data()));
        }
        let hidden = BooleanArray::from(vec![false, false, true]);
        let texts = StringArray::from(vec!["a", "b", "secret"]);
        for from in 0..3 {
            let texts = nullif(&texts.slice(from, 3 - from), &hidden.slice(from, 3 - from)).unwrap();
            let found = released(texts.as_string::<i32>().clone());
            assert!(!found.value_data().ends_with(b"secret"), "from {from}");
            assert_eq!(found.null_count(), 1);
        }
    }
}
