//! Checking proofs. This needs only hashes, not the ledger.

use super::hash::{empty_root, node_hash};
use crate::ids::Digest32;

/// Why a proof is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The position is outside the tree, or the earlier tree is larger than the later one.
    #[error("position {small} is outside a tree of {large} leaves")]
    Range {
        /// The leaf's position, or the size of the earlier tree.
        small: u64,
        /// The size of the tree, or of the later one.
        large: u64,
    },
    /// Too many or too few hashes for these sizes.
    #[error("the proof has {found} hashes, which does not fit the size of the tree")]
    Length {
        /// Number of hashes in the proof.
        found: usize,
    },
    /// The hashes do not lead to the root.
    #[error("the proof leads to the root `{found}`, not to `{expected}`")]
    Root {
        /// The root it should lead to.
        expected: Digest32,
        /// The root it leads to.
        found: Digest32,
    },
}

/// Checks that the leaf with hash `leaf` is number `index` of the tree of `size` leaves with `root`.
///
/// # Errors
/// [`VerifyError`] if the path does not prove that.
pub fn verify_inclusion(
    leaf: Digest32,
    index: u64,
    size: u64,
    root: Digest32,
    path: &[Digest32],
) -> Result<(), VerifyError> {
    if index >= size {
        return Err(VerifyError::Range {
            small: index,
            large: size,
        });
    }
    let length = VerifyError::Length { found: path.len() };
    let mut position = Position {
        node: index,
        last: size - 1,
    };
    let mut hash = leaf;
    for other in path {
        if position.last == 0 {
            return Err(length);
        }
        hash = if position.is_right() {
            node_hash(other, &hash)
        } else {
            node_hash(&hash, other)
        };
        position.rise();
    }
    if position.last != 0 {
        Err(length)
    } else {
        same(root, hash)
    }
}

/// Checks that the tree of `second` leaves with `second_root` only adds to the tree of `first` leaves with `first_root`.
/// Everything adds to the empty tree.
///
/// # Errors
/// [`VerifyError`] if the path does not prove that.
pub fn verify_consistency(
    first: u64,
    first_root: Digest32,
    second: u64,
    second_root: Digest32,
    path: &[Digest32],
) -> Result<(), VerifyError> {
    let length = VerifyError::Length { found: path.len() };
    if first > second {
        return Err(VerifyError::Range {
            small: first,
            large: second,
        });
    }
    if first == second || first == 0 {
        let expected = if first == 0 { empty_root() } else { second_root };
        return if path.is_empty() {
            same(expected, first_root)
        } else {
            Err(length)
        };
    }
    let mut position = Position {
        node: first - 1,
        last: second - 1,
    };
    while position.node & 1 == 1 {
        position.shift();
    }
    // A first tree that is perfect is its own starting point; otherwise the path begins with one.
    let (start, path) = if first.is_power_of_two() {
        (first_root, path)
    } else {
        path.split_first().map(|(s, p)| (*s, p)).ok_or(length)?
    };
    let mut old = start;
    let mut new = start;
    for other in path {
        if position.last == 0 {
            return Err(length);
        }
        if position.is_right() {
            old = node_hash(other, &old);
            new = node_hash(other, &new);
        } else {
            new = node_hash(&new, other);
        }
        position.rise();
    }
    if position.last != 0 {
        return Err(length);
    }
    same(first_root, old)?;
    same(second_root, new)
}

/// The position of a node on its level, and that of the last node of this level.
struct Position {
    node: u64,
    last: u64,
}

impl Position {
    /// Whether the next hash of the path belongs to its left: it is a right child, or the last node without a sibling.
    fn is_right(&self) -> bool {
        self.node & 1 == 1 || self.node == self.last
    }

    /// To the parent; from a last node without sibling to the first ancestor that is a right child.
    fn rise(&mut self) {
        if self.is_right() {
            while self.node & 1 == 0 && self.node != 0 {
                self.shift();
            }
        }
        self.shift();
    }

    fn shift(&mut self) {
        self.node >>= 1;
        self.last >>= 1;
    }
}

fn same(expected: Digest32, found: Digest32) -> Result<(), VerifyError> {
    if expected == found {
        Ok(())
    } else {
        Err(VerifyError::Root { expected, found })
    }
}
