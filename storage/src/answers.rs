//! What was answered below tier `records`, at rest.
//!
//! Whether a further answer may be released depends on those before it, so none may be forgotten, replaced or moved. This module keeps
//! records of bytes; what they mean is the caller's ([`concordat-disclosure`](../../disclosure/src/lib.rs)).
//!
//! ```text
//! answers/KEY-ID/LOG.log   8 bytes "CCANSWR" and format version 1, then records: length (4 bytes, big endian) | sealed record
//! state, tree "answers"    for each space: name of its log, number of records, length in bytes, chain over the sealed records; and the
//!                          sealed records after them
//! ```
//!
//! 1. A [`MemorySpace`] is what one owner was answered about one dataset, counted in subjects or in rows. It has one log, whose random name is
//!    in the head only. A record is sealed for its log and number, under a key derived from the dataset's secret ([`AnswersKey`]).
//! 2. An answer is released in this order: its records are added after the head ([`AnswerLog::append`]); the new head is committed to the
//!    state, together with what the ledger requires ([`Appended::stage`]); the answer leaves. Short records are in the head itself, so they need
//!    no sync of their own. When they become too many, or a long record is added, all are written to the log and synced before the head
//!    is committed. What is in the log after the head was never released: it is ignored, and the next append cuts it off.
//! 3. A log that is shorter than its head states, that has another chain, or that is missing is not opened, and nothing is answered from
//!    it. The head cannot be set back by itself: each commit of the state covers all values ([`crate::meta`]).
//! 4. The state and its logs are older together after a restore. Then no log opens until a steward acknowledged, for the dataset, that
//!    answers may be missing ([`AnswerStore::acknowledge`]).
//! 5. Erasing a dataset removes its heads in the commit that erases it, destroys the secret of its key, and removes the folders of the
//!    dataset's key ids, here and in backups.
//!
//! One process has the store open, and a log is opened once at a time. All calls block: do not run them on async threads.
//!
//! [`AnswersKey`]: concordat_keys::AnswersKey

mod error;
mod file;
mod head;
mod log;
mod older_copies;
mod opening;
mod record;
mod space;
mod store;

pub use error::AnswersError;
pub use log::{AnswerLog, Appended};
pub use older_copies::note_older_copy;
pub(crate) use opening::LogKeys;
pub use record::{MAX_RECORD, StoredRecord};
pub use space::{MemoryOwner, MemorySpace, MemoryUnit};
pub(crate) use store::{AnswerStore, LogExtent};

#[cfg(test)]
mod tests;
