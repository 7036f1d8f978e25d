//! Operands that are compared, or of which one is the result: they need one class, and get it without losing a value.

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::{
    common::{DFSchema, ScalarValue},
    error::{DataFusionError, Result},
    logical_expr::{Cast, Expr, ExprSchemable, TryCast, lit},
};

use super::{
    class::{Class, class_of, describe, literal_value, shape, shown, text_literal},
    compare_years::{in_unit, micros},
    expressions::refused,
    literals,
};
use crate::{
    error::unread_texts,
    types::{MAX_DIGITS, UTC},
};

/// Two operands of one class.
pub(super) fn pair(left: Expr, right: Expr, op: &str, schema: &DFSchema) -> Result<[Expr; 2]> {
    exactly(vec![left, right], op, schema)
}

/// As many operands as there are, of one class.
pub(super) fn exactly<const N: usize>(operands: Vec<Expr>, op: &str, schema: &DFSchema) -> Result<[Expr; N]> {
    let aligned = aligned(operands, op, schema)?;
    <[Expr; N]>::try_from(aligned).map_err(|_| refused("a comparison has another number of operands"))
}

/// The operands, of one class. `op` is how the query combines them.
pub(super) fn aligned(operands: Vec<Expr>, op: &str, schema: &DFSchema) -> Result<Vec<Expr>> {
    let classes: Result<Vec<Class>> = operands.iter().map(|operand| class_of(operand, schema)).collect();
    let classes = classes?;
    let Some(class) = common(&operands, &classes, op, schema)? else {
        return Ok(operands);
    };
    let whole = class == Class::Number && are_whole(&operands, schema)?;
    let read = operands.iter().map(|operand| match text_literal(operand) {
        Some(text) if class != Class::Text => read(text, class, whole, &operands, schema),
        Some(_) | None => Ok(operand.clone()),
    });
    let operands: Vec<Expr> = read.collect::<Result<_>>()?;
    match class {
        Class::Timestamp => timestamps(operands, schema),
        Class::Instant => instants(operands, schema),
        Class::Interval => intervals(operands, op, schema),
        // Numbers of different types are compared and combined as they are by what computes the plan (`exact`).
        Class::Number => Ok(operands),
        Class::Null | Class::Boolean | Class::Text | Class::Date | Class::Time | Class::Other => Ok(operands),
    }
}

/// The class that all operands can have; `None` if all are NULL or texts that the query wrote.
fn common(operands: &[Expr], classes: &[Class], op: &str, schema: &DFSchema) -> Result<Option<Class>> {
    let mut common: Option<(Class, &Expr)> = None;
    for (operand, class) in operands.iter().zip(classes) {
        if *class == Class::Null || text_literal(operand).is_some() {
            continue;
        }
        common = Some(match common {
            None => (*class, operand),
            Some((known, first)) => match wider(known, *class) {
                Some(wider) => (wider, if wider == known { first } else { operand }),
                None => return Err(mismatch(first, known, operand, *class, op, schema)),
            },
        });
    }
    let Some((class, _)) = common else { return Ok(None) };
    if class == Class::Instant {
        for (operand, own) in operands.iter().zip(classes) {
            without_zone(operand, *own)?;
        }
    }
    Ok(Some(class))
}

/// The class that holds the values of both.
fn wider(one: Class, other: Class) -> Option<Class> {
    match (one, other) {
        (one, other) if one == other => Some(one),
        (Class::Date, Class::Timestamp) | (Class::Timestamp, Class::Date) => Some(Class::Timestamp),
        (Class::Instant, Class::Date | Class::Timestamp) | (Class::Date | Class::Timestamp, Class::Instant) => {
            Some(Class::Instant)
        }
        _ => None,
    }
}

/// Refuses an operand without a zone that is not a literal: its zone is unknown. A literal is in UTC.
fn without_zone(operand: &Expr, class: Class) -> Result<()> {
    let has_none = matches!(class, Class::Date | Class::Timestamp) && literal_value(operand)?.is_none();
    if !has_none {
        return Ok(());
    }
    Err(refused(format!(
        "`{0}` is {1}, and has no zone; if it is in UTC, write `CAST({0} AS TIMESTAMP WITH TIME ZONE)`",
        shown(operand),
        class.label()
    )))
}

