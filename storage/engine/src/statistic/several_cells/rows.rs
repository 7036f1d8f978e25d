//! What the rows of a node of a plan depend on, from those of its inputs.

use std::collections::BTreeSet;

use datafusion::{
    common::{JoinType, NullEquality},
    logical_expr::{Distinct, Join, LogicalPlan},
};

use super::{
    order::{FigureOrder, Key, MissingFigures, OrderedBy},
    values::{Figures, Result, Value, refused},
};
use crate::statistic::forms::Form;

/// What the rows of a node depend on.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) columns: Vec<Value>,
    /// The figures that decide which rows there are.
    pub(super) chosen_by: Figures,
    /// In which order they are, as far as figures decide it.
    pub(super) order: Vec<Key>,
    /// The figures that the query restricts to those that are shown.
    pub(super) shown: Figures,
    /// The figures that no row lacks, because a condition leaves out those that do.
    pub(super) present: Figures,
    /// The tables that have a row for each group, also for those without anyone.
    pub(super) grids: BTreeSet<String>,
}

impl Rows {
    /// Rows of this many columns that depend on no figure.
    pub(super) fn plain(columns: usize) -> Self {
        Self {
            columns: vec![Value::plain(); columns],
            ..Self::default()
        }
    }

    pub(super) fn is_plain(&self) -> bool {
        self.has_plain_columns() && self.chosen_by.is_empty() && self.order.is_empty() && self.grids.is_empty()
    }

    pub(super) fn has_plain_columns(&self) -> bool {
        self.columns.iter().all(|column| column.figures.is_empty())
    }

    /// The figures that decide in which order they are.
    pub(super) fn ordered_by(&self) -> Figures {
        self.order.iter().flat_map(|key| key.figures.clone()).collect()
    }

    /// Whether the query restricts itself to rows that show all of these figures.
    pub(super) fn shows(&self, figures: &Figures) -> bool {
        figures.is_subset(&self.shown)
    }

    /// Whether no row lacks one of these figures.
    pub(super) fn has(&self, figures: &Figures) -> bool {
        let is_there = |figure| self.shown.contains(figure) || self.present.contains(figure);
        figures.iter().all(is_there)
    }

    /// The rows of both, with these columns.
    fn with(mut self, other: Self, columns: Vec<Value>) -> Self {
        self.columns = columns;
        self.chosen_by.extend(other.chosen_by);
        let both = std::mem::take(&mut self.order).into_iter().chain(other.order);
        self.order = both.map(Key::mixed).collect();
        self.shown.extend(other.shown);
        self.present.extend(other.present);
        self.grids.extend(other.grids);
        self
    }
}

/// The rows of a node that is neither a table nor a condition, a join, an order or a limit. `values` are what its expressions depend on.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a node that is not listed is refused, as a figure is in it"
)]
pub(super) fn above(plan: &LogicalPlan, inputs: Vec<Rows>, values: Vec<Value>) -> Result<Rows> {
    match plan {
        LogicalPlan::Projection(_) => Ok(Rows {
            columns: values,
            ..only(inputs)?
        }),
        LogicalPlan::Window(_) => only(inputs).map(|mut rows| {
            rows.columns.extend(values);
            rows
        }),
        LogicalPlan::SubqueryAlias(_) => only(inputs),
        LogicalPlan::Union(_) => inputs
            .into_iter()
            .reduce(both)
            .ok_or_else(|| refused(Form::OtherOfCells)),
        // Rows that are equal are one.
        LogicalPlan::Distinct(Distinct::All(_)) => only(inputs).map(|mut rows| {
            let of_columns = rows.columns.iter().flat_map(|column| column.figures.clone());
            rows.chosen_by.extend(of_columns.collect::<Figures>());
            rows.order = std::mem::take(&mut rows.order).into_iter().map(Key::mixed).collect();
            rows
        }),
        _ => Err(refused(Form::OtherOfCells)),
    }
}

/// The first rows, or those after them, with what the reader of an answer has to know.
///
/// # Errors
/// [`Form::LimitOfCells`] if it does not follow from the text where rows are of which a figure is missing.
pub(super) fn limited(mut rows: Rows) -> Result<(Rows, Vec<FigureOrder>)> {
    let mut orders = Vec::new();
    let ordered_by = rows.ordered_by();
    if ordered_by.is_empty() {
        return Ok((rows, orders));
    }
    if !rows.shows(&rows.chosen_by) {
        orders.push(FigureOrder {
            of: OrderedBy::FirstRows,
            column: None,
            missing: MissingFigures::LeftOut,
        });
    }
    for key in rows.order.iter().filter(|key| !rows.has(&key.figures)) {
        let missing = key.missing.ok_or_else(|| refused(Form::LimitOfCells))?;
        orders.push(key.order(OrderedBy::FirstRows, missing));
    }
    rows.chosen_by.extend(ordered_by);
    Ok((rows, orders))
}

/// The rows of two parts of a `UNION ALL`.
fn both(mut one: Rows, other: Rows) -> Rows {
    let columns = std::mem::take(&mut one.columns).into_iter().zip(other.columns.clone());
    let columns = columns.map(|(one, other)| one.and(other)).collect();
    one.with(other, columns)
}

/// The rows of a join. `condition` are the figures that it depends on. Where a row that is left out on one side changes what a row of the
/// other side has, neither may depend on figures.
pub(super) fn joined(join: &Join, left: Rows, right: Rows, condition: Figures) -> Result<Rows> {
    let pairs_missing = !join.on.is_empty() && join.null_equality == NullEquality::NullEqualsNull;
    let can_miss = |optional: &[&Rows]| optional.iter().any(|rows| !rows.chosen_by.is_empty());
    let is_refused = match join.join_type {
        JoinType::Inner | JoinType::LeftSemi | JoinType::RightSemi => pairs_missing && !condition.is_empty(),
        JoinType::Left | JoinType::LeftAnti | JoinType::LeftMark => !condition.is_empty() || can_miss(&[&right]),
        JoinType::Right | JoinType::RightAnti | JoinType::RightMark => !condition.is_empty() || can_miss(&[&left]),
        JoinType::Full => !condition.is_empty() || can_miss(&[&left, &right]),
    };
    if is_refused {
        return Err(refused(Form::JoinOfCells));
    }
    let mut columns: Vec<Value> = match join.join_type {
        JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => {
            left.columns.iter().chain(&right.columns).cloned().collect()
        }
        JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => left.columns.clone(),
        JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => right.columns.clone(),
    };
    // A mark depends on the condition only.
    columns.resize(join.schema.fields().len(), Value::plain());
    let mut rows = left.with(right, columns);
    rows.chosen_by.extend(condition);
    Ok(rows)
}

pub(super) fn only(inputs: Vec<Rows>) -> Result<Rows> {
    <[Rows; 1]>::try_from(inputs)
        .map(|[rows]| rows)
        .map_err(|_| refused(Form::OtherOfCells))
}
