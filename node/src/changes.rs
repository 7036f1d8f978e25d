//! Changes of the sealed state that are written to the ledger first.
//!
//! 1. A note of the intended change is stored in the state, with a hash of the present value.
//! 2. The entry is written to the ledger. 3. The value is changed. 4. The note is removed.
//!
//! A kill between 2 and 3 leaves the note and the unchanged value: the next start records in the ledger that the change was not made,
//! before any other entry. A change that fails is recorded as not made at once. Roster, policy set and configuration have a
//! separate mechanism, which completes them ([`crate::bound_state`]).
//!
//! The note is on the disk before the entry is: it is stored in the transaction with which the ledger announces the entry. That it is removed is
//! not waited for: a note that is there again beside a changed value is removed by the next start. Only a change that leaves its value as it was
//! waits. A change that is one transaction of the state contains the removal of its note ([`Changes::make_in_state`]).
//!
//! A note and a value that were set back look like such a kill. The ledger distinguishes them: once one of these entries follows that of the
//! change, the change had ended, and its note was removed ([`Changes::reconcile`]).
//!
//! - a start of the node: it handles all notes before its own entry;
//! - another change of the same value: changes of one value are made one after the other ([`InProgress`]);
//! - any entry that is ten minutes later: a change takes much less.
//!
//! What an entry states is determined when no other change of the same value is under way, and the change sets exactly that
//! ([`Changes::make`]). Otherwise the entry of a change that waited would state what the one before it has replaced.
//!
//! Changes of different values are made at the same time, and logins and queries go on meanwhile, so that their entries may follow.

mod declared;
mod in_progress;
mod in_state;
mod interrupted;
mod subject;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use concordat_protocol::audit::EntryBody;
use concordat_protocol::error_kind::{ErrorKind, Explain};
use concordat_protocol::ids::Digest32;
use concordat_protocol::time::Timestamp;
use concordat_storage::ledger::{Anchoring, Attribution, Ledger, LedgerError, LedgerReceipt};
use concordat_storage::meta::{Batch, MetaError, SealedDb, SealedTree, TreeId};
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use in_progress::{AllInProgress, InProgress};
pub(crate) use interrupted::ReconcileError;
pub(crate) use subject::Subject;
pub(crate) use subject::{ACCOUNTS, ALLOWED_HOSTS, GRANTS, NEGOTIATIONS, RELEASE_LOCKS};

/// The note of a change that is under way.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    subject: Subject,
    /// Digest of the value before the change.
    before: Option<Digest32>,
    /// The ledger entry of the change.
    entry: EntryBody,
    /// Number of ledger entries at that moment.
    ledger: u64,
}

/// A change whose entry is in the ledger. Its owner has to report whether the change was made.
#[derive(Debug)]
#[must_use = "whether the change was made has to be reported"]
pub struct OpenChange {
    note: String,
    subject: Subject,
    /// Digest of the value before the change.
    before: Option<Digest32>,
    entry: u64,
    receipt: LedgerReceipt,
    by: Attribution,
    at: Timestamp,
    _in_progress: InProgress,
}

/// Makes changes that are recorded in the ledger; clones share all state. All methods block.
#[derive(Clone, Debug)]
pub struct Changes {
    meta: SealedDb,
    ledger: Ledger,
    notes: SealedTree<Note>,
    in_progress: Arc<AllInProgress>,
}

