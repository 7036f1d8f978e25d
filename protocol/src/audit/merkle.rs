//! Merkle trees over leaf hashes (RFC 6962, section 2.1; verification as in RFC 9162, sections 2.1.3.2 and 2.1.4.2).
//!
//! A leaf is hashed with a zero byte in front, an inner node with a one byte, so that neither can be mistaken for the other. A tree
//! of `n` leaves splits at the largest power of two below `n`. [`CompactTree`] keeps only the roots of the perfect subtrees,
//! which is all that appending needs: at most 64 hashes.

mod hash;
mod prove;
mod verify;

pub use hash::{empty_root, leaf_hash, node_hash};
pub use prove::{LeafSource, OutOfRange, consistency_path, inclusion_path, root};
pub use verify::{VerifyError, verify_consistency, verify_inclusion};

use crate::ids::Digest32;

/// A growing tree that remembers only the roots of its perfect subtrees, largest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CompactTree {
    size: u64,
    peaks: Vec<Digest32>,
}

impl CompactTree {
    /// The tree without leaves.
    pub fn new() -> Self {
        Self::default()
    }

    /// The tree of `size` leaves whose perfect subtrees have these roots, largest first; `None` if a tree of that size has
    /// another number of them.
    pub fn from_peaks(size: u64, peaks: Vec<Digest32>) -> Option<Self> {
        let expected = usize::try_from(size.count_ones()).ok()?;
        (peaks.len() == expected).then_some(Self { size, peaks })
    }

    /// Roots of its perfect subtrees, largest first.
    pub fn peaks(&self) -> &[Digest32] {
        &self.peaks
    }

    /// Number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf by its hash: every perfect subtree that it completes joins the one before it.
    pub fn push(&mut self, leaf: Digest32) {
        let mut right = leaf;
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                right = node_hash(&left, &right);
            }
        }
        self.peaks.push(right);
        self.size = self.size.saturating_add(1);
    }

    /// Root of the tree.
    pub fn root(&self) -> Digest32 {
        let mut peaks = self.peaks.iter().rev();
        match peaks.next() {
            Some(last) => peaks.fold(*last, |right, left| node_hash(left, &right)),
            None => empty_root(),
        }
    }
}

#[cfg(test)]
mod tests;
