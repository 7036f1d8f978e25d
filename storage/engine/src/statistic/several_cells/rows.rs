//! What the rows of a node of a plan depend on, from those of its inputs.

use std::collections::BTreeSet;

use datafusion::{
    common::{JoinType, NullEquality},
    logical_expr::{Distinct, Join, LogicalPlan, Sort},
};

use crate::statistic::forms::{Form, NotCountable};

pub(super) type Result<T> = std::result::Result<T, NotCountable>;

/// A figure: the name of its table, and the number of its column there. Each table is read once.
pub(super) type Figure = (String, usize);
pub(super) type Figures = BTreeSet<Figure>;

/// What a column or an expression depends on.
#[derive(Clone, Debug)]
pub(super) struct Value {
    pub(super) figures: Figures,
    /// Whether it is missing where one of the figures is.
    pub(super) is_strict: bool,
}

impl Value {
    /// What depends on no figure.
    pub(super) const fn plain() -> Self {
        Self {
            figures: Figures::new(),
            is_strict: true,
        }
    }

    /// What depends on both, and is missing where either is if `is_strict`.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.figures.extend(other.figures);
        self.is_strict &= other.is_strict;
        self
    }
}

/// What the rows of a node depend on.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) columns: Vec<Value>,
    /// The figures that decide which rows there are.
    pub(super) chosen_by: Figures,
    /// The figures that decide in which order they are.
    pub(super) ordered_by: Figures,
    /// The figures that the query restricts to those that are shown.
    pub(super) shown: Figures,
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
        self.has_plain_columns() && self.chosen_by.is_empty() && self.ordered_by.is_empty() && self.grids.is_empty()
    }

    pub(super) fn has_plain_columns(&self) -> bool {
        self.columns.iter().all(|column| column.figures.is_empty())
    }

    /// Whether all of these figures are shown.
    fn shows(&self, figures: &Figures) -> bool {
        figures.is_subset(&self.shown)
    }

    /// The rows of both, with these columns.
    fn with(mut self, other: Self, columns: Vec<Value>) -> Self {
        self.columns = columns;
        self.chosen_by.extend(other.chosen_by);
        self.ordered_by.extend(other.ordered_by);
        self.shown.extend(other.shown);
        self.grids.extend(other.grids);
        self
    }
}

/// The rows of a node that is neither a table nor a condition nor a join. `figures` are those of `values`, its expressions.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a node that is not listed is refused, as a figure is in it"
)]
pub(super) fn above(plan: &LogicalPlan, inputs: Vec<Rows>, values: Vec<Value>, figures: Figures) -> Result<Rows> {
    match plan {
        LogicalPlan::Projection(_) => Ok(Rows {
            columns: values,
            ..only(inputs)?
        }),
        LogicalPlan::Window(_) => only(inputs).map(|mut rows| {
            rows.columns.extend(values);
            rows
        }),
        LogicalPlan::Sort(Sort { fetch: None, .. }) => Ok(Rows {
            ordered_by: figures,
            ..only(inputs)?
        }),
        LogicalPlan::Limit(_) if figures.is_empty() => limited(only(inputs)?),
        LogicalPlan::SubqueryAlias(_) => only(inputs),
        LogicalPlan::Union(_) => inputs
            .into_iter()
            .reduce(both)
            .ok_or_else(|| refused(Form::OtherOfCells)),
        // Rows that are equal are one.
        LogicalPlan::Distinct(Distinct::All(_)) => only(inputs).map(|mut rows| {
            let of_columns = rows.columns.iter().flat_map(|column| column.figures.clone());
            rows.chosen_by.extend(of_columns.collect::<Figures>());
            rows
        }),
        _ => Err(refused(Form::OtherOfCells)),
    }
}

/// The first rows, or those after them.
fn limited(mut rows: Rows) -> Result<Rows> {
    if rows.ordered_by.is_empty() {
        return Ok(rows);
    }
    if !rows.shows(&rows.ordered_by) || !rows.shows(&rows.chosen_by) {
        return Err(refused(Form::LimitOfCells));
    }
    rows.chosen_by.extend(rows.ordered_by.iter().cloned());
    Ok(rows)
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

pub(super) const fn refused(form: Form) -> NotCountable {
    NotCountable::Form(form)
}
