//! Which check each expression has.

use datafusion::{
    common::DFSchema,
    error::Result,
    logical_expr::{
        BinaryExpr, Expr, Operator,
        expr::{AggregateFunction, WindowFunction},
    },
};

use super::{arguments, arithmetic, cases, casts, compare, expressions::operation, operands, patterns};
use crate::floats::canonical_literal;

/// The same expression, checked; its operands are checked already.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "every other expression compares nothing and converts nothing"
)]
pub(super) fn expression(expression: Expr, schema: &DFSchema) -> Result<Expr> {
    match expression {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => binary(*left, op, *right, schema),
        Expr::Between(between) => compare::between(between, schema),
        Expr::InList(list) => compare::in_list(list, schema),
        Expr::InSubquery(query) => compare::in_subquery(query, schema),
        Expr::SetComparison(query) => compare::set_comparison(query, schema),
        Expr::Case(case) => cases::case(case, schema),
        Expr::Like(like) => patterns::like(like, schema).map(Expr::Like),
        Expr::SimilarTo(like) => patterns::similar_to(like, schema),
        Expr::Not(operand) => operands::boolean(&operand, "NOT", schema).map(|()| Expr::Not(operand)),
        Expr::IsTrue(operand) => operands::boolean(&operand, "IS TRUE", schema).map(|()| Expr::IsTrue(operand)),
        Expr::IsFalse(operand) => operands::boolean(&operand, "IS FALSE", schema).map(|()| Expr::IsFalse(operand)),
        Expr::IsNotTrue(operand) => {
            operands::boolean(&operand, "IS NOT TRUE", schema).map(|()| Expr::IsNotTrue(operand))
        }
        Expr::IsNotFalse(operand) => {
            operands::boolean(&operand, "IS NOT FALSE", schema).map(|()| Expr::IsNotFalse(operand))
        }
        Expr::Literal(value, metadata) => Ok(Expr::Literal(canonical_literal(value), metadata)),
        Expr::Negative(operand) => arithmetic::negative(operand, schema),
        Expr::Cast(cast) => casts::written(cast, schema).map(Expr::Cast),
        Expr::TryCast(cast) => casts::tried(cast, schema).map(Expr::TryCast),
        Expr::ScalarFunction(function) => arguments::scalar(function, schema),
        Expr::AggregateFunction(AggregateFunction { func, params }) => arguments::aggregate(func, params, schema),
        Expr::WindowFunction(function) => {
            let WindowFunction { fun, params } = *function;
            arguments::window(fun, params, schema)
        }
        other => Ok(other),
    }
}

/// A comparison, arithmetic, or another operator of two operands.
#[expect(clippy::wildcard_enum_match_arm, reason = "other operators are left to the library")]
pub(super) fn binary(left: Expr, op: Operator, right: Expr, schema: &DFSchema) -> Result<Expr> {
    match op {
        Operator::Eq
        | Operator::NotEq
        | Operator::Lt
        | Operator::LtEq
        | Operator::Gt
        | Operator::GtEq
        | Operator::IsDistinctFrom
        | Operator::IsNotDistinctFrom => compare::compared(left, op, right, schema),
        Operator::Plus | Operator::Minus | Operator::Multiply | Operator::Divide | Operator::Modulo => {
            arithmetic::arithmetic(left, op, right, schema)
        }
        Operator::And | Operator::Or => {
            operands::boolean(&left, &op.to_string(), schema)?;
            operands::boolean(&right, &op.to_string(), schema)?;
            Ok(operation(left, op, right))
        }
        Operator::RegexMatch | Operator::RegexIMatch | Operator::RegexNotMatch | Operator::RegexNotIMatch => {
            operands::text(&left, &op.to_string(), schema)?;
            operands::text(&right, &op.to_string(), schema)?;
            Ok(operation(left, op, right))
        }
        _ => Ok(operation(left, op, right)),
    }
}
