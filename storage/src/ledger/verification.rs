//! Verifies in the background the part of the ledger that a start does not read.
//!
//! 1. A start reads from the end of a segment on and compares with the head. Earlier entries are unverified: they are neither
//!    exported nor signed, and reading them is an error that asks to wait.
//! 2. A low-priority thread reads each segment from its beginning, and compares its result with the recorded end. The head
//!    already covers the last of these ends.
//! 3. Damage is recorded in the sealed state, and the ledger accepts no more entries, so the node serves nothing. The next start
//!    reads everything first, and stops at the damage, until the ledger is intact again.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use concordat_keys::LedgerKey;
use tokio::sync::watch;

use super::shared::{Shared, locked};
use super::tip::Tip;
use super::{LedgerError, log_reader};
use crate::meta::{MetaError, SealedDb, SealedTree, TreeId};

/// Niceness of the thread.
const NICE: i32 = 10;
/// The key of the note about damage.
const DAMAGE: &str = "damage";

/// How far the ledger has been verified since it was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verification {
    /// All of it.
    Whole,
    /// Entries before number `verified`, and those from number `of` on.
    Running {
        /// Entries that were verified, from the first on.
        verified: u64,
        /// Entries to verify.
        of: u64,
    },
    /// It is damaged, or could not be read.
    Failed {
        /// The first invalid entry, if it is known.
        first_bad_entry: Option<u64>,
        /// What was found, as text for people.
        reason: String,
    },
}

impl Verification {
    /// Checks that the entries from number `start` up to, not including, `end` are verified.
    ///
    /// # Errors
    /// [`LedgerError::Verifying`] or [`LedgerError::Unverified`].
    pub(super) fn covers(&self, start: u64, end: u64) -> Result<(), LedgerError> {
        match self {
            Self::Whole => Ok(()),
            Self::Running { verified, of } if end <= *verified || start >= *of => Ok(()),
            Self::Running { verified, of } => Err(LedgerError::Verifying {
                verified: *verified,
                of: *of,
            }),
            Self::Failed { reason, .. } => Err(LedgerError::Unverified { reason: reason.clone() }),
        }
    }
}

/// The note in the sealed state about damage that was found while the node was running.
#[derive(Debug)]
pub(super) struct DamageNote(SealedTree<u64>);

impl DamageNote {
    pub(super) fn open(meta: &SealedDb) -> Result<Self, MetaError> {
        Ok(Self(meta.tree(TreeId::new("ledger-damage"))?))
    }

    /// Whether there is a note, so that all entries must be read first.
    pub(super) fn is_present(&self) -> Result<bool, MetaError> {
        self.0.contains(DAMAGE)
    }

    /// Removes the note after everything was read and found intact.
    pub(super) fn clear(&self) -> Result<(), MetaError> {
        self.0.remove(DAMAGE)
    }
}

/// The part that is to be verified.
pub(super) struct Older {
    /// The ends of its segments.
    pub(super) ends: Vec<Tip>,
    /// Where damage is recorded.
    pub(super) note: DamageNote,
}

impl Older {
    /// Number of its entries.
    pub(super) fn entries(&self) -> u64 {
        self.ends.last().map_or(0, |end| end.tree.size())
    }
}

/// The thread that verifies it.
pub(super) struct Verifier {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// The inputs of the thread.
pub(super) struct Reading {
    pub(super) dir: PathBuf,
    pub(super) key: Arc<LedgerKey>,
    pub(super) shared: Arc<Mutex<Shared>>,
    pub(super) state: Arc<watch::Sender<Verification>>,
}

impl Verifier {
    /// Starts to verify the older part.
    pub(super) fn start(reading: Reading, older: Older) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let run = move || {
            // If it fails, only the priority differs.
            let _ = rustix::process::nice(NICE);
            reading.run(&older, &stopped);
        };
        let thread = std::thread::Builder::new()
            .name("ledger-verify".to_owned())
            .spawn(run)?;
        let thread = Some(thread);
        Ok(Self { stop, thread })
    }
}

impl Drop for Verifier {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

impl Reading {
    fn run(self, older: &Older, stop: &AtomicBool) {
        let of = older.entries();
        let mut from = Tip::default();
        for end in &older.ends {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            if let Err(error) = self.segment(&from, end) {
                return self.fail(&error, &older.note);
            }
            let verified = end.tree.size();
            self.state.send_replace(Verification::Running { verified, of });
            from = end.clone();
        }
        tracing::info!(entries = of, "the older part of the ledger was verified and is intact");
        self.state.send_replace(Verification::Whole);
    }

    fn segment(&self, from: &Tip, end: &Tip) -> Result<(), LedgerError> {
        let mut tip = from.clone();
        tip.length = log_reader::read(&self.dir, &self.key, from, end.tree.size(), |record| {
            tip.push(record.leaf)
        })?;
        if tip == *end {
            Ok(())
        } else {
            let reason = "the entries of its segment do not lead to the next one";
            Err(LedgerError::damaged(from.tree.size(), reason))
        }
    }

    /// Rejects appends first: from here on nothing is served. Then the damage is recorded for the next start.
    fn fail(&self, error: &LedgerError, note: &DamageNote) {
        let first_bad_entry = if let LedgerError::Damaged { first_bad_entry, .. } = error {
            Some(*first_bad_entry)
        } else {
            None
        };
        let mut shared = locked(&self.shared);
        shared.refusing = true;
        self.state.send_replace(Verification::Failed {
            first_bad_entry,
            reason: error.to_string(),
        });
        drop(shared);
        tracing::error!(%error, "the older part of the ledger cannot be verified; the ledger accepts no more entries");
        if let Some(first) = first_bad_entry
            && let Err(error) = note.0.put(DAMAGE, &first)
        {
            tracing::error!(%error, "the damage could not be recorded in the sealed state");
        }
    }
}
