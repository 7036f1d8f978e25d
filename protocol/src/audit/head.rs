//! The head of a ledger: the number of entries, and the root over them (RFC 6962 calls it a tree head).
//!
//! 1. A node signs the head of its ledger ([`LedgerHead`]) in every hello, receipt and countersignature.
//! 2. Peers keep the newest head that was *proven* to extend the one before, and every later head that came without a proof.
//! 3. In a hello, each side sends back all heads that it keeps of the other. Only then does the other sign its current head, with
//!    a consistency proof from each of those, so that a node whose ledger only grew can always provide them ([`check_growth`]).
//! 4. A head that a node signed but that its ledger does not extend shows to both sides that the ledger was replaced: to the
//!    peer, which receives no proof, and to the node itself, which sees its own signature.
//! 5. A node that was restored on purpose continues under the next *generation*; it no longer compares its own ledger with heads
//!    of earlier generations. Each peer still acknowledges the restore separately.

use serde::{Deserialize, Serialize};

use super::checkpoint::MAX_PATH;
use super::merkle;
use crate::ids::{Digest32, InstitutionId, NodeId};
use crate::labels::{self, DomainLabel};
use crate::signed::{Document, SignatureError, Signed};
use crate::time::Timestamp;

/// Size and root of a ledger's Merkle tree at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TreeHead {
    /// Number of entries.
    pub size: u64,
    /// Root of the Merkle tree over them.
    pub root: Digest32,
}

/// The durable head of one node's ledger; signed by the node's key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerHead {
    /// The node's institution.
    pub institution: InstitutionId,
    /// Whose ledger it is.
    pub node: NodeId,
    /// How often a restore of the ledger has been acknowledged at the node.
    pub generation: u32,
    /// Size and root.
    pub tree: TreeHead,
    /// When it was signed.
    pub at: Timestamp,
}

impl Document for LedgerHead {
    const LABEL: DomainLabel = labels::LEDGER_HEAD;
}

impl Signed<LedgerHead> {
    /// The head, if `node` of `institution` signed it about itself.
    ///
    /// # Errors
    /// [`HeadError`] if it belongs to another node, or is not signed by the node.
    pub fn head_of(&self, node: NodeId, institution: &InstitutionId) -> Result<LedgerHead, HeadError> {
        let verified = self.clone().verify(node).map_err(HeadError::Signature)?;
        let head = verified.document();
        if head.node == node && head.institution == *institution {
            Ok(head.clone())
        } else {
            Err(HeadError::OtherNode)
        }
    }
}

/// Most heads of one node that a peer keeps and sends in a hello: the proven one, and later ones that came without a proof. With
/// a few hellos a second, a member can be answered a few hundred times a second.
pub const MAX_HEADS: usize = 65;

/// The current head, and the proofs that it extends those that the peer knows.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerProof {
    /// Signed after the known heads were received.
    pub head: Signed<LedgerHead>,
    /// The consistency path from each of the known heads, in their order; `None` if there is none.
    pub paths: Vec<Option<Vec<Digest32>>>,
}

impl LedgerProof {
    /// The consistency path from the known head at `index`; `None` if there is none.
    pub fn path(&self, index: usize) -> Option<&[Digest32]> {
        self.paths.get(index).and_then(Option::as_deref)
    }
}

/// Checks that a ledger whose head was `known` only grew until its head was `shown`.
///
/// # Errors
/// [`HeadConflict`] if that is not proven: together the two signed heads are evidence against the node.
pub fn check_growth(known: &LedgerHead, shown: &LedgerHead, path: Option<&[Digest32]>) -> Result<(), HeadConflict> {
    let grown = grows(known, shown, path);
    // A restore that the node has acknowledged is still a restore, but calls for a different investigation.
    grown.map_err(|conflict| {
        if shown.generation > known.generation {
            HeadConflict::Restored {
                known: known.tree.size,
                shown: shown.tree.size,
            }
        } else {
            conflict
        }
    })
}

fn grows(known: &LedgerHead, shown: &LedgerHead, path: Option<&[Digest32]>) -> Result<(), HeadConflict> {
    let size = known.tree.size;
    let now = shown.tree.size;
    if known.node != shown.node || known.institution != shown.institution {
        return Err(HeadConflict::OtherNode);
    }
    if shown.generation < known.generation || now < size {
        return Err(HeadConflict::Shorter {
            known: size,
            shown: now,
        });
    }
    if now == size && shown.tree.root != known.tree.root {
        return Err(HeadConflict::OtherRoot { size });
    }
    let path = path.filter(|path| path.len() <= MAX_PATH);
    let path = path.ok_or(HeadConflict::NotProven {
        known: size,
        shown: now,
    })?;
    merkle::verify_consistency(size, known.tree.root, now, shown.tree.root, path).map_err(|_| HeadConflict::NotProven {
        known: size,
        shown: now,
    })
}

/// Why a signed head is not the one that is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// The node did not sign it.
    #[error("the head of the ledger is not signed by the node")]
    Signature(#[source] SignatureError),
    /// It belongs to another ledger.
    #[error("the head belongs to the ledger of another node")]
    OtherNode,
}

/// How two heads that one node signed contradict each other.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeadConflict {
    /// They belong to two nodes.
    #[error("the two heads belong to two nodes")]
    OtherNode,
    /// The ledger became shorter, or belongs to an earlier generation.
    #[error("the ledger had {known} entries and now shows {shown}: it is an older copy")]
    Shorter {
        /// Entries that it had.
        known: u64,
        /// Entries that it shows.
        shown: u64,
    },
    /// Two histories of one length.
    #[error("the first {size} entries of the ledger differ from those known before")]
    OtherRoot {
        /// Entries of both.
        size: u64,
    },
    /// There is no proof that the longer one extends the other.
    #[error("there is no proof that the {shown} entries of the ledger begin with the {known} known before")]
    NotProven {
        /// Entries that it had.
        known: u64,
        /// Entries that it shows.
        shown: u64,
    },
    /// The node states that it was restored.
    #[error(
        "the node states that it was restored: its ledger had {known} entries and now shows {shown} of another history"
    )]
    Restored {
        /// Entries that it had.
        known: u64,
        /// Entries that it shows.
        shown: u64,
    },
}

#[cfg(test)]
mod tests;
