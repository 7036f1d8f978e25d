//! Prevents errors about single rows.
//!
//! Below tier `records` rows are not visible, but an error can reveal as much as an answer: `WHERE abs(CASE WHEN age =
//! 47 THEN least number END) > 0` fails if someone is 47. So what is computed from rows, which is conditions, groups and
//! the operands of aggregates, consists of what is listed here: operators, casts and functions that return a value or
//! NULL for every input, by the types of their operands. Casts and arithmetic that fail on some values were replaced
//! before ([`calculation`](crate::calculation)). Above the grouping everything may be used, since it only sees
//! released cells.

use datafusion::{
    arrow::datatypes::DataType,
    common::{DFSchema, tree_node::TreeNode},
    logical_expr::{Aggregate, BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator, expr::AggregateFunction},
};

use crate::{
    QueryError,
    calculation::{is_calculation, is_total_cast},
    functions::is_infallible,
};

/// Maximum length of the name of what is refused, in characters.
const MAX_NAME: usize = 120;
/// Refuses what is not known to have a value or NULL for every row.
///
/// # Errors
/// [`QueryError::Function`] or [`QueryError::Fallible`] for the first one.
pub(super) fn check(grouping: &Aggregate) -> Result<(), QueryError> {
    let below = grouping.input.schema();
    for group in &grouping.group_expr {
        check_expression(group, below)?;
    }
    for measure in &grouping.aggr_expr {
        check_operands(measure, below)?;
    }
    check_conditions(&grouping.input)
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "an expression that is not listed is refused when its column is determined"
)]
fn check_operands(measure: &Expr, schema: &DFSchema) -> Result<(), QueryError> {
    match measure {
        Expr::Alias(alias) => check_operands(&alias.expr, schema),
        Expr::AggregateFunction(AggregateFunction { params, .. }) => params
            .args
            .iter()
            .try_for_each(|operand| check_expression(operand, schema)),
        _ => Ok(()),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the plan is known to be a chain")]
fn check_conditions(plan: &LogicalPlan) -> Result<(), QueryError> {
    match plan {
        LogicalPlan::Filter(filter) => {
            check_expression(&filter.predicate, filter.input.schema())?;
            check_conditions(&filter.input)
        }
        LogicalPlan::SubqueryAlias(alias) => check_conditions(&alias.input),
        _ => Ok(()),
    }
}

fn check_expression(expression: &Expr, schema: &DFSchema) -> Result<(), QueryError> {
    let mut refused = None;
    // The visitor cannot fail.
    let _ = expression.exists(|inner| {
        refused = refusal(inner, schema);
        Ok(refused.is_some())
    });
    refused.map_or(Ok(()), Err)
}

/// The error for an expression that may fail on a value; its operands are checked separately.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "an expression that is not listed is refused"
)]
fn refusal(expression: &Expr, schema: &DFSchema) -> Option<QueryError> {
    let type_of = |operand: &Expr| operand.get_type(schema).unwrap_or(DataType::Null);
    let total = match expression {
        Expr::Alias(_) | Expr::Column(_) | Expr::Literal(..) | Expr::Case(_) => true,
        Expr::Not(_) | Expr::IsNull(_) | Expr::IsNotNull(_) | Expr::Between(_) | Expr::InList(_) => true,
        Expr::IsTrue(_) | Expr::IsFalse(_) | Expr::IsUnknown(_) => true,
        Expr::IsNotTrue(_) | Expr::IsNotFalse(_) | Expr::IsNotUnknown(_) => true,
        Expr::Like(_) => true,
        Expr::BinaryExpr(BinaryExpr { op, .. }) => is_total_operator(*op),
        Expr::TryCast(cast) => is_total_cast(&type_of(&cast.expr), cast.field.data_type()),
        Expr::ScalarFunction(function) => {
            let types: Vec<DataType> = function.args.iter().map(type_of).collect();
            let total = is_calculation(function) || is_infallible(function, &types);
            let name = function.func.name().to_owned();
            return (!total).then_some(QueryError::Function { name });
        }
        _ => false,
    };
    (!total).then(|| QueryError::Fallible {
        what: expression.to_string().chars().take(MAX_NAME).collect(),
    })
}

/// Comparisons, logic and `||`.
const fn is_total_operator(op: Operator) -> bool {
    matches!(
        op,
        Operator::Eq
            | Operator::NotEq
            | Operator::Lt
            | Operator::LtEq
            | Operator::Gt
            | Operator::GtEq
            | Operator::And
            | Operator::Or
            | Operator::IsDistinctFrom
            | Operator::IsNotDistinctFrom
            | Operator::StringConcat
    )
}
