//! The append-only audit log on disk.
//!
//! ```text
//! ledger/entries.log      8 bytes "CCLEDGR" and format version 1, then records: length (4 bytes, big endian) | sealed entry
//! ledger/head             sealed: number of acknowledged entries, Merkle root over them, length of the log up to there
//! ledger/segments         sealed: the state of the ledger after every 1024 entries
//! ledger/checkpoint.cose  the latest signed checkpoint
//! ```
//!
//! 1. Entries contain names of people, so each is sealed (XChaCha20-Poly1305, random nonce) for its number; a record moved to
//!    another position does not open.
//! 2. One thread owns the file. It takes all waiting appends, writes them, syncs the log once, replaces the head (written to a
//!    separate file, synced, renamed), and only then acknowledges them. Concurrent appends share both syncs.
//! 3. An acknowledgment is a [`LedgerReceipt`]. Only the ledger creates one, and without one there is no permit.
//! 4. Records after the head were never acknowledged. When the ledger is opened, complete records there are kept and a torn one
//!    is cut off. Anything invalid *before* the head is damage, and the ledger does not open.
//! 5. When a node starts, it reads the newest entries, from the end of a segment on, and compares the result with the head and
//!    the sealed state. Older entries are read in the background ([`Verification`]); until then they are not exported, and no
//!    checkpoint is signed.
//! 6. When a write fails, the ledger rejects every further append until it is opened again.
//!
//! How truncation and older copies are detected: a log shorter than its head states, a log that alone was replaced by an older
//! copy, a lost head, and a ledger shorter than its own checkpoint are detected here. If only the head was replaced by an older
//! copy, nothing is lost: the entries after it are recovered. An older copy of the whole folder is detected through the sealed
//! state, which contains the ledger's size and root ([`Ledger::open_anchored`]). An older copy of the whole disk is detected only
//! by peers.

mod anchor;
mod attribution;
mod disk;
mod error;
mod format;
mod receipt;
mod segments;
mod verification;
mod verify;
mod writer;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use concordat_protocol::audit::{Checkpoint, EntryBody, InclusionProof, LedgerEntry, TreeHead, merkle};
use concordat_protocol::identity::{InstitutionKey, InstitutionPublicKey};
use concordat_protocol::ids::{Digest32, InstitutionId};
use concordat_protocol::signed::Signed;
use concordat_protocol::time::Timestamp;
use tokio::sync::watch;

pub use anchor::AnchorError;
pub use attribution::Attribution;
pub use error::LedgerError;
pub use receipt::LedgerReceipt;
pub use verification::Verification;
pub use verify::{AuditReport, CheckpointReport};

use crate::fs::write_private;
use crate::keys::LedgerKey;
use crate::meta::SealedDb;
use anchor::Anchor;
use disk::{Extent, Opened};
use format::Record;
use verification::{DamageNote, Older, Reading, Verifier};
use writer::{Command, Reply, Shared, Tip, Writer};

/// A handle to the ledger; clones share it. The files are closed when the last one is dropped.
#[derive(Clone)]
pub struct Ledger(Arc<Inner>);

struct Inner {
    dir: PathBuf,
    key: Arc<LedgerKey>,
    institution: InstitutionId,
    shared: Arc<Mutex<Shared>>,
    /// Entries that the sealed state covered when the ledger was opened.
    anchored: u64,
    /// Entries that there were when the ledger was opened.
    opened: u64,
    verification: Arc<watch::Sender<Verification>>,
    verifier: Option<Verifier>,
    checkpointing: Mutex<()>,
    commands: Option<Sender<Command>>,
    thread: Option<JoinHandle<()>>,
}

/// An entry as it is stored, with its leaf hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEntry {
    /// The entry.
    pub entry: LedgerEntry,
    /// Its leaf hash.
    pub leaf: Digest32,
}

/// The ledger at one instant.
#[derive(Clone, Debug)]
pub struct Frozen {
    /// Number of entries.
    pub size: u64,
    /// Length of the log in bytes.
    pub length: u64,
    /// The sealed head.
    pub head: Vec<u8>,
    /// The signed checkpoint, if there is one.
    pub checkpoint: Option<Vec<u8>>,
}

