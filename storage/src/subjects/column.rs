//! The columns of a batch in the types in which imports create them.

use std::sync::Arc;

use arrow::{
    array::{
        Array, ArrayRef, AsArray, BooleanArray, Date32Array, Float64Array, Int64Array, StringArray,
        TimestampMillisecondArray,
    },
    compute::cast,
    datatypes::{DataType, Date32Type, Float64Type, Int64Type, TimestampMillisecondType},
};

use super::SubjectError;

/// Milliseconds of a day.
pub(super) const DAY_MS: i64 = 86_400_000;

/// A column, by the type of its values. It has no `Debug`, which would print them.
pub(super) enum Column {
    Whole(Int64Array),
    Number(Float64Array),
    Truth(BooleanArray),
    /// Days from 1970-01-01.
    Day(Date32Array),
    /// Milliseconds from 1970-01-01, and whether they are of UTC.
    Time(TimestampMillisecondArray, bool),
    Text(StringArray),
}

impl Column {
    /// Narrower types of the same values are widened without loss.
    ///
    /// # Errors
    /// [`SubjectError::Type`] for a type that no import creates.
    pub(super) fn of(name: &str, array: &ArrayRef) -> Result<Self, SubjectError> {
        let array = widened(array)?;
        let found = array.data_type();
        if let Some(values) = array.as_primitive_opt::<Int64Type>() {
            Ok(Self::Whole(values.clone()))
        } else if let Some(values) = array.as_primitive_opt::<Float64Type>() {
            Ok(Self::Number(values.clone()))
        } else if let Some(values) = array.as_boolean_opt() {
            Ok(Self::Truth(values.clone()))
        } else if let Some(values) = array.as_primitive_opt::<Date32Type>() {
            Ok(Self::Day(values.clone()))
        } else if let Some(values) = array.as_primitive_opt::<TimestampMillisecondType>() {
            Ok(Self::Time(
                values.clone(),
                matches!(found, DataType::Timestamp(_, Some(_))),
            ))
        } else if let Some(values) = array.as_string_opt::<i32>() {
            Ok(Self::Text(values.clone()))
        } else {
            Err(SubjectError::Type {
                column: name.to_owned(),
                found: found.clone(),
            })
        }
    }

    pub(super) fn len(&self) -> usize {
        self.array().len()
    }

    pub(super) fn is_null(&self, row: usize) -> bool {
        self.array().is_null(row)
    }

    fn array(&self) -> &dyn Array {
        match self {
            Self::Whole(values) => values,
            Self::Number(values) => values,
            Self::Truth(values) => values,
            Self::Day(values) => values,
            Self::Time(values, _) => values,
            Self::Text(values) => values,
        }
    }
}

fn widened(array: &ArrayRef) -> Result<ArrayRef, SubjectError> {
    let found = array.data_type();
    let wide = if matches!(
        found,
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::UInt8 | DataType::UInt16 | DataType::UInt32
    ) {
        DataType::Int64
    } else if *found == DataType::Float32 {
        DataType::Float64
    } else if matches!(found, DataType::Null | DataType::LargeUtf8 | DataType::Utf8View) {
        DataType::Utf8
    } else {
        return Ok(Arc::clone(array));
    };
    cast(array, &wide).map_err(SubjectError::Arrow)
}
