//! Conversions of values: which can fail on a value, and how values are rounded.
//!
//! 1. A number has no unit of time, so there is no cast between numbers and dates or timestamps.
//! 2. A floating point number becomes the nearest whole number, and of two that are equally near the even one; a decimal is rounded half
//!    away from zero. PostgreSQL and DuckDB do the same.
//! 3. A timestamp loses the digits that its target does not have, and so becomes an earlier one, before 1970 as well.
//! 4. What the target cannot hold is not cast: the cast fails, or is missing as `TRY_CAST`.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, PrimitiveArray},
    compute::{cast_with_options, nullif},
    datatypes::{
        ArrowTimestampType, DataType, Date32Type, Float32Type, Float64Type, Int64Type, TimeUnit,
        TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
    },
    error::ArrowError,
};
use datafusion::common::format::DEFAULT_CAST_OPTIONS;

use super::{calendar::within_years, class::Class, floats::canonical, types::MAX_DIGITS};

/// Whether a stored value of the type may have no counterpart. Stored dates and timestamps are in the years 1 to 9999.
pub(crate) fn can_fail(from: &DataType, to: &DataType) -> bool {
    let (class, wanted) = (Class::of(from), Class::of(to));
    if from == to || class == Class::Null {
        return false;
    }
    let safe = match (class, wanted) {
        (Class::Other | Class::Interval, _) => false,
        (_, Class::Text) => true,
        (Class::Boolean, Class::Number) => !to.is_decimal(),
        (Class::Number, Class::Boolean) => true,
        (Class::Number, Class::Number) => is_wider(from, to),
        (Class::Date, Class::Timestamp | Class::Instant) => !is_nanosecond(to),
        (Class::Timestamp | Class::Instant, Class::Timestamp | Class::Instant) => !is_nanosecond(to),
        (Class::Timestamp | Class::Instant, Class::Date | Class::Time) => true,
        _ => false,
    };
    !safe
}

const fn is_nanosecond(to: &DataType) -> bool {
    matches!(to, DataType::Timestamp(TimeUnit::Nanosecond, _))
}

/// Whether every number of the one type has a counterpart in the other, perhaps a rounded one.
fn is_wider(from: &DataType, to: &DataType) -> bool {
    match (whole_digits(from), whole_digits(to)) {
        (Some(_), None) => *to == DataType::Float64 || *to == DataType::Float32,
        (None, None) => *to == DataType::Float64,
        (Some((_, before, after)), Some((decimal, most, places))) if decimal => {
            // Rounding may carry into one more digit.
            before + i16::from(after > places) <= most
        }
        (Some((false, _, _)), Some((false, _, _))) => {
            from.is_signed_integer() == to.is_signed_integer() && from.primitive_width() <= to.primitive_width()
                || from.is_unsigned_integer() && from.primitive_width() < to.primitive_width()
        }
        _ => false,
    }
}

/// Whether a type is decimal, and how many digits it has before and after the point; `None` for floating point numbers.
#[expect(clippy::wildcard_enum_match_arm, reason = "other numbers are floating point numbers")]
fn whole_digits(data_type: &DataType) -> Option<(bool, i16, i16)> {
    Some(match data_type {
        DataType::Int8 | DataType::UInt8 => (false, 3, 0),
        DataType::Int16 | DataType::UInt16 => (false, 5, 0),
        DataType::Int32 | DataType::UInt32 => (false, 10, 0),
        DataType::Int64 => (false, 19, 0),
        DataType::UInt64 => (false, 20, 0),
        DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => {
            (true, i16::from(*precision) - i16::from(*scale), i16::from(*scale))
        }
        _ => return None,
    })
}

