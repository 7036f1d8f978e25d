//! Sums over whole partitions of a grouping, as in `count(*) / sum(count(*)) OVER ()`.
//!
//! A sum of the cells that are shown would not be the total. But each row is in one group, so the total of numbers of rows, and of sums, is
//! the same aggregate with fewer groups: a grouping of its own, whose cells are decided like all others. It takes the place of the window:
//!
//! 1. The argument is an aggregate of the grouping below, and what is partitioned by are groups of it: columns as they are stored and parts
//!    of dates, because labels that a query states may be those of two cells. Between the window and the grouping no row is left out.
//! 2. The grouping by these columns is joined with the rows of the window on them. Missing values are a group, so they are equal.
//! 3. What is not such a sum stays a window, which is refused where figures may be withheld (`several_cells`).
//!
//! The total is on the left: groupings are decided in this order, and without the total all percentages would be missing.

use std::sync::Arc;

use datafusion::{
    common::{
        Column, JoinConstraint, JoinType, NullEquality,
        tree_node::{Transformed, TreeNodeRecursion},
    },
    logical_expr::{
        Aggregate, Distinct, Expr, Join, LogicalPlan, LogicalPlanBuilder, Window, WindowFrame, WindowFrameBound,
        WindowFunctionDefinition,
        expr::{AggregateFunction, WindowFunction},
    },
};

use super::{columns::unaliased, state::MAX_BLOCKS};

/// The plan with a grouping in place of each sum over whole partitions of one of those for which `is_counted` is true.
///
/// It walks the plan recursively, so it needs a thread with a large stack, as in an engine process.
pub fn with_totals(plan: LogicalPlan, is_counted: &dyn Fn(&Aggregate) -> bool) -> LogicalPlan {
    let unchanged = plan.clone();
    let mut totals = 0_usize;
    let changed = plan.transform_down_with_subqueries(|node| {
        // What a grouping reads are rows.
        if matches!(node, LogicalPlan::Aggregate(_)) {
            return Ok(Transformed::new(node, false, TreeNodeRecursion::Jump));
        }
        if let LogicalPlan::Window(window) = &node
            && totals < MAX_BLOCKS
            && let Some(changed) = Total::of(window, is_counted).and_then(|total| total.in_place(totals))
        {
            totals = totals.saturating_add(1);
            return Ok(Transformed::yes(changed));
        }
        Ok(Transformed::no(node))
    });
    changed.map_or(unchanged, |changed| changed.data)
}

/// The sums of one window over the same partitions of a grouping.
struct Total<'p> {
    window: &'p Window,
    grouping: &'p Aggregate,
    partitions: Vec<Partition<'p>>,
    sums: Vec<Sum<'p>>,
}

/// A column that is partitioned by.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Partition<'p> {
    /// The column of the window's input.
    pub(super) column: &'p Expr,
    /// The group that it is.
    pub(super) group: &'p Expr,
}

/// A sum, and what is summed.
pub(super) struct Sum<'p> {
    /// The number of the function in the window.
    pub(super) at: usize,
    pub(super) aggregate: &'p Expr,
}

impl<'p> Total<'p> {
    /// `None` if no function of the window is a sum over whole partitions.
    fn of(window: &'p Window, is_counted: &dyn Fn(&Aggregate) -> bool) -> Option<Self> {
        let grouping = grouping(&window.input).filter(|grouping| is_counted(grouping))?;
        let mut total = Self {
            window,
            grouping,
            partitions: Vec::new(),
            sums: Vec::new(),
        };
        for (at, function) in window.window_expr.iter().enumerate() {
            let Some((aggregate, partitions)) = total.summed(function, at) else {
                continue;
            };
            if total.sums.is_empty() {
                total.partitions = partitions;
            } else if total.partitions != partitions {
                continue;
            }
            total.sums.push(Sum { at, aggregate });
        }
        (!total.sums.is_empty()).then_some(total)
    }

