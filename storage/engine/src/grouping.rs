//! A query below tier `records` at a node that has none of the rows: what it groups, as the holders lower it.
//!
//! The consumer's node lowers each grouping once for each member that has a part of it ([`Grouping::lowered`]), and then with the levels that
//! the members have in common ([`CommonGrouping`]), so that they compute one statistic with one grid. Each member gets the text of its part
//! ([`Grouping::text`]), whose aggregates can be other ones than those of the query, and the answers become the table that the plan above the
//! grouping reads ([`Grouping::cells`], [`above_cells`]).

mod common;
mod names;

use std::{collections::BTreeSet, sync::Arc};

use arrow::array::{ArrayRef, RecordBatch};
use concordat_disclosure::{Mode, Released, ReleasedColumn};
use concordat_protocol::{collection::CollectionRules, ids::DatasetRef, schema::VersionNumber, scope::Scope};
use datafusion::{execution::context::SessionState, logical_expr::LogicalPlan, sql::sqlparser::ast::Statement};

pub use common::{ChangedLevels, CommonGrouping, GroupingDifference, MemberGrouping};

use crate::{
    QueryError, compute,
    decision::{cells_tables, label_texts},
    meaning::{checked, plan_of},
    size,
    statistic::{
        Beyond, Block, CellAggregate, CellColumn, CellTables, FigureOrder, Form, KnownCollection, Lowered,
        NotCountable, Printing, Statistic, lower, printed,
    },
};

/// Most cells of a grouping, unless the permission has a lower limit: each of them is decided, and counts as released for later ones.
const MAX_CELLS: u32 = 500;

/// One grouping of a query under one permission.
#[derive(Clone, Debug)]
pub struct Grouping {
    plan: LogicalPlan,
    block: Block,
    beyond: BTreeSet<Beyond>,
    known: KnownCollection,
    /// The table of its cells, without figures.
    cells: RecordBatch,
    most_cells: usize,
}

/// A part of a grouping as SQL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupingText {
    /// One `SELECT` over the bare names of the datasets, with the columns `g0`, `g1`, … of the groups and `a0`, `a1`, … of the aggregates.
    pub sql: String,
    /// For each aggregate that was requested, the number of its column.
    pub columns: Vec<usize>,
}

impl Grouping {
    /// `plan` is a grouping of a plan of [`countable`], in which each table has the bare name of a dataset. `scope` and `rules` are what a
    /// holder shows.
    ///
    /// It walks the plan recursively, so it needs a thread with a large stack, as in an engine process.
    ///
    /// # Errors
    /// The error with which the holder would refuse it.
    pub fn lowered(plan: &LogicalPlan, rules: &CollectionRules, scope: &Scope) -> Result<Self, QueryError> {
        Self::of(plan.clone(), compute::shown(rules, scope), most_cells(scope))
    }

    /// The grouping of a collection that is known so.
    fn of(plan: LogicalPlan, known: KnownCollection, most_cells: usize) -> Result<Self, QueryError> {
        let lowered = lower(&plan, &known, most_cells).map_err(|error| not_countable(&error))?;
        if lowered.blocks.iter().any(|block| block.is_by_value) {
            return Err(not_countable(&NotCountable::Form(Form::CombinedValues)));
        }
        for beyond in &lowered.beyond {
            // Of other values than those of one member, a part of a date would be missing in the cells of all.
            if let Beyond::Missing { column, from, to } = beyond.clone() {
                return Err(not_countable(&NotCountable::Beyond { column, from, to }));
            }
        }
        // A running sum is one of a window, which is above a grouping.
        if lowered.blocks.iter().any(|block| block.running.is_some()) {
            return Err(QueryError::Engine { step: "planning" });
        }
        let nothing = lowered.blocks.iter().map(|block| withheld(&block.statistic, &known));
        let nothing = nothing.collect::<Result<Vec<Released>, QueryError>>()?;
        let mut tables = cells_tables(&lowered, &known, &nothing)?;
        let Lowered { mut blocks, beyond, .. } = lowered;
        match (blocks.pop(), tables.pop()) {
            (Some(block), Some(cells)) if blocks.is_empty() => Ok(Self {
                plan,
                block,
                beyond,
                known,
                cells,
                most_cells,
            }),
            _ => Err(QueryError::Engine { step: "planning" }),
        }
    }

    /// What is computed.
    pub const fn statistic(&self) -> &Statistic {
        &self.block.statistic
    }

    /// The groups that have values beyond the outermost edges.
    pub const fn beyond(&self) -> &BTreeSet<Beyond> {
        &self.beyond
    }

    /// What the columns of the grouping are, in their order.
    pub fn columns(&self) -> &[CellColumn] {
        &self.block.columns
    }

