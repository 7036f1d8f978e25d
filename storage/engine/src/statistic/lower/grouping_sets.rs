//! `ROLLUP`, `CUBE` and `GROUPING SETS`: one grouping for each set.
//!
//! Each set is a statistic of its own, which is decided like that of a query of its own. Above them the tables of their cells are one after
//! the other, with NULL for the columns that a set does not have, as SQL has it. The consumer's node makes several groupings of one as well
//! ([`separate_sets`]), before it lowers each of them for several members.

use std::{cmp::Reverse, sync::Arc};

use datafusion::{
    common::ScalarValue,
    error::DataFusionError,
    logical_expr::{Aggregate, Expr, LogicalPlan, LogicalPlanBuilder, Union, expr::GroupingSet, lit},
};

use super::state::{Lowering, MAX_BLOCKS, Result, refused};
use crate::statistic::{block::at_most, forms::Form};

/// Most columns of which all sets are made.
const MAX_CUBE: usize = 6;

impl Lowering<'_> {
    /// The table of the cells of all sets.
    pub(super) fn grouping_sets(&mut self, aggregate: &Aggregate, sets: &GroupingSet) -> Result<LogicalPlan> {
        separated(aggregate, sets, &mut |of_set| self.block(of_set))
    }
}

/// The plan in which each set of a grouping is a grouping of its own; `None` for a grouping without sets.
///
/// # Errors
/// [`NotCountable`](crate::statistic::NotCountable) for more sets than a query may have groupings, and if none has all columns.
pub fn separate_sets(aggregate: &Aggregate) -> Result<Option<LogicalPlan>> {
    let [Expr::GroupingSet(sets)] = aggregate.group_expr.as_slice() else {
        return Ok(None);
    };
    separated(aggregate, sets, &mut |of_set| {
        Ok(LogicalPlan::Aggregate(of_set.clone()))
    })
    .map(Some)
}

/// The tables of all sets, one after the other; `of_set` is that of one.
fn separated(
    aggregate: &Aggregate,
    sets: &GroupingSet,
    of_set: &mut dyn FnMut(&Aggregate) -> Result<LogicalPlan>,
) -> Result<LogicalPlan> {
    let columns: Vec<Expr> = sets.distinct_expr().into_iter().cloned().collect();
    let mut sets = sets_of(sets)?;
    at_most(sets.len(), MAX_BLOCKS, "groupings")?;
    // The columns of the first table have the types of all of them, which NULL does not have.
    sets.sort_by_key(|set| Reverse(set.len()));
    if !sets
        .first()
        .is_some_and(|first| columns.iter().all(|column| first.contains(column)))
    {
        return Err(refused(Form::GroupingSets));
    }
    let mut tables = Vec::new();
    for set in sets {
        let input = Arc::clone(&aggregate.input);
        let grouping = Aggregate::try_new(input, set.clone(), aggregate.aggr_expr.clone());
        let grouping = grouping.map_err(|_| refused(Form::GroupingSets))?;
        let cells = of_set(&grouping)?;
        let table = aligned(cells, &set, &columns, aggregate.aggr_expr.len());
        tables.push(table.map_err(|_| refused(Form::GroupingSets))?);
    }
    united(aggregate, tables).map_err(|_| refused(Form::GroupingSets))
}

/// The columns of each set, each once.
fn sets_of(sets: &GroupingSet) -> Result<Vec<Vec<Expr>>> {
    let mut sets: Vec<Vec<Expr>> = match sets {
        GroupingSet::Rollup(columns) => {
            let lengths = 0..=columns.len();
            lengths
                .map(|length| columns.iter().take(length).cloned().collect())
                .collect()
        }
        GroupingSet::Cube(columns) => {
            at_most(columns.len(), MAX_CUBE, "columns in a `CUBE`")?;
            let mut sets: Vec<Vec<Expr>> = vec![Vec::new()];
            for column in columns {
                let with = sets.iter().map(|set| set.iter().chain([column]).cloned().collect());
                let with: Vec<Vec<Expr>> = with.collect();
                sets.extend(with);
            }
            sets
        }
        GroupingSet::GroupingSets(sets) => sets.clone(),
    };
    for set in &mut sets {
        let all = std::mem::take(set);
        for column in all {
            if !set.contains(&column) {
                set.push(column);
            }
        }
    }
    Ok(sets)
}

/// The cells of one set, with all columns of groups, a number for the set, and the aggregates.
fn aligned(
    cells: LogicalPlan,
    set: &[Expr],
    columns: &[Expr],
    aggregates: usize,
) -> std::result::Result<LogicalPlan, DataFusionError> {
    let own = cells.schema().columns();
    let column = |at: usize| {
        let found = own.get(at).cloned().map(Expr::Column);
        found.ok_or_else(|| DataFusionError::Plan("a table of cells lacks a column".to_owned()))
    };
    let mut shown = Vec::new();
    let mut absent = 0_i64;
    for (at, group) in columns.iter().enumerate() {
        let position = set.iter().position(|own| own == group);
        absent = absent.saturating_mul(2).saturating_add(i64::from(position.is_none()));
        let value = position.map_or_else(|| Ok(Expr::Literal(ScalarValue::Null, None)), column)?;
        shown.push(value.alias(format!("g{at}")));
    }
    shown.push(lit(absent).alias("set"));
    for at in 0..aggregates {
        shown.push(column(set.len().saturating_add(at))?.alias(format!("a{at}")));
    }
    LogicalPlanBuilder::from(cells).project(shown)?.build()
}

/// All tables, one after the other, with the columns of the grouping.
pub(super) fn united(
    aggregate: &Aggregate,
    mut tables: Vec<LogicalPlan>,
) -> std::result::Result<LogicalPlan, DataFusionError> {
    let all = match (tables.pop(), tables.is_empty()) {
        (Some(only), true) => only,
        (last, _) => {
            let inputs = tables.into_iter().chain(last).map(Arc::new).collect();
            LogicalPlan::Union(Union::try_new_with_loose_types(inputs)?)
        }
    };
    let columns = all.schema().columns();
    let shown = aggregate
        .schema
        .iter()
        .zip(columns)
        .map(|((qualifier, field), column)| Expr::Column(column).alias_qualified(qualifier.cloned(), field.name()));
    let shown: Vec<Expr> = shown.collect();
    LogicalPlanBuilder::from(all).project(shown)?.build()
}
