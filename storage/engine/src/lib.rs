//! The query engine: it answers one query within one permit.
//!
//! What it computes is private to this crate until it may be released, which the compiler enforces: no other crate can open a permit, read
//! a raw answer or decide which cells are withheld. It reads the versions and the ledger's receipts of `concordat-storage`, and knows
//! nothing of who may query.
//!
//! At tier `records`:
//!
//! 1. [`answer`] consumes the [`Permit`] and creates a session with a single table, the permitted view of the dataset
//!    ([`Source`]). What is not permitted does not exist in it.
//! 2. The statement is parsed and checked: one plain `SELECT`, allowed functions, visible columns, and the version of
//!    the dataset that the caller has opened. Then it is planned.
//! 3. What it means is checked on columns with types and forms ([`meaning()`]): a comparison that could lose a value is refused. Then its
//!    types are converted, and casts, arithmetic and functions without a result give NULL ([`executable()`]), so that no error reveals
//!    anything about a single row.
//!    A query over datasets of one collection may join them: the session has all that the permit contains ([`answer_collection`]).
//! 4. The rows are streamed, in a keyed order that is specific to the grant.
//! 5. The result is a [`ReleasedAnswer`], the only type that can be encoded.
//!
//! Below it ([`Workers::disclosed`]):
//!
//! 1. The statement is planned and becomes groupings of a small language ([`lower`]), in a process that sees rows. Nothing in it can fail
//!    on a value, and what cannot be expressed in it is refused.
//! 2. That process computes the cells of the groupings: which subjects are in each (`compute`). It has no memory of answers and no key.
//! 3. The node decides which cells are released, with everything that was released before (`decision`), and makes that durable.
//! 4. The rest of the query (`HAVING`, expressions over aggregates, order, limit) is computed from released cells, in a process that has
//!    received nothing else. The result is a [`ReleasedAnswer`] as well.
//!
//! The consumer's node plans with the same functions over the columns that grants show ([`shown_schema`], [`resolve_names`],
//! [`home_state`]), and knows the answer to a text before it sends it ([`foreseen()`], [`foreseen_statistic`]). Below tier `records`, what
//! several members answer is lowered and written for each of them by the consumer's node ([`Grouping`]).
//!
//! Memory, time, rows and groups are bounded ([`Bounds`]); the engine never writes to disk. The node runs it in
//! separate processes ([`Workers`]) whose limits the kernel enforces: whatever a query does to its process, it is only
//! an error of that query. What its own people query is parsed, planned and computed in such processes as well ([`Computation`]): there
//! is no other way to the parser ([`TextParser`]).

mod average;
mod calculation;
mod calendar;
mod canary;
mod cast_rule;
mod class;
mod compute;
mod conversion;
mod decision;
mod dialect;
mod disclosure;
mod divide;
mod domains;
mod error;
mod error_capture;
mod exact;
mod executable;
#[cfg(test)]
#[expect(dead_code, reason = "the tests of storage inject failing writes too")]
#[path = "../../src/fault_injection.rs"]
mod fault_injection;
mod floats;
mod foreseen;
mod function_list;
mod functions;
mod grouped_constants;
mod grouping;
mod guard;
mod known_plans;
mod meaning;
mod names;
mod numeric_aggregates;
mod one_dataset;
mod order;
mod permit;
mod plan;
mod positions;
mod precedence;
mod records;
mod rows;
mod run;
mod same_names;
mod session;
mod several_datasets;
mod shown;
mod size;
mod source;
mod statement;
mod statistic;
mod store_error;
mod sums;
mod text;
mod text_parser;
mod transform;
mod types;
mod visit;
mod worker;

pub use decision::{AnswerMemory, AnsweredVersion, Disclosure, LockedMemory, NewMemory, Requester, UnitMemory};
pub use dialect::version_number;
pub(crate) use dialect::{on_large_stack, parse};
pub use disclosure::{AnswerTotals, Cut, IpcAnswer, ReleasedAnswer, ReleasedBatch, ReleasedChunk, StillPermitted};

pub use average::mean_of;
pub use canary::CanaryCollection;
pub use cast_rule::Casts;
pub use domains::Domains;
pub use error::{NearestNames, QueryError, similar_names};
pub use exact::is_comparison;
pub use executable::executable;
pub use foreseen::{foreseen, foreseen_in_collection};
pub use function_list::{FunctionKind, FunctionRule, functions};
pub use functions::ComputedBy;
pub use grouping::{
    ChangedLevels, CommonGrouping, Grouping, GroupingDifference, GroupingText, MemberGrouping, above_cells, countable,
};
pub use names::resolve_names;
pub use permit::{Holder, NotPermitted, Permit};
pub use plan::{meaning, reading};
pub use positions::unchanged;
pub use records::answer_collection;
pub use run::answer;
pub use session::{Bounds, CATALOG, home_state};
pub use shown::{Form, ShownColumn, form_of, shown_dataset, shown_schema, with_oldest_year, with_values_of};
pub use size::{admitted, rows_per_batch};
pub use source::{Source, Table};
pub use statistic::{
    Beyond, Block, Bucket, CellAggregate, CellColumn, CellTables, ColumnPath, Condition, Day, EventSet, FigureOrder,
    Form as CountableForm, Group, KeyList, KnownCollection, LimitedFigures, LimitedValues, Lowered, MAX_AGGREGATES,
    MAX_ENCODED, MAX_GROUPS, Measured, MissingFigures, NotCountable, OrderedBy, Output, Quantity, QueryPart,
    ReferenceTest, Row, RunningRows, Statistic, Step, SubjectValue, lower, print, separate_sets, with_totals,
};
pub use sums::narrow;
pub use text_parser::TextParser;
pub use visit::{visit, visit_mut};
pub use worker::{
    Changes, Channel, ChannelSender, Computation, Deciding, DisclosedAnswer, ForeseenFigures, LocalEngine, LossOfQuery,
    ShownStatistics, Workers, foreseen_cells, foreseen_statistic, serve,
};

/// Whether a statement over `dataset` with these columns is passed to the planner; for the fuzz targets, which are
/// built with this flag.
#[cfg(fuzzing)]
#[must_use]
pub fn is_admitted(sql: &str, dataset: &concordat_protocol::ids::DatasetRef, columns: &[&str]) -> bool {
    statement::checked(sql, dataset, None, columns).is_ok()
}

#[cfg(test)]
mod tests;
