//! A query while it is lowered: the datasets that it names, what groupings read, and the bounds of the work.

use std::collections::{BTreeMap, BTreeSet};

use concordat_protocol::{
    ids::{ColumnName, DatasetName},
    scope::{Finite, Value},
};
use datafusion::{
    common::tree_node::{Transformed, TreeNode as _},
    error::DataFusionError,
    logical_expr::{Expr, LogicalPlan},
};

use crate::statistic::{
    admitted::{QueryPart, is_admitted},
    block::{Statistic, at_most},
    forms::{Form, NotCountable},
    known::KnownCollection,
    measure::Group,
    paths::Step,
    several_cells::FigureOrder,
    terms::{EventSet, SubjectValue},
};

/// Most groupings of a query.
pub(super) const MAX_BLOCKS: usize = 8;
/// Most datasets of a query, each counted as often as it is named.
pub(super) const MAX_INSTANCES: usize = 32;
/// Most conditions of a query.
pub(super) const MAX_CONDITIONS: usize = 1_000;
/// Most expressions of a query after derived tables are inserted, all parts counted.
pub(super) const MAX_NODES: usize = 50_000;
/// Most operators above and below each other.
pub(super) const MAX_DEPTH: usize = 64;

pub(super) type Result<T> = std::result::Result<T, NotCountable>;

/// A query as statistics, and what is computed from their cells.
#[derive(Clone, Debug)]
pub struct Lowered {
    /// The groupings, in the order of the plan.
    pub blocks: Vec<Block>,
    /// What is computed from the cells: it reads the tables `cells_1`, `cells_2`, …, one for each block.
    pub above: LogicalPlan,
    /// The orders of figures that decide about first rows and ranks, of which the reader of an answer has to know.
    pub orders: BTreeSet<FigureOrder>,
    /// The groups that have values beyond the outermost edges, of which the reader of an answer has to know as well.
    pub beyond: BTreeSet<Beyond>,
}

/// Where values are that are before the first declared edge of a column or after the last one, unless a condition leaves them out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Beyond {
    /// In the group of missing values: of quarters and months as numbers, it is not known which one a date has.
    Missing {
        /// The column, or what is computed from it.
        column: String,
        /// The first value that has a group.
        from: Value,
        /// The first value after them.
        to: Value,
    },
    /// In the first group, or in the last one: of years, bands and the like.
    Outermost {
        /// The column, or what is computed from it.
        column: String,
        /// The label of the group that has everything before this edge; `None` if a condition leaves that out.
        first: Option<(Value, Value)>,
        /// The label of the group that has everything from this edge on; `None` if a condition leaves that out.
        last: Option<(Value, Value)>,
    },
}

/// One grouping of a query, and the columns that its table has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The grouping.
    pub statistic: Statistic,
    /// The columns `c0`, `c1`, … of the table.
    pub columns: Vec<CellColumn>,
    /// Whether a cell is several rows of the query, one for each value of a group by a column of rows that list codes. The columns are the
    /// other groups, and then the aggregates of one value after the other.
    pub is_by_value: bool,
    /// The rows of a cell, if it has one for each class of a further group. Their columns are after the others: the label of the class, and
    /// the running sums.
    pub running: Option<RunningRows>,
}

/// Rows with running sums.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunningRows {
    /// The group whose classes are the rows.
    pub group: Group,
    /// For each sum, and each class in the order of the grid, the aggregate of the statistic that it is; `None` if it is one of no rows.
    pub cells: Vec<Vec<Option<usize>>>,
}

/// A column of a table of cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CellColumn {
    /// The label of this group of the statistic.
    Group(usize),
    /// This aggregate of the statistic.
    Cell(usize),
    /// A multiple of an aggregate, and a constant.
    Scaled {
        /// The aggregate.
        of: usize,
        /// What it is multiplied by.
        by: Finite,
        /// What is added.
        plus: Finite,
    },
    /// One aggregate divided by another one, missing where that is zero.
    Quotient {
        /// The dividend.
        of: usize,
        /// The divisor.
        by: usize,
    },
}

/// One query while it is lowered.
pub(super) struct Lowering<'k> {
    pub(super) known: &'k KnownCollection,
    pub(super) max_cells: usize,
    pub(super) instances: Vec<Instance>,
    pub(super) conditions: usize,
    pub(super) nodes: usize,
    pub(super) depth: usize,
    /// The part of the query that is read.
    part: QueryPart,
    pub(super) blocks: Vec<Block>,
    pub(super) beyond: BTreeSet<Beyond>,
}

impl<'k> Lowering<'k> {
    /// Nothing is lowered yet.
    pub(super) const fn new(known: &'k KnownCollection, max_cells: usize) -> Self {
        Self {
            known,
            max_cells,
            instances: Vec::new(),
            conditions: 0,
            nodes: 0,
            depth: 0,
            part: QueryPart::Condition,
            blocks: Vec::new(),
            beyond: BTreeSet::new(),
        }
    }

