//! The stored heads of peers' ledgers.
//!
//! One head is *proven*: the first known one, or one that the node proved to extend it. Heads that arrived without a proof, in
//! receipts and countersignatures, are *pending*: they are not used as a base, and the next hello requests a proof for each.

use concordat_protocol::audit::{HeadConflict, LedgerHead, LedgerProof, MAX_HEADS, check_growth};
use concordat_protocol::ids::{Digest32, InstitutionId};
use concordat_protocol::signed::Signed;
use concordat_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Maximum number of pending heads of one node.
const MAX_PENDING: usize = MAX_HEADS - 1;
/// Number of pending heads from which on proofs are requested at once, not at the next connection.
const MANY_PENDING: usize = MAX_PENDING / 2;
/// Maximum number of contradicting heads that are stored, the newest ones: an administrator may acknowledge one that was shown
/// a while ago while the node keeps showing newer ones.
const MAX_SHOWN: usize = 32;

/// The heads of one node's ledger, and whether some contradicted each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PeerLedger {
    pub(super) institution: InstitutionId,
    pub(super) proven: Shown,
    /// In order of arrival; no two have the same size and generation.
    pub(super) pending: Vec<Shown>,
    pub(super) conflict: Option<Conflict>,
    /// Digests of the heads that an acknowledgment has set aside, until a hello proves that the new base is extended: a hello that was sent
    /// before asks for them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    set_aside: Vec<Digest32>,
}

/// Heads of one node that contradict each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Conflict {
    /// The heads shown since, the newest last, never empty; an acknowledged one becomes the base.
    shown: Vec<Shown>,
    pub(super) reason: String,
    pub(super) at: Timestamp,
}

/// A signed head as it was shown, and its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Shown {
    pub(super) signed: Signed<LedgerHead>,
    pub(super) head: LedgerHead,
}

/// Why a head is rejected.
#[derive(Debug, thiserror::Error)]
pub(super) enum HeadRejected {
    /// It contradicts a stored head.
    #[error("{source}")]
    Conflict {
        /// Digest of that head.
        known: Digest32,
        /// How it contradicts that head.
        source: HeadConflict,
    },
    /// The maximum number of heads is pending.
    #[error("too many heads are pending")]
    Full,
}

impl Shown {
    fn position(&self) -> (u32, u64) {
        (self.head.generation, self.head.tree.size)
    }

    fn contradicted(&self, source: HeadConflict) -> HeadRejected {
        HeadRejected::Conflict {
            known: self.signed.digest(),
            source,
        }
    }
}

impl PeerLedger {
    /// Starts with the first known head of a node, for which no proof is possible.
    pub(super) fn new(institution: InstitutionId, first: Shown) -> Self {
        Self {
            institution,
            proven: first,
            pending: Vec::new(),
            conflict: None,
            set_aside: Vec::new(),
        }
    }

    /// All stored heads, the proven one first.
    pub(super) fn known(&self) -> impl Iterator<Item = &Shown> {
        std::iter::once(&self.proven).chain(&self.pending)
    }

    /// Whether proofs should be requested now.
    pub(super) fn has_many_pending(&self) -> bool {
        self.conflict.is_none() && self.pending.len() >= MANY_PENDING
    }

    /// Accepts a head that the node proved to extend those in `sent`. It becomes the base, unless another head became the base
    /// in the meantime: then it is not proven to extend that one, and is pending. It need not extend what an acknowledgment has set aside
    /// since `sent` was sent.
    ///
    /// # Errors
    /// How it contradicts a stored head.
    pub(super) fn extend(&mut self, sent: &[Shown], shown: Shown, proof: &LedgerProof) -> Result<(), HeadRejected> {
        for (index, known) in sent.iter().enumerate() {
            if self.set_aside.contains(&known.signed.digest()) {
                continue;
            }
            check_growth(&known.head, &shown.head, proof.path(index))
                .map_err(|conflict| known.contradicted(conflict))?;
        }
        self.check_same_root(&shown)?;
        self.pending.retain(|pending| !sent.contains(pending));
        if sent.contains(&self.proven) {
            self.set_aside.clear();
            self.proven = shown;
            Ok(())
        } else {
            self.observe(shown)
        }
    }

    /// Accepts a head without a proof: it is pending.
    ///
    /// # Errors
    /// How it contradicts a stored head, or that no more can be stored.
    pub(super) fn observe(&mut self, shown: Shown) -> Result<(), HeadRejected> {
        self.check_same_root(&shown)?;
        if self.known().any(|known| known.position() == shown.position()) {
            return Ok(());
        }
        if self.pending.len() >= MAX_PENDING {
            return Err(HeadRejected::Full);
        }
        self.pending.push(shown);
        Ok(())
    }

    fn check_same_root(&self, shown: &Shown) -> Result<(), HeadRejected> {
        let other =
            |known: &&Shown| known.position() == shown.position() && known.head.tree.root != shown.head.tree.root;
        match self.known().find(other) {
            Some(known) => Err(known.contradicted(HeadConflict::OtherRoot {
                size: known.head.tree.size,
            })),
            None => Ok(()),
        }
    }

    /// Refuses the node from now on.
    pub(super) fn contradict(&mut self, shown: Shown, reason: String, at: Timestamp) {
        self.conflict = Some(Conflict {
            shown: vec![shown],
            reason,
            at,
        });
    }

    /// Makes the head with `root` the base, if the node has shown it since it contradicted itself, and returns it.
    pub(super) fn acknowledge(&mut self, root: Digest32) -> Option<Shown> {
        let base = self.conflict.as_ref()?.with_root(root)?.clone();
        self.conflict = None;
        self.set_aside = self.known().map(|known| known.signed.digest()).collect();
        self.pending.clear();
        self.proven = base.clone();
        Some(base)
    }
}

impl Conflict {
    /// Stores a head that the refused node shows.
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

    /// The shown heads, the newest first.
    pub(super) fn newest_first(&self) -> impl Iterator<Item = &Shown> {
        self.shown.iter().rev()
    }

    fn with_root(&self, root: Digest32) -> Option<&Shown> {
        self.newest_first().find(|shown| shown.head.tree.root == root)
    }
}

#[cfg(test)]
mod tests;
