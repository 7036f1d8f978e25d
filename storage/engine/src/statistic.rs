//! The language below tier `records`: what a query over the datasets of a collection may compute.
//!
//! 1. [`lower`](lower()) reads the plan of a query, in which names are resolved and nothing is converted yet. Each grouping becomes a
//!    [`Statistic`]; what is computed from its cells stays a plan ([`Lowered`]).
//! 2. A [`Statistic`] counts or sums the rows of one dataset, or the subjects. Its conditions are sets of atoms of declared levels
//!    ([`Condition`]), of columns that a row reaches through keys ([`ColumnPath`]), and of events of the same subject ([`EventSet`]).
//! 3. What is not listed (`admitted`) is refused, with the nearest form ([`NotCountable`]). Nothing in a statistic fails on a value, and no
//!    value is compared with anything finer than an atom.
//! 4. What is computed from cells is computed row by row, or of cells that the query restricts to those that are shown ([`CellTables`]).
//!    First rows and ranks are those of all cells, with a remark on those that are missing ([`FigureOrder`]). A sum over whole partitions of
//!    a grouping is a grouping of its own ([`with_totals`]), and running sums are cells of one ([`RunningRows`]).
//! 5. Two texts that mean the same have one statistic: conditions have one form, and the digest identifies the query.
//!
//! Lowering walks plans recursively, so it needs a thread with a large stack ([`on_large_stack`](crate::on_large_stack)). Its work is
//! bounded: the numbers of expressions, conditions, datasets, groupings and cells are limited, and each text is read a bounded number of
//! times.

mod admitted;
mod alternatives;
mod block;
mod code_lists;
mod condition;
mod encoding;
mod forms;
mod implied;
mod known;
mod labels;
mod lower;
mod measure;
mod neighbors;
mod paths;
mod print;
mod several_cells;
mod terms;
mod used;

pub use admitted::QueryPart;
pub(crate) use admitted::{Syntax, parts_of_aggregate, parts_of_function, parts_of_window};
pub use block::{MAX_AGGREGATES, MAX_ENCODED, MAX_GROUPS, Measured, Statistic};
pub(crate) use code_lists::{SelectedCodes, code_lists};
pub use forms::{Form, NotCountable};
pub use known::KnownCollection;
pub(crate) use labels::texts as label_texts;
pub use lower::{
    Beyond, Block, CellColumn, LimitedFigures, LimitedValues, Lowered, RunningRows, lower, separate_sets, with_totals,
};
pub use measure::{Bucket, CellAggregate, Group, Output};
pub(crate) use neighbors::{Described, NeighborRows, RowNeighbors};
pub use paths::{ColumnPath, Row, Step};
pub use print::print;
pub(crate) use print::{Printing, printed};
pub use several_cells::{CellTables, FigureOrder, MissingFigures, OrderedBy};
pub use terms::{Condition, Day, EventSet, KeyList, Quantity, ReferenceTest, SubjectValue};
pub(crate) use used::Used;

#[cfg(test)]
pub(crate) mod tests;
