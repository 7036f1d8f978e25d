//! Changes that are one transaction of the state.
//!
//! They have no effect outside of it, so what has to be durable before what is decided here, and the disk is waited for three times:
//!
//! 1. the note of the change and the announcement of its entry, in one transaction: the next start finds out by them what a kill interrupted;
//! 2. the entry, in the ledger: no value changes before;
//! 3. the value, the head of the ledger that covers the entry, and the removal of the note, in one transaction. So there is never a changed
//!    value in the state without its entry covered, nor a note beside it.
//!
//! Between 2 and 3 the entry is in the ledger, and the state covers it by its announcement only. The ledger writes no other entry before it is
//! covered ([`Anchoring::WithTheChange`]).

use std::panic::{AssertUnwindSafe, catch_unwind};

use concordat_protocol::audit::EntryBody;
use concordat_protocol::time::Timestamp;
use concordat_storage::ledger::{Anchoring, Attribution};
use concordat_storage::meta::{Batch, MetaError};

use super::{ChangeEntryError, Changes, OpenChange, Subject};

impl Changes {
    /// Writes an entry to the ledger and makes the change that it records: what the second part of `plan` adds to a batch. `plan` is called as
    /// that of [`Changes::make`]. The change is on the disk when this returns.
    ///
    /// # Errors
    /// The error of `plan`; nothing is recorded then. [`ChangeEntryError`] if state or ledger cannot be written; if it was the change that
    /// could not, the ledger records that it was not made.
    pub fn make_in_state<E, C>(
        &self,
        subject: Subject,
        by: (&Attribution, Timestamp),
        plan: impl FnOnce() -> Result<(EntryBody, C), E>,
    ) -> Result<(), E>
    where
        E: From<ChangeEntryError>,
        C: FnOnce(&mut Batch) -> Result<(), MetaError>,
    {
        let (open, change) = self.begin_anchored(subject, Anchoring::WithTheChange, by, plan)?;
        match catch_unwind(AssertUnwindSafe(|| self.store(&open, change))) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                self.end(open, false)?;
                Err(ChangeEntryError::from(error).into())
            }
            Err(panic) => self.end_after(open, panic),
        }
    }

    fn store(
        &self,
        open: &OpenChange,
        change: impl FnOnce(&mut Batch) -> Result<(), MetaError>,
    ) -> Result<(), MetaError> {
        let ((), applied) = self.ledger.apply(&self.meta, |_, batch| {
            change(batch)?;
            batch.remove(&self.notes, &open.note);
            Ok::<_, MetaError>(())
        })?;
        self.ledger.until_durable(&self.meta, applied)
    }
}
