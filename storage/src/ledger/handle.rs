//! The ledger as the node uses it: opening it, appending to it, and whether it can be used.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;

use concordat_keys::LedgerKey;
use concordat_protocol::audit::EntryBody;
use concordat_protocol::ids::InstitutionId;
use concordat_protocol::time::Timestamp;
use tokio::sync::watch;

use super::anchor::{self, Anchor};
use super::attribution::Attribution;
use super::durable_files::{self, Extent, Opened};
use super::medium::Medium;
use super::shared::{Shared, locked};
use super::tip::Tip;
use super::verification::{DamageNote, Older, Reading, Verification, Verifier};
use super::writer::{Command, NotedChange, Reply, Writer};
use super::{AnchorError, LedgerError, LedgerReceipt};
use crate::meta::SealedDb;

/// A handle to the ledger; clones share it. The files are closed when the last one is dropped.
#[derive(Clone)]
pub struct Ledger(pub(super) Arc<Inner>);

/// What the clones of a handle share.
pub(super) struct Inner {
    pub(super) dir: PathBuf,
    pub(super) key: Arc<LedgerKey>,
    pub(super) institution: InstitutionId,
    pub(super) shared: Arc<Mutex<Shared>>,
    /// Entries that the sealed state covered when the ledger was opened.
    anchored: u64,
    /// The head in the sealed state; `None` if the ledger was opened without a state.
    pub(super) anchor: Option<Anchor>,
    /// Entries that there were when the ledger was opened.
    opened: u64,
    pub(super) verification: Arc<watch::Sender<Verification>>,
    verifier: Option<Verifier>,
    pub(super) checkpointing: Mutex<()>,
    commands: Option<Sender<Command>>,
    thread: Option<JoinHandle<()>>,
}

impl Ledger {
    /// Opens the ledger of `institution` in `dir`, or creates one if there is none. Every entry is read and checked.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`] if an acknowledged entry is invalid; [`LedgerError::Io`] if the files cannot be used.
    pub fn open(dir: &Path, key: LedgerKey, institution: InstitutionId) -> Result<Self, LedgerError> {
        let Opened { files, shared, .. } = durable_files::open(dir, &key, Extent::Everything)?;
        Self::start(dir, key, institution, shared, files, None, None)
    }

    /// Opens the ledger and compares it with its anchor in the sealed state `meta`, which is updated from then on. The newest
    /// entries are read and checked before this returns, the older ones in the background ([`Ledger::verification`]).
    ///
    /// # Errors
    /// [`LedgerError::Anchor`] if ledger or state is older than the other; otherwise as [`Ledger::open`].
    pub fn open_anchored(
        dir: &Path,
        key: LedgerKey,
        institution: InstitutionId,
        meta: &SealedDb,
    ) -> Result<Self, LedgerError> {
        let note = DamageNote::open(meta).map_err(AnchorError::State)?;
        let was_damaged = note.is_present().map_err(AnchorError::State)?;
        let extent = match anchor::known(meta).map_err(AnchorError::State)? {
            Some(anchored) if !was_damaged => Extent::From(anchored.size),
            Some(_) | None => Extent::Everything,
        };
        let opened = match durable_files::open(dir, &key, extent) {
            // The list of segments may be damaged while the entries are intact.
            Err(LedgerError::Damaged { .. }) => durable_files::open(dir, &key, Extent::Everything),
            opened => opened,
        };
        let Opened { files, shared, older } = opened?;
        let anchor = Anchor::check(meta, dir, &key, &shared)?;
        if was_damaged {
            note.clear().map_err(AnchorError::State)?;
        }
        let older = (!older.is_empty()).then_some(Older { ends: older, note });
        Self::start(dir, key, institution, shared, files, Some(anchor), older)
    }

    /// As [`Ledger::open_anchored`] for a data directory that was just restored from a snapshot: ledger and state come from one
    /// signed snapshot, so the anchor is set from the ledger as it is.
    ///
    /// # Errors
    /// As [`Ledger::open`], or if the state cannot be written.
    pub fn open_restored(
        dir: &Path,
        key: LedgerKey,
        institution: InstitutionId,
        meta: &SealedDb,
    ) -> Result<Self, LedgerError> {
        let Opened { files, shared, .. } = durable_files::open(dir, &key, Extent::Everything)?;
        let anchor = Anchor::adopt(meta, &shared.tip.head())?;
        Self::start(dir, key, institution, shared, files, Some(anchor), None)
    }

    /// Starts the thread that appends, and the one that verifies the older part, if there is one.
    pub(super) fn start<M: Medium>(
        dir: &Path,
        key: LedgerKey,
        institution: InstitutionId,
        shared: Shared,
        medium: M,
        anchor: Option<Anchor>,
        older: Option<Older>,
    ) -> Result<Self, LedgerError> {
        let opened = shared.tip.head().size;
        let anchored = anchor.as_ref().map_or(opened, Anchor::size);
        let key = Arc::new(key);
        let shared = Arc::new(Mutex::new(shared));
        let (commands, waiting) = mpsc::channel();
        let writer = Writer::new(Arc::clone(&key), Arc::clone(&shared), medium, anchor.clone());
        let thread = std::thread::Builder::new()
            .name("ledger".to_owned())
            .spawn(move || writer.run(&waiting))
            .map_err(|source| LedgerError::io("start the writer of", dir, source))?;
        let begun = older
            .as_ref()
            .map_or(Verification::Whole, |older| Verification::Running {
                verified: 0,
                of: older.entries(),
            });
        let verification = Arc::new(watch::Sender::new(begun));
        let reading = Reading {
            dir: dir.to_owned(),
            key: Arc::clone(&key),
            shared: Arc::clone(&shared),
            state: Arc::clone(&verification),
        };
        let verifier = older.map(|older| Verifier::start(reading, older)).transpose();
        let verifier = verifier.map_err(|source| LedgerError::io("start the verification of", dir, source))?;
        Ok(Self(Arc::new(Inner {
            dir: dir.to_owned(),
            key,
            institution,
            shared,
            anchored,
            anchor,
            opened,
            verification,
            verifier,
            checkpointing: Mutex::new(()),
            commands: Some(commands),
            thread: Some(thread),
        })))
    }

