//! What a query computes of several cells, of which some may be withheld.
//!
//! A figure that is withheld is missing, and so is one of a group without anyone. In an expression, a condition, an inner join and a
//! `UNION` this makes one row missing, or leaves one out. A rank, a neighbor, a total or the first ten rows depend on other rows: they
//! would be those of the groups that are shown, and would be read as those of all groups. So they are refused, unless the query states
//! itself that it is about groups that are shown, or an answer can have a remark that states it, whatever is withheld:
//!
//! 1. Each column of a plan has the figures that it depends on, and each node those that decide which rows it has, and in which order
//!    (`rows`).
//! 2. `f IS NOT NULL` as a condition makes the figures of `f` shown ones, if `f` is missing where one of them is.
//! 3. `LIMIT` in the order of figures has a remark, if rows of which one is missing are the first or the last ones (`order`).
//! 4. A rank has one if they are the last ones (`windows`). Other window functions need shown figures only, and one of each grouping,
//!    which has rows for groups without anyone.
//! 5. Aggregates as windows, and joins and subqueries that depend on whether there is a row, have no such form. A sum over whole
//!    partitions of a grouping is not a window any more where it can be counted (`lower/totals.rs`).
//! 6. A node or expression that is not listed is refused if a figure is in it.

mod names;
mod order;
mod rows;
mod values;
mod windows;

use std::collections::{BTreeMap, BTreeSet};

use datafusion::{
    common::tree_node::{TreeNode as _, TreeNodeRecursion},
    logical_expr::{Expr, LogicalPlan, Operator, Sort, SortExpr, Subquery, TableScan, utils::split_conjunction},
};

use super::forms::Form;
use names::Names;
use order::Key;
pub use order::{FigureOrder, MissingFigures, OrderedBy};
use rows::{Rows, above, joined, limited, only};
use values::{Figures, Result, Value, refused};
use windows::{Ranked, Window};

/// The tables of cells that a plan reads, by their names: for each column, whether it is a figure. The other columns are groups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CellTables(BTreeMap<String, Vec<bool>>);

impl CellTables {
    /// These tables. All others have no figures.
    pub fn new(tables: impl IntoIterator<Item = (String, Vec<bool>)>) -> Self {
        Self(tables.into_iter().collect())
    }

    /// Refuses what depends on several cells of which some may be withheld. Returns the orders about which an answer has a remark.
    ///
    /// It walks the plan recursively, so it needs a thread with a large stack, as in an engine process.
    ///
    /// # Errors
    /// [`NotCountable::Form`](super::NotCountable::Form) with the nearest form.
    pub(crate) fn check(&self, plan: &LogicalPlan) -> Result<BTreeSet<FigureOrder>> {
        let mut walk = Walk {
            tables: &self.0,
            orders: BTreeSet::new(),
        };
        walk.rows(plan, None)?;
        Ok(walk.orders)
    }
}

/// A plan while it is checked.
struct Walk<'t> {
    tables: &'t BTreeMap<String, Vec<bool>>,
    /// The orders of figures that decide about first rows and ranks.
    orders: BTreeSet<FigureOrder>,
}

