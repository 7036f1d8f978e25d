//! Numbers of different types, compared and combined without changing any of them.
//!
//! There is no type for the values of both a `BIGINT` and a `DOUBLE`. The library converts to `DOUBLE`, in which 100000000000000992 and
//! 100000000000000993 are one number. Here, before the library converts anything:
//!
//! 1. Where both are compared, and the conversion might change a number, they are compared by their positions among all numbers
//!    ([`positions`](crate::positions)).
//! 2. Where both become one column, each whole number is converted only if it stays the same; otherwise the answer ends with an error.
//! 3. A decimal with digits after the point is the nearest `DOUBLE` beside one, since few decimals are a `DOUBLE`.
//! 4. Decimals that have more digits together than a `DECIMAL` are compared with as many as there are, and are not one column.
//!
//! This is done by [`executable`](crate::executable()), not by [`meaning`](crate::meaning()): the text that is sent to a provider has the
//! comparison as it was written, and the provider does the same.

mod number;

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::{
    common::DFSchema,
    error::Result,
    logical_expr::{
        Between, BinaryExpr, Case, Expr, Join, LogicalPlan, LogicalPlanBuilder, Operator, Projection, Union,
        expr::{InList, InSubquery, ScalarFunction},
    },
};

use super::{
    calculation,
    cast_rule::Casts,
    meaning::{refused, shown},
    types::MAX_DIGITS,
};
use number::{Comparison, Kind, Number, too_many_digits, tried};

/// The same expression, in which numbers of different types are compared as they are, and become one column as they are.
///
/// # Errors
/// [`QueryError::Invalid`](crate::QueryError::Invalid) below tier `records` if an error for a number that has no `DOUBLE` would reveal it.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "other expressions neither compare nor return one of several operands"
)]
pub(super) fn expression(expression: Expr, casts: Casts, schema: &DFSchema) -> Result<Expr> {
    match expression {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if is_comparison(op) => {
            let [left, right] = exactly([*left, *right], schema)?;
            Ok(Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right))))
        }
        Expr::Between(Between {
            expr,
            negated,
            low,
            high,
        }) => {
            let [expr, low, high] = exactly([*expr, *low, *high], schema)?;
            let (low, high) = (Box::new(low), Box::new(high));
            Ok(Expr::Between(Between::new(Box::new(expr), negated, low, high)))
        }
        Expr::InList(InList { expr, list, negated }) => {
            let (expr, list) = first_and_rest(*expr, list, schema)?;
            Ok(Expr::InList(InList::new(Box::new(expr), list, negated)))
        }
        Expr::InSubquery(query) => in_subquery(query, schema),
        Expr::Case(written) => case(written, casts, schema),
        Expr::ScalarFunction(ScalarFunction { func, args }) => {
            let args = match func.name() {
                "coalesce" | "nvl" | "nullif" | "greatest" | "least" => one_column(args, casts, schema)?,
                "nvl2" => {
                    let mut args = args.into_iter();
                    let condition = args.next();
                    condition
                        .into_iter()
                        .chain(one_column(args.collect(), casts, schema)?)
                        .collect()
                }
                _ => args,
            };
            Ok(Expr::ScalarFunction(ScalarFunction::new_udf(func, args)))
        }
        other => Ok(other),
    }
}

/// Whether the operator compares two values.
pub const fn is_comparison(op: Operator) -> bool {
    matches!(
        op,
        Operator::Eq
            | Operator::NotEq
            | Operator::Lt
            | Operator::LtEq
            | Operator::Gt
            | Operator::GtEq
            | Operator::IsDistinctFrom
            | Operator::IsNotDistinctFrom
    )
}

/// The same node, in which numbers of different types are compared as they are, and become one column as they are. Its expressions are
/// changed by [`expression`].
///
/// # Errors
/// As [`expression`].
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "other nodes compare only in their expressions"
)]
pub(super) fn node(node: LogicalPlan, casts: Casts) -> Result<LogicalPlan> {
    match node {
        LogicalPlan::Join(join) => keys(join).map(LogicalPlan::Join),
        LogicalPlan::Union(union) => inputs(union, casts).map(LogicalPlan::Union),
        other => Ok(other),
    }
}

/// Operands that are compared with each other.
fn compared(operands: Vec<Expr>, schema: &DFSchema) -> Result<Vec<Expr>> {
    let numbers: Result<Vec<Number>> = operands.iter().map(|operand| Number::of(operand, schema)).collect();
    let numbers = numbers?;
    let comparison = Comparison::of(&numbers);
    let operands = operands.into_iter().zip(&numbers);
    Ok(operands
        .map(|(operand, number)| comparison.operand(operand, number))
        .collect())
}

fn exactly<const N: usize>(operands: [Expr; N], schema: &DFSchema) -> Result<[Expr; N]> {
    let compared = compared(Vec::from(operands), schema)?;
    <[Expr; N]>::try_from(compared).map_err(|_| refused("a comparison has another number of operands"))
}

/// An operand, and those that it is compared with.
fn first_and_rest(first: Expr, rest: Vec<Expr>, schema: &DFSchema) -> Result<(Expr, Vec<Expr>)> {
    let mut operands = vec![first];
    operands.extend(rest);
    let mut compared = compared(operands, schema)?.into_iter();
    let first = compared.next().ok_or_else(|| refused("a comparison has an operand"))?;
    Ok((first, compared.collect()))
}

