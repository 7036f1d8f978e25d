//! What people can have the node do: one function per action.
//!
//! Each function checks that the person may ([`Actor::authorize`](crate::iam::Actor::authorize) gives the attribution that a ledger
//! entry needs), writes the entry to the ledger, makes the change, and raises the epoch if running answers depend on it. It takes and
//! returns the documents of `concordat-documents`. The HTTP API and every other front end only call it, and contain no rules.

pub mod audit;
pub mod backups;
pub mod consortium;
pub mod datasets;
mod decision;
pub mod evidence;
pub mod grants;
pub mod health;
pub mod keys;
pub mod ledger;
pub mod policy;
pub mod queries;
mod run;
pub mod sessions;
pub mod status;
pub mod users;
pub mod why;
