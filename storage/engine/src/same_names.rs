//! Expressions of a plan that change under the names that they have.

use datafusion::{
    common::tree_node::Transformed,
    error::Result,
    logical_expr::{Expr, LogicalPlan, expr::GroupingSet, expr_rewriter::NamePreserver},
};

/// The same node with its expressions changed. An expression whose name would be another one gets its name as an alias, so that the nodes above
/// find it. A grouping set is no column itself: its members are, and keep their names.
#[expect(clippy::wildcard_enum_match_arm, reason = "every other expression has one name")]
pub(crate) fn with_same_names(node: LogicalPlan, change: &dyn Fn(Expr) -> Result<Expr>) -> Result<LogicalPlan> {
    let names = NamePreserver::new(&node);
    let named = |expression: Expr| -> Result<Expr> {
        let name = names.save(&expression);
        Ok(name.restore(change(expression)?))
    };
    let all = |expressions: Vec<Expr>| expressions.into_iter().map(named).collect::<Result<Vec<Expr>>>();
    let changed = node.map_expressions(|expression| {
        let changed = match expression {
            Expr::GroupingSet(GroupingSet::Rollup(members)) => Expr::GroupingSet(GroupingSet::Rollup(all(members)?)),
            Expr::GroupingSet(GroupingSet::Cube(members)) => Expr::GroupingSet(GroupingSet::Cube(all(members)?)),
            Expr::GroupingSet(GroupingSet::GroupingSets(sets)) => {
                let sets = sets.into_iter().map(all).collect::<Result<_>>()?;
                Expr::GroupingSet(GroupingSet::GroupingSets(sets))
            }
            expression => named(expression)?,
        };
        Ok(Transformed::yes(changed))
    })?;
    Ok(changed.data)
}
