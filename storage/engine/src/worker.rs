//! Runs each query in a process.
//!
//! A query is computed in a child process of the node: the same program, started with [`ARGUMENT`], which calls
//! [`serve`]. It has no long-lived key, no file, and no socket except the one to its parent. It receives the scope, the
//! SQL text, the keys of the answer and the names of the objects, and requests the bytes of these objects; it returns
//! batches or an error. The kernel enforces its memory limit and allows only the system calls that it needs
//! ([`isolation`]). Its stacks are large enough for the deepest admitted statement.
//!
//! The parent ([`Workers`]) handles the time limit, the permit and the disclosure: at a deadline, or if the permission
//! ends, the child is killed, whatever it is computing. A stack overflow, exhausted memory or any other crash is only
//! an error of this one query.
//!
//! A child answers one query after another, but only within one scope, so it contains nothing that the next query may
//! not see.
//!
//! The queries of the institution's own people are planned in such a process too, and computed there from the answers of others
//! ([`Computation`], [`LocalEngine`]): rows of a peer, or a query of a colleague, end at most the process of that query. What the
//! messages are is known to the crate that federates queries. A process that has planned serves the same person again; one that has
//! received rows is ended with its query.

mod cells;
mod channel;
mod child;
mod computation;
mod frames;
mod idle;
#[cfg_attr(not(target_os = "linux"), path = "worker/isolation/other_unix.rs")]
mod isolation;
mod messages;
mod objects;
mod process;
mod pump;
mod remote;
mod send_answer;
mod statistics;

pub use channel::{Channel, ChannelSender, LocalEngine};
pub use child::serve;
pub use computation::Computation;
pub use idle::{Changes, Deciding, DisclosedAnswer, LossOfQuery, Workers};
#[cfg(test)]
pub(super) use messages::Task;
pub use statistics::{ForeseenFigures, ShownStatistics, foreseen_cells, foreseen_statistic};

/// The argument that starts the program as an engine process; a second argument is its memory limit in bytes.
const ARGUMENT: &str = "engine-worker";
