//! The query engine: it answers one query within one permit.
//!
//! What it computes is private to this crate until it may be released, which the compiler enforces: no other crate can open a permit, read
//! a raw answer or decide which cells are withheld. It reads the versions and the ledger's receipts of `concordat-storage`, and knows nothing
//! of who may query.
//!
//! 1. [`answer`] consumes the [`Permit`] and creates a session with a single table, the permitted view of the dataset
//!    ([`Source`]). What is not permitted does not exist in it.
//! 2. The statement is parsed and checked: one plain `SELECT`, allowed functions, visible columns, and the version of
//!    the dataset that the caller has opened. Then it is planned.
//! 3. What it means is checked on columns with types and forms ([`meaning()`]): a comparison that could lose a value is refused. Then its
//!    types are converted, and casts, arithmetic and functions without a result give NULL ([`executable()`]), so that no error reveals
//!    anything about a single row.
//! 4. At tier `records` the rows are streamed, in a keyed order that is specific to the grant. At lower tiers the
//!    grouping also counts the *subjects* in every cell, [`disclosure`] withholds the cells that are too small, and
//!    only then is the rest of the query (`HAVING`, expressions over aggregates, order, limit) computed, from released
//!    cells.
//! 5. The result is a [`ReleasedAnswer`], the only type that can be encoded.
//!
//! The consumer's node plans with the same functions over the columns that grants show ([`shown_schema`], [`resolve_names`],
//! [`home_state`]), and knows the answer to a text before it sends it ([`foreseen()`]).
//!
//! Memory, time, rows and groups are bounded ([`Bounds`]); the engine never writes to disk. The node runs it in
//! separate processes ([`Workers`]) whose limits the kernel enforces: whatever a query does to its process, it is only
//! an error of that query. What its own people query is planned and computed in such processes as well ([`Computation`]).

mod aggregate;
mod average;
mod calculation;
mod cast_rule;
mod class;
mod conversion;
mod dialect;
mod disclosure;
mod divide;
mod error;
mod error_capture;
mod exact;
mod executable;
mod floats;
mod foreseen;
mod functions;
mod grouped_constants;
mod guard;
mod known_plans;
mod meaning;
mod names;
mod one_dataset;
mod order;
mod permit;
mod plan;
mod positions;
mod precedence;
mod rows;
mod run;
mod same_names;
mod session;
mod shown;
mod size;
mod source;
mod statement;
mod statistic;
mod store_error;
mod sums;
mod text;
mod transform;
mod types;
mod visit;
mod worker;

pub use dialect::{on_large_stack, parse, version_number};
pub use disclosure::{AnswerTotals, Cut, IpcAnswer, ReleasedAnswer, ReleasedBatch, ReleasedChunk, StillPermitted};

pub use average::mean_of;
pub use cast_rule::Casts;
pub use error::QueryError;
pub use exact::is_comparison;
pub use executable::executable;
pub use foreseen::foreseen;
pub use functions::{FunctionKind, FunctionRule, functions};
pub use names::resolve_names;
pub use permit::{Holder, NotPermitted, Permit};
pub use plan::{meaning, reading};
pub use positions::unchanged;
pub use run::answer;
pub use session::{Bounds, CATALOG, home_state};
pub use shown::{Form, ShownColumn, form_of, shown_schema, with_oldest_year, with_values_of};
pub use size::{admitted, rows_per_batch};
pub use source::{Source, Table};
pub use statistic::{
    Block, Bucket, CellAggregate, CellColumn, ColumnPath, Condition, Day, EventSet, Form as CountableForm, Group,
    KeyList, KnownCollection, Lowered, MAX_AGGREGATES, MAX_ENCODED, MAX_GROUPS, Measured, NotCountable, Output,
    Quantity, ReferenceTest, Row, Statistic, Step, SubjectValue, lower, print,
};
pub use sums::narrow;
pub use visit::{visit, visit_mut};
pub use worker::{Channel, ChannelSender, Computation, LocalEngine, Workers, serve};

/// Whether a statement over `dataset` with these columns is passed to the planner; for the fuzz targets, which are
/// built with this flag.
#[cfg(fuzzing)]
#[must_use]
pub fn is_admitted(sql: &str, dataset: &concordat_protocol::ids::DatasetRef, columns: &[&str]) -> bool {
    statement::checked(sql, dataset, None, columns).is_ok()
}

#[cfg(test)]
mod tests;
