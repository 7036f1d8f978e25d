//! The values of members in the types of the union.

use std::sync::Arc;

use concordat_engine::unchanged;
use concordat_protocol::ids::DatasetRef;
use datafusion::arrow::array::{Array, ArrayRef, new_null_array};
use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::error::{DataFusionError, Result};

use crate::federation::error::FederationError;

/// The values of `column` in the type of the union; nulls if there is none. `of` is what they are, for errors: the dataset, and the name of the
/// column in the query.
///
/// # Errors
/// [`FederationError::ValueChanges`] if a value would be another one.
pub(in crate::federation) fn converted(
    column: Option<&ArrayRef>,
    to: &DataType,
    rows: usize,
    of: (&DatasetRef, &str),
) -> Result<ArrayRef> {
    let Some(column) = column.filter(|column| column.logical_null_count() < column.len()) else {
        return Ok(new_null_array(to, rows));
    };
    if column.data_type() == to {
        return Ok(Arc::clone(column));
    }
    unchanged(column, to)?.ok_or_else(|| {
        DataFusionError::from(FederationError::ValueChanges {
            column: of.1.to_owned(),
            dataset: of.0.clone(),
            own: type_label(column.data_type()),
            combined: type_label(to),
        })
    })
}

/// The type in which values of both are combined, as far as none changes ([`converted`]); `None` if they are not.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "types that are not listed are not combined with others"
)]
pub(in crate::federation) fn widened(left: &DataType, right: &DataType) -> Option<DataType> {
    let zone = |kind: &DataType| match kind {
        DataType::Timestamp(_, zone) => Some(zone.is_some()),
        _ => None,
    };
    match (left, right) {
        (a, b) if a == b => Some(a.clone()),
        (DataType::Null, other) | (other, DataType::Null) => Some(other.clone()),
        (a, b) if a.is_signed_integer() && b.is_signed_integer() => Some(DataType::Int64),
        (DataType::Decimal128(..), b) if b.is_signed_integer() => Some(left.clone()),
        (a, DataType::Decimal128(..)) if a.is_signed_integer() => Some(right.clone()),
        (a, b) if a.is_numeric() && b.is_numeric() && (a.is_floating() || b.is_floating()) => Some(DataType::Float64),
        (a, b) if is_text(a) && is_text(b) => Some(DataType::Utf8),
        (DataType::Date32, b) if zone(b) == Some(false) => Some(DataType::Timestamp(TimeUnit::Millisecond, None)),
        (a, DataType::Date32) if zone(a) == Some(false) => Some(DataType::Timestamp(TimeUnit::Millisecond, None)),
        _ => None,
    }
}

fn is_text(kind: &DataType) -> bool {
    matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// What values of the type are, in error messages.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "every other type has the name that Arrow gives it"
)]
pub(super) fn type_label(data_type: &DataType) -> String {
    match data_type {
        DataType::Boolean => "boolean".to_owned(),
        kind if kind.is_integer() => "a whole number".to_owned(),
        kind if kind.is_numeric() => "a number".to_owned(),
        kind if is_text(kind) => "text".to_owned(),
        DataType::Date32 | DataType::Date64 => "a date".to_owned(),
        DataType::Timestamp(_, None) => "a date-time without a zone".to_owned(),
        DataType::Timestamp(_, Some(_)) => "a date-time with a zone".to_owned(),
        other => other.to_string(),
    }
}
