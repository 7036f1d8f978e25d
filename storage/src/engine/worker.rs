//! A process for each query.
//!
//! What a query computes runs in a child of the node: the same program, started with [`ARGUMENT`], which [`serve`]s. It has no
//! key, no file and no socket but the one to its parent. It is told the scope, the text and what the objects are called, and asks
//! for the bytes of these objects; it gives back batches or an error. The kernel holds it to its memory and lets it call nothing
//! that it does not need ([`isolation`]). Its stacks fit the deepest statement that is admitted.
//!
//! The parent ([`Workers`]) keeps the time, the permit and the disclosure: at a deadline or a cut the child is killed, whatever it
//! is computing. A stack that overflows, memory that runs out and any other end are an error of the one query.
//!
//! A child answers one query after the other, but only within one scope; so nothing is left in it that the next query may not see.

mod child;
mod frames;
mod idle;
#[cfg_attr(not(target_os = "linux"), path = "worker/isolation/elsewhere.rs")]
mod isolation;
mod messages;
mod objects;
mod process;
mod pump;

pub use child::serve;
pub use idle::Workers;
#[cfg(test)]
pub(super) use messages::Task;

/// The argument with which the program is started as a process of the engine; a second one tells its memory in bytes.
const ARGUMENT: &str = "engine-worker";
