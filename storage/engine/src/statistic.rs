//! The language below tier `records`: what a query over the datasets of a collection may compute.
//!
//! 1. [`lower`](lower()) reads the plan of a query, in which names are resolved and nothing is converted yet. Each grouping becomes a
//!    [`Statistic`]; what is computed from its cells stays a plan ([`Lowered`]).
//! 2. A [`Statistic`] counts or sums the rows of one dataset, or the subjects. Its conditions are sets of atoms of declared levels
//!    ([`Condition`]), of columns that a row reaches through keys ([`ColumnPath`]), and of events of the same subject ([`EventSet`]).
//! 3. What is not listed is refused, with the nearest form ([`NotCountable`]). Nothing in a statistic fails on a value, and no
//!    value is compared with anything finer than an atom.
//! 4. Two texts that mean the same have one statistic: conditions have one form, and the digest identifies the query.
//!
//! Lowering walks plans recursively, so it needs a thread with a large stack ([`on_large_stack`](crate::on_large_stack)). Its work is
//! bounded: the numbers of expressions, conditions, datasets, groupings and cells are limited, and each text is read a bounded number of
//! times.

mod block;
mod condition;
mod encoding;
mod forms;
mod known;
mod lower;
mod measure;
mod paths;
mod print;
mod terms;

pub use block::{MAX_AGGREGATES, MAX_ENCODED, MAX_GROUPS, Measured, Statistic};
pub use forms::{Form, NotCountable};
pub use known::KnownCollection;
pub use lower::{Block, CellColumn, Lowered, lower};
pub use measure::{Bucket, CellAggregate, Group, Output};
pub use paths::{ColumnPath, Row, Step};
pub use print::print;
pub use terms::{Condition, Day, EventSet, KeyList, Quantity, ReferenceTest, SubjectValue};

#[cfg(test)]
mod tests;
