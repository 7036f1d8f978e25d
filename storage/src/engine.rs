//! The engine: it answers one query within one permit.
//!
//! 1. [`answer`] consumes the [`Permit`] and builds a world with one table in it, the permitted view
//!    of the dataset ([`Source`]). What is not permitted is not there.
//! 2. The statement is checked: one plain `SELECT`, allowed functions, visible columns. Then it is planned.
//!    The version of the dataset that it names, if it names one ([`version_asked`]), was opened by the caller.
//! 3. Casts that fail and divisions by zero give NULL, so that no error tells about a single row.
//! 4. At tier `records` the rows stream, in a keyed order that is the grant's own. Below it the grouping runs with the number of *subjects* behind every cell,
//!    [`disclosure`] withholds the cells that are too small, and only then is the rest of the query
//!    (`HAVING`, expressions over aggregates, order, limit) computed, from released cells.
//! 5. What comes out is a [`ReleasedAnswer`], the only thing that can be encoded.
//!
//! Memory, time, rows and groups are bounded ([`Bounds`]); the engine never writes to disk. The node runs it in processes of their
//! own ([`Workers`]), which the kernel holds to their limits: whatever a query does to its process, it is an error of that query.

mod aggregate;
mod dialect;
mod disclosure;
mod divide;
mod error;
mod error_capture;
mod guard;
mod order;
mod permit;
mod plan;
mod rows;
mod run;
mod session;
mod size;
mod source;
mod statement;
mod text;
mod transform;
mod worker;

pub use dialect::{on_large_stack, parse, version_number};
pub use disclosure::{AnswerTotals, Cut, IpcAnswer, ReleasedAnswer, ReleasedBatch, StillPermitted};

pub use error::QueryError;
pub use permit::{Holder, NotPermitted, Permit};
pub use run::answer;
pub use session::{Bounds, allowed_functions};
pub use size::{admitted, rows_in_a_batch};
pub use source::Source;
pub use statement::version_asked;
pub use worker::{Workers, serve};

/// Whether a statement over `dataset` with these columns is shown to the planner; a door for the fuzz targets, which are built with
/// this flag.
#[cfg(fuzzing)]
#[must_use]
pub fn is_admitted(sql: &str, dataset: &concordat_protocol::ids::DatasetRef, columns: &[&str]) -> bool {
    statement::checked(sql, dataset, columns).is_ok()
}

#[cfg(test)]
mod tests;
