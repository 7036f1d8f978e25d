//! Statistics below tier `records`: what the node and its processes exchange, and the processes' side.
//!
//! ```text
//! node                                   process that sees rows           fresh process
//! Cells (task)                      ->
//!                                   <-   Statistic (all groupings)
//! Compute (number of a grouping)    ->   reads rows (ReadRequest, Data)
//!                                   <-   Cell, Cell, …, CellsDone
//! Owners (rows)                     ->
//!                                   <-   Owners (their subjects)
//! CellsDone                         ->
//!                                   <-   Done
//! Lists (of codes)                  ----------------------------------->
//!                                   <-----------------------------------  Lists, …
//! Above (task with released cells)  ----------------------------------->
//!                                   <-----------------------------------  Columns, Rows, …, Done
//! ```
//!
//! 1. The text of a peer is planned and lowered in processes only, once in each: the fresh one must come to the same groupings.
//! 2. Before `Compute` the node looks whether the query was answered before; then no row is read.
//! 3. What a set of subjects is can follow from codes that rows of reference datasets list. A fresh process finds them, which sees no other
//!    rows, and is ended with them.
//! 4. The process that sees rows has no key and no memory, and what it returns does not leave the node: the rows that leave are computed by
//!    the fresh one, from released cells.

mod above;
mod child;
mod existence;
mod foreseen;
mod foreseen_cells;
mod lists;
mod names;
mod planned;
mod task;
#[cfg(test)]
mod tests;
mod tier;

pub(super) use above::computed;
pub use foreseen::{ForeseenFigures, ShownStatistics, foreseen_statistic};
pub use foreseen_cells::foreseen_cells;

pub(super) use child::{Order, serve};
pub(super) use lists::{ListsTask, decoded_codes, serve_lists};
pub(super) use task::{AboveTask, CellsTask, Planning, decoded_statistics};
pub(super) use tier::check_tier;
