//! What was answered below `records`, while further answers are decided: one memory for each collection and owner.
//!
//! Whether a cell may be released depends on everything that was released before. The audit is in `concordat-disclosure`, the order of a
//! decision in `concordat-engine`, and the records are bytes in the logs of [`concordat_storage::answers`]. This module connects the three:
//!
//! 1. One answer at a time is decided for an owner. Another one waits ([`memories`]).
//! 2. A memory is restored from its logs when it is first used ([`restored`]), and stays restored for the owners that were answered last. It
//!    is not used while answers may be missing since a restore, whatever was restored before.
//! 3. Records are durable before an answer leaves ([`locked`]): they are appended to the logs, and the heads of the logs are in one
//!    change of the state with the present head of the ledger, so that neither can be set back alone.
//! 4. What ends between the decision and the end of that has written something or nothing. Writing goes on to its end, and the memory is
//!    restored from its records before it is used again.
//! 5. Sets of rows are those of one version ([`row_records`]): another version can have other rows under the same numbers. What a set of rows
//!    of another version shows is limited by the sets of subjects, which are compared over all versions.

mod changes;
mod entropy;
mod error;
mod key;
mod locked;
mod memories;
mod restored;
mod row_records;
#[cfg(test)]
mod tests;

pub(super) use changes::ChangesBefore;
pub(super) use entropy::OsEntropy;
pub(super) use error::MemoryError;
pub(super) use key::MemoryKey;
pub(super) use memories::{AnswerMemories, CollectionMemory, ReservedLoss};
