//! What is remembered of answers, as records of bytes, and how it is restored from them.
//!
//! A memory is about one kind of units: the subjects of a collection, or the rows of one of its datasets. Its records are in the order in
//! which they were added:
//!
//! 1. [`Record::Version`]: a version that is answered about for the first time, how many units it has, and which of them changed since the
//!    version before that the memory knows.
//! 2. [`Record::Set`]: a set that counts as released. The first one of a memory is that of all its units.
//! 3. [`Record::Sums`]: sums that were released over a set.
//! 4. [`Record::Answer`]: what was shown, so that the same query has the same answer.
//! 5. [`Record::Spent`]: loss of privacy that was reserved.
//!
//! A record is decoded with bounds, and has one encoding. [`Replay`] takes them in their order and refuses those that no memory can have: it
//! is restored as a whole, or nothing is answered from it.

mod encoding;
mod error;
mod record;
mod replay;
#[cfg(test)]
mod tests;

pub use error::{RecordError, ReplayError};
pub use record::{Record, StoredAnswer};
pub use replay::{Known, Replay, SpaceLimits};
