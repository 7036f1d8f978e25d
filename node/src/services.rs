//! What people can have the node do: one function per action.
//!
//! Each function checks that the person may ([`Actor::authorize`](crate::iam::Actor::authorize) gives the attribution that a ledger
//! entry needs), writes the entry to the ledger, makes the change, and raises the epoch if running answers depend on it. It takes and
//! returns the documents of `concordat-documents`. The HTTP API and every other front end only call it, and contain no rules.

mod account_permits;
pub(crate) mod answers;
pub(crate) mod audit;
pub(crate) mod backups;
pub(crate) mod collections;
pub(crate) mod consortium;
pub(crate) mod datasets;
pub(crate) mod evidence;
mod functions;
pub(crate) mod grants;
pub(crate) mod health;
pub(crate) mod imports;
pub(crate) mod keys;
pub(crate) mod ledger;
pub(crate) mod policy;
pub(crate) mod queries;
pub(crate) mod release_locks;
mod run;
pub(crate) mod sessions;
pub(crate) mod status;
pub(crate) mod transfers;
pub(crate) mod users;
pub(crate) mod why;
pub(crate) mod work;
