//! Comparisons of years, as which dates and timestamps are shown.
//!
//! A year is a number, and is compared with numbers. A comparison with a date is decided if it is true for all days of each year, or for
//! none; it becomes a comparison of years.
//!
//! The oldest years are shown as one, as the highest ages are one band. A comparison is decided if it is true for all of them, or for none:
//! where 1937 and all years before it are shown as 1937, `born <= 1937` is, and `born < 1930` and `born = 1937` are not.

use arrow::datatypes::TimeUnit;
use chrono::{DateTime, Datelike, NaiveDate};
use datafusion::{
    common::{DFSchema, ScalarValue},
    error::{DataFusionError, Result},
    logical_expr::{BinaryExpr, Expr, Operator, lit},
};

use super::{
    class::{Class, class_of, literal_value, shown, text_literal},
    compare_bands,
    expressions::{operation, refused},
    literals::{self, DAY_MICROS},
};
use crate::shown::{Shape, Years};

/// A comparison of a column of years with `other`.
pub(super) fn compared(years: Years, column: Expr, op: Operator, other: Expr, schema: &DFSchema) -> Result<Expr> {
    if let Some(text) = text_literal(&other) {
        if let Some(year) = literals::read(text, Class::Number, true) {
            return with_number(years, column, op, lit(year), &other);
        }
        let micros = literals::timestamp(text).map(|(micros, zone)| micros.saturating_sub(zone.unwrap_or(0)));
        return at_edge(years, column, op, micros, &other);
    }
    match class_of(&other, schema)? {
        Class::Null => Ok(operation(column, op, other)),
        Class::Number => with_number(years, column, op, other.clone(), &other),
        Class::Date | Class::Timestamp | Class::Instant => {
            let micros = literal_value(&other)?.and_then(|value| micros(&value));
            at_edge(years, column, op, micros, &other)
        }
        Class::Boolean | Class::Text | Class::Time | Class::Interval | Class::Other => {
            Err(undecided(&column, op, &other))
        }
    }
}

/// Refuses two operands, one of them a column of years, if which of the oldest years is meant would decide how they compare. A comparison
/// of two such columns is decided if their oldest years are the same.
pub(super) fn check((left, form): (&Expr, &Shape), (right, other): (&Expr, &Shape)) -> Result<()> {
    let (column, oldest, beside) = match (form, other) {
        (Shape::Year(one), Shape::Year(other)) if one.oldest == other.oldest => return Ok(()),
        (Shape::Year(one), Shape::Year(other)) if one.oldest > other.oldest => (left, one.oldest, right),
        (Shape::Year(_), Shape::Year(other)) => (right, other.oldest, left),
        (Shape::Year(years), Shape::Clear) => (left, years.oldest, right),
        (Shape::Clear, Shape::Year(years)) => (right, years.oldest, left),
        (Shape::Clear | Shape::Band { .. } | Shape::Year(_) | Shape::Pseudonym { .. }, _) => return Ok(()),
    };
    match oldest {
        Some(oldest) => Err(unknown(column, oldest, beside)),
        None => Ok(()),
    }
}

/// The comparison with `number`, which the query wrote as `other`, if it does not divide the oldest years.
fn with_number(years: Years, column: Expr, op: Operator, number: Expr, other: &Expr) -> Result<Expr> {
    let Some(oldest) = years.oldest else {
        return Ok(operation(column, op, number));
    };
    if literal_value(&number)?.is_some_and(|value| value.is_null()) {
        return Ok(operation(column, op, number));
    }
    match constant(&number)? {
        Some(threshold) if is_decided(oldest, op, threshold) => Ok(operation(column, op, number)),
        Some(_) => Err(among_the_oldest(&column, oldest, op, other)),
        None => Err(unknown(&column, oldest, other)),
    }
}

/// The number, if the query wrote one, or a sum or difference of some; `None` if it may depend on a row.
fn constant(number: &Expr) -> Result<Option<f64>> {
    if let Expr::BinaryExpr(BinaryExpr { left, op, right }) = number {
        let (Some(left), Some(right)) = (constant(left)?, constant(right)?) else {
            return Ok(None);
        };
        let sign = if *op == Operator::Plus { 1.0 } else { -1.0 };
        return Ok(matches!(op, Operator::Plus | Operator::Minus).then_some(left + sign * right));
    }
    Ok(literal_value(number)?.and_then(|value| compare_bands::number(&value)))
}

/// Whether `year op threshold` is true for `oldest` and all years before it, or for none of them.
fn is_decided(oldest: i32, op: Operator, threshold: f64) -> bool {
    if matches!(op, Operator::LtEq | Operator::Gt) {
        threshold >= f64::from(oldest)
    } else {
        threshold > f64::from(oldest)
    }
}

