//! From a checked statement to a plan in which no value can raise an error.

use concordat_protocol::ids::DatasetRef;
use datafusion::{
    common::{
        ExprSchema,
        tree_node::{Transformed, TreeNode},
    },
    error::Result,
    execution::context::SessionState,
    logical_expr::{BinaryExpr, Expr, LogicalPlan, Operator, TryCast, expr_rewriter::NamePreserver, lit},
    sql::{parser, sqlparser::ast::Statement},
};

use super::{
    QueryError,
    calculation::{arithmetic, converted, negated},
};

/// The analyzed plan of `statement`, made infallible by [`infallible`].
///
/// # Errors
/// [`QueryError::Invalid`] or [`QueryError::UnknownColumn`] if the statement is not valid for the table.
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
    infallible(plan).map_err(refused)
}

/// Replaces what can fail on a value by what returns NULL: otherwise `1 / (age - 47)` would reveal whether anyone is 47.
/// No operand is repeated, so the plan does not grow.
fn infallible(plan: LogicalPlan) -> Result<LogicalPlan> {
    let plan = plan.transform_up(|node| {
        let names = NamePreserver::new(&node);
        let mut schema = datafusion::common::DFSchema::empty();
        for input in node.inputs() {
            schema.merge(input.schema());
        }
        node.map_expressions(|expression| {
            let name = names.save(&expression);
            let infallible = expression.transform_up(|inner| infallible_expression(inner, &schema))?;
            Ok(infallible.update_data(|expression| name.restore(expression)))
        })?
        .map_data(LogicalPlan::recompute_schema)
    })?;
    Ok(plan.data)
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "every other expression is left as it is; below tier `records`, only listed ones are admitted"
)]
fn infallible_expression(expression: Expr, schema: &dyn ExprSchema) -> Result<Transformed<Expr>> {
    match expression {
        Expr::Cast(cast) => match cast.expr.as_ref() {
            // Whether a literal can be cast does not depend on any row, so this error is reported immediately.
            Expr::Literal(value, _) => Ok(Transformed::yes(lit(value.cast_to(cast.field.data_type())?))),
            _ => converted(*cast.expr, cast.field.data_type(), schema).map(Transformed::yes),
        },
        Expr::TryCast(TryCast { expr, field }) => converted(*expr, field.data_type(), schema).map(Transformed::yes),
        Expr::Negative(operand) => negated(*operand, schema).map(Transformed::yes),
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: op @ (Operator::Plus | Operator::Minus | Operator::Multiply | Operator::Divide | Operator::Modulo),
            right,
        }) => arithmetic(*left, op, *right, schema).map(Transformed::yes),
        other => Ok(Transformed::no(other)),
    }
}