impl Walk<'_> {
    fn rows(&mut self, plan: &LogicalPlan, outer: Option<&Names<'_>>) -> Result<Rows> {
        let inputs = plan.inputs().into_iter().map(|input| self.rows(input, outer));
        let mut inputs = inputs.collect::<Result<Vec<Rows>>>()?;
        if let LogicalPlan::TableScan(scan) = plan {
            return Ok(self.table(scan));
        }
        let Values { values, shown, present } = self.values(plan, &Names::of(plan, &inputs, outer))?;
        let figures: Figures = values.iter().flat_map(|value| value.figures.clone()).collect();
        if figures.is_empty() && inputs.iter().all(Rows::is_plain) {
            return Ok(Rows::plain(plan.schema().fields().len()));
        }
        if matches!(plan, LogicalPlan::Filter(_)) {
            return only(inputs).map(|mut rows| {
                rows.chosen_by.extend(figures);
                rows.shown.extend(shown);
                rows.present.extend(present);
                rows
            });
        }
        if let LogicalPlan::Join(join) = plan {
            let right = inputs.pop().ok_or_else(|| refused(Form::OtherOfCells))?;
            return joined(join, only(inputs)?, right, figures);
        }
        if let LogicalPlan::Sort(Sort { expr, fetch: None, .. }) = plan {
            return Ok(Rows {
                order: keys(expr, values),
                ..only(inputs)?
            });
        }
        if matches!(plan, LogicalPlan::Limit(_)) && figures.is_empty() {
            let (rows, orders) = limited(only(inputs)?)?;
            self.orders.extend(orders);
            return Ok(rows);
        }
        above(plan, inputs, values)
    }

    /// What each expression of a node depends on.
    fn values(&mut self, plan: &LogicalPlan, names: &Names<'_>) -> Result<Values> {
        if let LogicalPlan::Filter(filter) = plan {
            return self.conditions(&filter.predicate, names);
        }
        let expressions = plan.expressions();
        let values = expressions.iter().map(|expression| self.value(expression, names));
        Ok(Values {
            values: values.collect::<Result<Vec<Value>>>()?,
            ..Values::default()
        })
    }

    /// The same of the parts of a condition that have to be true together.
    fn conditions(&mut self, predicate: &Expr, names: &Names<'_>) -> Result<Values> {
        let mut found = Values::default();
        for condition in split_conjunction(predicate) {
            let value = if let Expr::IsNotNull(operand) = condition {
                let value = self.value(operand, names)?;
                if value.is_strict {
                    found.shown.extend(value.figures.iter().cloned());
                }
                value
            } else {
                let value = self.value(condition, names)?;
                // What is missing is not true.
                if value.is_strict {
                    found.present.extend(value.figures.iter().cloned());
                }
                value
            };
            found.values.push(value);
        }
        Ok(found)
    }

    fn table(&self, scan: &TableScan) -> Rows {
        let name = scan.table_name.table();
        let columns = scan.projected_schema.fields().len();
        let Some(kinds) = self.tables.get(name) else {
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
                is_rank: false,
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
    fn value(&mut self, expression: &Expr, names: &Names<'_>) -> Result<Value> {
        match expression {
            Expr::Column(column) => Ok(names.column(column)),
            Expr::Alias(alias) => self.value(&alias.expr, names),
            Expr::OuterReferenceColumn(_, column) => names.outer_column(column),
            Expr::WindowFunction(function) => {
                let window = Window {
                    function,
                    all: self.parts(expression, names)?,
                    partitions: self.all_of(&function.params.partition_by, names)?,
                    order: self.order(&function.params.order_by, names)?,
                };
                let Ranked { value, orders } = window.over(names)?;
                self.orders.extend(orders);
                Ok(value)
            }
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
    fn parts(&mut self, expression: &Expr, names: &Names<'_>) -> Result<Value> {
        let mut parts: Vec<&Expr> = Vec::new();
        let collected = expression.apply_children(|part| {
            parts.push(part);
            Ok(TreeNodeRecursion::Continue)
        });
        collected.map_err(|_| refused(Form::OtherOfCells))?;
        self.all_of(parts, names)
    }

    /// What all of these depend on together.
    fn all_of<'e>(&mut self, expressions: impl IntoIterator<Item = &'e Expr>, names: &Names<'_>) -> Result<Value> {
        let values = expressions.into_iter().map(|expression| self.value(expression, names));
        let values = values.collect::<Result<Vec<Value>>>()?;
        Ok(values.into_iter().fold(Value::plain(), Value::and))
    }

    /// The columns of an order.
    fn order(&mut self, order: &[SortExpr], names: &Names<'_>) -> Result<Vec<Key>> {
        let keys = order.iter();
        keys.map(|sort| Ok(Key::new(sort, self.value(&sort.expr, names)?)))
            .collect()
    }

    /// A subquery for a value.
    fn scalar(&mut self, subquery: &Subquery, names: &Names<'_>) -> Result<Value> {
        let Rows { columns, chosen_by, .. } = self.rows(&subquery.subquery, Some(names))?;
        let is_chosen = !chosen_by.is_empty();
        let value = columns.into_iter().fold(Value::plain(), Value::and);
        Ok(Value {
            figures: value.figures.into_iter().chain(chosen_by).collect(),
            is_strict: value.is_strict && !is_chosen,
            is_rank: false,
        })
    }

    /// A test of whether a subquery has a row, which one that is left out would answer.
    fn test(&mut self, subquery: &Subquery, tested: Value, names: &Names<'_>) -> Result<Value> {
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

/// What the expressions of a node depend on.
#[derive(Default)]
struct Values {
    values: Vec<Value>,
    /// The figures that a condition restricts to those that are shown.
    shown: Figures,
    /// The figures without which a condition is not true.
    present: Figures,
}

/// The columns of an order that depend on figures.
fn keys(order: &[SortExpr], values: Vec<Value>) -> Vec<Key> {
    let keys = order.iter().zip(values).map(|(sort, value)| Key::new(sort, value));
    keys.filter(|key| !key.figures.is_empty()).collect()
}

/// Whether an expression is missing where one of its parts is.
#[expect(clippy::wildcard_enum_match_arm, reason = "others may have a value then")]
fn is_strict(expression: &Expr) -> bool {
    match expression {
        Expr::Literal(..) | Expr::Cast(_) | Expr::TryCast(_) | Expr::Negative(_) | Expr::Not(_) => true,
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
