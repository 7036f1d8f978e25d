//! Functions with `OVER` above cells.

use datafusion::logical_expr::{WindowFunctionDefinition, expr::WindowFunction};

use super::{
    names::Names,
    order::{FigureOrder, Key, MissingFigures, OrderedBy},
    values::{Figures, Result, Value, refused},
};
use crate::statistic::forms::Form;

/// Functions that number rows by those before them only, so that the last ones change no number of others.
const RANKS: [&str; 3] = ["dense_rank", "rank", "row_number"];

/// A function with `OVER`, and what its parts depend on.
pub(super) struct Window<'a> {
    pub(super) function: &'a WindowFunction,
    /// All of its parts.
    pub(super) all: Value,
    pub(super) partitions: Value,
    pub(super) order: Vec<Key>,
}

/// What a window function depends on, and the orders about which an answer has a remark.
pub(super) struct Ranked {
    pub(super) value: Value,
    pub(super) orders: Vec<FigureOrder>,
}

impl Window<'_> {
    /// A window function depends on what its arguments, its partitions and its order depend on in all rows, and on which rows there are in
    /// which order.
    ///
    /// # Errors
    /// [`Form::TotalOfCells`] for aggregates, and [`Form::WindowOfCells`] if some figures may be withheld and are not the last ones of a
    /// rank.
    pub(super) fn over(self, names: &Names<'_>) -> Result<Ranked> {
        let given = names.all(|rows| rows.chosen_by.union(&rows.ordered_by()).cloned().collect());
        let figures: Figures = self.all.figures.union(&given).cloned().collect();
        if figures.is_empty() && names.grids().next().is_none() {
            return Ok(Ranked {
                value: Value::plain(),
                orders: Vec::new(),
            });
        }
        if matches!(self.function.fun, WindowFunctionDefinition::AggregateUDF(_)) {
            return Err(refused(Form::TotalOfCells));
        }
        let shown = names.all(|rows| rows.shown.clone());
        let is_of = |grid: &String, figures: &Figures| figures.iter().any(|(table, _)| table == grid);
        if figures.is_subset(&shown) && names.grids().all(|grid| is_of(grid, &shown)) {
            let value = Value {
                figures,
                is_strict: false,
                is_rank: false,
            };
            return Ok(Ranked {
                value,
                orders: Vec::new(),
            });
        }
        let first = self.order.first().map(|key| key.figures.clone()).unwrap_or_default();
        let is_last = |grid: &String| is_of(grid, &shown) || is_of(grid, &first);
        if !self.is_rank() || !given.is_subset(&shown) || !self.partitions.figures.is_subset(&shown) {
            return Err(refused(Form::WindowOfCells));
        }
        let unknown = self.order.iter().filter(|key| !key.figures.is_subset(&shown));
        let unknown: Vec<&Key> = unknown.collect();
        if !unknown.iter().all(|key| key.has_missing_last()) || !names.grids().all(is_last) {
            return Err(refused(Form::WindowOfCells));
        }
        let orders = unknown
            .iter()
            .map(|key| key.order(OrderedBy::Ranks, MissingFigures::Last));
        Ok(Ranked {
            orders: orders.collect(),
            value: Value {
                figures,
                is_strict: false,
                is_rank: self.order.len() == 1 && self.function.params.partition_by.is_empty(),
            },
        })
    }

    fn is_rank(&self) -> bool {
        RANKS.contains(&self.function.fun.name()) && self.function.params.args.is_empty()
    }
}
