//! What a query computes of several cells: only of those that it restricts itself to, because they are shown.
//!
//! A figure that is withheld is missing, and so is one of a group without anyone. In an expression, a condition, an inner join and a
//! `UNION` this makes one row missing, or leaves one out. A rank, a neighbor, a total or the first ten rows depend on other rows: they
//! would be those of the groups that are shown, and would be read as those of all groups. So they are refused, unless the query states
//! itself that it is about groups that are shown:
//!
//! 1. Each column of a plan has the figures that it depends on, and each node those that decide which rows it has, and in which order
//!    (`rows`).
//! 2. `f IS NOT NULL` as a condition makes the figures of `f` shown ones, if `f` is missing where one of them is.
//! 3. A window function, and `LIMIT` in the order of figures, need shown ones only. A window also needs one of each grouping, which has
//!    rows for groups without anyone.
//! 4. Aggregates as windows, and joins and subqueries that depend on whether there is a row, have no such form.
//! 5. A node or expression that is not listed is refused if a figure is in it.

mod rows;

use std::collections::BTreeMap;

use datafusion::{
    common::{
        Column, DFSchemaRef,
        tree_node::{TreeNode as _, TreeNodeRecursion},
    },
    logical_expr::{
        Expr, LogicalPlan, Operator, Subquery, TableScan, WindowFunctionDefinition, expr::WindowFunction,
        utils::split_conjunction,
    },
};

use super::forms::Form;
use rows::{Figures, Result, Rows, Value, above, joined, only, refused};

/// The tables of cells that a plan reads, by their names: for each column, whether it is a figure. The other columns are groups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CellTables(BTreeMap<String, Vec<bool>>);

impl CellTables {
    /// These tables. All others have no figures.
    pub fn new(tables: impl IntoIterator<Item = (String, Vec<bool>)>) -> Self {
        Self(tables.into_iter().collect())
    }

    /// Refuses what depends on several cells of which some may be withheld.
    ///
    /// It walks the plan recursively, so it needs a thread with a large stack, as in an engine process.
    ///
    /// # Errors
    /// [`NotCountable::Form`](super::NotCountable::Form) with the nearest form.
    pub(crate) fn check(&self, plan: &LogicalPlan) -> Result<()> {
        self.rows(plan, None).map(drop)
    }
}

/// The columns that an expression can name.
struct Names<'a> {
    inputs: Vec<(&'a DFSchemaRef, &'a Rows)>,
    /// The columns of the query around it.
    outer: Option<&'a Self>,
}

impl<'a> Names<'a> {
    fn of(plan: &'a LogicalPlan, inputs: &'a [Rows], outer: Option<&'a Self>) -> Self {
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
    fn column(&self, column: &Column) -> Value {
        self.found(column).unwrap_or_else(|| Value {
            figures: self.all(|rows| rows.columns.iter().flat_map(|known| known.figures.clone()).collect()),
            is_strict: false,
        })
    }

    /// A column of a query around this one.
    fn outer_column(&self, column: &Column) -> Result<Value> {
        let outer = self.outer.ok_or_else(|| refused(Form::OtherOfCells))?;
        match outer.found(column) {
            Some(value) => Ok(value),
            None => outer.outer_column(column),
        }
    }

    /// These figures of all inputs.
    fn all(&self, of: impl Fn(&Rows) -> Figures) -> Figures {
        self.inputs.iter().flat_map(|&(_, rows)| of(rows)).collect()
    }
}

impl CellTables {
    fn rows(&self, plan: &LogicalPlan, outer: Option<&Names<'_>>) -> Result<Rows> {
        let inputs = plan.inputs().into_iter().map(|input| self.rows(input, outer));
        let mut inputs = inputs.collect::<Result<Vec<Rows>>>()?;
        if let LogicalPlan::TableScan(scan) = plan {
            return Ok(self.table(scan));
        }
        let (values, shown) = self.values(plan, &Names::of(plan, &inputs, outer))?;
        let figures: Figures = values.iter().flat_map(|value| value.figures.clone()).collect();
        if figures.is_empty() && inputs.iter().all(Rows::is_plain) {
            return Ok(Rows::plain(plan.schema().fields().len()));
        }
        if matches!(plan, LogicalPlan::Filter(_)) {
            return only(inputs).map(|mut rows| {
                rows.chosen_by.extend(figures);
                rows.shown.extend(shown);
                rows
            });
        }
        if let LogicalPlan::Join(join) = plan {
            let right = inputs.pop().ok_or_else(|| refused(Form::OtherOfCells))?;
            return joined(join, only(inputs)?, right, figures);
        }
        above(plan, inputs, values, figures)
    }

    /// What each expression of a node depends on, and the figures that a condition restricts to those that are shown.
    fn values(&self, plan: &LogicalPlan, names: &Names<'_>) -> Result<(Vec<Value>, Figures)> {
        if let LogicalPlan::Filter(filter) = plan {
            return self.conditions(&filter.predicate, names);
        }
        let expressions = plan.expressions();
        let values = expressions.iter().map(|expression| self.value(expression, names));
        Ok((values.collect::<Result<Vec<Value>>>()?, Figures::new()))
    }

    /// The same of the parts of a condition that have to be true together.
    fn conditions(&self, predicate: &Expr, names: &Names<'_>) -> Result<(Vec<Value>, Figures)> {
        let mut values = Vec::new();
        let mut shown = Figures::new();
        for condition in split_conjunction(predicate) {
            if let Expr::IsNotNull(operand) = condition {
                let value = self.value(operand, names)?;
                if value.is_strict {
                    shown.extend(value.figures.iter().cloned());
                }
                values.push(value);
            } else {
                values.push(self.value(condition, names)?);
            }
        }
        Ok((values, shown))
    }