    /// The aggregate that a function sums over whole partitions, and what it is partitioned by.
    fn summed(&self, function: &'p Expr, at: usize) -> Option<(&'p Expr, Vec<Partition<'p>>)> {
        let summed = Summed::of(self.window, self.grouping, at, function)?;
        let params = &summed.function.params;
        let is_whole = params.order_by.is_empty() && is_whole(&params.window_frame);
        is_whole.then_some((summed.aggregate, summed.partitions))
    }

    /// The number of columns of the window's input.
    fn inputs(&self) -> usize {
        inputs(self.window)
    }

    /// The node in place of the window, with the same columns: its total is the one of this number. `None` if it cannot be built, as where
    /// the query has a column of one of its names.
    fn in_place(&self, number: usize) -> Option<LogicalPlan> {
        let names = Names(number);
        let keys = self.partitions.iter().enumerate();
        let keys: Vec<(Expr, Expr)> = keys
            .map(|(at, partition)| (names.column(at), partition.column.clone()))
            .collect();
        let equality = if keys.is_empty() {
            NullEquality::NullEqualsNothing
        } else {
            NullEquality::NullEqualsNull
        };
        let joined = Join::try_new(
            Arc::new(self.total(&names)?),
            self.others()?,
            keys,
            None,
            JoinType::Inner,
            JoinConstraint::On,
            equality,
            false,
        );
        let joined = LogicalPlanBuilder::from(LogicalPlan::Join(joined.ok()?));
        let shown = joined.project(self.columns(&names));
        shown.and_then(LogicalPlanBuilder::build).ok()
    }

    /// The grouping by what is partitioned by, with names of its own.
    fn total(&self, names: &Names) -> Option<LogicalPlan> {
        let groups = self.partitions.iter().map(|partition| partition.group.clone());
        let aggregates = self.sums.iter().map(|sum| {
            let field = self.window.schema.fields().get(self.position(sum))?;
            // The name by which a remark finds the column that the query computes of it.
            Some(unaliased(sum.aggregate).clone().alias(field.name()))
        });
        let aggregates = aggregates.collect::<Option<Vec<Expr>>>()?;
        let total = Aggregate::try_new(Arc::clone(&self.grouping.input), groups.collect(), aggregates).ok()?;
        let columns = total.schema.columns().into_iter().enumerate();
        let named = columns.map(|(at, column)| Expr::Column(column).alias(names.of(at)));
        let named: Vec<Expr> = named.collect();
        let total = LogicalPlanBuilder::from(LogicalPlan::Aggregate(total)).project(named);
        total.and_then(LogicalPlanBuilder::build).ok()
    }

    /// The columns of the window, with the totals in place of its sums.
    fn columns(&self, names: &Names) -> Vec<Expr> {
        let columns = self.window.schema.iter().enumerate();
        let shown = columns.map(|(at, (qualifier, field))| {
            let sum = self.sums.iter().position(|sum| self.position(sum) == at);
            sum.map_or_else(
                || Expr::Column(Column::from((qualifier, field))),
                |sum| {
                    let total = names.column(self.partitions.len().saturating_add(sum));
                    total.alias_qualified(qualifier.cloned(), field.name())
                },
            )
        });
        shown.collect()
    }

    /// The column of the window that a sum is.
    fn position(&self, sum: &Sum<'_>) -> usize {
        self.inputs().saturating_add(sum.at)
    }

    /// The input of the window, with its other functions.
    fn others(&self) -> Option<Arc<LogicalPlan>> {
        others(self.window, &self.sums)
    }
}

/// A function with `OVER` that sums a number of rows or a sum of each group.
pub(super) struct Summed<'p> {
    pub(super) function: &'p WindowFunction,
    /// What is summed.
    pub(super) aggregate: &'p Expr,
    pub(super) partitions: Vec<Partition<'p>>,
}

