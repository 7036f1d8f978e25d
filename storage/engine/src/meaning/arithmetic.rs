//! Operands of arithmetic.

use datafusion::{
    common::DFSchema,
    error::{DataFusionError, Result},
    logical_expr::{Expr, ExprSchemable, Operator, lit},
};

use super::{
    align::{self, coarser},
    class::{Class, class_of, describe, shape, shown, text_literal},
    expressions::{operation, refused},
    literals,
};
use crate::{error::unread_texts, floats::canonical_literal, shown::Shape};

/// `left op right`, where `op` computes.
pub(super) fn arithmetic(left: Expr, op: Operator, right: Expr, schema: &DFSchema) -> Result<Expr> {
    for operand in [&left, &right] {
        if !matches!(shape(operand, schema), Shape::Clear | Shape::Year { .. }) {
            return Err(not_a_number(operand, op, schema));
        }
    }
    let left = read(left, &right, schema)?;
    let right = read(right, &left, schema)?;
    let classes = (class_of(&left, schema)?, class_of(&right, schema)?);
    if !is_defined(classes.0, op, classes.1) {
        let text = [(&left, classes.0), (&right, classes.1)]
            .into_iter()
            .find(|(_, class)| *class == Class::Text);
        return Err(match text {
            Some((operand, _)) => refused(format!(
                "`{0}` is text; write `TRY_CAST({0} AS DOUBLE)` to compute with it{1}",
                shown(operand),
                unread_texts(&shown(operand), "a number", "DOUBLE")
            )),
            None => refused(format!(
                "`{}` is {}, and `{}` is {}: there is no `{op}` of them",
                shown(&left),
                describe(classes.0, &shape(&left, schema)),
                shown(&right),
                describe(classes.1, &shape(&right, schema))
            )),
        });
    }
    let [left, right] = converted(left, classes, right, schema)?;
    Ok(operation(left, op, right))
}

/// `- operand`.
pub(super) fn negative(operand: Box<Expr>, schema: &DFSchema) -> Result<Expr> {
    let class = class_of(&operand, schema)?;
    let formed = !matches!(shape(&operand, schema), Shape::Clear | Shape::Year { .. });
    if formed || !matches!(class, Class::Number | Class::Interval | Class::Null) {
        return Err(not_a_number(&operand, Operator::Minus, schema));
    }
    // `- -2.5` would begin a comment where it becomes SQL again.
    if let Expr::Literal(value, None) = operand.as_ref()
        && let Ok(negative) = value.arithmetic_negate()
    {
        return Ok(lit(canonical_literal(negative)));
    }
    Ok(Expr::Negative(operand))
}

/// A text that the query wrote beside a number is one.
fn read(operand: Expr, other: &Expr, schema: &DFSchema) -> Result<Expr> {
    let Some(text) = text_literal(&operand) else {
        return Ok(operand);
    };
    if text_literal(other).is_some() || class_of(other, schema)? != Class::Number {
        return Ok(operand);
    }
    match literals::read(text, Class::Number, false) {
        Some(value) => Ok(lit(value)),
        None => Err(refused(format!(
            "the text is not a number, and `{}` is one",
            shown(other)
        ))),
    }
}

/// Whether values of these classes can be combined.
const fn is_defined(left: Class, op: Operator, right: Class) -> bool {
    match (left, right) {
        (Class::Null | Class::Other, _) | (_, Class::Null | Class::Other) => true,
        (Class::Number, Class::Number) => true,
        (Class::Date | Class::Timestamp | Class::Instant | Class::Time | Class::Interval, Class::Interval) => {
            matches!(op, Operator::Plus | Operator::Minus)
        }
        (Class::Interval, Class::Date | Class::Timestamp | Class::Instant | Class::Time) => {
            matches!(op, Operator::Plus)
        }
        (Class::Interval, Class::Number) => matches!(op, Operator::Multiply | Operator::Divide),
        (Class::Number, Class::Interval) => matches!(op, Operator::Multiply),
        // Days are added to a date; the difference of dates is in days.
        (Class::Date, Class::Number) => matches!(op, Operator::Plus | Operator::Minus),
        (Class::Number, Class::Date) => matches!(op, Operator::Plus),
        (Class::Date | Class::Timestamp, Class::Date | Class::Timestamp) | (Class::Instant, Class::Instant) => {
            matches!(op, Operator::Minus)
        }
        _ => false,
    }
}

/// The operands in types that the library combines without losing a value.
fn converted(left: Expr, classes: (Class, Class), right: Expr, schema: &DFSchema) -> Result<[Expr; 2]> {
    match classes {
        (Class::Number, Class::Number) => {
            let operands = align::numbers(vec![left, right], schema)?;
            <[Expr; 2]>::try_from(operands).map_err(|_| refused("arithmetic has two operands"))
        }
        (Class::Date, Class::Number) if !right.get_type(schema)?.is_integer() => Err(days(&right)),
        (Class::Number, Class::Date) if !left.get_type(schema)?.is_integer() => Err(days(&left)),
        (Class::Date, Class::Timestamp) | (Class::Timestamp, Class::Date | Class::Timestamp) => {
            align::pair(left, right, "-", schema)
        }
        _ => {
            let types = (left.get_type(schema)?, right.get_type(schema)?);
            Ok([coarser(left, &types.0), coarser(right, &types.1)])
        }
    }
}

fn days(operand: &Expr) -> DataFusionError {
    refused(format!(
        "`{0}` is not a whole number of days; write `CAST({0} AS BIGINT)`",
        shown(operand)
    ))
}

/// The error for an operand that is not a number, although the stored one may be.
fn not_a_number(operand: &Expr, op: Operator, schema: &DFSchema) -> DataFusionError {
    let class = class_of(operand, schema).unwrap_or(Class::Other);
    let form = shape(operand, schema);
    let column = shown(operand);
    let advice = match form {
        Shape::Band { .. } => format!("; group by it, or compare it, as in `{column} >= 50`"),
        Shape::Clear | Shape::Year { .. } | Shape::Pseudonym { .. } => String::new(),
    };
    refused(format!(
        "`{column}` is {}, and `{op}` needs a number{advice}",
        describe(class, &form)
    ))
}
