//! Heads of the ledger that the sealed state covers, and changes of the state that name entries.

use concordat_protocol::audit::{EntryBody, TreeHead};
use concordat_protocol::time::Timestamp;

use super::anchor::{AnchoredHead, Anchoring, StateChange, is_frequent};
use super::attribution::Attribution;
use super::handle::Ledger;
use super::writer::NotedChange;
use super::{AnchorError, LedgerError, LedgerReceipt};
use crate::meta::{Batch, MetaError, SealedDb};

impl Ledger {
    /// The newest acknowledged head that the sealed state covers. Writes nothing; entries about queries may be missing from it that no value of
    /// the state names yet.
    pub fn anchored_head(&self) -> AnchoredHead {
        match &self.0.anchor {
            Some(anchor) => anchor.covered_up_to(self.head()),
            None => AnchoredHead::without_state(self.head()),
        }
    }

    /// The head over all acknowledged entries, after it is durable in the sealed state. Blocks only if the state does not cover it
    /// yet.
    ///
    /// # Errors
    /// [`AnchorError::State`] if the state cannot be written.
    pub fn anchor_head(&self) -> Result<AnchoredHead, AnchorError> {
        match &self.0.anchor {
            Some(anchor) => Ok(anchor.cover(|| self.head())?),
            None => Ok(AnchoredHead::without_state(self.head())),
        }
    }

    /// Appends an entry that records a change of the state `db`, and waits until it is durable, as [`Ledger::append`] does. `note` is on disk
    /// before the entry is: in one transaction with the announcement of the entry, or in one of its own if the entry is not announced.
    ///
    /// With [`Anchoring::WithTheChange`] the caller makes the change by [`Self::apply`], which covers the entry too.
    ///
    /// # Errors
    /// As for [`Ledger::append`], or [`AnchorError::State`] if the note cannot be stored. If the entry was not written because `by` may not act,
    /// the note may be in the state.
    pub fn append_noted(
        &self,
        (db, note): (&SealedDb, Batch),
        anchoring: Anchoring,
        body: EntryBody,
        (by, now): (&Attribution, Timestamp),
    ) -> Result<LedgerReceipt, LedgerError> {
        if self.0.anchor.is_some() && !is_frequent(&body) {
            let change = NotedChange { note, anchoring };
            return self.append_with(Some(change), body, by, now);
        }
        db.commit(note).map_err(AnchorError::State)?;
        self.append(body, by, now)
    }

    /// Makes changes of the state `db` that name entries of this ledger: what `make` adds to the batch is applied in one
    /// transaction with the present head, so that the state covers every acknowledged entry once it is durable. `make` gets that head, to
    /// sign it; the signature may be passed on once [`Self::until_durable`] has returned. Blocks, but not for the disk.
    ///
    /// # Errors
    /// Those of `make`, or if the state cannot be changed; nothing is changed then.
    pub fn apply<T, E: From<MetaError>>(
        &self,
        db: &SealedDb,
        make: impl FnOnce(AnchoredHead, &mut Batch) -> Result<T, E>,
    ) -> Result<(T, StateChange), E> {
        if let Some(anchor) = &self.0.anchor {
            return anchor.apply(db, || self.head(), make);
        }
        let head = self.head();
        let mut batch = Batch::new();
        let made = make(AnchoredHead::without_state(head), &mut batch)?;
        let applied = db.apply(batch)?;
        Ok((made, StateChange { applied, head }))
    }

    /// Waits until a change of the state is on disk. Blocks; changes that wait at the same time share a sync.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn until_durable(&self, db: &SealedDb, change: StateChange) -> Result<(), MetaError> {
        db.until_durable(change.applied)?;
        if let Some(anchor) = &self.0.anchor {
            anchor.covers(change.head);
        }
        Ok(())
    }

    /// Size and root of the acknowledged entries, read at one instant. The state may not cover it yet, so it is not for anything
    /// that is signed.
    pub(super) fn head(&self) -> TreeHead {
        let tree = self.tip().tree;
        TreeHead {
            size: tree.size(),
            root: tree.root(),
        }
    }
}
