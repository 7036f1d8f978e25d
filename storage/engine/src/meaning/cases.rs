//! `CASE`.

use datafusion::{
    common::DFSchema,
    error::Result,
    logical_expr::{Case, Expr},
};

use super::{align, class::shape, compare, operands};
use crate::shown::Shape;

/// A `CASE` whose conditions and results have one class each.
pub(super) fn case(case: Case, schema: &DFSchema) -> Result<Expr> {
    let Case {
        expr,
        when_then_expr,
        else_expr,
    } = case;
    let (whens, thens): (Vec<Expr>, Vec<Expr>) = when_then_expr.into_iter().map(|(when, then)| (*when, *then)).unzip();
    let has_else = else_expr.is_some();
    let mut results = thens;
    results.extend(else_expr.map(|result| *result));
    let mut results = of_one_class(results, schema)?;
    let else_expr = if has_else { results.pop().map(Box::new) } else { None };
    let (expr, whens) = match expr {
        Some(operand) => {
            let mut operands = vec![*operand];
            operands.extend(whens);
            let mut operands = compare::equal(operands, "CASE", schema)?.into_iter();
            (operands.next().map(Box::new), operands.collect())
        }
        None => {
            for when in &whens {
                operands::boolean(when, "WHEN", schema)?;
            }
            (None, whens)
        }
    };
    let branches = whens.into_iter().zip(results);
    let branches = branches.map(|(when, then)| (Box::new(when), Box::new(then)));
    Ok(Expr::Case(Case::new(expr, branches.collect(), else_expr)))
}

/// Results, one of which is returned. A band or a pseudonym beside other text is text.
fn of_one_class(results: Vec<Expr>, schema: &DFSchema) -> Result<Vec<Expr>> {
    let is_text = |result: &Expr| matches!(shape(result, schema), Shape::Band { .. } | Shape::Pseudonym { .. });
    if results.iter().all(is_text) {
        return Ok(results);
    }
    align::aligned(results, "CASE", schema)
}
