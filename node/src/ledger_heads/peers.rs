//! What is kept of the ledgers of peers.
//!
//! One head is *proven*: the first that was known, or one that the node proved to extend it. Heads that came without a proof, in
//! receipts and countersignatures, are *pending*: none of them is a base for anything, and each is asked about in the next hello.

use concordat_protocol::audit::{HeadConflict, LedgerHead, LedgerProof, MAX_HEADS, check_growth};
use concordat_protocol::ids::{Digest32, InstitutionId};
use concordat_protocol::signed::Signed;
use concordat_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Most pending heads of one node.
const MAX_PENDING: usize = MAX_HEADS - 1;
/// From how many on the node is asked for proofs at once, not at the next connection.
const MANY: usize = MAX_PENDING / 2;
/// How many of the heads that contradicted the known ones are kept, the newest: an administrator may acknowledge one that was shown
/// a while ago although the node goes on.
const MAX_SHOWN: usize = 32;

/// The heads of one node's ledger, and whether some contradicted each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PeerLedger {
    pub(super) institution: InstitutionId,
    pub(super) proven: Shown,
    /// In the order in which they came; no two of one size and generation.
    pub(super) pending: Vec<Shown>,
    pub(super) conflict: Option<Conflict>,
}

/// Heads of one node that contradict each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Conflict {
    /// The heads shown since, the newest last, never empty; the one that is acknowledged becomes the base.
    shown: Vec<Shown>,
    pub(super) reason: String,
    pub(super) at: Timestamp,
}

/// A head as it was shown, and what is signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Shown {
    pub(super) signed: Signed<LedgerHead>,
    pub(super) head: LedgerHead,
}

/// Why a head is not taken up.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotTaken {
    /// It contradicts a head that is kept.
    #[error("{how}")]
    Conflict {
        /// Names that head.
        kept: Digest32,
        /// How.
        #[source]
        how: HeadConflict,
    },
    /// As many heads wait for a proof as are kept.
    #[error("too many heads wait for a proof")]
    Full,
}

impl Shown {
    fn place(&self) -> (u32, u64) {
        (self.head.generation, self.head.tree.size)
    }

    fn contradicted(&self, how: HeadConflict) -> NotTaken {
        NotTaken::Conflict {
            kept: self.signed.digest(),
            how,
        }
    }
}

impl PeerLedger {
    /// The first head that is known of a node; nothing could prove it.
    pub(super) fn new(institution: InstitutionId, first: Shown) -> Self {
        Self {
            institution,
            proven: first,
            pending: Vec::new(),
            conflict: None,
        }
    }

    /// All heads that are kept, the proven one first.
    pub(super) fn known(&self) -> impl Iterator<Item = &Shown> {
        std::iter::once(&self.proven).chain(&self.pending)
    }

    /// Whether proofs should be asked for now.
    pub(super) fn has_many_pending(&self) -> bool {
        self.conflict.is_none() && self.pending.len() >= MANY
    }

    /// Takes a head that the node proved to extend those in `asked`. It is the base from here on, unless another one became that
    /// in the meantime: then it is not proven to extend that one, and waits.
    ///
    /// # Errors
    /// How it contradicts what is kept.
    pub(super) fn extend(&mut self, asked: &[Shown], shown: Shown, proof: &LedgerProof) -> Result<(), NotTaken> {
        for (index, known) in asked.iter().enumerate() {
            check_growth(&known.head, &shown.head, proof.path(index)).map_err(|how| known.contradicted(how))?;
        }
        self.differs_nowhere(&shown)?;
        self.pending.retain(|pending| !asked.contains(pending));
        if asked.contains(&self.proven) {
            self.proven = shown;
            Ok(())
        } else {
            self.observe(shown)
        }
    }

    /// Takes a head without a proof: it is pending.
    ///
    /// # Errors
    /// How it contradicts what is kept, or that no more can be kept.
    pub(super) fn observe(&mut self, shown: Shown) -> Result<(), NotTaken> {
        self.differs_nowhere(&shown)?;
        if self.known().any(|known| known.place() == shown.place()) {
            return Ok(());
        }
        if self.pending.len() >= MAX_PENDING {
            return Err(NotTaken::Full);
        }
        self.pending.push(shown);
        Ok(())
    }

    fn differs_nowhere(&self, shown: &Shown) -> Result<(), NotTaken> {
        let other = |known: &&Shown| known.place() == shown.place() && known.head.tree.root != shown.head.tree.root;
        match self.known().find(other) {
            Some(known) => Err(known.contradicted(HeadConflict::OtherRoot {
                size: known.head.tree.size,
            })),
            None => Ok(()),
        }
    }

    /// The node is refused from here on.
    pub(super) fn contradict(&mut self, shown: Shown, reason: String, at: Timestamp) {
        self.conflict = Some(Conflict {
            shown: vec![shown],
            reason,
            at,
        });
    }

    /// The head at `root` becomes the base, if the node has shown it since it contradicted itself. Says which that is.
    pub(super) fn acknowledge(&mut self, root: Digest32) -> Option<Shown> {
        let base = self.conflict.as_ref()?.with_root(root)?.clone();
        self.conflict = None;
        self.pending.clear();
        self.proven = base.clone();
        Some(base)
    }
}

impl Conflict {
    /// Keeps a head that the refused node shows.
    pub(super) fn show(&mut self, shown: Shown) {
        self.shown.retain(|known| known.head.tree != shown.head.tree);
        self.shown.push(shown);
        let excess = self.shown.len().saturating_sub(MAX_SHOWN);
        self.shown.drain(..excess);
    }

    /// The head shown last.
    pub(super) fn latest(&self) -> Option<&Shown> {
        self.shown.last()
    }

    /// Those that were shown, the newest first.
    pub(super) fn newest_first(&self) -> impl Iterator<Item = &Shown> {
        self.shown.iter().rev()
    }

    fn with_root(&self, root: Digest32) -> Option<&Shown> {
        self.newest_first().find(|shown| shown.head.tree.root == root)
    }
}

#[cfg(test)]
mod tests;
