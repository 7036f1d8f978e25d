//! The head of a ledger: how many entries, and the root over them (RFC 6962 calls it a tree head).

use serde::{Deserialize, Serialize};

use crate::ids::Digest32;

/// Size and root of a ledger's Merkle tree at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TreeHead {
    /// Number of entries.
    pub size: u64,
    /// Root of the Merkle tree over them.
    pub root: Digest32,
}