impl Changes {
    /// Opens the notes.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub fn open(meta: &SealedDb, ledger: Ledger) -> Result<Self, MetaError> {
        let notes = meta.tree(TreeId::new("changes"))?;
        Ok(Self {
            meta: meta.clone(),
            ledger,
            notes,
            in_progress: Arc::default(),
        })
    }

    /// Writes an entry to the ledger and makes the change that it records. `plan` returns both; it is called when no other change of
    /// `subject` is under way, and none begins before this one has ended.
    ///
    /// # Errors
    /// The error of `plan`; nothing is recorded then. The error of the change; the ledger then records that it was not made.
    /// [`ChangeEntryError`] if state or ledger cannot be written.
    pub fn make<T, E, C>(
        &self,
        subject: Subject,
        by: (&Attribution, Timestamp),
        plan: impl FnOnce() -> Result<(EntryBody, C), E>,
    ) -> Result<T, E>
    where
        E: From<ChangeEntryError>,
        C: FnOnce() -> Result<T, E>,
    {
        self.make_for_receipt(subject, by, || {
            let (entry, change) = plan()?;
            Ok::<_, E>((entry, move |_: &LedgerReceipt| change()))
        })
    }

    /// The same for a change that is made for the receipt of its entry only.
    fn make_for_receipt<T, E, C>(
        &self,
        subject: Subject,
        by: (&Attribution, Timestamp),
        plan: impl FnOnce() -> Result<(EntryBody, C), E>,
    ) -> Result<T, E>
    where
        E: From<ChangeEntryError>,
        C: FnOnce(&LedgerReceipt) -> Result<T, E>,
    {
        let (open, change) = self.begin(subject, by, plan)?;
        match catch_unwind(AssertUnwindSafe(|| change(&open.receipt))) {
            Ok(made) => {
                self.end(open, made.is_ok())?;
                made
            }
            Err(panic) => self.end_after(open, panic),
        }
    }

    /// Ends a change that panicked. The node goes on, so the note must not stay: the next start would find it before later entries.
    fn end_after(&self, open: OpenChange, panic: Box<dyn Any + Send>) -> ! {
        if let Err(error) = self.end_as_found(open) {
            tracing::error!(%error, "whether a change that failed was made is not in the ledger");
        }
        resume_unwind(panic)
    }

    /// Reports whether a change was made, as its value shows.
    fn end_as_found(&self, open: OpenChange) -> Result<(), ChangeEntryError> {
        let made = match self.notes.get(&open.note)? {
            Some(note) => {
                let (tree, key) = note.subject.location();
                self.meta.fingerprint(tree, key)? != note.before
            }
            None => true,
        };
        self.end(open, made)
    }

    /// Writes an entry to the ledger; after that the change that it records may be made. `plan` returns the entry and what its owner needs
    /// for the change; it is called when no other change of `subject` is under way, and none begins before this one has ended.
    ///
    /// # Errors
    /// The error of `plan`; nothing is recorded then. [`ChangeEntryError`] if state or ledger cannot be written. The change must not be
    /// made in either case.
    pub fn begin<P, E>(
        &self,
        subject: Subject,
        by: (&Attribution, Timestamp),
        plan: impl FnOnce() -> Result<(EntryBody, P), E>,
    ) -> Result<(OpenChange, P), E>
    where
        E: From<ChangeEntryError>,
    {
        self.begin_anchored(subject, Anchoring::BeforeTheChange, by, plan)
    }

    fn begin_anchored<P, E>(
        &self,
        subject: Subject,
        anchoring: Anchoring,
        by: (&Attribution, Timestamp),
        plan: impl FnOnce() -> Result<(EntryBody, P), E>,
    ) -> Result<(OpenChange, P), E>
    where
        E: From<ChangeEntryError>,
    {
        let in_progress = InProgress::begin(&self.in_progress, subject.clone());
        let (entry, planned) = plan()?;
        let open = self.record((subject, in_progress), anchoring, entry, by)?;
        Ok((open, planned))
    }

    fn record(
        &self,
        (subject, in_progress): (Subject, InProgress),
        anchoring: Anchoring,
        entry: EntryBody,
        (by, at): (&Attribution, Timestamp),
    ) -> Result<OpenChange, ChangeEntryError> {
        let mut number = [0; 16];
        getrandom::fill(&mut number)?;
        let note = HEXLOWER.encode(&number);
        let (tree, key) = subject.location();
        let before = self.meta.fingerprint(tree, key)?;
        let noted = Note {
            before,
            subject: subject.clone(),
            entry: entry.clone(),
            ledger: self.ledger.size(),
        };
        let mut batch = Batch::new();
        batch.put(&self.notes, &note, &noted)?;
        match self
            .ledger
            .append_noted((&self.meta, batch), anchoring, entry, (by, at))
        {
            Ok(receipt) => Ok(OpenChange {
                note,
                subject,
                before,
                entry: receipt.sequence(),
                receipt,
                by: by.for_outcome(),
                at,
                _in_progress: in_progress,
            }),
            // There is no entry. The change waited for another one of the same value, in which the account may have been disabled.
            Err(error @ LedgerError::Authority(_)) => {
                self.notes.remove(&note)?;
                Err(error.into())
            }
            // The ledger no longer accepts entries; the next start handles the note.
            Err(error) => Err(error.into()),
        }
    }

    /// Reports whether a change was made.
    ///
    /// # Errors
    /// If state or ledger cannot be written; the next start then determines whether the change was made.
    pub fn end(&self, open: OpenChange, made: bool) -> Result<(), ChangeEntryError> {
        let OpenChange {
            entry,
            by,
            at,
            note,
            subject,
            before,
            receipt: _,
            _in_progress: in_progress,
        } = open;
        if !made {
            let entry = EntryBody::ChangeNotMade { entry };
            drop(self.ledger.append(entry, &by, at)?);
        }
        let removed = self.remove(&note, &subject, before);
        // Another change of the same value may begin now.
        drop(in_progress);
        Ok(removed?)
    }

    /// Removes the note of a change that has ended. A start that finds it again removes it if the value is another one than before; a change that
    /// left the value as it was would look to it like one that was not made.
    fn remove(&self, note: &str, subject: &Subject, before: Option<Digest32>) -> Result<(), MetaError> {
        let (tree, key) = subject.location();
        if self.meta.fingerprint(tree, key)? == before {
            return self.notes.remove(note);
        }
        let _with_the_next_change = self.notes.apply_removal(note)?;
        Ok(())
    }
}

/// Why a change was not recorded.
#[derive(Debug, thiserror::Error)]
pub enum ChangeEntryError {
    /// The state failed.
    #[error("the sealed state cannot be read or written")]
    State(#[from] MetaError),
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The system's random number generator failed.
    #[error("the system's random number generator failed")]
    Random(#[from] getrandom::Error),
}

impl Explain for ChangeEntryError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::State(source) => source.kind(),
            Self::Ledger(source) => source.kind(),
            Self::Random(_) => ErrorKind::Internal,
        }
    }
}

#[cfg(test)]
mod tests;
