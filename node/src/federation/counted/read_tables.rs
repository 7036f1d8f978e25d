//! The tables that a grouping reads.

use std::collections::BTreeMap;

use concordat_protocol::ids::InstitutionId;
use concordat_protocol::scope::Tier;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::{Aggregate, LogicalPlan};

use crate::federation::error::FederationError;
use crate::federation::source::Target;
use crate::federation::statement::TableName;
use crate::federation::tables::Tables;
use crate::federation::union_table::UnionTable;

/// A table that a grouping reads, with its name.
pub(super) type ReadTable<'t> = (&'t TableName, &'t UnionTable);

/// The tables that a grouping reads, each once.
pub(super) fn tables_of<'t>(grouping: &Aggregate, tables: &'t Tables) -> Result<Vec<ReadTable<'t>>, FederationError> {
    let mut read: BTreeMap<&TableName, &UnionTable> = BTreeMap::new();
    LogicalPlan::Aggregate(grouping.clone()).apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && let Some((name, table)) = tables.of_scan(&scan.table_name)
        {
            read.insert(name, table);
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(read.into_iter().collect())
}

/// Whether a grouping reads a member below `records`.
pub(super) fn is_counted(grouping: &Aggregate, tables: &Tables) -> bool {
    let below = |table: &UnionTable| table.members.iter().any(|member| member.target.tier < Tier::Records);
    tables_of(grouping, tables).map_or(true, |read| read.into_iter().any(|(_, table)| below(table)))
}

/// The dataset of an institution in a table.
pub(super) fn target_at<'t>(table: &'t UnionTable, institution: &InstitutionId) -> Option<&'t Target> {
    let mut targets = table.members.iter().map(|member| &member.target);
    targets.find(|target| target.dataset.institution == *institution)
}