    /// What the permission shows of the collection.
    pub const fn known(&self) -> &KnownCollection {
        &self.known
    }

    /// The table of the cells: one row for each cell of the grid, with the labels of the groups, and missing values in place of figures.
    pub const fn cells(&self) -> &RecordBatch {
        &self.cells
    }

    /// The labels of a group of the statistic in each cell.
    #[must_use]
    pub fn labels(&self, group: usize) -> Option<&ArrayRef> {
        let mut columns = self.block.columns.iter();
        let at = columns.position(|column| *column == CellColumn::Group(group))?;
        self.cells.columns().get(at)
    }

    /// The same as text, as the groups of [`Self::text`] with `labels` are.
    ///
    /// # Errors
    /// [`QueryError::Invalid`] for labels that are not known here.
    pub fn label_texts(&self, group: usize) -> Result<ArrayRef, QueryError> {
        let texts = label_texts(&self.block.statistic, group, &self.known)?;
        Ok(Arc::new(texts))
    }

    /// The text of the same groups and conditions with these aggregates. With `labels`, the groups are those of the grid at tier `records`
    /// too.
    ///
    /// # Errors
    /// [`QueryError::Invalid`] if they have no text, or are too many.
    pub fn text(
        &self,
        aggregates: &[CellAggregate],
        labels: bool,
        version: Option<VersionNumber>,
    ) -> Result<GroupingText, QueryError> {
        let whole = self.statistic();
        let part = Statistic::new(
            whole.measured().clone(),
            whole.rows().clone(),
            whole.groups().to_vec(),
            aggregates.to_vec(),
            &self.known,
            whole.grid(&self.known),
        );
        let part = part.map_err(|error| not_countable(&error))?;
        let form = Printing {
            is_named: true,
            has_labels: labels,
            version,
        };
        let sql = printed(&part, &self.known, form).ok_or_else(|| QueryError::Invalid {
            detail: "this grouping cannot be written for several members; query each of them by name".to_owned(),
        })?;
        let number = |wanted: &CellAggregate| part.cells().iter().position(|cell| cell == wanted);
        let columns = aggregates.iter().map(number).collect::<Option<Vec<_>>>();
        let columns = columns.ok_or(QueryError::Engine { step: "planning" })?;
        Ok(GroupingText { sql, columns })
    }
}

/// The plan of a query of which parts are counted: names are resolved, and nothing is checked or converted yet. Errors name `dataset`.
///
/// # Errors
/// [`QueryError`] for what cannot be planned.
pub async fn countable(
    state: &SessionState,
    statement: &Statement,
    dataset: &DatasetRef,
) -> Result<LogicalPlan, QueryError> {
    let plan = plan_of(state, statement).await;
    let plan = plan.map_err(|error| QueryError::planning_of(statement, error, dataset))?;
    size::admitted(&plan)?;
    Ok(plan)
}

/// The plan of [`countable`] after its groupings became these tables of cells, checked as a holder checks what it computes of its own
/// cells; and the orders of figures that decide about first rows and ranks, of which the reader of an answer has to know.
///
/// # Errors
/// [`QueryError::Invalid`] for what depends on several cells of which some may be missing, and for what cannot be compared.
pub fn above_cells(
    plan: LogicalPlan,
    tables: &CellTables,
    dataset: &DatasetRef,
) -> Result<(LogicalPlan, BTreeSet<FigureOrder>), QueryError> {
    let orders = tables.check(&plan).map_err(|error| not_countable(&error))?;
    let plan = checked(plan).map_err(|error| QueryError::planning(error, dataset))?;
    Ok((plan, orders))
}

/// A grid with nothing in it.
pub(crate) fn withheld(statistic: &Statistic, known: &KnownCollection) -> Result<Released, QueryError> {
    let cells = statistic.grid(known);
    let columns = statistic
        .cells()
        .iter()
        .map(|_| ReleasedColumn::exact(vec![None; cells]));
    Released::new(Mode::Exact, cells, columns.collect()).map_err(|_| QueryError::Engine { step: "planning" })
}

/// What cannot be counted, with the reason and the nearest form.
pub(crate) fn not_countable(error: &NotCountable) -> QueryError {
    let nearest = std::error::Error::source(error).map(|source| format!(": {source}"));
    QueryError::Invalid {
        detail: format!("{error}{}", nearest.unwrap_or_default()),
    }
}

/// Most cells of a grouping under a permission.
pub(crate) fn most_cells(scope: &Scope) -> usize {
    let most = scope.limits.max_cells.unwrap_or(MAX_CELLS).min(MAX_CELLS);
    usize::try_from(most).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
