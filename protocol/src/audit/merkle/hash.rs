//! The hashes of a tree.

use sha2::{Digest, Sha256};

use crate::ids::Digest32;

/// Hash of a leaf: SHA-256 of a zero byte and its bytes.
pub fn leaf_hash(bytes: &[u8]) -> Digest32 {
    Digest32::from_bytes(Sha256::new().chain_update([0]).chain_update(bytes).finalize().into())
}

/// Hash of an inner node: SHA-256 of a one byte and the hashes of its two sides.
pub fn node_hash(left: &Digest32, right: &Digest32) -> Digest32 {
    let hash = Sha256::new()
        .chain_update([1])
        .chain_update(left.as_bytes())
        .chain_update(right.as_bytes());
    Digest32::from_bytes(hash.finalize().into())
}

/// Root of the tree without leaves: SHA-256 of the empty string.
pub fn empty_root() -> Digest32 {
    Digest32::from_bytes(Sha256::new().finalize().into())
}