impl<'p> Summed<'p> {
    /// The function of this number; `None` if what is summed of the groups is not what the aggregate is of their rows.
    pub(super) fn of(window: &'p Window, grouping: &'p Aggregate, at: usize, function: &'p Expr) -> Option<Self> {
        let Expr::WindowFunction(function) = function else {
            return None;
        };
        let WindowFunctionDefinition::AggregateUDF(aggregate) = &function.fun else {
            return None;
        };
        let params = &function.params;
        let is_plain = params.filter.is_none() && params.null_treatment.is_none() && !params.distinct;
        let [argument] = params.args.as_slice() else {
            return None;
        };
        if aggregate.name() != "sum" || !is_plain {
            return None;
        }
        let groups = groups(grouping)?;
        let summed = column_of(window, argument)?;
        let aggregate = grouping.aggr_expr.get(summed.checked_sub(groups.len())?)?;
        let own = grouping.schema.fields().get(summed)?.data_type();
        let sum = window.schema.fields().get(inputs(window).saturating_add(at))?;
        if !is_additive(aggregate) || own != sum.data_type() {
            return None;
        }
        let partition = |column: &'p Expr| {
            let group = groups.get(column_of(window, column)?).copied()?;
            let column = unaliased(column);
            is_stored(&grouping.input, group).then_some(Partition { column, group })
        };
        let mut partitions: Vec<Partition<'p>> = Vec::new();
        for column in &params.partition_by {
            let partition = partition(column)?;
            if !partitions.iter().any(|known| known.group == partition.group) {
                partitions.push(partition);
            }
        }
        Some(Self {
            function,
            aggregate,
            partitions,
        })
    }
}

/// The input of a window, with its functions that are not among these sums.
pub(super) fn others(window: &Window, sums: &[Sum<'_>]) -> Option<Arc<LogicalPlan>> {
    let is_other = |at: usize| !sums.iter().any(|sum| sum.at == at);
    let others = window.window_expr.iter().enumerate();
    let others: Vec<Expr> = others
        .filter(|(at, _)| is_other(*at))
        .map(|(_, other)| other.clone())
        .collect();
    let input = Arc::clone(&window.input);
    if others.is_empty() {
        return Some(input);
    }
    let window = Window::try_new(others, input).ok()?;
    Some(Arc::new(LogicalPlan::Window(window)))
}

/// The number of columns of a window's input.
pub(super) fn inputs(window: &Window) -> usize {
    window.input.schema().fields().len()
}

/// The column of the grouping below a window that an expression of the window is.
pub(super) fn column_of(window: &Window, expression: &Expr) -> Option<usize> {
    let Expr::Column(column) = unaliased(expression) else {
        return None;
    };
    origin(&window.input, window.input.schema().maybe_index_of_column(column)?)
}

/// The names of the columns of a total, which no text has by chance.
struct Names(usize);

impl Names {
    fn of(&self, at: usize) -> String {
        format!("__total_{}_{at}", self.0)
    }

    fn column(&self, at: usize) -> Expr {
        Expr::Column(Column::new_unqualified(self.of(at)))
    }
}

/// The grouping of which a plan has each row once.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "every other node may leave rows out, or repeat them"
)]
pub(super) fn grouping(plan: &LogicalPlan) -> Option<&Aggregate> {
    match plan {
        LogicalPlan::Aggregate(aggregate) => Some(aggregate),
        LogicalPlan::Projection(projection) => grouping(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => grouping(&alias.input),
        LogicalPlan::Sort(sort) if sort.fetch.is_none() => grouping(&sort.input),
        LogicalPlan::Window(window) => grouping(&window.input),
        _ => None,
    }
}

/// The column of the grouping below that the column of this number is; `None` if it is computed.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "there is no other node above the grouping"
)]
fn origin(plan: &LogicalPlan, at: usize) -> Option<usize> {
    match plan {
        LogicalPlan::Aggregate(_) => Some(at),
        LogicalPlan::Projection(projection) => {
            let Expr::Column(column) = unaliased(projection.expr.get(at)?) else {
                return None;
            };
            origin(
                &projection.input,
                projection.input.schema().maybe_index_of_column(column)?,
            )
        }
        LogicalPlan::SubqueryAlias(alias) => origin(&alias.input, at),
        LogicalPlan::Sort(sort) => origin(&sort.input, at),
        LogicalPlan::Window(window) if at < window.input.schema().fields().len() => origin(&window.input, at),
        _ => None,
    }
}

