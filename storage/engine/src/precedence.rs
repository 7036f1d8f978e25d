//! The operands of `IS [NOT] DISTINCT FROM`.
//!
//! The parser reads everything that follows as its right operand: `a IS DISTINCT FROM b AND c` as `a IS DISTINCT FROM (b AND c)`. Here the
//! logical operators after it get their operands back: `NOT` binds closer than `AND`, and `AND` closer than `OR` (ISO/IEC 9075-2, 6.39).
//! What the query has in parentheses stays together, because the parser keeps them.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, UnaryOperator, Value, VisitorMut};

/// Puts the logical operators after `IS [NOT] DISTINCT FROM` where they belong; for [`super::visit_mut`].
pub(super) struct LogicalOperators;

impl VisitorMut for LogicalOperators {
    type Break = ();

    fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        if is_misplaced(expression) {
            let mut parts = Parts::default();
            let whole = std::mem::replace(expression, Expr::value(Value::Boolean(false)));
            parts.add(whole);
            *expression = parts.disjunction();
        }
        ControlFlow::Continue(())
    }
}

/// Whether an operand ends with a logical operator that the parser would not have left there.
#[expect(clippy::wildcard_enum_match_arm, reason = "no other expression takes what follows")]
fn is_misplaced(expression: &Expr) -> bool {
    match expression {
        Expr::IsDistinctFrom(_, right) | Expr::IsNotDistinctFrom(_, right) => is_logical(right),
        Expr::BinaryOp { op, right, .. } if is_connective(op) => is_logical(right) && !binds_closer(right, op),
        Expr::UnaryOp {
            op: UnaryOperator::Not,
            expr,
        } => is_logical(expr),
        _ => false,
    }
}

fn is_connective(op: &BinaryOperator) -> bool {
    matches!(op, BinaryOperator::And | BinaryOperator::Or)
}

fn is_logical(expression: &Expr) -> bool {
    matches!(expression, Expr::BinaryOp { op, .. } if is_connective(op))
}

/// Whether the right operand of `op` is an `AND` below an `OR`.
fn binds_closer(right: &Expr, op: &BinaryOperator) -> bool {
    *op == BinaryOperator::Or
        && matches!(
            right,
            Expr::BinaryOp {
                op: BinaryOperator::And,
                ..
            }
        )
}

/// Expressions with the operators between them, in the order in which the query has them.
#[derive(Default)]
struct Parts {
    operands: Vec<Expr>,
    operators: Vec<BinaryOperator>,
}

impl Parts {
    #[expect(clippy::wildcard_enum_match_arm, reason = "every other expression is an operand")]
    fn add(&mut self, expression: Expr) {
        match expression {
            Expr::BinaryOp { left, op, right } if is_connective(&op) => {
                self.add(*left);
                self.operators.push(op);
                self.add(*right);
            }
            Expr::IsDistinctFrom(left, right) => {
                self.add_first(*right, |right| Expr::IsDistinctFrom(left, Box::new(right)))
            }
            Expr::IsNotDistinctFrom(left, right) => {
                self.add_first(*right, |right| Expr::IsNotDistinctFrom(left, Box::new(right)))
            }
            Expr::UnaryOp {
                op: UnaryOperator::Not,
                expr,
            } => self.add_first(*expr, |operand| Expr::UnaryOp {
                op: UnaryOperator::Not,
                expr: Box::new(operand),
            }),
            operand => self.operands.push(operand),
        }
    }

    /// Adds the parts of `expression`, the first of which is an operand of what `make` makes.
    fn add_first(&mut self, expression: Expr, make: impl FnOnce(Expr) -> Expr) {
        let at = self.operands.len();
        self.add(expression);
        if at < self.operands.len() {
            let operand = self.operands.remove(at);
            self.operands.insert(at, make(operand));
        }
    }

    fn disjunction(self) -> Expr {
        let mut alternatives: Vec<Expr> = Vec::new();
        let mut operators = self.operators.into_iter();
        let mut before: Option<BinaryOperator> = Some(BinaryOperator::Or);
        for operand in self.operands {
            match (before.take(), alternatives.pop()) {
                (Some(BinaryOperator::And), Some(left)) => {
                    alternatives.push(joined(left, BinaryOperator::And, operand))
                }
                (_, left) => {
                    alternatives.extend(left);
                    alternatives.push(operand);
                }
            }
            before = operators.next();
        }
        let all = alternatives.into_iter();
        all.reduce(|left, right| joined(left, BinaryOperator::Or, right))
            .unwrap_or_else(|| Expr::value(Value::Boolean(false)))
    }
}

fn joined(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp {
        left: Box::new(left),
        op,
        right: Box::new(right),
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::ast::Statement;

    fn read(condition: &str) -> Statement {
        let sql = format!("SELECT 1 FROM t WHERE {condition}");
        crate::parse(&sql, 50).unwrap().remove(0)
    }

    fn grouped(statement: &Statement) -> String {
        use datafusion::sql::sqlparser::ast::{Expr, SetExpr};
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "every other expression is shown as its text"
        )]
        fn shown(expression: &Expr) -> String {
            match expression {
                Expr::BinaryOp { left, op, right } => format!("({} {op} {})", shown(left), shown(right)),
                Expr::IsDistinctFrom(left, right) => format!("({} <> {})", shown(left), shown(right)),
                Expr::IsNotDistinctFrom(left, right) => format!("({} == {})", shown(left), shown(right)),
                Expr::UnaryOp { op, expr } => format!("({op} {})", shown(expr)),
                Expr::Nested(inner) => shown(inner),
                other => other.to_string(),
            }
        }
        let Statement::Query(query) = statement else { panic!() };
        let SetExpr::Select(select) = query.body.as_ref() else {
            panic!()
        };
        shown(select.selection.as_ref().unwrap())
    }

    #[test]
    fn logical_operators_after_distinct_from_have_their_own_operands() {
        for (condition, expected) in [
            ("a IS DISTINCT FROM b", "(a <> b)"),
            ("a IS DISTINCT FROM b AND c", "((a <> b) AND c)"),
            ("a IS NOT DISTINCT FROM b OR c = 1", "((a == b) OR (c = 1))"),
            ("p AND a IS DISTINCT FROM b OR c", "((p AND (a <> b)) OR c)"),
            ("p OR a IS DISTINCT FROM b AND c", "(p OR ((a <> b) AND c))"),
            ("NOT a IS DISTINCT FROM b AND c", "((NOT (a <> b)) AND c)"),
            ("p AND NOT a IS DISTINCT FROM b OR c", "((p AND (NOT (a <> b))) OR c)"),
            ("a IS DISTINCT FROM (b AND c)", "(a <> (b AND c))"),
            ("(a IS DISTINCT FROM b AND c) OR d", "(((a <> b) AND c) OR d)"),
            (
                "a IS DISTINCT FROM b AND c IS NOT DISTINCT FROM d OR e",
                "(((a <> b) AND (c == d)) OR e)",
            ),
            (
                "a IS DISTINCT FROM b AND c OR d AND e",
                "(((a <> b) AND c) OR (d AND e))",
            ),
            ("a OR b AND c OR d", "((a OR (b AND c)) OR d)"),
            ("NOT (a AND b) OR c", "((NOT (a AND b)) OR c)"),
        ] {
            let statement = read(condition);
            assert_eq!(grouped(&statement), expected, "{condition}");
            // Its text is read as the same statement again: holders read it.
            assert_eq!(
                read(&statement.to_string().split_off("SELECT 1 FROM t WHERE ".len())),
                statement,
                "{condition}"
            );
        }
    }
}
