//! Operands that must be of one class.

use datafusion::{common::DFSchema, error::Result, logical_expr::Expr};

use super::{
    class::{Class, class_of, describe, shape, shown},
    expressions::refused,
};
use crate::shown::Shape;

/// Refuses an operand of a comparison of text that is not one.
pub(super) fn text(operand: &Expr, op: &str, schema: &DFSchema) -> Result<()> {
    let class = class_of(operand, schema)?;
    if let form @ Shape::Pseudonym { .. } = shape(operand, schema) {
        return Err(refused(format!(
            "`{}` is {}, in which `{op}` finds nothing",
            shown(operand),
            describe(class, &form)
        )));
    }
    if matches!(class, Class::Text | Class::Null) {
        return Ok(());
    }
    Err(refused(format!(
        "`{0}` is {1}, and `{op}` compares text; write `CAST({0} AS TEXT) {op} …`",
        shown(operand),
        describe(class, &shape(operand, schema))
    )))
}

/// Refuses an operand of logic that is not true or false.
pub(super) fn boolean(operand: &Expr, op: &str, schema: &DFSchema) -> Result<()> {
    let class = class_of(operand, schema)?;
    if matches!(class, Class::Boolean | Class::Null) {
        return Ok(());
    }
    Err(refused(format!(
        "`{0}` is {1}, and `{op}` needs a condition; write a comparison, as in `{0} = …`",
        shown(operand),
        describe(class, &shape(operand, schema))
    )))
}
