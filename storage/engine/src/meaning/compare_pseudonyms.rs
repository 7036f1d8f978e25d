//! Comparisons of pseudonyms.

use datafusion::{
    common::DFSchema,
    error::Result,
    logical_expr::{Expr, Operator},
};

use super::{
    class::{Class, class_of, shape, shown, text_literal},
    expressions::{operation, refused},
};
use crate::shown::Shape;

/// Digits of a pseudonym.
const DIGITS: usize = 32;

/// A comparison with a pseudonym of this `origin` on one side or both.
pub(super) fn compared(left: Expr, op: Operator, right: Expr, schema: &DFSchema) -> Result<Expr> {
    check(&left, &right, schema)?;
    Ok(operation(left, op, right))
}

/// Refuses two operands, one of them a pseudonym, that are never equal.
pub(super) fn check(left: &Expr, right: &Expr, schema: &DFSchema) -> Result<()> {
    match (shape(left, schema), shape(right, schema)) {
        (Shape::Pseudonym { origin }, Shape::Pseudonym { origin: other }) if origin == other => Ok(()),
        (Shape::Pseudonym { .. }, Shape::Pseudonym { .. }) => Err(refused(format!(
            "`{}` and `{}` are pseudonyms of different columns or grants, which are never equal",
            shown(left),
            shown(right)
        ))),
        (Shape::Pseudonym { .. }, _) => check_with(left, right, schema),
        (_, Shape::Pseudonym { .. }) => check_with(right, left, schema),
        (Shape::Clear | Shape::Band { .. } | Shape::Year { .. }, _) => Ok(()),
    }
}

fn check_with(column: &Expr, other: &Expr, schema: &DFSchema) -> Result<()> {
    if class_of(other, schema)? == Class::Null || text_literal(other).is_some_and(is_pseudonym) {
        return Ok(());
    }
    Err(refused(format!(
        "`{0}` is shown as a pseudonym, which is never equal to `{1}`; compare it with a pseudonym of the same column, a text of \
         {DIGITS} hexadecimal digits",
        shown(column),
        shown(other)
    )))
}

fn is_pseudonym(text: &str) -> bool {
    text.len() == DIGITS && text.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
}