/// The values as the type; a value that it cannot hold becomes NULL.
pub(crate) fn converted(values: &ArrayRef, to: &DataType) -> std::result::Result<ArrayRef, ArrowError> {
    match (values.data_type(), to) {
        (DataType::Float64 | DataType::Float32 | DataType::Float16, to) if to.is_integer() => {
            let numbers = plain(values, &DataType::Float64)?;
            let rounded: Float64Array = numbers.as_primitive::<Float64Type>().unary(f64::round_ties_even);
            plain(&(Arc::new(rounded) as ArrayRef), to)
        }
        (DataType::Decimal128(..) | DataType::Decimal256(..), to) if to.is_integer() => {
            plain(&plain(values, &DataType::Decimal128(MAX_DIGITS, 0))?, to)
        }
        (DataType::Float64, DataType::Float32) => finite(values),
        (DataType::Timestamp(from, zone), DataType::Timestamp(unit, _)) if per_second(*from) > per_second(*unit) => {
            let units = per_second(*from) / per_second(*unit);
            let ticks = plain(values, &DataType::Int64)?;
            let cut: Int64Array = ticks.as_primitive::<Int64Type>().unary(|tick| tick.div_euclid(units));
            let instants = plain(&(Arc::new(cut) as ArrayRef), &DataType::Timestamp(*unit, zone.clone()))?;
            plain(&instants, to)
        }
        (DataType::Date32, DataType::Timestamp(unit, zone)) => {
            let instants = midnights(values, *unit);
            plain(&instants, &DataType::Timestamp(*unit, zone.clone()))
        }
        _ => plain(values, to),
    }
}

const fn per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}

/// The cast of the library, with NULL for what fails.
fn plain(values: &ArrayRef, to: &DataType) -> std::result::Result<ArrayRef, ArrowError> {
    let mut options = DEFAULT_CAST_OPTIONS.clone();
    options.safe = true;
    cast_with_options(values, to, &options).map(within_years).map(canonical)
}

/// Numbers in 32 bits; a finite one that does not fit is not infinite, but missing.
fn finite(values: &ArrayRef) -> std::result::Result<ArrayRef, ArrowError> {
    let narrow = plain(values, &DataType::Float32)?;
    let wide = values.as_primitive::<Float64Type>();
    let lost = wide.iter().zip(narrow.as_primitive::<Float32Type>());
    let lost = lost.map(|(wide, narrow)| Some(wide?.is_finite() && !narrow?.is_finite()));
    nullif(&narrow, &lost.collect())
}

/// The beginning of each day; the library multiplies without a check.
fn midnights(values: &ArrayRef, unit: TimeUnit) -> ArrayRef {
    let days = values.as_primitive::<Date32Type>();
    match unit {
        TimeUnit::Second => of_unit::<TimestampSecondType>(days, 86_400),
        TimeUnit::Millisecond => of_unit::<TimestampMillisecondType>(days, 86_400_000),
        TimeUnit::Microsecond => of_unit::<TimestampMicrosecondType>(days, 86_400_000_000),
        TimeUnit::Nanosecond => of_unit::<TimestampNanosecondType>(days, 86_400_000_000_000),
    }
}

fn of_unit<T: ArrowTimestampType>(days: &PrimitiveArray<Date32Type>, units: i64) -> ArrayRef {
    let instants: PrimitiveArray<T> = days.unary_opt(|day| i64::from(day).checked_mul(units));
    Arc::new(instants)
}

/// The name of a type in SQL.
#[expect(clippy::wildcard_enum_match_arm, reason = "other types have no name in SQL")]
pub(crate) fn name(data_type: &DataType) -> String {
    match data_type {
        DataType::Boolean => "BOOLEAN".to_owned(),
        DataType::Int8 => "TINYINT".to_owned(),
        DataType::Int16 => "SMALLINT".to_owned(),
        DataType::Int32 => "INT".to_owned(),
        DataType::Int64 => "BIGINT".to_owned(),
        DataType::Float32 => "REAL".to_owned(),
        DataType::Float64 => "DOUBLE".to_owned(),
        DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 => "TEXT".to_owned(),
        DataType::Date32 | DataType::Date64 => "DATE".to_owned(),
        DataType::Time32(_) | DataType::Time64(_) => "TIME".to_owned(),
        DataType::Timestamp(_, None) => "TIMESTAMP".to_owned(),
        DataType::Timestamp(_, Some(_)) => "TIMESTAMP WITH TIME ZONE".to_owned(),
        DataType::Decimal128(precision, scale) => format!("DECIMAL({precision}, {scale})"),
        DataType::Interval(_) | DataType::Duration(_) => "INTERVAL".to_owned(),
        _ => "another type".to_owned(),
    }
}

#[cfg(test)]
mod tests;
