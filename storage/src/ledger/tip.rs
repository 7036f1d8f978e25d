//! The end of the ledger.

use concordat_protocol::audit::merkle::CompactTree;
use concordat_protocol::ids::Digest32;

use super::format::{Head, MAGIC_LEN};

/// The end of the ledger: all that an append needs of the entries before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tip {
    /// The tree over all entries.
    pub(super) tree: CompactTree,
    /// Leaf hash of the last entry.
    pub(super) last: Digest32,
    /// Length of the log in bytes.
    pub(super) length: u64,
}

impl Default for Tip {
    /// The end of a ledger without entries.
    fn default() -> Self {
        Self {
            tree: CompactTree::new(),
            last: Digest32::ZERO,
            length: MAGIC_LEN,
        }
    }
}

impl Tip {
    /// Adds an entry by its leaf hash; the length is counted by the caller.
    pub(super) fn push(&mut self, leaf: Digest32) {
        self.tree.push(leaf);
        self.last = leaf;
    }

    /// The head once all entries up to here are acknowledged.
    pub(super) fn head(&self) -> Head {
        Head {
            size: self.tree.size(),
            root: self.tree.root(),
            length: self.length,
        }
    }
}
