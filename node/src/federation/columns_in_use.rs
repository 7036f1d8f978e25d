//! The columns of each table that a plan uses: only these have to fit.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::common::TableReference;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, LogicalPlan};

use super::statement::TableName;
use super::tables::Tables;

/// For each table, the columns that an expression of `plan` names. If two blocks of a query give two tables the same alias, the columns of
/// both are attributed to each that has them.
pub(super) fn columns_in_use(plan: &LogicalPlan, tables: &Tables) -> BTreeMap<TableName, BTreeSet<String>> {
    let mut aliases: Vec<(TableReference, TableName)> = Vec::new();
    let mut named: BTreeSet<(Option<TableReference>, String)> = BTreeSet::new();
    // The visitor cannot fail.
    let _ = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && let Some((name, _)) = tables.of_scan(&scan.table_name)
        {
            aliases.push((scan.table_name.clone(), name.clone()));
        }
        if let LogicalPlan::SubqueryAlias(alias) = node
            && let LogicalPlan::TableScan(scan) = alias.input.as_ref()
            && let Some((name, _)) = tables.of_scan(&scan.table_name)
        {
            aliases.push((alias.alias.clone(), name.clone()));
        }
        node.apply_expressions(|expression| {
            expression.apply(|part| {
                if let Expr::Column(column) | Expr::OuterReferenceColumn(_, column) = part {
                    named.insert((column.relation.clone(), column.name.clone()));
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    });
    let mut used: BTreeMap<TableName, BTreeSet<String>> = BTreeMap::new();
    for (alias, name) in aliases {
        let columns = used.entry(name).or_default();
        let of_alias = named
            .iter()
            .filter(|(relation, _)| relation.as_ref().is_none_or(|relation| relation.resolved_eq(&alias)));
        columns.extend(of_alias.map(|(_, column)| column.clone()));
    }
    for (name, columns) in &mut used {
        columns.retain(|column| {
            tables
                .get(name)
                .is_some_and(|table| table.schema.index_of(column).is_ok())
        });
    }
    used
}
