//! Constants of a query as values of the rules.

use chrono::{Datelike as _, NaiveDate};
use concordat_protocol::scope::{Finite, Value};
use datafusion::{arrow::datatypes::DataType, logical_expr::Expr, scalar::ScalarValue};

use super::{
    columns::unaliased,
    state::{Result, refused},
};
use crate::statistic::forms::Form;

/// Whole numbers up to this one are numbers without loss.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The constant that an expression is; `None` for another expression.
///
/// # Errors
/// [`Form::NullLiteral`] for NULL, [`Form::Literal`] for a constant of another kind.
#[expect(clippy::wildcard_enum_match_arm, reason = "other expressions are not constants")]
pub(super) fn constant(expression: &Expr) -> Result<Option<Value>> {
    match unaliased(expression) {
        Expr::Literal(literal, _) => value(literal).map(Some),
        Expr::Negative(inner) => match constant(inner)? {
            Some(Value::Int(number)) => Ok(Some(Value::Int(number.saturating_neg()))),
            Some(Value::Float(number)) => float(-number.get()).map(Some),
            Some(Value::Bool(_) | Value::Text(_) | Value::Date(_)) => Err(refused(Form::Literal)),
            None => Ok(None),
        },
        Expr::Cast(cast) => match (constant(&cast.expr)?, cast.field.data_type()) {
            (Some(Value::Text(text)), DataType::Date32) => {
                let date: NaiveDate = text.parse().map_err(|_| refused(Form::Literal))?;
                Ok(Some(Value::Date(date.to_epoch_days())))
            }
            (Some(value @ Value::Date(_)), DataType::Date32)
            | (Some(value @ Value::Int(_)), DataType::Int32 | DataType::Int64)
            | (Some(value @ Value::Text(_)), DataType::Utf8) => Ok(Some(value)),
            (Some(Value::Int(number)), DataType::Float64) => float(as_float(number)?).map(Some),
            (Some(value @ Value::Float(_)), DataType::Float64) => Ok(Some(value)),
            (Some(_), _) => Err(refused(Form::Literal)),
            (None, _) => Ok(None),
        },
        _ => Ok(None),
    }
}

/// The label that a result of `CASE` is; the outer `None` for another expression, the inner one for NULL.
#[expect(clippy::wildcard_enum_match_arm, reason = "other expressions are not constants")]
pub(super) fn label(expression: &Expr) -> Result<Option<Option<Value>>> {
    match unaliased(expression) {
        Expr::Literal(literal, _) if literal.is_null() => Ok(Some(None)),
        other => Ok(constant(other)?.map(Some)),
    }
}

/// A number that is whole, as a whole one.
pub(super) fn number(number: f64) -> Result<Value> {
    if number.fract() == 0.0 {
        whole(number).map(Value::Int)
    } else {
        float(number)
    }
}

/// A whole number of at most 2 to the power of 53.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the number is whole and at most 2 to the power of 53"
)]
pub(super) fn whole(number: f64) -> Result<i64> {
    if number.fract() == 0.0 && number.abs() <= EXACT {
        Ok(number as i64)
    } else {
        Err(refused(Form::Literal))
    }
}

/// A whole number as a number, if that is exact.
#[expect(
    clippy::cast_precision_loss,
    reason = "the result is compared with the bound of exact numbers"
)]
pub(super) fn as_float(number: i64) -> Result<f64> {
    let found = number as f64;
    if found.abs() <= EXACT {
        Ok(found)
    } else {
        Err(refused(Form::Literal))
    }
}

/// The first day of a month, counted from 1970-01-01; months beyond the twelfth are in later years.
pub(super) fn first_of_month(year: i64, month0: i64) -> Option<i32> {
    let year = year.checked_add(month0.div_euclid(12))?;
    let month = u32::try_from(month0.rem_euclid(12)).ok()?.checked_add(1)?;
    let date = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, 1)?;
    Some(date.to_epoch_days())
}

/// The year of a day.
pub(super) fn year_of(day: i32) -> Option<i64> {
    NaiveDate::from_epoch_days(day).map(|date| i64::from(date.year()))
}

fn float(number: f64) -> Result<Value> {
    Finite::new(number)
        .map(Value::Float)
        .map_err(|_| refused(Form::Literal))
}

#[expect(clippy::wildcard_enum_match_arm, reason = "constants of other kinds are refused")]
fn value(literal: &ScalarValue) -> Result<Value> {
    if literal.is_null() {
        return Err(refused(Form::NullLiteral));
    }
    match literal {
        ScalarValue::Boolean(Some(truth)) => Ok(Value::Bool(*truth)),
        ScalarValue::Int64(Some(number)) => Ok(Value::Int(*number)),
        ScalarValue::Int32(Some(number)) => Ok(Value::Int(i64::from(*number))),
        ScalarValue::UInt64(Some(number)) => i64::try_from(*number)
            .map(Value::Int)
            .map_err(|_| refused(Form::Literal)),
        ScalarValue::Float64(Some(number)) => float(*number),
        ScalarValue::Utf8(Some(text)) => Ok(Value::Text(text.clone())),
        ScalarValue::Date32(Some(day)) => Ok(Value::Date(*day)),
        _ => Err(refused(Form::Literal)),
    }
}