/// The error for operands of two classes, with the form that works.
fn mismatch(first: &Expr, class: Class, second: &Expr, other: Class, op: &str, schema: &DFSchema) -> DataFusionError {
    let (one, two) = (shown(first), shown(second));
    let infix = !op.chars().all(char::is_alphabetic) || op.starts_with("IS ");
    let text = match (class, other) {
        (Class::Text, _) => Some((&one, other, true)),
        (_, Class::Text) => Some((&two, class, false)),
        _ => None,
    };
    let Some((text, target, is_first)) = text else {
        return refused(format!(
            "`{one}` is {}, and `{two}` is {}: they cannot be compared; write a `CAST` of one of them",
            describe(class, &shape(first, schema)),
            describe(other, &shape(second, schema))
        ));
    };
    let cast = format!("TRY_CAST({text} AS {})", target.sql_type());
    let form = match (infix, is_first) {
        (true, true) => format!("{cast} {op} {two}"),
        (true, false) => format!("{one} {op} {cast}"),
        (false, _) => cast,
    };
    let unread = unread_texts(text, target.label(), target.sql_type());
    refused(format!("`{text}` is text; write `{form}`{unread}"))
}

/// Whether all numbers among the operands are whole numbers.
fn are_whole(operands: &[Expr], schema: &DFSchema) -> Result<bool> {
    for operand in operands {
        let data_type = operand.get_type(schema)?;
        if data_type.is_numeric() && !data_type.is_integer() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The literal as a value of the class.
fn read(text: &str, class: Class, whole: bool, operands: &[Expr], schema: &DFSchema) -> Result<Expr> {
    if let Some(value) = literals::read(text, class, whole) {
        return Ok(lit(value));
    }
    let of_class = |operand: &&Expr| {
        text_literal(operand).is_none() && matches!(class_of(operand, schema), Ok(known) if known != Class::Null)
    };
    let other = operands.iter().find(of_class).map(shown).unwrap_or_default();
    let kind = if whole { "a whole number" } else { class.label() };
    Err(refused(format!(
        "`{other}` is {kind}, and the text is not {}",
        literals::notation(class, whole)
    )))
}

/// Operands of arithmetic: decimals beside floating point numbers become floating point numbers.
pub(super) fn numbers(operands: Vec<Expr>, schema: &DFSchema) -> Result<Vec<Expr>> {
    let types: Result<Vec<DataType>> = operands.iter().map(|operand| operand.get_type(schema)).collect();
    let changes = become_floats(&types?);
    let converted = operands.into_iter().zip(changes).map(|(operand, changes)| {
        if changes {
            tried(operand, DataType::Float64)
        } else {
            operand
        }
    });
    Ok(converted.collect())
}

/// Which of the types become that of floating point numbers beside the others: the library would do the opposite, which loses large ones.
#[expect(clippy::wildcard_enum_match_arm, reason = "other numbers are floating point numbers")]
fn become_floats(types: &[DataType]) -> Vec<bool> {
    let digits = |data_type: &DataType| match data_type {
        DataType::Decimal128(precision, scale) => Some((i16::from(*precision) - i16::from(*scale), i16::from(*scale))),
        data_type if data_type.is_integer() => Some((20, 0)),
        _ => None,
    };
    let has_decimals = types.iter().any(DataType::is_decimal);
    let sides = types.iter().filter_map(digits);
    let (before, after) = sides.fold((0, 0), |(before, after), (one, other)| {
        (one.max(before), other.max(after))
    });
    let too_wide = before + after > i16::from(MAX_DIGITS) && types.windows(2).any(|pair| pair.first() != pair.last());
    if !has_decimals || !(too_wide || types.iter().any(DataType::is_floating)) {
        return vec![false; types.len()];
    }
    let changes = |data_type: &DataType| data_type.is_decimal() || too_wide && data_type.is_integer();
    types.iter().map(changes).collect()
}

/// Dates become timestamps at midnight, in milliseconds; literals get the unit of what they are compared with, if they have no more digits.
fn timestamps(operands: Vec<Expr>, schema: &DFSchema) -> Result<Vec<Expr>> {
    let mut unit: Option<TimeUnit> = None;
    for operand in &operands {
        if literal_value(operand)?.is_none() {
            unit = unit.max(unit_of(&operand.get_type(schema)?));
        }
    }
    let converted = operands.into_iter().map(|operand| {
        if let Some(micros) = literal_value(&operand)?.and_then(|value| micros(&value)) {
            let literal = unit.and_then(|unit| in_unit(micros, unit));
            let literal = literal.or_else(|| in_unit(micros, TimeUnit::Microsecond));
            return Ok(literal.map_or(operand, lit));
        }
        let data_type = operand.get_type(schema)?;
        Ok(if matches!(data_type, DataType::Date32 | DataType::Date64) {
            tried(operand, DataType::Timestamp(TimeUnit::Millisecond, None))
        } else {
            coarser(operand, &data_type)
        })
    });
    converted.collect()
}

/// Literals without a zone are in UTC.
fn instants(operands: Vec<Expr>, schema: &DFSchema) -> Result<Vec<Expr>> {
    let converted = operands.into_iter().map(|operand| {
        let data_type = operand.get_type(schema)?;
        let literal = literal_value(&operand)?;
        match literal.as_ref().and_then(micros) {
            // Written as text, because a literal loses its zone where it becomes SQL again.
            Some(micros) => Ok(instant(micros)),
            None => Ok(coarser(operand, &data_type)),
        }
    });
    converted.collect()
}

fn instant(micros: i64) -> Expr {
    let text = chrono::DateTime::from_timestamp_micros(micros)
        .map(|instant| instant.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string());
    let target = DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into()));
    match text {
        Some(text) => Expr::Cast(Cast::new(Box::new(lit(text)), target)),
        None => lit(ScalarValue::TimestampMicrosecond(Some(micros), Some(UTC.into()))),
    }
}