/// The comparison with a point in time, if it divides neither a year nor the oldest ones.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "other comparisons are decided by single days"
)]
fn at_edge(years: Years, column: Expr, op: Operator, micros: Option<i64>, other: &Expr) -> Result<Expr> {
    let Some((year, first, last)) = micros.and_then(|micros| year_of(micros, years.dates)) else {
        return Err(undecided(&column, op, other));
    };
    if let Some(oldest) = years.oldest.filter(|oldest| year < *oldest) {
        return Err(among_the_oldest(&column, oldest, op, other));
    }
    let at = micros.unwrap_or_default();
    let of_years = match op {
        Operator::GtEq if first >= at => Some(Operator::GtEq),
        Operator::GtEq if last < at => Some(Operator::Gt),
        Operator::Gt if last <= at => Some(Operator::Gt),
        Operator::Lt if first >= at => Some(Operator::Lt),
        Operator::Lt if last < at => Some(Operator::LtEq),
        Operator::LtEq if last <= at => Some(Operator::LtEq),
        _ => None,
    };
    match of_years {
        Some(of_years) => with_number(years, column, of_years, lit(i64::from(year)), other),
        None => Err(undecided(&column, op, other)),
    }
}

/// The year of a point in time, and the first and last value in it that a column can have.
fn year_of(micros: i64, dates: bool) -> Option<(i32, i64, i64)> {
    let year = DateTime::from_timestamp_micros(micros)?.year();
    let first = midnight(NaiveDate::from_ymd_opt(year, 1, 1)?)?;
    let last_day = midnight(NaiveDate::from_ymd_opt(year, 12, 31)?)?;
    // Stored timestamps have milliseconds.
    let last = if dates { last_day } else { last_day + DAY_MICROS - 1000 };
    Some((year, first, last))
}

fn midnight(day: NaiveDate) -> Option<i64> {
    Some(day.and_hms_opt(0, 0, 0)?.and_utc().timestamp_micros())
}

/// Microseconds since 1970-01-01; `None` if there are more digits than that.
#[expect(clippy::wildcard_enum_match_arm, reason = "other values are not points in time")]
pub(super) fn micros(value: &ScalarValue) -> Option<i64> {
    match value {
        ScalarValue::Date32(Some(days)) => i64::from(*days).checked_mul(DAY_MICROS),
        ScalarValue::TimestampSecond(Some(value), _) => value.checked_mul(1_000_000),
        ScalarValue::TimestampMillisecond(Some(value), _) => value.checked_mul(1000),
        ScalarValue::TimestampMicrosecond(Some(value), _) => Some(*value),
        ScalarValue::TimestampNanosecond(Some(value), _) => (value % 1000 == 0).then_some(value / 1000),
        _ => None,
    }
}

/// A point in time in a unit, if it has no more digits.
pub(super) fn in_unit(micros: i64, unit: TimeUnit) -> Option<ScalarValue> {
    let exact = |divisor: i64| (micros % divisor == 0).then_some(micros / divisor);
    match unit {
        TimeUnit::Second => exact(1_000_000).map(|value| ScalarValue::TimestampSecond(Some(value), None)),
        TimeUnit::Millisecond => exact(1000).map(|value| ScalarValue::TimestampMillisecond(Some(value), None)),
        TimeUnit::Microsecond => Some(ScalarValue::TimestampMicrosecond(Some(micros), None)),
        TimeUnit::Nanosecond => None,
    }
}

/// The error for a comparison that is true for some of the years that are shown as `oldest`, and for others is not.
fn among_the_oldest(column: &Expr, oldest: i32, op: Operator, other: &Expr) -> DataFusionError {
    let column = shown(column);
    let next = oldest.saturating_add(1);
    refused(format!(
        "`{column}` is shown as a year, {oldest} and before as one, which does not decide `{column} {op} {}`; write \
         `{column} <= {oldest}` for all of these years, or compare it with a later one, as in `{column} >= {next}`",
        shown(other)
    ))
}

/// The error for a comparison with a number that may be among the years that are shown as `oldest`.
fn unknown(column: &Expr, oldest: i32, other: &Expr) -> DataFusionError {
    let column = shown(column);
    refused(format!(
        "`{column}` is shown as a year, {oldest} and before as one, which does not decide how it compares with `{}`; write \
         `CASE WHEN {column} > {oldest} THEN {column} END` instead of `{column}`: it is missing for these years",
        shown(other)
    ))
}

/// The error for a comparison that years do not decide.
fn undecided(column: &Expr, op: Operator, other: &Expr) -> DataFusionError {
    let column = shown(column);
    refused(format!(
        "`{column}` is shown as a year, which does not decide `{column} {op} {}`; write a comparison with a year, as in `{column} >= \
         1980`, or with its first day, as in `{column} >= DATE '1980-01-01'`",
        shown(other)
    ))
}
