//! The part of the ledger that a start does not read, read in the background.
//!
//! 1. A start reads from the end of a segment on and compares with the head. What lies before is unverified: it is neither
//!    exported nor signed, and a reader that asks for it is told to wait.
//! 2. A thread of low precedence reads each segment from its beginning, and compares what it leads to with what the next one
//!    begins with. The last of them is the one that the head has vouched for.
//! 3. What is found damaged is noted in the sealed state, the ledger takes no more entries, and so nothing is served. The next start
//!    reads everything first, and stops at the damage, until the ledger is whole again.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use tokio::sync::watch;

use super::writer::{Shared, Tip};
use super::{LedgerError, disk, locked};
use crate::keys::LedgerKey;
use crate::meta::{MetaError, SealedDb, SealedTree, TreeId};

/// By how much the thread gives way to others.
const NICE: i32 = 10;
/// The key of the one note about damage.
const DAMAGE: &str = "damage";

/// How far the ledger has been verified since it was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verification {
    /// All of it.
    Whole,
    /// Entries before number `verified`, and those from number `of` on.
    Running {
        /// Entries that were read again from the first on.
        verified: u64,
        /// Entries that have to be.
        of: u64,
    },
    /// It is damaged, or could not be read.
    Failed {
        /// The first entry that does not hold, if it is known.
        first_bad_entry: Option<u64>,
        /// What was found, for people.
        reason: String,
    },
}

impl Verification {
    /// Whether the entries from number `start` up to, not including, `end` are verified.
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

/// What the sealed state knows of damage that was found while the node ran.
#[derive(Debug)]
pub(super) struct DamageNote(SealedTree<u64>);

impl DamageNote {
    pub(super) fn open(meta: &SealedDb) -> Result<Self, MetaError> {
        Ok(Self(meta.tree(TreeId::new("ledger-damage"))?))
    }

    /// Whether everything has to be read before anything else.
    pub(super) fn is_there(&self) -> Result<bool, MetaError> {
        self.0.contains(DAMAGE)
    }

    /// After everything was read and found whole.
    pub(super) fn clear(&self) -> Result<(), MetaError> {
        self.0.remove(DAMAGE)
    }
}

/// What is to be read again.
pub(super) struct Older {
    /// The ends of its segments.
    pub(super) ends: Vec<Tip>,
    /// Where damage is noted.
    pub(super) note: DamageNote,
}

impl Older {
    /// How many entries that are.
    pub(super) fn entries(&self) -> u64 {
        self.ends.last().map_or(0, |end| end.tree.size())
    }
}

/// The thread that reads it.
pub(super) struct Verifier {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread works with.
pub(super) struct Reading {
    pub(super) dir: PathBuf,
    pub(super) key: Arc<LedgerKey>,
    pub(super) shared: Arc<Mutex<Shared>>,
    pub(super) state: Arc<watch::Sender<Verification>>,
}

impl Verifier {
    /// Starts to read what is older.
    pub(super) fn start(reading: Reading, older: Older) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let run = move || {
            // It is slower without, and nothing else changes.
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
        tracing::info!(entries = of, "the older part of the ledger was read again and is whole");
        self.state.send_replace(Verification::Whole);
    }

    fn segment(&self, from: &Tip, end: &Tip) -> Result<(), LedgerError> {
        let mut tip = from.clone();
        tip.length = disk::read(&self.dir, &self.key, from, end.tree.size(), |record| {
            tip.push(record.leaf)
        })?;
        if tip == *end {
            Ok(())
        } else {
            let reason = "the entries of its segment do not lead to the next one";
            Err(LedgerError::damaged(from.tree.size(), reason))
        }
    }

    /// Refuses first: from here on nothing is served. Then it is noted for the next start.
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
        tracing::error!(%error, "the older part of the ledger cannot be verified; the ledger takes no more entries");
        if let Some(first) = first_bad_entry
            && let Err(error) = note.0.put(DAMAGE, &first)
        {
            tracing::error!(%error, "the damage could not be noted in the sealed state");
        }
    }
}
