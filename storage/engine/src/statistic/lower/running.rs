//! Running sums over an ordered group, as in `sum(count(*)) OVER (ORDER BY date_trunc('quarter', day))`.
//!
//! A sum of the cells that are shown would be another number. But the sum up to a group is the aggregate of the rows whose group is this one
//! or one before it: a cell of its own, with that as its condition, as in a query with one `FILTER` for each group. It is decided like all
//! others, and the cells take the place of the window:
//!
//! 1. What is summed is as in [`totals`](super::totals): no row is left out between the window and the grouping, and partitions are groups.
//!    The window is ordered by one further group, from its beginning to the rows that are equal to this one.
//! 2. The group has an order that is known here: atoms of edges, and labels of the query. That of listed values would be one of names.
//! 3. The grouping by the partitions has the aggregates once for each class of the ordered group. Its table has a row for each class, and is
//!    joined with the rows of the window on the labels. Missing values are a class, before or after the others as the order has them.
//!
//! Like totals, they are decided before the groups: a group that is too small is then seen in the sums up to a later one.

use std::sync::Arc;

use concordat_protocol::{
    collection::{AtomSet, AtomTest, Axis, Comparison, Levels},
    scope::Value,
};
use datafusion::{
    common::{Column, JoinConstraint, JoinType, NullEquality},
    logical_expr::{
        Aggregate, Expr, Join, LogicalPlan, LogicalPlanBuilder, Window, WindowFrame, WindowFrameBound, WindowFrameUnits,
    },
};

use super::{
    aggregates::Computed,
    columns::unaliased,
    state::{CellColumn, Lowering, Result, RunningRows, refused},
    totals::{Partition, Sum, Summed, column_of, grouping, groups, inputs, others},
};
use crate::statistic::{
    block::MAX_AGGREGATES,
    forms::{Form, NotCountable},
    known::KnownCollection,
    labels::require_own_labels,
    measure::{CellAggregate, Group},
    terms::{Condition, Quantity},
};

/// The order of a running sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Direction {
    is_ascending: bool,
    has_missing_first: bool,
}

/// The group by which a window is ordered.
#[derive(PartialEq)]
struct Ordered<'p> {
    by: Partition<'p>,
    direction: Direction,
}

/// The running sums of one window in the same order of the same partitions.
pub(super) struct Running<'p> {
    window: &'p Window,
    grouping: &'p Aggregate,
    partitions: Vec<Partition<'p>>,
    order: Ordered<'p>,
    sums: Vec<Sum<'p>>,
}

impl<'p> Running<'p> {
    /// `None` if no function of the window is a running sum.
    pub(super) fn of(window: &'p Window) -> Option<Self> {
        let grouping = grouping(&window.input)?;
        let mut found: Option<Self> = None;
        for (at, function) in window.window_expr.iter().enumerate() {
            let Some(summed) = Summed::of(window, grouping, at, function) else {
                continue;
            };
            let Some(order) = Ordered::of(window, grouping, &summed) else {
                continue;
            };
            let aggregate = summed.aggregate;
            match &mut found {
                None => {
                    found = Some(Self {
                        window,
                        grouping,
                        partitions: summed.partitions,
                        order,
                        sums: vec![Sum { at, aggregate }],
                    });
                }
                Some(known) if known.order == order && known.partitions == summed.partitions => {
                    known.sums.push(Sum { at, aggregate });
                }
                Some(_) => {}
            }
        }
        found
    }

    pub(super) const fn direction(&self) -> Direction {
        self.order.direction
    }

    /// The grouping by the partitions and the ordered group.
    pub(super) fn aggregate(&self) -> Option<Aggregate> {
        let groups = self.partitions.iter().chain([&self.order.by]);
        let groups = groups.map(|partition| partition.group.clone()).collect();
        let aggregates = self.sums.iter().map(|sum| {
            let field = self.window.schema.fields().get(self.position(sum))?;
            // The name by which a remark finds the column that the query computes of it.
            Some(unaliased(sum.aggregate).clone().alias(field.name()))
        });
        let aggregates = aggregates.collect::<Option<Vec<Expr>>>()?;
        Aggregate::try_new(Arc::clone(&self.grouping.input), groups, aggregates).ok()
    }