fn in_subquery(query: InSubquery, schema: &DFSchema) -> Result<Expr> {
    let inner = Arc::clone(query.subquery.subquery.schema());
    let Some((qualifier, field)) = inner.iter().next() else {
        return Ok(Expr::InSubquery(query));
    };
    let column = Number::of_type(field.data_type().clone());
    let numbers = [Number::of(&query.expr, schema)?, column];
    let comparison = Comparison::of(&numbers);
    if comparison == Comparison::OfLibrary {
        return Ok(Expr::InSubquery(query));
    }
    let [operand, column] = &numbers;
    let InSubquery {
        expr,
        subquery,
        negated,
    } = query;
    let compared = comparison.operand(Expr::from((qualifier, field)), column);
    let plan = Projection::try_new(vec![compared], Arc::clone(&subquery.subquery))?;
    let subquery = subquery.with_plan(Arc::new(LogicalPlan::Projection(plan)));
    let expr = Box::new(comparison.operand(*expr, operand));
    Ok(Expr::InSubquery(InSubquery::new(expr, subquery, negated)))
}

fn case(case: Case, casts: Casts, schema: &DFSchema) -> Result<Expr> {
    let Case {
        expr,
        when_then_expr,
        else_expr,
    } = case;
    let (whens, mut results): (Vec<Expr>, Vec<Expr>) =
        when_then_expr.into_iter().map(|(when, then)| (*when, *then)).unzip();
    let has_else = else_expr.is_some();
    results.extend(else_expr.map(|result| *result));
    let mut results = one_column(results, casts, schema)?;
    let else_expr = if has_else { results.pop().map(Box::new) } else { None };
    let (expr, whens) = match expr {
        Some(operand) => {
            let (operand, whens) = first_and_rest(*operand, whens, schema)?;
            (Some(Box::new(operand)), whens)
        }
        None => (None, whens),
    };
    let branches = whens.into_iter().zip(results);
    let branches = branches.map(|(when, then)| (Box::new(when), Box::new(then)));
    Ok(Expr::Case(Case::new(expr, branches.collect(), else_expr)))
}

/// The keys of a join.
fn keys(mut join: Join) -> Result<Join> {
    let pairs = std::mem::take(&mut join.on).into_iter();
    let compared = pairs.map(|(left, right)| {
        let [one, other] = [
            Number::of(&left, join.left.schema().as_ref())?,
            Number::of(&right, join.right.schema().as_ref())?,
        ];
        let comparison = Comparison::of(&[one.clone(), other.clone()]);
        Ok((comparison.operand(left, &one), comparison.operand(right, &other)))
    });
    let compared: Vec<(Expr, Expr)> = compared.collect::<Result<_>>()?;
    join.on = compared;
    Ok(join)
}

/// Operands of which one is the result.
fn one_column(operands: Vec<Expr>, casts: Casts, schema: &DFSchema) -> Result<Vec<Expr>> {
    let numbers: Result<Vec<Number>> = operands.iter().map(|operand| Number::of(operand, schema)).collect();
    let numbers = numbers?;
    if !become_doubles(&numbers)? {
        return Ok(operands);
    }
    let operands = operands.into_iter().zip(&numbers);
    operands
        .map(|(operand, number)| double(operand, number, casts))
        .collect()
}

/// Whether numbers of these types are one column of `DOUBLE`, and not all of the operands are.
fn become_doubles(numbers: &[Number]) -> Result<bool> {
    let float = numbers.iter().any(Number::is_float);
    if !float && too_many_digits(numbers) {
        return Err(refused(format!(
            "numbers in one column have more than {MAX_DIGITS} digits together; write a `CAST` of them to one `DECIMAL`"
        )));
    }
    let others = numbers
        .iter()
        .any(|number| !number.is_float() && number.kind != Kind::Other);
    Ok(float && others)
}

/// A number in a column of `DOUBLE`.
fn double(operand: Expr, number: &Number, casts: Casts) -> Result<Expr> {
    match (number.kind, casts) {
        (Kind::Whole, Casts::Strict) => Ok(calculation::as_double(operand)),
        (Kind::Whole, Casts::Refused) => Err(refused(format!(
            "`{0}` is a whole number, and in one column with floating point numbers it may not stay the same; write \
             `CAST({0} AS DOUBLE)` for the nearest one",
            shown(&operand)
        ))),
        (Kind::Small | Kind::Decimal | Kind::Float | Kind::PlainFloat, _) if number.is_to_be_double() => {
            Ok(tried(operand, DataType::Float64))
        }
        (Kind::Small | Kind::Decimal | Kind::Float | Kind::PlainFloat | Kind::Other, _) => Ok(operand),
    }
}

/// The inputs of a set operation, with columns that the library combines without changing a number.
fn inputs(union: Union, casts: Casts) -> Result<Union> {
    let inputs = union.inputs.iter().map(|input| in_union(input, &union.inputs, casts));
    let inputs: Vec<Arc<LogicalPlan>> = inputs.collect::<Result<_>>()?;
    Ok(Union { inputs, ..union })
}

fn in_union(plan: &Arc<LogicalPlan>, inputs: &[Arc<LogicalPlan>], casts: Casts) -> Result<Arc<LogicalPlan>> {
    let mut changed = false;
    let columns = plan.schema().iter().enumerate().map(|(at, (qualifier, field))| {
        let column = Expr::from((qualifier, field));
        let types = inputs.iter().filter_map(|input| input.schema().fields().get(at));
        let together: Vec<Number> = types.map(|field| Number::of_type(field.data_type().clone())).collect();
        if !become_doubles(&together)? {
            return Ok(column);
        }
        changed = true;
        let number = Number::of_type(field.data_type().clone());
        let double = double(column, &number, casts)?;
        Ok(double.alias_qualified(qualifier.cloned(), field.name()))
    });
    let columns: Vec<Expr> = columns.collect::<Result<_>>()?;
    if !changed {
        return Ok(Arc::clone(plan));
    }
    let projected = LogicalPlanBuilder::from(plan.as_ref().clone()).project(columns)?;
    projected.build().map(Arc::new)
}

#[cfg(test)]
mod tests;
