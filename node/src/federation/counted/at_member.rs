//! A grouping as one member computes it: over its own datasets, where the institution of a row is a constant.

use std::sync::Arc;

use concordat_protocol::ids::InstitutionId;
use datafusion::arrow::datatypes::Schema;
use datafusion::common::TableReference;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::datasource::empty::EmptyTable;
use datafusion::datasource::provider_as_source;
use datafusion::error::{DataFusionError, Result as PlanResult};
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::utils::{conjunction, split_conjunction};
use datafusion::logical_expr::{Aggregate, Expr, Filter, LogicalPlan, LogicalPlanBuilder, lit};

use crate::federation::error::FederationError;
use crate::federation::institution::is_true_at;
use crate::federation::statement::TableName;
use crate::federation::tables::Tables;
use crate::federation::union_table::{INSTITUTION, UnionTable};

/// The grouping as a member computes it, over tables with the bare names of its datasets, and whether a condition on the institution is
/// false somewhere in it: then it may have no rows.
#[expect(clippy::wildcard_enum_match_arm, reason = "every other operator stays as it is")]
pub(super) fn at_member(
    (tables, state): (&Tables, &SessionState),
    institution: &InstitutionId,
    grouping: &Aggregate,
) -> Result<(LogicalPlan, bool), FederationError> {
    let mut has_false = false;
    let input = LogicalPlan::clone(&grouping.input).transform_up_with_subqueries(|node| {
        let at_member = match node {
            LogicalPlan::TableScan(scan) => {
                return match tables.of_scan(&scan.table_name) {
                    Some((name, table)) => bare(&scan.table_name, name, table).map(Transformed::yes),
                    None => Ok(Transformed::no(LogicalPlan::TableScan(scan))),
                };
            }
            LogicalPlan::Filter(filter) => {
                let (left, is_false) = conditions(&filter, institution, state)?;
                has_false |= is_false;
                match left {
                    Some(predicate) => LogicalPlan::Filter(Filter::try_new(predicate, filter.input)?),
                    None => return Ok(Transformed::yes(Arc::unwrap_or_clone(filter.input))),
                }
            }
            LogicalPlan::Join(mut join) => {
                // Of one member, both sides are of one institution.
                join.on
                    .retain(|(left, right)| !(is_institution(left) && is_institution(right)));
                LogicalPlan::Join(join)
            }
            other => other,
        };
        at_member.recompute_schema().map(Transformed::yes)
    });
    let input = input.map_err(|error| elsewhere(grouping, error))?.data;
    let mut groups: Vec<Expr> = Vec::new();
    for group in &grouping.group_expr {
        if !is_institution(group) && !groups.contains(group) {
            groups.push(group.clone());
        }
    }
    let reduced = Aggregate::try_new(Arc::new(input), groups, grouping.aggr_expr.clone());
    let reduced = reduced.map_err(|error| elsewhere(grouping, error))?;
    Ok((LogicalPlan::Aggregate(reduced), has_false))
}

/// The conditions of a filter that are left at an institution, and whether one that is on the institution only is false.
fn conditions(filter: &Filter, institution: &InstitutionId, state: &SessionState) -> PlanResult<(Option<Expr>, bool)> {
    let mut left = Vec::new();
    let mut is_false = false;
    for condition in split_conjunction(&filter.predicate) {
        match on_institution(condition, institution)? {
            Some(condition) => is_false |= !is_true_at(&condition, institution, state)?,
            None => left.push(condition.clone()),
        }
    }
    if is_false {
        left = vec![lit(false)];
    }
    Ok((conjunction(left), is_false))
}

/// A table of a member without the institution of its rows, which has the name by which the plan refers to its columns.
fn bare(shown: &TableReference, name: &TableName, table: &UnionTable) -> PlanResult<LogicalPlan> {
    let fields = table.schema.fields().iter().enumerate();
    let own = fields.filter(|(at, _)| !table.is_institution(*at));
    let own: Vec<_> = own.map(|(_, field)| Arc::clone(field)).collect();
    let source = provider_as_source(Arc::new(EmptyTable::new(Arc::new(Schema::new(own)))));
    let scan = LogicalPlanBuilder::scan(TableReference::bare(name.dataset.as_str()), source, None)?;
    scan.alias(shown.clone())?.build()
}

/// Whether an expression is the institution of a row.
pub(super) fn is_institution(expression: &Expr) -> bool {
    matches!(expression.clone().unalias(), Expr::Column(column) if column.name == INSTITUTION)
}

/// A condition on nothing but the institution, with its name in place of the column; `None` for other conditions.
#[expect(clippy::wildcard_enum_match_arm, reason = "every other part stays as it is")]
fn on_institution(condition: &Expr, institution: &InstitutionId) -> PlanResult<Option<Expr>> {
    let mut columns = 0_usize;
    let mut others = condition.is_volatile();
    let known = condition.clone().transform_up(|part| {
        Ok(match part {
            Expr::Column(column) | Expr::OuterReferenceColumn(_, column) if column.name == INSTITUTION => {
                columns = columns.saturating_add(1);
                Transformed::yes(lit(institution.as_str()))
            }
            Expr::Column(_)
            | Expr::OuterReferenceColumn(..)
            | Expr::ScalarSubquery(_)
            | Expr::InSubquery(_)
            | Expr::Exists(_) => {
                others = true;
                Transformed::no(part)
            }
            other => Transformed::no(other),
        })
    })?;
    Ok(Some(known.data).filter(|_| columns > 0 && !others))
}

/// The error for an institution in another position than those that are decided here.
fn elsewhere(grouping: &Aggregate, error: DataFusionError) -> FederationError {
    let mut names_institution = false;
    // The visitor cannot fail.
    let _ = LogicalPlan::Aggregate(grouping.clone()).apply_with_subqueries(|node| {
        node.apply_expressions(|expression| {
            names_institution |= expression.column_refs().iter().any(|column| column.name == INSTITUTION);
            Ok(TreeNodeRecursion::Continue)
        })
    });
    if names_institution {
        return FederationError::usage(format!(
            "below `records`, `{INSTITUTION}` can be compared with constants in `WHERE`, and be a group"
        ));
    }
    FederationError::from(error)
}