    /// The input of the window, with its other functions.
    pub(super) fn others(&self) -> Option<Arc<LogicalPlan>> {
        others(self.window, &self.sums)
    }

    /// The node in place of the window, with the same columns. `sums` are the cells of [`Self::aggregate`], `rows` those of
    /// [`Self::others`]; the names of the sums have this number. `None` if it cannot be built, as where the query has a column of one of
    /// its names.
    pub(super) fn joined(&self, sums: LogicalPlan, rows: LogicalPlan, number: usize) -> Option<LogicalPlan> {
        let name = |at: usize| format!("__running_{number}_{at}");
        let column = |at: usize| Expr::Column(Column::new_unqualified(name(at)));
        let named = sums.schema().columns().into_iter().enumerate();
        let named: Vec<Expr> = named.map(|(at, own)| Expr::Column(own).alias(name(at))).collect();
        let sums = LogicalPlanBuilder::from(sums).project(named);
        let sums = sums.and_then(LogicalPlanBuilder::build).ok()?;
        let keys = self.partitions.iter().chain([&self.order.by]).enumerate();
        let keys: Vec<(Expr, Expr)> = keys.map(|(at, key)| (column(at), key.column.clone())).collect();
        let first = keys.len();
        let joined = Join::try_new(
            Arc::new(sums),
            Arc::new(rows),
            keys,
            None,
            JoinType::Inner,
            JoinConstraint::On,
            NullEquality::NullEqualsNull,
            false,
        );
        let shown = self.window.schema.iter().enumerate().map(|(at, (qualifier, field))| {
            let sum = self.sums.iter().position(|sum| self.position(sum) == at);
            sum.map_or_else(
                || Expr::Column(Column::from((qualifier, field))),
                |sum| column(first.saturating_add(sum)).alias_qualified(qualifier.cloned(), field.name()),
            )
        });
        let shown: Vec<Expr> = shown.collect();
        let joined = LogicalPlanBuilder::from(LogicalPlan::Join(joined.ok()?)).project(shown);
        joined.and_then(LogicalPlanBuilder::build).ok()
    }

    /// The column of the window that a sum is.
    fn position(&self, sum: &Sum<'_>) -> usize {
        inputs(self.window).saturating_add(sum.at)
    }
}

impl<'p> Ordered<'p> {
    /// `None` if the function is no sum up to the row's own group.
    fn of(window: &'p Window, grouping: &'p Aggregate, summed: &Summed<'p>) -> Option<Self> {
        let [sort] = summed.function.params.order_by.as_slice() else {
            return None;
        };
        let groups = groups(grouping)?;
        let group = groups.get(column_of(window, &sort.expr)?).copied()?;
        let is_partition = summed.partitions.iter().any(|known| known.group == group);
        // Otherwise several rows have one group, and which of them is the first depends on how they lie.
        let is_each_row = summed.partitions.len().saturating_add(1) == groups.len();
        let is_running = is_running(&summed.function.params.window_frame, is_each_row);
        (is_running && !is_partition).then_some(Self {
            by: Partition {
                column: unaliased(&sort.expr),
                group,
            },
            direction: Direction {
                is_ascending: sort.asc,
                has_missing_first: sort.nulls_first,
            },
        })
    }
}

/// Whether a frame is from the beginning of the partition to the rows that are equal to this one. `is_each_row`: no other one is.
fn is_running(frame: &WindowFrame, is_each_row: bool) -> bool {
    let begins = matches!(&frame.start_bound, WindowFrameBound::Preceding(_)) && frame.start_bound.is_unbounded();
    let ends = matches!(&frame.end_bound, WindowFrameBound::CurrentRow);
    let has_equal = match frame.units {
        WindowFrameUnits::Rows => is_each_row,
        WindowFrameUnits::Range | WindowFrameUnits::Groups => true,
    };
    begins && ends && has_equal
}

