//! The ledger's evidence: chained entries, RFC 6962 trees, signed checkpoints.
//!
//! 1. Everything that a node decides or releases becomes a [`LedgerEntry`]: identifiers and digests, never data, and the
//!    [`Cause`] of the entry. It is encoded once; these bytes are the entry, and their [`leaf_hash`] identifies it.
//! 2. Every entry carries the leaf hash of the one before, so that no entry can be removed or inserted.
//! 3. The leaf hashes are the leaves of a Merkle tree ([`merkle`]). The institution signs its size and root from time to
//!    time: a [`Checkpoint`].
//! 4. An [`InclusionProof`] shows to anyone who has the institution's public key that an entry is in the ledger. A
//!    consistency proof ([`check_extension`]) shows that a later checkpoint only added to an earlier one; a node that shows
//!    different histories to different peers cannot produce one.

mod checkpoint;
mod entry;
mod erasure;
mod export;
mod head;
pub mod merkle;

pub use checkpoint::{Checkpoint, InclusionProof, MAX_PATH, ProofError, ProvenEntry, check_extension};
pub use entry::{
    Cause, Direction, EntryBody, EntryError, GrantChange, KeyChange, LedgerEntry, MAX_ENTRY, MAX_LIST, NodeTask,
    Outcome, leaf_hash,
};
pub use erasure::{Erasure, MAX_KEYS};
pub use export::{ExportError, ExportHead, ValidExport, check_export};
pub use head::{HeadConflict, HeadError, LedgerHead, LedgerProof, MAX_HEADS, TreeHead, check_growth};
