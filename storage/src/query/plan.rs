//! From a checked statement to a plan in which no value can raise an error.

use arrow::datatypes::DataType;
use concordat_protocol::ids::DatasetRef;
use datafusion::{
    common::{
        ExprSchema,
        tree_node::{Transformed, TreeNode},
    },
    error::Result,
    execution::context::SessionState,
    logical_expr::{
        BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator, TryCast, expr_rewriter::NamePreserver, lit, when,
    },
    scalar::ScalarValue,
    sql::{parser, sqlparser::ast::Statement},
};

use super::QueryError;

/// The analysed plan of `statement`, made total by [`total`].
///
/// # Errors
/// [`QueryError::Invalid`] or [`QueryError::UnknownColumn`] when the statement does not fit the table.
pub(super) async fn planned(
    state: &SessionState,
    statement: Statement,
    dataset: &DatasetRef,
) -> Result<LogicalPlan, QueryError> {
    let statement = parser::Statement::Statement(Box::new(statement));
    let refused = |error| QueryError::planning(&error, dataset);
    let plan = state.statement_to_plan(statement).await.map_err(refused)?;
    let plan = state
        .analyzer()
        .execute_and_check(plan, state.config_options(), |_, _| {})
        .map_err(refused)?;
    total(plan).map_err(refused)
}

/// Replaces what can fail on a value: a cast becomes one that gives NULL, a divisor of zero becomes NULL. Otherwise
/// `1 / (age - 47)` would tell whether anybody is 47.
fn total(plan: LogicalPlan) -> Result<LogicalPlan> {
    let plan = plan.transform_up(|node| {
        let names = NamePreserver::new(&node);
        let mut schema = datafusion::common::DFSchema::empty();
        for input in node.inputs() {
            schema.merge(input.schema());
        }
        node.map_expressions(|expression| {
            let name = names.save(&expression);
            let total = expression.transform_up(|inner| total_expression(inner, &schema))?;
            Ok(total.update_data(|expression| name.restore(expression)))
        })?
        .map_data(LogicalPlan::recompute_schema)
    })?;
    Ok(plan.data)
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "every other expression is total; other types have no least number without opposite"
)]
fn total_expression(expression: Expr, schema: &dyn ExprSchema) -> Result<Transformed<Expr>> {
    match expression {
        Expr::Cast(cast) => match cast.expr.as_ref() {
            // Whether a literal can be cast does not depend on any row, so that is told at once.
            Expr::Literal(value, _) => Ok(Transformed::yes(lit(value.cast_to(cast.field.data_type())?))),
            _ => Ok(Transformed::yes(Expr::TryCast(TryCast {
                expr: cast.expr,
                field: cast.field,
            }))),
        },
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: op @ (Operator::Divide | Operator::Modulo),
            right,
        }) => {
            let divisor = right.get_type(schema)?;
            let right = if divisor.is_integer() || divisor.is_decimal() {
                Box::new(divisible(&left, *right, &left.get_type(schema)?, &divisor)?)
            } else {
                right
            };
            Ok(Transformed::yes(Expr::BinaryExpr(BinaryExpr { left, op, right })))
        }
        other => Ok(Transformed::no(other)),
    }
}

/// The divisor, or NULL where the quotient has no value: by zero, and by -1 for the least number, which has no opposite.
fn divisible(dividend: &Expr, divisor: Expr, dividends: &DataType, divisors: &DataType) -> Result<Expr> {
    let null = lit(ScalarValue::try_from(divisors)?);
    let mut cases = when(divisor.clone().eq(lit(ScalarValue::new_zero(divisors)?)), null.clone());
    if let (Some(least), Ok(minus_one)) = (least(dividends), ScalarValue::new_negative_one(divisors)) {
        let overflows = divisor.clone().eq(lit(minus_one)).and(dividend.clone().eq(lit(least)));
        cases = cases.when(overflows, null);
    }
    cases.otherwise(divisor)
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "every other expression is total; other types have no least number without opposite"
)]
const fn least(data_type: &DataType) -> Option<ScalarValue> {
    match data_type {
        DataType::Int8 => Some(ScalarValue::Int8(Some(i8::MIN))),
        DataType::Int16 => Some(ScalarValue::Int16(Some(i16::MIN))),
        DataType::Int32 => Some(ScalarValue::Int32(Some(i32::MIN))),
        DataType::Int64 => Some(ScalarValue::Int64(Some(i64::MIN))),
        _ => None,
    }
}
