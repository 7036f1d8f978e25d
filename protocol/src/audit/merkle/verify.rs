//! Checking proofs. Needs no ledger, only hashes.

use super::hash::{empty_root, node_hash};
use crate::ids::Digest32;

/// Why a proof does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The sizes or the place cannot belong together.
    #[error("place {small} does not belong into a tree of {large} leaves")]
    Range {
        /// The leaf's place, or the size of the earlier tree.
        small: u64,
        /// The size of the tree, or of the later one.
        large: u64,
    },
    /// Too many or too few hashes for these sizes.
    #[error("the proof has {found} hashes, which does not fit the size of the tree")]
    Length {
        /// How many there are.
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
/// [`VerifyError`] when the path does not show that.
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
    let mut place = Place {
        node: index,
        last: size - 1,
    };
    let mut hash = leaf;
    for other in path {
        if place.last == 0 {
            return Err(length);
        }
        hash = if place.is_right() {
            node_hash(other, &hash)
        } else {
            node_hash(&hash, other)
        };
        place.rise();
    }
    if place.last != 0 { Err(length) } else { same(root, hash) }
}

/// Checks that the tree of `second` leaves with `second_root` only adds to the tree of `first` leaves with `first_root`.
/// Everything adds to the empty tree.
///
/// # Errors
/// [`VerifyError`] when the path does not show that.
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
    let mut place = Place {
        node: first - 1,
        last: second - 1,
    };
    while place.node & 1 == 1 {
        place.shift();
    }
    // A first tree that is perfect is its own starting point; otherwise the path begins with one.
    let (start, path) = if first.is_power_of_two() {
        (first_root, path)
    } else {
        path.split_first().map(|(s, p)| (*s, p)).ok_or(length)?
    };
    let (mut old, mut new) = (start, start);
    for other in path {
        if place.last == 0 {
            return Err(length);
        }
        if place.is_right() {
            old = node_hash(other, &old);
            new = node_hash(other, &new);
        } else {
            new = node_hash(&new, other);
        }
        place.rise();
    }
    if place.last != 0 {
        return Err(length);
    }
    same(first_root, old)?;
    same(second_root, new)
}

/// Where a node stands on its level, and where the last node of that level stands.
struct Place {
    node: u64,
    last: u64,
}

impl Place {
    /// Whether the next hash of the path belongs to its left: it is a right child, or the last node without a sibling.
    fn is_right(&self) -> bool {
        self.node & 1 == 1 || self.node == self.last
    }

    /// To the parent; from a last node without sibling on to the first ancestor that is a right child.
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