/// The classes of an ordered group, each with the rows that are in it or before it.
pub(super) struct Classes {
    group: Group,
    /// Which rows, without repetitions.
    conditions: Vec<Condition>,
    /// For each class the number of its condition; `None` if no row that is counted is in it or before it.
    of_class: Vec<Option<usize>>,
}

impl Classes {
    /// The aggregates of each condition, one condition after the other.
    ///
    /// # Errors
    /// [`NotCountable::TooManyRunning`], before any of them is made.
    pub(super) fn computed(&self, known: &KnownCollection, computed: &[Computed]) -> Result<Vec<Computed>> {
        let sums = self.conditions.len().saturating_mul(computed.len());
        if sums > MAX_AGGREGATES {
            return Err(NotCountable::TooManyRunning { most: MAX_AGGREGATES });
        }
        let mut all = Vec::new();
        for condition in &self.conditions {
            let with = |filter: &Condition| known.where_true(Condition::all(vec![filter.clone(), condition.clone()]));
            all.extend(computed.iter().map(|item| item.clone().filtered(&with)));
        }
        Ok(all)
    }

    /// The rows of the table, with what [`Self::computed`] returned among the aggregates of a statistic.
    ///
    /// # Errors
    /// [`Form::TotalOfCells`] for what is not one aggregate: its sum has another form.
    pub(super) fn rows(self, computed: &[Computed], cells: &[CellAggregate]) -> Result<RunningRows> {
        let sums = computed.len().checked_div(self.conditions.len()).unwrap_or(0);
        let found = computed.iter().map(|item| match item.column(cells) {
            Some(CellColumn::Cell(at)) => Ok(at),
            Some(CellColumn::Group(_) | CellColumn::Scaled { .. } | CellColumn::Quotient { .. }) | None => {
                Err(refused(Form::TotalOfCells))
            }
        });
        let found = found.collect::<Result<Vec<usize>>>()?;
        let of_sum = |sum: usize| {
            let classes = self.of_class.iter();
            let at = |condition: usize| found.get(condition.saturating_mul(sums).saturating_add(sum)).copied();
            classes.map(|condition| at((*condition)?)).collect()
        };
        Ok(RunningRows {
            cells: (0..sums).map(of_sum).collect(),
            group: self.group,
        })
    }
}

/// The values of a class, and its label in the order; `None` for that of missing values.
type Class = (Option<Value>, AtomSet);