impl Ledger {
    /// Opens the ledger of `institution` in `dir`, or creates one if there is none. Every entry is read and checked.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`] if an acknowledged entry is invalid; [`LedgerError::Io`] if the files cannot be used.
    pub fn open(dir: &Path, key: LedgerKey, institution: InstitutionId) -> Result<Self, LedgerError> {
        let Opened { files, shared, .. } = disk::open(dir, &key, Extent::Everything)?;
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
        let opened = match disk::open(dir, &key, extent) {
            // The list of segments may be damaged while the entries are intact.
            Err(LedgerError::Damaged { .. }) => disk::open(dir, &key, Extent::Everything),
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
        let Opened { files, shared, .. } = disk::open(dir, &key, Extent::Everything)?;
        let anchor = Anchor::adopt(meta, &shared.tip.head())?;
        Self::start(dir, key, institution, shared, files, Some(anchor), None)
    }

    fn start<M: writer::Medium>(
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
        let (key, shared) = (Arc::new(key), Arc::new(Mutex::new(shared)));
        let (commands, waiting) = mpsc::channel();
        let writer = Writer::new(Arc::clone(&key), Arc::clone(&shared), medium, anchor);
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

    /// Checks that the stored checkpoint, if there is one, is signed by one of the institution's keys. Its entries need no
    /// second check at a start: the head in the sealed state covers them.
    ///
    /// # Errors
    /// [`LedgerError::ForeignCheckpoint`] if it is not.
    pub fn check_checkpoint(&self, institution: &[InstitutionPublicKey]) -> Result<(), LedgerError> {
        let signed = disk::latest_checkpoint(&self.0.dir)?;
        let verified = signed.map(|signed| signed.verify_any(institution)).transpose();
        verified.map(drop).map_err(LedgerError::ForeignCheckpoint)
    }

    /// Appends an entry attributed to `by` and waits until it is durable. Blocks the thread; async code uses
    /// [`Ledger::append_async`].
    ///
    /// # Errors
    /// [`LedgerError::Write`] or [`LedgerError::Refusing`] if it cannot be made durable: the recorded action must then not
    /// happen.
    pub fn append(&self, body: EntryBody, by: &Attribution, now: Timestamp) -> Result<LedgerReceipt, LedgerError> {
        let (reply, answer) = mpsc::sync_channel(1);
        self.send(body, by, now, Box::new(move |result| drop(reply.send(result))))?;
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
        self.send(body, by, now, Box::new(move |result| drop(reply.send(result))))?;
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

    fn send(&self, body: EntryBody, by: &Attribution, at: Timestamp, reply: Reply) -> Result<(), LedgerError> {
        // The queue needs no separate bound: every sender waits for the answer.
        let commands = self.0.commands.as_ref().ok_or(LedgerError::Stopped)?;
        commands
            .send(Command {
                body,
                cause: by.cause().clone(),
                at,
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

    /// Merkle root over the acknowledged entries.
    pub fn root(&self) -> Digest32 {
        self.shared().tip.tree.root()
    }

    /// Size and root of the acknowledged entries, read at one instant.
    pub fn head(&self) -> TreeHead {
        let Tip { tree, .. } = self.tip();
        TreeHead {
            size: tree.size(),
            root: tree.root(),
        }
    }

    /// The last `count` entries, oldest first.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`] if one of them is invalid.
    pub fn tail(&self, count: u64) -> Result<Vec<StoredEntry>, LedgerError> {
        let size = self.size();
        self.range(size.saturating_sub(count), size)
    }

    /// Entry number `sequence`.
    ///
    /// # Errors
    /// [`LedgerError::NoSuchEntry`] past the end, [`LedgerError::Damaged`] if it is invalid.
    pub fn entry(&self, sequence: u64) -> Result<StoredEntry, LedgerError> {
        let missing = || LedgerError::NoSuchEntry {
            sequence,
            size: self.size(),
        };
        let end = sequence
            .checked_add(1)
            .filter(|end| *end <= self.size())
            .ok_or_else(missing)?;
        self.range(sequence, end)?.pop().ok_or_else(missing)
    }

    /// Entries from number `start` up to, not including, `end`.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`] if one of them is invalid, [`LedgerError::Verifying`] while they are not verified yet.
    pub fn range(&self, start: u64, end: u64) -> Result<Vec<StoredEntry>, LedgerError> {
        let end = end.min(self.size());
        self.0.verification.borrow().covers(start, end)?;
        self.range_for_start(start, end)
    }

    /// The same before the whole ledger is verified: for recovery at a start. Each entry opens only at its position, and is
    /// linked to the one before; none of them may be shown or exported.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`] if one of them is invalid.
    pub fn range_for_start(&self, start: u64, end: u64) -> Result<Vec<StoredEntry>, LedgerError> {
        let from = self.shared().segments.before(start);
        let mut entries = Vec::new();
        disk::read(&self.0.dir, &self.0.key, &from, end.min(self.size()), |record| {
            if record.entry.sequence >= start {
                entries.push(StoredEntry {
                    entry: record.entry,
                    leaf: record.leaf,
                });
            }
        })?;
        Ok(entries)
    }

    /// Signs the present size and root, and stores the signed checkpoint.
    ///
    /// # Errors
    /// [`LedgerError::Io`] if it cannot be stored; [`LedgerError::Verifying`] while the entries are not verified yet.
    pub fn checkpoint(&self, key: &InstitutionKey, now: Timestamp) -> Result<Signed<Checkpoint>, LedgerError> {
        let _one_at_a_time = locked(&self.0.checkpointing);
        let Tip { tree, .. } = self.tip();
        self.0.verification.borrow().covers(0, tree.size())?;
        let checkpoint = Checkpoint {
            institution: self.0.institution.clone(),
            size: tree.size(),
            root: tree.root(),
            at: now,
        };
        let verified = Signed::sign(&checkpoint, key).map_err(LedgerError::Signature)?;
        let path = disk::checkpoint_path(&self.0.dir);
        write_private(&path, verified.signed().as_bytes()).map_err(|source| LedgerError::io("write", &path, source))?;
        Ok(verified.signed().clone())
    }

    /// The latest checkpoint; its signature is not checked here.
    ///
    /// # Errors
    /// [`LedgerError::Io`] if it cannot be read.
    pub fn latest_checkpoint(&self) -> Result<Option<Signed<Checkpoint>>, LedgerError> {
        disk::latest_checkpoint(&self.0.dir)
    }

    /// Proves that entry `sequence` is in the ledger, against the latest checkpoint. Reads all entries.
    ///
    /// # Errors
    /// [`LedgerError::NotCheckpointed`] if no checkpoint covers the entry.
    pub fn prove(&self, sequence: u64) -> Result<InclusionProof, LedgerError> {
        let signed = self
            .latest_checkpoint()?
            .ok_or(LedgerError::NotCheckpointed { sequence, size: 0 })?;
        let size = signed.peek_unverified().map_err(LedgerError::Signature)?.size;
        if sequence >= size {
            return Err(LedgerError::NotCheckpointed { sequence, size });
        }
        let mut wanted = None;
        let leaves = self.leaves(|record| {
            if record.entry.sequence == sequence {
                wanted = Some(record.bytes.clone());
            }
        })?;
        let path = merkle::inclusion_path(&leaves, sequence, size).map_err(LedgerError::OutOfRange)?;
        let entry = wanted.ok_or(LedgerError::NoSuchEntry { sequence, size })?;
        Ok(InclusionProof::new(
            self.0.institution.clone(),
            sequence,
            entry,
            path,
            &signed,
        ))
    }

    /// The proof that the ledger with `second` entries extends the one with `first`. Reads all entries.
    ///
    /// # Errors
    /// [`LedgerError::OutOfRange`] if there are no such sizes.
    pub fn consistency(&self, first: u64, second: u64) -> Result<Vec<Digest32>, LedgerError> {
        merkle::consistency_path(&self.leaves(|_| ())?, first, second).map_err(LedgerError::OutOfRange)
    }

    /// The files of the ledger at this instant, for a backup. The log only grows, so its first bytes may be copied afterwards.
    ///
    /// # Errors
    /// [`LedgerError::Io`] if the checkpoint cannot be read.
    pub fn frozen(&self) -> Result<Frozen, LedgerError> {
        let checkpoint = self.latest_checkpoint()?;
        let head = self.tip().head();
        Ok(Frozen {
            size: head.size,
            length: head.length,
            head: head.seal(&self.0.key)?,
            checkpoint: checkpoint.map(|signed| signed.as_bytes().to_vec()),
        })
    }

    fn leaves(&self, mut inspect: impl FnMut(&Record)) -> Result<Vec<Digest32>, LedgerError> {
        let mut leaves = Vec::new();
        disk::replay(&self.0.dir, &self.0.key, &self.tip().head(), |record| {
            inspect(record);
            leaves.push(record.leaf);
        })?;
        Ok(leaves)
    }

    /// Reads everything from the disk again and checks it: each entry, the chain, the root, and the checkpoint with the
    /// institution's public `keys`.
    pub fn verify(&self, keys: &[InstitutionPublicKey]) -> AuditReport {
        verify::report(&self.0.dir, &self.0.key, keys, Some(self.tip().head()))
    }

    /// The same for a ledger that is not open, including one that no longer opens.
    pub fn inspect(dir: &Path, key: &LedgerKey, institution_keys: &[InstitutionPublicKey]) -> AuditReport {
        verify::report(dir, key, institution_keys, None)
    }

    fn tip(&self) -> Tip {
        self.shared().tip.clone()
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
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

/// The data is consistent even after a panic in another thread: every change under these locks is a single assignment.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
