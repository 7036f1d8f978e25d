//! Snapshots of a node.

use std::path::PathBuf;

use concordat_protocol::ids::Nonce;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where a snapshot is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BackupTarget {
    /// The repository, as an absolute path on the daemon's machine.
    #[schema(value_type = String)]
    pub to: PathBuf,
}

/// A snapshot that was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// Its id.
    #[schema(value_type = String)]
    pub snapshot: Nonce,
    /// When it was taken.
    #[schema(format = DateTime)]
    pub at: String,
    /// Entries of the ledger at that time.
    pub ledger_entries: u64,
    /// Objects that it contains.
    pub objects: u64,
    /// Objects that were copied now; the others were in the repository.
    pub copied: u64,
    /// Bytes that were copied.
    pub bytes: u64,
}
