//! The columns of an answer that are computed from figures which are no columns of it.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::{Expr, LogicalPlan};

/// For each column that is selected as a part of others only, as `sum(chol)` in `sum(chol) / count(*) AS mean`, the first of those.
pub(super) fn used_in(plan: &LogicalPlan) -> BTreeMap<String, String> {
    let mut parts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut selected: BTreeSet<String> = BTreeSet::new();
    // The visitor cannot fail.
    let _ = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::Projection(projection) = node {
            for expression in &projection.expr {
                let used = expression.column_refs().into_iter().map(|column| column.name.clone());
                if matches!(expression.clone().unalias(), Expr::Column(_)) {
                    selected.extend(used);
                    continue;
                }
                let shown = if let Expr::Alias(alias) = expression {
                    alias.name.clone()
                } else {
                    expression.schema_name().to_string()
                };
                for name in used {
                    parts.entry(name).or_default().insert(shown.clone());
                }
            }
        }
        Ok(TreeNodeRecursion::Continue)
    });
    let only_parts = parts.into_iter().filter(|(column, _)| !selected.contains(column));
    only_parts
        .filter_map(|(column, names)| Some((column, names.into_iter().next()?)))
        .collect()
}
