//! Single cells as text and as JSON.

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type, SchemaRef, UInt64Type};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use concordat_documents::problem::Problem;
use serde_json::{Map, Number, Value};

/// The cells of a batch as text, row by row; `None` is a missing value.
pub(super) fn texts(batch: &RecordBatch) -> Result<Vec<Vec<Option<String>>>, Problem> {
    let options = FormatOptions::default();
    let columns: Result<Vec<_>, _> = batch
        .columns()
        .iter()
        // A column without any value has no mask of its own.
        .map(|column| Ok((column.logical_nulls(), ArrayFormatter::try_new(column, &options)?)))
        .collect();
    let columns = columns.map_err(|error: ArrowError| Problem::internal("the rows cannot be shown", &error))?;
    let cell = |row: usize, (missing, texts): &(Option<NullBuffer>, ArrayFormatter<'_>)| {
        let is_missing = missing.as_ref().is_some_and(|missing| missing.is_null(row));
        (!is_missing).then(|| texts.value(row).to_string())
    };
    let row = |row: usize| columns.iter().map(|column| cell(row, column)).collect();
    Ok((0..batch.num_rows()).map(row).collect())
}

/// The rows of a batch as JSON objects.
pub(super) fn objects(batch: &RecordBatch) -> Result<Vec<Value>, Problem> {
    let texts = texts(batch)?;
    let schema: SchemaRef = batch.schema();
    let object = |(row, cells): (usize, Vec<Option<String>>)| {
        let fields = schema.fields().iter().zip(batch.columns()).zip(cells);
        let pairs = fields.map(|((field, column), text)| {
            let value = text.map_or(Value::Null, |text| value(column, row, text));
            (field.name().clone(), value)
        });
        Value::Object(pairs.collect::<Map<_, _>>())
    };
    Ok(texts.into_iter().enumerate().map(object).collect())
}

/// A value that is there.
fn value(column: &ArrayRef, row: usize, text: String) -> Value {
    if *column.data_type() == DataType::Int64 {
        return column.as_primitive::<Int64Type>().value(row).into();
    }
    if *column.data_type() == DataType::Int32 {
        return column.as_primitive::<Int32Type>().value(row).into();
    }
    if *column.data_type() == DataType::UInt64 {
        return column.as_primitive::<UInt64Type>().value(row).into();
    }
    if *column.data_type() == DataType::Float64 {
        let number = Number::from_f64(column.as_primitive::<Float64Type>().value(row));
        return number.map_or(Value::String(text), Value::Number);
    }
    let kind = column.data_type();
    let is_small = matches!(
        kind,
        DataType::Int8 | DataType::Int16 | DataType::UInt8 | DataType::UInt16 | DataType::UInt32
    );
    if is_small && let Ok(number) = text.parse::<i64>() {
        return number.into();
    }
    // A `REAL` has the shortest digits that restore it, and not those of the `DOUBLE` that is nearest to it.
    if *kind == DataType::Float32 {
        let number = text.parse().ok().and_then(Number::from_f64);
        return number.map_or(Value::String(text), Value::Number);
    }
    if *kind == DataType::Boolean {
        return column.as_boolean().value(row).into();
    }
    Value::String(text)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        Float32Array, Float64Array, Int8Array, Int16Array, Int64Array, NullArray, StringArray, UInt32Array,
    };
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_of_every_width_are_numbers() {
        let columns: [(&str, ArrayRef); 4] = [
            ("s", Arc::new(Int16Array::from(vec![Some(-5), None]))),
            ("t", Arc::new(Int8Array::from(vec![i8::MIN, i8::MAX]))),
            ("u", Arc::new(UInt32Array::from(vec![u32::MAX, 0]))),
            ("r", Arc::new(Float32Array::from(vec![0.1, f32::INFINITY]))),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let objects = objects(&batch).unwrap();
        assert_eq!(
            objects[0],
            json!({ "s": -5, "t": -128, "u": 4_294_967_295_u32, "r": 0.1 })
        );
        assert_eq!(objects[1], json!({ "s": null, "t": 127, "u": 0, "r": "inf" }));
    }

    #[test]
    fn cells_keep_their_types_and_missing_values() {
        let columns: [(&str, ArrayRef); 4] = [
            ("n", Arc::new(Int64Array::from(vec![Some(1), None]))),
            ("x", Arc::new(Float64Array::from(vec![0.5, f64::NAN]))),
            ("t", Arc::new(StringArray::from(vec![Some("a,\"b\""), Some("")]))),
            ("none", Arc::new(NullArray::new(2))),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let objects = objects(&batch).unwrap();
        assert_eq!(objects[0], json!({ "n": 1, "x": 0.5, "t": "a,\"b\"", "none": null }));
        assert_eq!(objects[1], json!({ "n": null, "x": "NaN", "t": "", "none": null }));
        let expected = [None, Some("NaN"), Some(""), None].map(|cell| cell.map(str::to_owned));
        assert_eq!(texts(&batch).unwrap()[1], expected);
    }
}
