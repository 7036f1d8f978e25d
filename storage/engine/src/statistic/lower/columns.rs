//! Columns of instances in expressions.

use std::collections::BTreeSet;

use datafusion::{
    common::{
        Column, TableReference,
        tree_node::{TreeNode as _, TreeNodeRecursion},
    },
    logical_expr::{
        Expr, Operator,
        expr::{Exists, InSubquery},
    },
};

use super::state::Bound;

pub(super) fn column_of(id: usize, name: String) -> Bound {
    let relation = TableReference::bare(format!("#{id}"));
    Bound {
        expr: Expr::Column(Column::new(Some(relation), name)),
        size: 1,
    }
}

/// The instance of a column.
pub(super) fn instance_of(column: &Column) -> Option<usize> {
    match column.relation.as_ref()? {
        TableReference::Bare { table } => table.strip_prefix('#')?.parse().ok(),
        TableReference::Partial { .. } | TableReference::Full { .. } => None,
    }
}

/// The instances whose columns occur, those within subqueries among them.
pub(super) fn instances_of<'a>(expressions: impl IntoIterator<Item = &'a Expr>) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    for expression in expressions {
        collect(expression, &mut found);
    }
    found
}

fn collect(expression: &Expr, found: &mut BTreeSet<usize>) {
    let _ = expression.apply(|inner| {
        if let Expr::Column(column) | Expr::OuterReferenceColumn(_, column) = inner {
            found.extend(instance_of(column));
        }
        if let Expr::Exists(Exists { subquery, .. }) | Expr::InSubquery(InSubquery { subquery, .. }) = inner {
            let _ = subquery.subquery.apply(|node| {
                for part in node.expressions() {
                    collect(&part, found);
                }
                Ok(TreeNodeRecursion::Continue)
            });
        }
        Ok(TreeNodeRecursion::Continue)
    });
}

/// The parts of a conjunction.
#[expect(clippy::wildcard_enum_match_arm, reason = "other expressions are not a conjunction")]
pub(super) fn conjuncts(expression: Expr) -> Vec<Expr> {
    let mut parts = Vec::new();
    let mut open = vec![expression];
    while let Some(next) = open.pop() {
        match next {
            Expr::BinaryExpr(binary) if binary.op == Operator::And => {
                open.push(*binary.right);
                open.push(*binary.left);
            }
            other => parts.push(other),
        }
    }
    parts
}

/// The expression without its name.
pub(super) fn unaliased(mut expression: &Expr) -> &Expr {
    while let Expr::Alias(alias) = expression {
        expression = &alias.expr;
    }
    expression
}