impl Lowering<'_> {
    /// The classes of the group in the order of a running sum, for rows that meet `rows`.
    ///
    /// # Errors
    /// [`Form::TotalOfCells`] for a group without an order, and [`NotCountable::SameLabel`].
    pub(super) fn classes(&self, group: Group, direction: Direction, rows: &Condition) -> Result<Classes> {
        let (of, classes) = self.ordered(&group)?;
        require_own_labels(&group, self.known)?;
        let mut counted = self.known.levels(&of).all().with_null(true);
        for condition in rows.conjuncts() {
            if let Condition::Test(about, test) = condition
                && *about == of
            {
                counted = met(&counted, test.passing())?;
            }
        }
        let mut order: Vec<usize> = (0..classes.len()).collect();
        order.sort_by(|a, b| compared(direction, label_at(&classes, *a), label_at(&classes, *b)));
        let mut conditions: Vec<Condition> = Vec::new();
        let mut of_class = vec![None; classes.len()];
        let mut up_to: Option<AtomSet> = None;
        let mut last: Option<AtomSet> = None;
        for at in order {
            let Some((_, atoms)) = classes.get(at) else { continue };
            let all = match &up_to {
                Some(before) => before.union(atoms).map_err(|_| refused(Form::TotalOfCells))?,
                None => atoms.clone(),
            };
            let found = met(&all, &counted)?;
            if !found.is_empty() && last.as_ref() != Some(&found) {
                conditions.push(if found == counted {
                    Condition::All
                } else {
                    Condition::Test(of.clone(), AtomTest::true_for(all.clone()))
                });
            }
            if let Some(class) = of_class.get_mut(at) {
                *class = conditions.len().checked_sub(1);
            }
            last = Some(found);
            up_to = Some(all);
        }
        if conditions.is_empty() {
            // No row meets the condition of the query: each sum is one of none.
            conditions.push(Condition::All);
        }
        Ok(Classes {
            group,
            conditions,
            of_class,
        })
    }

    /// What is grouped, and the classes in the order of the grid.
    fn ordered(&self, group: &Group) -> Result<(Quantity, Vec<Class>)> {
        match group {
            Group::Levels {
                of,
                level,
                missing: None,
            } => {
                let levels = self.known.levels(of);
                let coarser = level.as_ref().and_then(|name| levels.level(name));
                let Levels::Edges(edges) = coarser.as_ref().unwrap_or(&levels) else {
                    return Err(refused(Form::TotalOfCells));
                };
                Ok((of.clone(), between(&levels, &values(edges.axis()))?))
            }
            Group::Buckets { of, buckets, rest } => {
                let mut classes: Vec<Class> = Vec::new();
                let mut taken: Option<AtomSet> = None;
                for bucket in buckets {
                    taken = Some(match &taken {
                        Some(taken) => taken.union(&bucket.atoms).map_err(|_| refused(Form::TotalOfCells))?,
                        None => bucket.atoms.clone(),
                    });
                    classes.push((bucket.label.clone(), bucket.atoms.clone()));
                }
                let others = taken.ok_or_else(|| refused(Form::TotalOfCells))?.complement();
                classes.push((rest.clone(), others));
                Ok((of.clone(), classes))
            }
            Group::Levels { missing: Some(_), .. } | Group::Codes { .. } | Group::Cases { .. } => {
                Err(refused(Form::TotalOfCells))
            }
        }
    }
}

/// The atoms in both.
fn met(one: &AtomSet, other: &AtomSet) -> Result<AtomSet> {
    one.intersection(other).map_err(|_| refused(Form::TotalOfCells))
}

fn label_at(classes: &[Class], at: usize) -> Option<&Value> {
    classes.get(at).and_then(|(label, _)| label.as_ref())
}

/// The order of two labels.
fn compared(direction: Direction, a: Option<&Value>, b: Option<&Value>) -> std::cmp::Ordering {
    match (a, b) {
        (Some(a), Some(b)) if direction.is_ascending => a.cmp(b),
        (Some(a), Some(b)) => b.cmp(a),
        (a, b) if direction.has_missing_first => a.is_some().cmp(&b.is_some()),
        (a, b) => b.is_some().cmp(&a.is_some()),
    }
}

/// The values between edges, from those below the first one on, each with a number as its label, and then the missing ones.
fn between(levels: &Levels, edges: &[Value]) -> Result<Vec<Class>> {
    let decided = |comparison: &Comparison| {
        let test = levels.decide(comparison).map_err(|_| refused(Form::TotalOfCells))?;
        Ok(test.passing().clone())
    };
    let present = decided(&Comparison::IsNotNull)?;
    let mut classes: Vec<Class> = Vec::new();
    let mut below: Option<AtomSet> = None;
    let ends = edges.iter().map(|edge| decided(&Comparison::Less(edge.clone())));
    for (at, end) in (0_i64..).zip(ends.chain([Ok(present)])) {
        let end = end?;
        let own = match &below {
            Some(below) => end.difference(below).map_err(|_| refused(Form::TotalOfCells))?,
            None => end.clone(),
        };
        classes.push((Some(Value::Int(at)), own));
        below = Some(end);
    }
    classes.push((None, decided(&Comparison::IsNull)?));
    Ok(classes)
}

/// The edges as constants of a comparison.
fn values(axis: &Axis) -> Vec<Value> {
    match axis {
        Axis::Int(edges) => edges.iter().copied().map(Value::Int).collect(),
        Axis::Float(edges) => edges.iter().copied().map(Value::Float).collect(),
        Axis::Date(days) | Axis::DateTime(days) => days.iter().copied().map(Value::Date).collect(),
    }
}
