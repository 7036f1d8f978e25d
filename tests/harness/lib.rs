//! The harness of the system tests: real daemons of the real binary, on this machine, over real sockets.
//!
//! 1. [`program`] builds the binary once and returns its path.
//! 2. A [`TestNode`] is one institution: a data directory, a daemon, and users who run commands. It can be stopped,
//!    killed and started again, and keeps everything its commands and its daemon wrote to standard error.
//! 3. A [`World`] is several nodes in one consortium. `World::consortium(3)` founds, admits, joins and adds users; `share`
//!    imports, classifies and publishes a table; `grant` negotiates from the request to the active grant.
//! 4. An [`Outcome`] is what a command did: exit code and both outputs, with the assertions that tests make about them.
//! 5. [`Reader`] reads the answer to a query as slowly as a test likes.
//! 6. An [`s3::S3Server`] is a remote object store, with everything that can go wrong on the way to it.
//! 7. [`shared`] finds the real data, [`table`] reads it independently of the product, and [`packed`] writes archives and workbooks.
//!
//! All calls block and panic with a full report when a step fails; from async code, wrap them in `spawn_blocking`.
//! At most [`slots::DAEMONS`] daemons run at the same time, whatever the number of tests that run at once. Only processes
//! that a node started itself are ever killed.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "only tests use this crate, and a step that fails should stop its test at once"
)]

pub mod constructs;
mod outcome;
pub mod packed;
pub mod program;
mod reader;
pub mod repeated;
pub mod s3;
pub mod shared;
pub mod slots;
pub mod table;
mod test_node;
mod world;

use concordat_node::Node;
use concordat_protocol::audit::Cause;
use concordat_protocol::ids::ActorId;
use concordat_storage::catalog::{CatalogError, PlannedChange};
use concordat_storage::ledger::Attribution;

pub use outcome::Outcome;
pub use reader::{End, Reader};
pub use test_node::{PASSWORD, Person, TestNode};
pub use world::{Import, World};

/// The cause on whose behalf tests call services without a session.
pub fn tester() -> Attribution {
    let actor = ActorId::new("tester@harness").expect("a name");
    Attribution::vouch(Cause::Person { actor })
}

/// Makes a change of what is declared about a collection of a node in this process, with its ledger entry.
pub fn make_change(node: &Node, planned: Result<PlannedChange, CatalogError>) {
    let planned = planned.unwrap();
    let entry = planned.entry().clone();
    let receipt = node.ledger().append(entry, &tester(), node.clock().now()).unwrap();
    let datasets = node.storage().catalog().datasets();
    datasets.make_change(planned, &receipt).unwrap();
}
