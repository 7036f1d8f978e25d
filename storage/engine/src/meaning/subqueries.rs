//! Names for subqueries, of which the library makes names of columns.
//!
//! The name of a column is that of its expression, in which a subquery is `IN`, `EXISTS` or `<subquery>`. So two aggregates with other
//! subqueries have one name, and are refused as one column that is there twice. Where a statement cannot be planned, its subqueries get
//! numbers: equal ones the same number, so that an expression is still equal to its repetition.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, Statement, Value, VisitorMut};

use super::planner::SUBQUERY;
use crate::visit_mut;

/// The statement with numbered subqueries; `None` if it has fewer than two.
pub(super) fn numbered(statement: &Statement) -> Option<Statement> {
    let mut numbered = statement.clone();
    let mut subqueries = Subqueries::default();
    let _ = visit_mut(&mut numbered, &mut subqueries);
    (subqueries.0.len() > 1).then_some(numbered)
}

/// The subqueries of a statement, each once.
#[derive(Default)]
struct Subqueries(Vec<Expr>);

impl VisitorMut for Subqueries {
    type Break = ();

    /// After what is within it, which gets its numbers first.
    #[expect(clippy::wildcard_enum_match_arm, reason = "other expressions are no subqueries")]
    fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        match expression {
            Expr::InSubquery { .. } | Expr::Exists { .. } | Expr::Subquery(_) => self.number(expression),
            Expr::AnyOp { right, .. } | Expr::AllOp { right, .. } => {
                // Such an operator has a subquery or a list on its right, and nothing around it.
                if let Some(plain) = without_number(right) {
                    **right = plain;
                    self.number(expression);
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

impl Subqueries {
    fn number(&mut self, expression: &mut Expr) {
        let known = self.0.iter().position(|known| *known == *expression);
        let at = known.unwrap_or_else(|| {
            self.0.push(expression.clone());
            self.0.len().saturating_sub(1)
        });
        let whole = std::mem::replace(expression, Expr::value(Value::Null));
        *expression = Expr::BinaryOp {
            left: Box::new(whole),
            op: BinaryOperator::Custom(format!("{SUBQUERY}{}", at.saturating_add(1))),
            right: Box::new(Expr::value(Value::Null)),
        };
    }
}

/// The subquery that has a number; `None` for any other expression.
fn without_number(expression: &Expr) -> Option<Expr> {
    let Expr::BinaryOp {
        left,
        op: BinaryOperator::Custom(name),
        ..
    } = expression
    else {
        return None;
    };
    name.starts_with(SUBQUERY).then(|| (**left).clone())
}
