//! The union of the tables of several members.
//!
//! Columns are matched by name. A column that a member does not have is null in its rows. Integers and floating-point numbers become
//! floating-point numbers. Any other difference of type is an error that names the two institutions.

use std::sync::Arc;

use concordat_protocol::ids::InstitutionId;
use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::error::{DataFusionError, Result};

use super::error::FederationError;

/// The combined schema of all `members`, in the order in which columns first appear; every column is nullable.
pub(super) fn union_schema<'a>(
    members: impl IntoIterator<Item = (&'a InstitutionId, SchemaRef)>,
) -> std::result::Result<SchemaRef, FederationError> {
    let mut columns: Vec<(&InstitutionId, Field)> = Vec::new();
    for (member, schema) in members {
        for field in schema.fields() {
            match columns.iter_mut().find(|(_, known)| known.name() == field.name()) {
                None => columns.push((member, Field::new(field.name(), field.data_type().clone(), true))),
                Some((first, known)) => {
                    let wider = widen(known.data_type(), field.data_type());
                    let wider = wider.ok_or_else(|| schema_mismatch(first, known, member, field))?;
                    *known = Field::new(known.name(), wider, true);
                }
            }
        }
    }
    Ok(Arc::new(Schema::new(
        columns.into_iter().map(|(_, field)| field).collect::<Vec<_>>(),
    )))
}

/// The type that holds the values of both; `None` if a conversion would change them.
fn widen(left: &DataType, right: &DataType) -> Option<DataType> {
    match (left, right) {
        (a, b) if a == b => Some(a.clone()),
        (DataType::Null, other) | (other, DataType::Null) => Some(other.clone()),
        (a, b) if a.is_signed_integer() && b.is_signed_integer() => Some(DataType::Int64),
        (a, b) if a.is_numeric() && b.is_numeric() && (a.is_floating() || b.is_floating()) => Some(DataType::Float64),
        (a, b) if is_text(a) && is_text(b) => Some(DataType::Utf8),
        _ => None,
    }
}

fn is_text(kind: &DataType) -> bool {
    matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

fn schema_mismatch(left: &InstitutionId, known: &Field, right: &InstitutionId, field: &Field) -> FederationError {
    FederationError::SchemaMismatch {
        column: known.name().clone(),
        left: left.clone(),
        left_type: label(known.data_type()),
        right: right.clone(),
        right_type: label(field.data_type()),
    }
}

/// The name of a type in error messages.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "every other type has the name that Arrow gives it"
)]
fn label(kind: &DataType) -> String {
    match kind {
        DataType::Boolean => "boolean".to_owned(),
        kind if kind.is_integer() => "an integer".to_owned(),
        kind if kind.is_numeric() => "a number".to_owned(),
        kind if is_text(kind) => "text".to_owned(),
        DataType::Date32 | DataType::Date64 => "a date".to_owned(),
        DataType::Timestamp(..) => "a time".to_owned(),
        other => other.to_string(),
    }
}

/// Converts the rows of `batch` to `schema`.
pub(super) fn cast_to(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let rows = batch.num_rows();
    let column = |field: &Arc<Field>| -> Result<ArrayRef> {
        match batch.column_by_name(field.name()) {
            None => Ok(new_null_array(field.data_type(), rows)),
            Some(column) if column.data_type() == field.data_type() => Ok(column.clone()),
            Some(column) => Ok(cast(column, field.data_type())?),
        }
    };
    let columns = schema.fields().iter().map(column).collect::<Result<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options).map_err(DataFusionError::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::{Array, Float64Array, Int64Array, StringArray};

    fn schema(columns: &[(&str, DataType)]) -> SchemaRef {
        Arc::new(Schema::new(
            columns
                .iter()
                .map(|(name, kind)| Field::new(*name, kind.clone(), false))
                .collect::<Vec<_>>(),
        ))
    }

    fn at(name: &str) -> InstitutionId {
        name.parse().unwrap()
    }

    #[test]
    fn union_matches_columns_by_name_and_widens_types() {
        let a = at("aachen");
        let b = at("basel");
        let left = schema(&[("age", DataType::Int64), ("chol", DataType::Int64)]);
        let right = schema(&[("chol", DataType::Float64), ("site", DataType::Utf8)]);
        let combined = union_schema([(&a, left), (&b, right)]).unwrap();
        let columns: Vec<_> = combined
            .fields()
            .iter()
            .map(|f| (f.name().as_str(), f.data_type().clone()))
            .collect();
        assert_eq!(
            columns,
            [
                ("age", DataType::Int64),
                ("chol", DataType::Float64),
                ("site", DataType::Utf8)
            ]
        );
        assert!(combined.fields().iter().all(|field| field.is_nullable()));
    }

    #[test]
    fn union_type_mismatch_names_both_institutions() {
        let a = at("aachen");
        let b = at("basel");
        let mismatch = union_schema([
            (&a, schema(&[("age", DataType::Int64)])),
            (&b, schema(&[("age", DataType::Utf8)])),
        ]);
        assert_eq!(
            mismatch.unwrap_err().to_string(),
            "`age` is an integer at aachen and text at basel, and the two cannot be combined into one column"
        );
    }

    #[test]
    fn union_cast_fills_nulls_and_keeps_numbers_exact() {
        let wide = schema(&[("chol", DataType::Float64), ("site", DataType::Utf8)]);
        let wide = union_schema([(&at("basel"), wide)]).unwrap();
        let narrow = schema(&[("chol", DataType::Int64)]);
        let batch = RecordBatch::try_new(narrow, vec![Arc::new(Int64Array::from(vec![7, 9]))]).unwrap();
        let converted = cast_to(&batch, &wide).unwrap();
        let chol = converted.column(0).as_any().downcast_ref::<Float64Array>().unwrap();
        assert_eq!(chol.values(), &[7.0, 9.0]);
        assert_eq!(converted.column(1).null_count(), 2);
        assert!(converted.column(1).as_any().is::<StringArray>());
    }
}
