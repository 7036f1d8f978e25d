//! Which members a query reads: those that no condition on the institution of a row excludes, wherever the query reads their table.
//!
//! The plan is optimized as it is before it is computed, over tables that accept every condition. Each table is then left with the
//! conditions that its rows have to meet. Those on the institution do not depend on the types of other columns. So where the types of two
//! members cannot be combined, the plan on the types of any of them will do.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use concordat_engine::{Casts, executable, visit};
use concordat_protocol::ids::{DatasetRef, InstitutionId};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::error::Result as PlanResult;
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan, TableProviderFilterPushDown, TableSource};
use datafusion::sql::sqlparser::ast::{Expr as SqlExpr, Query, Visitor};

use super::planned::{Planned, planned, planned_to_count, resolve};
use crate::federation::error::FederationError;
use crate::federation::institution::may_be_true_at;
use crate::federation::statement::TableName;
use crate::federation::tables::Tables;
use crate::federation::union_table::{INSTITUTION, UnionTable};

/// The members that are read, for each table of all members under a condition on the institution. Every other table is read from all.
#[derive(Debug, Default)]
pub(super) struct Queried(BTreeMap<TableName, BTreeSet<InstitutionId>>);

impl Queried {
    /// Those of `candidates` that `query` reads. If it cannot be planned, all of them.
    pub(super) async fn of(
        query: &Query,
        tables: &Tables,
        candidates: &BTreeSet<InstitutionId>,
        memory: usize,
    ) -> Self {
        if !names_institution(query) || !tables.of_members().any(|(_, table)| table.has_institution()) {
            return Self::default();
        }
        for tables in plannable(tables) {
            if let Ok(queried) = Self::in_plan(query.clone(), &tables, candidates, memory).await {
                return queried;
            }
        }
        Self::default()
    }

    async fn in_plan(
        mut query: Query,
        tables: &Tables,
        candidates: &BTreeSet<InstitutionId>,
        memory: usize,
    ) -> Result<Self, FederationError> {
        resolve(&mut query, tables)?;
        let planned = if tables.has_statistics() {
            planned_to_count(query, tables, memory).await?
        } else {
            planned(query, tables, memory).await?
        };
        let Planned { state, plan, dataset } = planned;
        let plan = accepting_conditions(plan, tables)?;
        let plan = executable(&state, plan, Casts::Strict, &dataset).map_err(FederationError::planning)?;
        let plan = state.optimize(&plan)?;
        let of_members = tables.of_members().filter(|(_, table)| table.has_institution());
        let mut read: BTreeMap<TableName, BTreeSet<InstitutionId>> =
            of_members.map(|(name, _)| (name.clone(), BTreeSet::new())).collect();
        plan.apply_with_subqueries(|node| {
            if let LogicalPlan::TableScan(scan) = node
                && let Some((name, table)) = tables.of_scan(&scan.table_name)
                && let Some(members) = read.get_mut(name)
            {
                for institution in candidates {
                    if may_meet(&scan.filters, table, institution, &state)? {
                        members.insert(institution.clone());
                    }
                }
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(Self(read))
    }

    /// Whether the query reads the dataset, which is one of a table of all members.
    pub(super) fn includes(&self, dataset: &DatasetRef) -> bool {
        let mut tables = self.0.iter();
        let of_table = tables.find(|(name, _)| name.dataset == dataset.dataset);
        of_table.is_none_or(|(_, members)| members.contains(&dataset.institution))
    }

    /// Whether the query reads the table from no member.
    pub(super) fn is_none(&self, name: &TableName) -> bool {
        self.0.get(name).is_some_and(BTreeSet::is_empty)
    }

    /// The members of each table that is not read from all.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&TableName, &BTreeSet<InstitutionId>)> {
        self.0.iter()
    }
}

/// Whether a row of `institution` may meet all of `conditions`.
fn may_meet(
    conditions: &[Expr],
    table: &UnionTable,
    institution: &InstitutionId,
    state: &SessionState,
) -> PlanResult<bool> {
    for condition in conditions {
        if !may_be_true_at(condition, table, institution, state)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The tables with types on which a query can be planned: a column that cannot be combined has the type that one member gives it.
fn plannable(tables: &Tables) -> Vec<Tables> {
    if !tables.of_members().any(|(_, table)| table.has_conflicts()) {
        return vec![tables.clone()];
    }
    let members = tables.of_members().flat_map(|(_, table)| &table.members);
    let members: BTreeSet<&InstitutionId> = members.map(|member| &member.target.dataset.institution).collect();
    members
        .into_iter()
        .map(|institution| tables.typed_by(institution))
        .collect()
}

/// The same plan over tables that accept every condition.
fn accepting_conditions(plan: LogicalPlan, tables: &Tables) -> PlanResult<LogicalPlan> {
    let accepting = plan.transform_down_with_subqueries(|node| {
        let LogicalPlan::TableScan(mut scan) = node else {
            return Ok(Transformed::no(node));
        };
        let Some((_, table)) = tables.of_scan(&scan.table_name) else {
            return Ok(Transformed::no(LogicalPlan::TableScan(scan)));
        };
        scan.source = Arc::new(Accepting(Arc::clone(&table.schema)));
        Ok(Transformed::yes(LogicalPlan::TableScan(scan)))
    })?;
    Ok(accepting.data)
}

/// A table that accepts every condition. It is planned on, and not read.
#[derive(Debug)]
struct Accepting(SchemaRef);

impl TableSource for Accepting {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.0)
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> PlanResult<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Exact; filters.len()])
    }
}

/// Whether `query` names the column [`INSTITUTION`].
pub(super) fn names_institution(query: &Query) -> bool {
    let mut names = Names(false);
    let _ = visit(query, &mut names);
    names.0
}

/// Whether the column was named.
struct Names(bool);

impl Visitor for Names {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &SqlExpr) -> ControlFlow<()> {
        let column = if let SqlExpr::Identifier(ident) = expr {
            Some(ident)
        } else if let SqlExpr::CompoundIdentifier(parts) = expr {
            parts.last()
        } else {
            None
        };
        if column.is_some_and(|column| column.value.eq_ignore_ascii_case(INSTITUTION)) {
            self.0 = true;
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}
