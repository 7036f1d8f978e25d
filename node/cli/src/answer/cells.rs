//! Single cells as text and as JSON.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type, SchemaRef, UInt64Type};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use concordat_documents::problem::Problem;
use serde_json::{Map, Number, Value};

/// The cells of a batch as text, row by row; a missing value is empty.
pub(super) fn texts(batch: &RecordBatch) -> Result<Vec<Vec<String>>, Problem> {
    let options = FormatOptions::default();
    let formatters: Result<Vec<_>, _> = batch
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column, &options))
        .collect();
    let formatters = formatters.map_err(|error| Problem::internal("the rows cannot be shown", &error))?;
    let row = |row: usize| {
        formatters
            .iter()
            .map(|formatter| formatter.value(row).to_string())
            .collect()
    };
    Ok((0..batch.num_rows()).map(row).collect())
}

/// The rows of a batch as JSON objects.
pub(super) fn objects(batch: &RecordBatch) -> Result<Vec<Value>, Problem> {
    let texts = texts(batch)?;
    let schema: SchemaRef = batch.schema();
    let object = |(row, cells): (usize, Vec<String>)| {
        let fields = schema.fields().iter().zip(batch.columns()).zip(cells);
        let pairs = fields.map(|((field, column), text)| (field.name().clone(), value(column, row, text)));
        Value::Object(pairs.collect::<Map<_, _>>())
    };
    Ok(texts.into_iter().enumerate().map(object).collect())
}

fn value(column: &ArrayRef, row: usize, text: String) -> Value {
    if column.is_null(row) {
        return Value::Null;
    }
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
    if *column.data_type() == DataType::Boolean {
        return column.as_boolean().value(row).into();
    }
    Value::String(text)
}

/// A line of CSV (RFC 4180).
pub(super) fn csv_line<T: AsRef<str>>(cells: impl Iterator<Item = T>) -> String {
    let quoted = |cell: T| {
        let cell = cell.as_ref();
        if cell.contains(['"', ',', '\n', '\r']) {
            format!("\"{}\"", cell.replace('"', "\"\""))
        } else {
            cell.to_owned()
        }
    };
    let mut line = cells.map(quoted).collect::<Vec<_>>().join(",");
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Float64Array, Int64Array, StringArray};

    use super::*;

    #[test]
    fn cells_keep_their_types_and_quotes() {
        let columns: [(&str, ArrayRef); 3] = [
            ("n", Arc::new(Int64Array::from(vec![Some(1), None]))),
            ("x", Arc::new(Float64Array::from(vec![0.5, f64::NAN]))),
            ("t", Arc::new(StringArray::from(vec!["a,\"b\"", "c"]))),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let objects = objects(&batch).unwrap();
        assert_eq!(objects[0], serde_json::json!({ "n": 1, "x": 0.5, "t": "a,\"b\"" }));
        assert_eq!(objects[1]["n"], Value::Null);
        let texts = texts(&batch).unwrap();
        assert_eq!(csv_line(texts[0].iter().map(String::as_str)), "1,0.5,\"a,\"\"b\"\"\"\n");
        assert_eq!(texts[1][0], "");
    }
}