/// Intervals are compared by their length, which one with months does not have. All are in microseconds: the library would compare lengths
/// of different units in nanoseconds, of which 64 bits hold 292 years.
fn intervals(operands: Vec<Expr>, op: &str, schema: &DFSchema) -> Result<Vec<Expr>> {
    let converted = operands.into_iter().map(|operand| {
        let data_type = operand.get_type(schema)?;
        if matches!(data_type, DataType::Duration(TimeUnit::Microsecond) | DataType::Null) {
            return Ok(operand);
        }
        if matches!(data_type, DataType::Duration(_)) {
            return Ok(tried(operand, DataType::Duration(TimeUnit::Microsecond)));
        }
        let length = match literal_value(&operand)? {
            Some(ScalarValue::IntervalMonthDayNano(Some(interval))) if interval.months == 0 => {
                let days = i64::from(interval.days).checked_mul(literals::DAY_MICROS);
                days.and_then(|days| days.checked_add(interval.nanoseconds / 1000))
            }
            _ => None,
        };
        length
            .map(|micros| lit(ScalarValue::DurationMicrosecond(Some(micros))))
            .ok_or_else(|| {
                refused(format!(
                    "`{}` has no fixed length, which `{op}` needs; write an interval in days or hours",
                    shown(&operand)
                ))
            })
    });
    converted.collect()
}

/// Nanoseconds, which end in 2262, become microseconds.
pub(super) fn coarser(operand: Expr, data_type: &DataType) -> Expr {
    if let DataType::Timestamp(TimeUnit::Nanosecond, zone) = data_type {
        return tried(operand, DataType::Timestamp(TimeUnit::Microsecond, zone.clone()));
    }
    operand
}

/// A conversion that cannot lose a value that is stored; a value that it cannot hold would be missing.
pub(super) fn tried(operand: Expr, target: DataType) -> Expr {
    Expr::TryCast(TryCast::new(Box::new(operand), target))
}

/// The unit of a timestamp; dates are compared in milliseconds.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "only dates and timestamps are points in time"
)]
const fn unit_of(data_type: &DataType) -> Option<TimeUnit> {
    match data_type {
        DataType::Date32 | DataType::Date64 => Some(TimeUnit::Millisecond),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => Some(TimeUnit::Microsecond),
        DataType::Timestamp(unit, _) => Some(*unit),
        _ => None,
    }
}
