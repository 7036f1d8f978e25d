//! The columns that an expression above cells can name.

use datafusion::{
    common::{Column, DFSchemaRef},
    logical_expr::LogicalPlan,
};

use super::{
    rows::Rows,
    values::{Figures, Result, Value, refused},
};
use crate::statistic::forms::Form;

/// The columns of the inputs of a node, and those of the query around it.
pub(super) struct Names<'a> {
    inputs: Vec<(&'a DFSchemaRef, &'a Rows)>,
    /// The columns of the query around it.
    outer: Option<&'a Self>,
}

impl<'a> Names<'a> {
    pub(super) fn of(plan: &'a LogicalPlan, inputs: &'a [Rows], outer: Option<&'a Self>) -> Self {
        let schemas = plan.inputs().into_iter().map(LogicalPlan::schema);
        Self {
            inputs: schemas.zip(inputs).collect(),
            outer,
        }
    }

    /// The column in the inputs; `None` if they have none of this name.
    fn found(&self, column: &Column) -> Option<Value> {
        let found = self.inputs.iter().filter_map(|(schema, rows)| {
            let at = schema.maybe_index_of_column(column)?;
            rows.columns.get(at).cloned()
        });
        found.reduce(Value::and)
    }

    /// A column that is in none of the inputs depends on all that they have.
    pub(super) fn column(&self, column: &Column) -> Value {
        self.found(column).unwrap_or_else(|| Value {
            figures: self.all(|rows| rows.columns.iter().flat_map(|known| known.figures.clone()).collect()),
            is_strict: false,
            is_rank: false,
        })
    }

    /// A column of a query around this one.
    pub(super) fn outer_column(&self, column: &Column) -> Result<Value> {
        let outer = self.outer.ok_or_else(|| refused(Form::OtherOfCells))?;
        match outer.found(column) {
            Some(value) => Ok(value),
            None => outer.outer_column(column),
        }
    }

    /// These figures of all inputs.
    pub(super) fn all(&self, of: impl Fn(&Rows) -> Figures) -> Figures {
        self.inputs.iter().flat_map(|&(_, rows)| of(rows)).collect()
    }

    /// The tables that have a row for each group, of all inputs.
    pub(super) fn grids(&self) -> impl Iterator<Item = &String> {
        self.inputs.iter().flat_map(|&(_, rows)| &rows.grids)
    }
}
