//! Changes that are one transaction of the state.
//!
//! They have no effect outside of it, so what has to be durable before what is decided here, and the disk is waited for three times:
//!
//! 1. the note of the change and the announcement of its entry, in one transaction: the next start finds out by them what a kill interrupted;
//! 2. the entry, in the ledger: no value changes before. Then the change waits for what else has to be before it;
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
    /// Writes an entry to the ledger and makes the change that it records. `plan` is called as that of [`Changes::make`]; its second part is called
    /// once the entry is durable, and may wait. It returns what the caller needs afterwards, and what adds the change to a batch, which must not
    /// wait. The change is on the disk when this returns.
    ///
    /// # Errors
    /// The error of `plan`; nothing is recorded then. The error of its second part, or [`ChangeEntryError`] if state or ledger cannot be
    /// written; if it was the change that could not be made, the ledger records that.
    pub fn make_in_state<T, E, C, B>(
        &self,
        subject: Subject,
        by: (&Attribution, Timestamp),
        plan: impl FnOnce() -> Result<(EntryBody, C), E>,
    ) -> Result<T, E>
    where
        E: From<ChangeEntryError>,
        C: FnOnce() -> Result<(T, B), E>,
        B: FnOnce(&mut Batch) -> Result<(), MetaError>,
    {
        let (open, change) = self.begin_anchored(subject, Anchoring::WithTheChange, by, plan)?;
        let made = catch_unwind(AssertUnwindSafe(|| -> Result<T, E> {
            let (kept, put) = change()?;
            self.store(&open, put).map_err(ChangeEntryError::from)?;
            Ok(kept)
        }));
        match made {
            Ok(Ok(kept)) => Ok(kept),
            Ok(Err(error)) => {
                self.end(open, false)?;
                Err(error)
            }
            Err(panic) => self.end_after(open, panic),
        }
    }

    fn store(&self, open: &OpenChange, put: impl FnOnce(&mut Batch) -> Result<(), MetaError>) -> Result<(), MetaError> {
        let ((), applied) = self.ledger.apply(&self.meta, |_, batch| {
            put(batch)?;
            batch.remove(&self.notes, &open.note);
            Ok::<_, MetaError>(())
        })?;
        self.ledger.until_durable(&self.meta, applied)
    }
}
