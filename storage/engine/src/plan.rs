//! From a checked statement to a plan in which no value can raise an error.

use concordat_protocol::ids::DatasetRef;
use datafusion::{
    common::{
        ExprSchema,
        tree_node::{Transformed, TreeNode},
    },
    error::Result,
    execution::context::SessionState,
    logical_expr::{
        BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator, TryCast, expr_rewriter::NamePreserver, lit,
    },
    sql::{parser, sqlparser::ast::Statement},
};

use super::{QueryError, divide::divided};

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

/// Replaces what can fail on a value: a cast becomes one that returns NULL, a quotient by zero becomes NULL. Otherwise
/// `1 / (age - 47)` would reveal whether anyone is 47. No operand is repeated, so the plan does not grow.
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

#[expect(clippy::wildcard_enum_match_arm, reason = "every other expression is infallible")]
fn infallible_expression(expression: Expr, schema: &dyn ExprSchema) -> Result<Transformed<Expr>> {
    match expression {
        Expr::Cast(cast) => match cast.expr.as_ref() {
            // Whether a literal can be cast does not depend on any row, so this error is reported immediately.
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
            Ok(Transformed::yes(if divisor.is_integer() || divisor.is_decimal() {
                divided(*left, op, *right)
            } else {
                Expr::BinaryExpr(BinaryExpr { left, op, right })
            }))
        }
        other => Ok(Transformed::no(other)),
    }
}
