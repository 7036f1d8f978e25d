//! Creating proofs from the leaf hashes.

use super::hash::{empty_root, node_hash};
use crate::ids::Digest32;

/// Where leaf hashes come from.
pub trait LeafSource {
    /// Number of leaves.
    fn size(&self) -> u64;

    /// Hash of leaf `index`; `None` past the end.
    fn leaf(&self, index: u64) -> Option<Digest32>;

    /// Root of the perfect subtree over the leaves from `start` up to, not including, `end`, if it is available; saves reading each
    /// leaf.
    fn subtree(&self, _start: u64, _end: u64) -> Option<Digest32> {
        None
    }
}

impl LeafSource for [Digest32] {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn leaf(&self, index: u64) -> Option<Digest32> {
        self.get(usize::try_from(index).ok()?).copied()
    }
}

impl LeafSource for Vec<Digest32> {
    fn size(&self) -> u64 {
        self.as_slice().size()
    }

    fn leaf(&self, index: u64) -> Option<Digest32> {
        self.as_slice().leaf(index)
    }
}

/// A leaf or tree size that the tree does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the tree has {size} leaves, {requested} was requested")]
pub struct OutOfRange {
    /// Number of leaves.
    pub size: u64,
    /// The position or size that was requested.
    pub requested: u64,
}

/// Root of the tree over the first `size` leaves.
///
/// # Errors
/// [`OutOfRange`] when there are fewer.
pub fn root<L: LeafSource + ?Sized>(leaves: &L, size: u64) -> Result<Digest32, OutOfRange> {
    if size == 0 {
        Ok(empty_root())
    } else {
        subtree(leaves, 0, size)
    }
}

/// The path from leaf `index` to the root of the tree over the first `size` leaves (RFC 6962, section 2.1.1), lowest first.
///
/// # Errors
/// [`OutOfRange`] if there is no such leaf.
pub fn inclusion_path<L: LeafSource + ?Sized>(leaves: &L, index: u64, size: u64) -> Result<Vec<Digest32>, OutOfRange> {
    if index >= size {
        return Err(OutOfRange { size, requested: index });
    }
    let mut start = 0;
    let mut end = size;
    let mut path = Vec::new();
    while end - start > 1 {
        let middle = start + split(end - start);
        if index < middle {
            path.push(subtree(leaves, middle, end)?);
            end = middle;
        } else {
            path.push(subtree(leaves, start, middle)?);
            start = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// The proof that the tree of `second` leaves only adds to the tree of `first` (RFC 6962, section 2.1.2).
///
/// # Errors
/// [`OutOfRange`] when `first` is 0 or more than `second`, or there are fewer than `second` leaves.
pub fn consistency_path<L: LeafSource + ?Sized>(
    leaves: &L,
    first: u64,
    second: u64,
) -> Result<Vec<Digest32>, OutOfRange> {
    if first == 0 || first > second {
        return Err(OutOfRange {
            size: second,
            requested: first,
        });
    }
    let mut start = 0;
    let mut end = second;
    let mut path = Vec::new();
    while end > first {
        let middle = start + split(end - start);
        if first <= middle {
            path.push(subtree(leaves, middle, end)?);
            end = middle;
        } else {
            path.push(subtree(leaves, start, middle)?);
            start = middle;
        }
    }
    if start > 0 {
        path.push(subtree(leaves, start, end)?);
    }
    path.reverse();
    Ok(path)
}

/// Root over the leaves from `start` up to, not including, `end`; there is at least one.
fn subtree<L: LeafSource + ?Sized>(leaves: &L, start: u64, end: u64) -> Result<Digest32, OutOfRange> {
    if end - start <= 1 {
        return leaves.leaf(start).ok_or_else(|| OutOfRange {
            size: leaves.size(),
            requested: start,
        });
    }
    if let Some(root) = leaves.subtree(start, end) {
        return Ok(root);
    }
    let middle = start + split(end - start);
    Ok(node_hash(
        &subtree(leaves, start, middle)?,
        &subtree(leaves, middle, end)?,
    ))
}

/// The largest power of two below `size`, which is at least 2.
fn split(size: u64) -> u64 {
    1 << (size - 1).ilog2()
}