    /// Entries that the sealed state covered when the ledger was opened. State that is recorded for each later entry must be
    /// there; otherwise the state is an older copy.
    pub fn anchored(&self) -> u64 {
        self.0.anchored
    }

    /// Entries that there were when the ledger was opened: what earlier runs wrote. All later ones are of this run.
    pub fn opened(&self) -> u64 {
        self.0.opened
    }

    /// Appends an entry attributed to `by` and waits until it is durable. Blocks the thread; async code uses
    /// [`Ledger::append_async`].
    ///
    /// # Errors
    /// [`LedgerError::Write`] or [`LedgerError::Refusing`] if it cannot be made durable, [`LedgerError::Authority`] if `by` may act no
    /// longer: the recorded action must then not happen.
    pub fn append(&self, body: EntryBody, by: &Attribution, now: Timestamp) -> Result<LedgerReceipt, LedgerError> {
        self.append_with(None, body, by, now)
    }

    /// As [`Ledger::append`], with the change that the entry records.
    pub(super) fn append_with(
        &self,
        change: Option<NotedChange>,
        body: EntryBody,
        by: &Attribution,
        now: Timestamp,
    ) -> Result<LedgerReceipt, LedgerError> {
        let (reply, answer) = mpsc::sync_channel(1);
        self.send(
            change,
            body,
            (by, now),
            Box::new(move |result| drop(reply.send(result))),
        )?;
        let appended = answer.recv().map_err(|_| LedgerError::Stopped)?;
        appended.map_err(|error| self.explained(error))
    }

    /// Appends an entry attributed to `by` and waits until it is durable. The entry may be written even if the caller stops
    /// waiting.
    ///
    /// # Errors
    /// As for [`Ledger::append`].
    pub async fn append_async(
        &self,
        body: EntryBody,
        by: &Attribution,
        now: Timestamp,
    ) -> Result<LedgerReceipt, LedgerError> {
        let (reply, answer) = tokio::sync::oneshot::channel();
        self.send(None, body, (by, now), Box::new(move |result| drop(reply.send(result))))?;
        let appended = answer.await.map_err(|_| LedgerError::Stopped)?;
        appended.map_err(|error| self.explained(error))
    }

    /// Replaces the error if appends are rejected for another reason than a failed write.
    fn explained(&self, error: LedgerError) -> LedgerError {
        match (&*self.0.verification.borrow(), &error) {
            (Verification::Failed { reason, .. }, LedgerError::Refusing) => {
                LedgerError::Unverified { reason: reason.clone() }
            }
            _ => error,
        }
    }

    /// Passes an append to the writer, which calls `reply` with the result.
    pub(super) fn send(
        &self,
        change: Option<NotedChange>,
        body: EntryBody,
        (by, at): (&Attribution, Timestamp),
        reply: Reply,
    ) -> Result<(), LedgerError> {
        by.check(at)?;
        // The queue needs no separate bound: every sender waits for the answer.
        let commands = self.0.commands.as_ref().ok_or(LedgerError::Stopped)?;
        commands
            .send(Command {
                body,
                cause: by.cause().clone(),
                at,
                change,
                reply,
            })
            .map_err(|_| LedgerError::Stopped)
    }

    /// Checks that appends are accepted; the node is ready only if they are.
    ///
    /// # Errors
    /// [`LedgerError::Refusing`] after a failed write, [`LedgerError::Unverified`] after damage was found.
    pub fn ready(&self) -> Result<(), LedgerError> {
        if let Verification::Failed { reason, .. } = &*self.0.verification.borrow() {
            return Err(LedgerError::Unverified { reason: reason.clone() });
        }
        if self.shared().refusing {
            Err(LedgerError::Refusing)
        } else {
            Ok(())
        }
    }

    /// How far the ledger has been verified since it was opened.
    pub fn verification(&self) -> watch::Receiver<Verification> {
        self.0.verification.subscribe()
    }

    /// Checks that all entries are verified, so that they may be exported.
    ///
    /// # Errors
    /// [`LedgerError::Verifying`] or [`LedgerError::Unverified`].
    pub fn verified(&self) -> Result<(), LedgerError> {
        self.0.verification.borrow().covers(0, self.size())
    }

    /// Number of acknowledged entries.
    pub fn size(&self) -> u64 {
        self.shared().tip.tree.size()
    }

    /// The end of the acknowledged entries.
    pub(super) fn tip(&self) -> Tip {
        self.shared().tip.clone()
    }

    /// What readers may see.
    pub(super) fn shared(&self) -> MutexGuard<'_, Shared> {
        locked(&self.0.shared)
    }
}

impl Drop for Inner {
    /// Waits until the writer has finished all queued appends: afterwards the files may be opened again.
    fn drop(&mut self) {
        drop(self.verifier.take());
        drop(self.commands.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ledger({}, {} entries)", self.0.institution, self.size())
    }
}
