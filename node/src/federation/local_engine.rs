//! Texts of our own people are read, and their queries are planned and computed, in an engine process.
//!
//! No bound that is known before is right for each function and each row of a peer. So a query is neither parsed nor planned nor computed in the
//! node's process, and a crash, a limit of the kernel or a deadline is an error of this query only.
//!
//! ```text
//! node                                      engine process
//! Query or Condition: text           ─────>  reads
//!                                   <─────   Tables or Condition  (the end)
//!
//! Plan: text, tables, remarks       ─────>  plans
//!                                   <─────   Whole: one member answers   (the end)
//!                                   <─────   Local: what will be computed
//! Run                                ─────>  computes
//!                                   <─────   Query: a member's part
//! Rows, End or MemberFailed          ─────>
//!                                   <─────   More, Close
//!                                   <─────   Columns, Rows, Done or Failed
//! ```
//!
//! 1. What the node has to know of a text before it is planned is read by the parser in the process, for some seconds at most ([`reading`]).
//! 2. The node knows the grants and sends the queries to members ([`computation`]); the process names a member by its number in `Begin`, so that
//!    it reaches no other.
//! 3. The process runs the planner and the plan as they are ([`child`]); the members are a source of rows behind the socket ([`members`]).
//! 4. A member's rows are sent as they are requested: two batches are on the way at most, and the process keeps what it
//!    computes on.
//! 5. The answer of a query that one member answers is not sent through a process, and a
//!    plan of this kind is known when the query is sent again ([`known`]).

mod child;
mod computation;
mod known;
mod members;
mod messages;
mod reading;

pub use child::FederatedEngine;
pub(super) use computation::{LocalQuery, Planned, plan};
pub(super) use known::{KnownQueries, PlanKey};
pub(super) use reading::{read_condition, read_query};
