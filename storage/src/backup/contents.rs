//! The contents of a snapshot.

use concordat_protocol::{
    identity::InstitutionPublicKey,
    ids::{Digest32, InstitutionId, KeyId, Nonce},
    labels::{self, DomainLabel},
    signed::Document,
    text::Text,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::data_dir::ANSWERS;

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
    /// Number of objects that it needs.
    pub objects: u64,
    /// The keys that the institution had before the one that signs this: earlier erasures are signed by them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier_keys: Vec<InstitutionPublicKey>,
    /// The files next to this document.
    pub files: Vec<FileEntry>,
}

impl Document for Snapshot {
    const LABEL: DomainLabel = labels::SNAPSHOT;
}

/// A file with its hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Its path below the snapshot, or below `objects/` of the repository.
    pub path: Text<1024>,
    /// Its length in bytes.
    pub len: u64,
    /// BLAKE3 hash of its bytes.
    pub hash: Digest32,
}

/// The folders and files of a data directory that a snapshot may contain.
const PARTS: [&str; 7] = [
    "format",
    "concordat.toml",
    "roster.cose",
    "identity",
    "policies",
    "ledger",
    ANSWERS,
];

/// Most levels in the path of a file of a snapshot.
const MAX_DEPTH: usize = 8;

impl FileEntry {
    /// Whether this is a file that belongs in a snapshot: one of its lists, or a known part of a data directory.
    pub(super) fn is_part(&self) -> bool {
        match self.names().as_deref() {
            Some(["state" | "objects" | "institution.pub"]) => true,
            Some(["dir", part, ..]) => PARTS.contains(part),
            Some(_) | None => false,
        }
    }

    /// Whether this is the path of a sealed object: a key id, and a name of hexadecimal digits.
    pub(super) fn is_object(&self) -> bool {
        let Some([folder, file]) = self.names().and_then(|names| <[&str; 2]>::try_from(names).ok()) else {
            return false;
        };
        let stem = file.strip_suffix(".parquet").unwrap_or_default();
        folder.parse::<KeyId>().is_ok() && stem.parse::<Nonce>().is_ok()
    }

    /// The key of the dataset that the file belongs to: the folder of an object, and of a log of answers. An erasure removes it by this.
    pub(super) fn key(&self) -> Option<KeyId> {
        match self.names().as_deref() {
            Some([folder, _] | ["dir", ANSWERS, folder, _]) => folder.parse().ok(),
            Some(_) | None => None,
        }
    }

    /// The components of the path; `None` if the path could lead out of its folder.
    fn names(&self) -> Option<Vec<&str>> {
        let names: Vec<&str> = self.path.as_str().split('/').collect();
        let is_plain = |name: &&str| !name.is_empty() && *name != "." && *name != ".." && !name.contains('\0');
        (names.len() <= MAX_DEPTH && names.iter().all(is_plain)).then_some(names)
    }
}