    /// Counts one level of nesting.
    pub(super) fn deeper<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.depth = self.depth.saturating_add(1);
        at_most(self.depth, MAX_DEPTH, "levels of nesting")?;
        let result = work(self);
        self.depth = self.depth.saturating_sub(1);
        result
    }

    /// Reads an expression in this part of the query, which may have its outermost form.
    pub(super) fn within<T>(
        &mut self,
        part: QueryPart,
        expression: &Expr,
        read: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        let around = std::mem::replace(&mut self.part, part);
        let result = self.admitted(expression).and_then(|()| read(self));
        self.part = around;
        result
    }

    /// Refuses a form of SQL, or a function, that the part of the query may not have.
    pub(super) fn admitted(&self, expression: &Expr) -> Result<()> {
        if is_admitted(expression, self.part) {
            return Ok(());
        }
        let is_group = self.part == QueryPart::Group && matches!(expression, Expr::ScalarFunction(_));
        Err(refused(if is_group { Form::Group } else { Form::Expression }))
    }

    /// Counts conditions.
    pub(super) fn count_conditions(&mut self, more: usize) -> Result<()> {
        self.conditions = self.conditions.saturating_add(more);
        at_most(self.conditions, MAX_CONDITIONS, "conditions")
    }
}

/// A dataset as a query names it, or a derived table with one row for each subject.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there are at most 32 of them")]
pub(super) enum Instance {
    /// A dataset.
    Rows(DatasetName),
    /// One row for each subject with an event.
    PerSubject {
        /// The events.
        of: EventSet,
        /// The columns `(0)`, `(1)`, … of the table.
        values: Vec<SubjectValue>,
    },
}

/// What a grouping reads.
#[derive(Clone, Debug, Default)]
pub(super) struct Relation {
    /// The columns, in the order of the plan's.
    pub(super) columns: Vec<Bound>,
    /// What must be true of each row.
    pub(super) conjuncts: Vec<Expr>,
    /// The instances, in the order of the text.
    pub(super) instances: Vec<usize>,
    /// Those of which a row may be missing.
    pub(super) optional: BTreeSet<usize>,
    /// Those of which the first row of each subject is meant, as long as no condition states it.
    pub(super) numbered: BTreeSet<usize>,
    /// Whether rows that are equal are one.
    pub(super) is_distinct: bool,
    /// Instances with events of the subject on the right of a `LEFT JOIN`: a row occurs as often as there are events.
    pub(super) repeating: BTreeSet<usize>,
}

/// An expression with the columns of instances, and how many parts it has.
#[derive(Clone, Debug)]
pub(super) struct Bound {
    pub(super) expr: Expr,
    pub(super) size: usize,
}

impl Relation {
    /// Why only subjects can be counted.
    pub(super) const fn reason(&self) -> Form {
        if self.is_distinct {
            Form::DistinctRows
        } else {
            Form::SeveralEvents
        }
    }

    /// Both, beside each other.
    pub(super) fn with(mut self, other: Self) -> Self {
        self.columns.extend(other.columns);
        self.conjuncts.extend(other.conjuncts);
        self.instances.extend(other.instances);
        self.optional.extend(other.optional);
        self.numbered.extend(other.numbered);
        self.is_distinct |= other.is_distinct;
        self.repeating.extend(other.repeating);
        self
    }
}

/// A row, and what it reaches.
#[derive(Clone, Debug, Default)]
pub(super) struct Component {
    /// The dataset of the row; `None` if only subjects are counted.
    pub(super) root: Option<usize>,
    /// The steps to each dataset, that of the row among them.
    pub(super) places: BTreeMap<usize, Vec<Step>>,
    /// The instances of the same subject.
    pub(super) same: BTreeSet<usize>,
}

/// The row whose columns an expression names, and the row around it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame<'a> {
    pub(super) this: &'a Component,
    pub(super) outer: Option<&'a Component>,
}

pub(super) const fn refused(form: Form) -> NotCountable {
    NotCountable::Form(form)
}

/// A column of an instance.
pub(super) type End = (usize, ColumnName);

/// The expression with each part, innermost first, replaced by what `change` returns.
pub(super) fn rewritten(expression: Expr, change: &mut dyn FnMut(Expr) -> Result<Expr>) -> Result<Expr> {
    let mut error = None;
    let changed = expression.transform_up(|inner| match change(inner) {
        Ok(changed) => Ok(Transformed::yes(changed)),
        Err(found) => {
            error = Some(found);
            Err(DataFusionError::Plan(String::new()))
        }
    });
    changed
        .map(|changed| changed.data)
        .map_err(|_| error.unwrap_or(NotCountable::Form(Form::Expression)))
}
