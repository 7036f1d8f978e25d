//! What a snapshot holds.

use concordat_protocol::{
    ids::{Digest32, InstitutionId, Nonce},
    labels::{self, Label},
    signed::Document,
    text::Text,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

/// The domain of the hashes in a snapshot.
pub(super) const FILE_HASH: &str = "concordat/1 snapshot file";

/// A snapshot of a data directory, signed by the institution's key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// Its name: 16 random bytes.
    pub id: Nonce,
    /// Whose data directory it is.
    pub institution: InstitutionId,
    /// When it was taken.
    pub at: Timestamp,
    /// Entries of the ledger at that instant.
    pub ledger: u64,
    /// Objects that it needs.
    pub objects: u64,
    /// The files beside this document.
    pub files: Vec<FileEntry>,
}

impl Document for Snapshot {
    const LABEL: Label = labels::SNAPSHOT;
}

/// A file with its hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Where it lies: below the snapshot, or below `objects/` of the repository.
    pub path: Text<1024>,
    /// Its length in bytes.
    pub len: u64,
    /// BLAKE3 hash of its bytes.
    pub hash: Digest32,
}

impl FileEntry {
    /// Whether the path stays below where it is looked up.
    pub(super) fn is_inside(&self) -> bool {
        let parts = std::path::Path::new(self.path.as_str());
        let mut parts = parts.components();
        parts.all(|part| matches!(part, std::path::Component::Normal(_)))
    }
}
