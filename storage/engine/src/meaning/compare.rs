//! Comparisons, by the forms of what is compared.

use datafusion::{
    common::{Column, DFSchema},
    error::Result,
    logical_expr::{
        Between, BinaryExpr, Expr, Operator,
        expr::{InList, InSubquery, SetComparison, SetQuantifier},
    },
};

use super::{
    align,
    class::{Class, class_of, describe, literal_value, same_form, shape, shown},
    compare_bands::{self, Band},
    compare_pseudonyms, compare_years,
    expressions::{operation, refused},
};
use crate::shown::{Shape, shape_of};

/// `left op right`, where `op` compares.
pub(super) fn compared(left: Expr, op: Operator, right: Expr, schema: &DFSchema) -> Result<Expr> {
    match (shape(&left, schema), shape(&right, schema)) {
        (Shape::Band { width, whole }, other) => {
            compare_bands::compared(Band::new(width, whole), left, op, right, &other, schema)
        }
        (other, Shape::Band { width, whole }) => {
            compare_bands::compared(Band::new(width, whole), right, flipped(op), left, &other, schema)
        }
        (Shape::Pseudonym { .. }, _) | (_, Shape::Pseudonym { .. }) => {
            compare_pseudonyms::compared(left, op, right, schema)
        }
        (one @ Shape::Year(_), other @ Shape::Year(_)) => {
            compare_years::check((&left, &one), (&right, &other))?;
            Ok(operation(left, op, right))
        }
        (Shape::Year(years), _) => compare_years::compared(years, left, op, right, schema),
        (_, Shape::Year(years)) => compare_years::compared(years, right, flipped(op), left, schema),
        (Shape::Clear, Shape::Clear) => {
            let [left, right] = align::pair(left, right, &op.to_string(), schema)?;
            Ok(operation(left, op, right))
        }
    }
}

/// The comparison of the operands in the other order.
#[expect(clippy::wildcard_enum_match_arm, reason = "other comparisons are symmetric")]
const fn flipped(op: Operator) -> Operator {
    match op {
        Operator::Lt => Operator::Gt,
        Operator::LtEq => Operator::GtEq,
        Operator::Gt => Operator::Lt,
        Operator::GtEq => Operator::LtEq,
        other => other,
    }
}

/// `expr BETWEEN low AND high`: both bounds are compared, as if they were written alone.
pub(super) fn between(between: Between, schema: &DFSchema) -> Result<Expr> {
    let formed = [&between.expr, &between.low, &between.high]
        .into_iter()
        .any(|operand| shape(operand, schema) != Shape::Clear);
    let Between {
        expr,
        negated,
        low,
        high,
    } = between;
    if !formed {
        let operands = vec![*expr, *low, *high];
        let [expr, low, high] = align::exactly(operands, "BETWEEN", schema)?;
        return Ok(Expr::Between(Between::new(
            Box::new(expr),
            negated,
            Box::new(low),
            Box::new(high),
        )));
    }
    let above = compared(expr.as_ref().clone(), Operator::GtEq, *low, schema)?;
    let below = compared(*expr, Operator::LtEq, *high, schema)?;
    let within = compare_bands::both(above, below);
    Ok(if negated { Expr::Not(Box::new(within)) } else { within })
}

/// `expr IN (list)`.
pub(super) fn in_list(list: InList, schema: &DFSchema) -> Result<Expr> {
    let InList { expr, list, negated } = list;
    let mut operands = vec![*expr];
    operands.extend(list);
    let mut operands = equal(operands, "IN", schema)?.into_iter();
    let expr = operands.next().ok_or_else(|| refused("`IN` has an operand"))?;
    let list: Vec<Expr> = operands.collect();
    let mut constant = true;
    for item in &list {
        constant &= literal_value(item)?.is_some();
    }
    if constant {
        return Ok(Expr::InList(InList::new(Box::new(expr), list, negated)));
    }
    // The library takes `x IN (x)` for true, also where `x` is missing.
    let each = list.into_iter().map(|item| operation(expr.clone(), Operator::Eq, item));
    let any = each.reduce(Expr::or).ok_or_else(|| refused("`IN` has a list"))?;
    Ok(if negated { Expr::Not(Box::new(any)) } else { any })
}

/// Operands, the first of which is compared with each of the others for equality.
pub(super) fn equal(operands: Vec<Expr>, op: &str, schema: &DFSchema) -> Result<Vec<Expr>> {
    if operands.iter().all(|operand| shape(operand, schema) == Shape::Clear) {
        return align::aligned(operands, op, schema);
    }
    let mut operands = operands.into_iter();
    let Some(first) = operands.next() else {
        return Ok(Vec::new());
    };
    let mut all = vec![first];
    for other in operands {
        let Some(first) = all.first().cloned() else { break };
        let Expr::BinaryExpr(BinaryExpr { left, right, .. }) = compared(first.clone(), Operator::Eq, other, schema)?
        else {
            return Err(refused(format!(
                "`{}` cannot be compared with each of these",
                shown(&first)
            )));
        };
        // A form on the right is compared from its own side.
        all.push(if *left == first { *right } else { *left });
    }
    Ok(all)
}

/// `expr IN (SELECT …)`.
pub(super) fn in_subquery(query: InSubquery, schema: &DFSchema) -> Result<Expr> {
    same_as_column(&query.expr, &query.subquery.subquery, schema)?;
    Ok(Expr::InSubquery(query))
}

/// `expr = ANY (SELECT …)`, which is `IN`, and `expr <> ALL (SELECT …)`, which is `NOT IN`. The library confuses names of the two queries in
/// the others.
pub(super) fn set_comparison(query: SetComparison, schema: &DFSchema) -> Result<Expr> {
    let SetComparison {
        expr,
        subquery,
        op,
        quantifier,
    } = query;
    let negated = match (op, &quantifier) {
        (Operator::Eq, SetQuantifier::Any) => false,
        (Operator::NotEq, SetQuantifier::All) => true,
        _ => {
            return Err(refused(format!(
                "`{} {op} {quantifier} (SELECT …)` is not computed; compare with the `min` or `max` of the inner query",
                shown(&expr)
            )));
        }
    };
    in_subquery(InSubquery::new(expr, subquery, negated), schema)
}

/// Refuses an operand that is compared with the one column of a query of another class or form.
fn same_as_column(operand: &Expr, query: &datafusion::logical_expr::LogicalPlan, schema: &DFSchema) -> Result<()> {
    let Some(field) = query.schema().fields().first() else {
        return Ok(());
    };
    let (class, other) = (class_of(operand, schema)?, Class::of(field.data_type()));
    let same_class = class == other || class == Class::Null || other == Class::Null;
    let forms = (shape(operand, schema), shape_of(field));
    if same_class {
        if same_form(&forms.0, &forms.1) {
            return Ok(());
        }
        compare_years::check(
            (operand, &forms.0),
            (&Expr::from(Column::from_name(field.name())), &forms.1),
        )?;
    }
    Err(refused(format!(
        "`{}` is {}, and `{}` in the inner query is {}: they cannot be compared; write a `CAST` of one of them",
        shown(operand),
        describe(class, &forms.0),
        field.name(),
        describe(other, &forms.1),
    )))
}
