//! The head of a ledger: how many entries, and the root over them (RFC 6962 calls it a tree head).
//!
//! 1. A node signs the head of its ledger ([`LedgerHead`]) in every hello, receipt and countersignature.
//! 2. Peers keep the newest head that was *proven* to extend the one before, and every head that came without a proof since.
//! 3. In a hello each side sends back all that it keeps of the other. Only then the other signs its present head, with a
//!    consistency proof from each of those, so that a node whose ledger only grew can always give them ([`check_growth`]).
//! 4. A head that a node signed and its ledger does not extend shows both that the ledger was replaced: the peer, which has no
//!    proof, and the node itself, which sees its own signature.
//! 5. A node that was restored on purpose goes on under the next *generation*; heads of earlier ones are not held against its
//!    own ledger any more. Each peer still acknowledges the restore by itself.

use serde::{Deserialize, Serialize};

use super::checkpoint::MAX_PATH;
use super::merkle;
use crate::ids::{Digest32, InstitutionId, NodeId};
use crate::labels::{self, Label};
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
    const LABEL: Label = labels::LEDGER_HEAD;
}

impl Signed<LedgerHead> {
    /// The head, if `node` of `institution` signed it about itself.
    ///
    /// # Errors
    /// [`HeadError`] if it is another node's, or not signed by the node.
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

/// Most heads of one node that a peer keeps and asks about: the proven one, and those that came without a proof since. With a few
/// hellos a second, a member can be answered a few hundred times a second.
pub const MAX_HEADS: usize = 65;

/// The present head, and what shows that it extends those that the peer keeps.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerProof {
    /// Signed after the kept heads were received.
    pub head: Signed<LedgerHead>,
    /// The consistency path from each of the kept heads, in their order; `None` where there is not one.
    pub paths: Vec<Option<Vec<Digest32>>>,
}

impl LedgerProof {
    /// The consistency path from the kept head at `index`; `None` if there is not one.
    pub fn path(&self, index: usize) -> Option<&[Digest32]> {
        self.paths.get(index).and_then(Option::as_deref)
    }
}

/// Checks that a ledger whose head was `kept` only grew until it was `shown`.
///
/// # Errors
/// [`HeadConflict`] if that is not shown: together the two signed heads are evidence against the node.
pub fn check_growth(kept: &LedgerHead, shown: &LedgerHead, path: Option<&[Digest32]>) -> Result<(), HeadConflict> {
    let grown = grows(kept, shown, path);
    // A restore that the node has acknowledged is still a restore, but a different one to look into.
    grown.map_err(|conflict| {
        if shown.generation > kept.generation {
            HeadConflict::Restored {
                kept: kept.tree.size,
                shown: shown.tree.size,
            }
        } else {
            conflict
        }
    })
}

fn grows(kept: &LedgerHead, shown: &LedgerHead, path: Option<&[Digest32]>) -> Result<(), HeadConflict> {
    let (size, now) = (kept.tree.size, shown.tree.size);
    if kept.node != shown.node || kept.institution != shown.institution {
        return Err(HeadConflict::OtherNode);
    }
    if shown.generation < kept.generation || now < size {
        return Err(HeadConflict::Shorter { kept: size, shown: now });
    }
    if now == size && shown.tree.root != kept.tree.root {
        return Err(HeadConflict::OtherRoot { size });
    }
    let path = path.filter(|path| path.len() <= MAX_PATH);
    let path = path.ok_or(HeadConflict::NotProven { kept: size, shown: now })?;
    merkle::verify_consistency(size, kept.tree.root, now, shown.tree.root, path)
        .map_err(|_| HeadConflict::NotProven { kept: size, shown: now })
}

/// Why a signed head is not the one that is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// The node did not sign it.
    #[error("the head of the ledger is not signed by the node")]
    Signature(#[source] SignatureError),
    /// It is of another ledger.
    #[error("the head is of the ledger of another node")]
    OtherNode,
}

/// How two heads that one node signed contradict each other.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeadConflict {
    /// They are of two nodes.
    #[error("the two heads are of two nodes")]
    OtherNode,
    /// The ledger became shorter, or belongs to an earlier generation.
    #[error("the ledger had {kept} entries and now shows {shown}, of an older copy")]
    Shorter {
        /// Entries that it had.
        kept: u64,
        /// Entries that it shows.
        shown: u64,
    },
    /// Two histories of one length.
    #[error("the first {size} entries of the ledger are others than before")]
    OtherRoot {
        /// Entries of both.
        size: u64,
    },
    /// Nothing shows that the longer one extends the other.
    #[error("nothing shows that the {shown} entries of the ledger begin with the {kept} known before")]
    NotProven {
        /// Entries that it had.
        kept: u64,
        /// Entries that it shows.
        shown: u64,
    },
    /// The node states that it was restored.
    #[error(
        "the node states that it was restored: its ledger had {kept} entries and now shows {shown} of another history"
    )]
    Restored {
        /// Entries that it had.
        kept: u64,
        /// Entries that it shows.
        shown: u64,
    },
}

#[cfg(test)]
mod tests;