/// The groups, each once, as they are the first columns of a grouping; `None` for several sets of them.
pub(super) fn groups(grouping: &Aggregate) -> Option<Vec<&Expr>> {
    let mut groups: Vec<&Expr> = Vec::new();
    for group in &grouping.group_expr {
        if matches!(group, Expr::GroupingSet(_)) {
            return None;
        }
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    let columns = groups.len().saturating_add(grouping.aggr_expr.len());
    (columns == grouping.schema.fields().len()).then_some(groups)
}

/// Whether the aggregate of a group is the sum of those of its parts.
fn is_additive(aggregate: &Expr) -> bool {
    let Expr::AggregateFunction(AggregateFunction { func, params }) = unaliased(aggregate) else {
        return false;
    };
    let is_plain = !params.distinct && params.order_by.is_empty() && params.null_treatment.is_none();
    is_plain && matches!(func.name(), "count" | "sum")
}

/// Whether a frame is the whole partition.
fn is_whole(frame: &WindowFrame) -> bool {
    let begins = matches!(&frame.start_bound, WindowFrameBound::Preceding(_)) && frame.start_bound.is_unbounded();
    let ends = matches!(&frame.end_bound, WindowFrameBound::Following(_)) && frame.end_bound.is_unbounded();
    begins && ends
}

/// Functions of a date whose values are labels of one group each.
const PARTS_OF_DATES: [&str; 2] = ["date_part", "date_trunc"];

/// Whether an expression is a column of a dataset, or a part of a date that is one.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "labels of others may be those of two cells"
)]
fn is_stored(plan: &LogicalPlan, expression: &Expr) -> bool {
    match unaliased(expression) {
        Expr::Column(column) => is_stored_column(plan, column),
        Expr::ScalarFunction(function) if PARTS_OF_DATES.contains(&function.name()) => {
            let is_constant = |argument: &Expr| matches!(unaliased(argument), Expr::Literal(..));
            let mut arguments = function.args.iter();
            arguments.all(|argument| is_constant(argument) || is_stored(plan, argument))
        }
        _ => false,
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "what comes from any other node may be computed"
)]
fn is_stored_column(plan: &LogicalPlan, column: &Column) -> bool {
    match plan {
        LogicalPlan::TableScan(_) => plan.schema().maybe_index_of_column(column).is_some(),
        LogicalPlan::Projection(projection) => {
            let at = projection.schema.maybe_index_of_column(column);
            let shown = at.and_then(|at| projection.expr.get(at));
            shown.is_some_and(|shown| is_stored(&projection.input, shown))
        }
        LogicalPlan::SubqueryAlias(alias) => {
            let at = alias.schema.maybe_index_of_column(column);
            let below = at.and_then(|at| alias.input.schema().columns().get(at).cloned());
            below.is_some_and(|below| is_stored_column(&alias.input, &below))
        }
        LogicalPlan::Filter(filter) => is_stored_column(&filter.input, column),
        LogicalPlan::Distinct(Distinct::All(input)) => is_stored_column(input, column),
        LogicalPlan::Join(join) => {
            let sides = [&join.left, &join.right];
            let mut of_sides = sides.iter().filter(|side| side.schema().has_column(column));
            let only = of_sides.next().filter(|_| of_sides.next().is_none());
            only.is_some_and(|side| is_stored_column(side, column))
        }
        _ => false,
    }
}