    fn table(&self, scan: &TableScan) -> Rows {
        let name = scan.table_name.table();
        let columns = scan.projected_schema.fields().len();
        let Some(kinds) = self.0.get(name) else {
            return Rows::plain(columns);
        };
        let column = |at: usize| {
            let of = scan.projection.as_ref().map_or(Some(at), |read| read.get(at).copied());
            // A column that is not known is a figure.
            let is_figure = of.and_then(|of| kinds.get(of)).copied().unwrap_or(true);
            Value {
                figures: is_figure
                    .then(|| (name.to_owned(), of.unwrap_or(at)))
                    .into_iter()
                    .collect(),
                is_strict: true,
            }
        };
        let has_groups = kinds.iter().any(|is_figure| !is_figure);
        Rows {
            columns: (0..columns).map(column).collect(),
            grids: has_groups.then(|| name.to_owned()).into_iter().collect(),
            ..Rows::default()
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "any other expression depends on what its parts depend on"
    )]
    fn value(&self, expression: &Expr, names: &Names<'_>) -> Result<Value> {
        match expression {
            Expr::Column(column) => Ok(names.column(column)),
            Expr::OuterReferenceColumn(_, column) => names.outer_column(column),
            Expr::WindowFunction(function) => self.window(function, expression, names),
            Expr::ScalarSubquery(subquery) => self.scalar(subquery, names),
            Expr::Exists(exists) => self.test(&exists.subquery, Value::plain(), names),
            Expr::InSubquery(test) => {
                let tested = self.value(&test.expr, names)?;
                self.test(&test.subquery, tested, names)
            }
            Expr::SetComparison(test) => {
                let tested = self.value(&test.expr, names)?;
                self.test(&test.subquery, tested, names)
            }
            other => {
                let value = self.parts(other, names)?;
                Ok(Value {
                    is_strict: value.is_strict && is_strict(other),
                    ..value
                })
            }
        }
    }

    /// What the parts of an expression depend on together.
    fn parts(&self, expression: &Expr, names: &Names<'_>) -> Result<Value> {
        let mut parts: Vec<&Expr> = Vec::new();
        let collected = expression.apply_children(|part| {
            parts.push(part);
            Ok(TreeNodeRecursion::Continue)
        });
        collected.map_err(|_| refused(Form::OtherOfCells))?;
        let values = parts.into_iter().map(|part| self.value(part, names));
        let values = values.collect::<Result<Vec<Value>>>()?;
        Ok(values.into_iter().fold(Value::plain(), Value::and))
    }

    /// A window function depends on what its arguments, its partitions and its order depend on in all rows, and on which rows there are in
    /// which order.
    fn window(&self, function: &WindowFunction, whole: &Expr, names: &Names<'_>) -> Result<Value> {
        let mut figures = self.parts(whole, names)?.figures;
        figures.extend(names.all(|rows| rows.chosen_by.union(&rows.ordered_by).cloned().collect()));
        let mut grids = names.inputs.iter().flat_map(|(_, rows)| &rows.grids).peekable();
        if figures.is_empty() && grids.peek().is_none() {
            return Ok(Value::plain());
        }
        if matches!(function.fun, WindowFunctionDefinition::AggregateUDF(_)) {
            return Err(refused(Form::TotalOfCells));
        }
        let shown = names.all(|rows| rows.shown.clone());
        let has_shown = |grid: &String| shown.iter().any(|(table, _)| table == grid);
        if !figures.is_subset(&shown) || !grids.all(has_shown) {
            return Err(refused(Form::WindowOfCells));
        }
        Ok(Value {
            figures,
            is_strict: false,
        })
    }

    /// A subquery for a value.
    fn scalar(&self, subquery: &Subquery, names: &Names<'_>) -> Result<Value> {
        let Rows { columns, chosen_by, .. } = self.rows(&subquery.subquery, Some(names))?;
        let is_chosen = !chosen_by.is_empty();
        let value = columns.into_iter().fold(Value::plain(), Value::and);
        Ok(Value {
            figures: value.figures.into_iter().chain(chosen_by).collect(),
            is_strict: value.is_strict && !is_chosen,
        })
    }

    /// A test of whether a subquery has a row, which one that is left out would answer.
    fn test(&self, subquery: &Subquery, tested: Value, names: &Names<'_>) -> Result<Value> {
        let rows = self.rows(&subquery.subquery, Some(names))?;
        if tested.figures.is_empty() && rows.chosen_by.is_empty() && rows.has_plain_columns() {
            Ok(Value {
                is_strict: false,
                ..tested
            })
        } else {
            Err(refused(Form::OtherOfCells))
        }
    }
}

/// Whether an expression is missing where one of its parts is.
#[expect(clippy::wildcard_enum_match_arm, reason = "others may have a value then")]
fn is_strict(expression: &Expr) -> bool {
    match expression {
        Expr::Literal(..) | Expr::Alias(_) | Expr::Cast(_) | Expr::TryCast(_) | Expr::Negative(_) | Expr::Not(_) => {
            true
        }
        Expr::BinaryExpr(binary) => matches!(
            binary.op,
            Operator::Plus
                | Operator::Minus
                | Operator::Multiply
                | Operator::Divide
                | Operator::Modulo
                | Operator::Eq
                | Operator::NotEq
                | Operator::Lt
                | Operator::LtEq
                | Operator::Gt
                | Operator::GtEq
        ),
        Expr::ScalarFunction(function) => STRICT.contains(&function.func.name()),
        _ => false,
    }
}

/// Functions of one number that are missing without it.
const STRICT: [&str; 9] = ["abs", "ceil", "exp", "floor", "ln", "log10", "log2", "round", "sqrt"];
