//! Small transactional state, sealed in sled.
//!
//! A [`SealedDb`] contains trees of typed values under string keys. On disk neither is readable:
//!
//! 1. A key is stored as its keyed BLAKE3 hash, because logical keys may be personal data (user names).
//! 2. A value is CBOR of (logical key, value), sealed with its tree and hashed key as associated data; moved to another key
//!    or tree it does not open.
//! 3. Every commit is on disk when the call returns, unless the call says otherwise ([`SealedDb::apply`]). Commits reach the disk in the order in
//!    which they are applied, and those that wait share a sync. All calls block: do not run them on async threads.
//! 4. Each commit increments a sealed counter in the database and then in the file `head` next to it. sled treats a damaged end
//!    of its log as a torn write and drops it; a counter lower than `head` reveals that, and any older copy restored alone.
//! 5. With its number, each commit states a keyed hash of all values ([`contents`]). A database whose values are others than those of its last
//!    commit is not opened: one that was set back, removed or added alone.

mod batch;
mod codec;
mod commits;
mod contents;
mod database;
mod db;
mod error;
mod export;
mod head;
mod sled_files;
mod tree;

pub use batch::Batch;
pub use database::Applied;
pub use db::SealedDb;
pub use error::MetaError;
pub use tree::{SealedTree, TreeId};

#[cfg(test)]
mod tests;
