//! The head of a log: what the state knows about it.

use std::path::{Path, PathBuf};

use concordat_keys::ANSWER_CHAIN;
use concordat_protocol::ids::{Digest32, KeyId, Nonce};
use serde::{Deserialize, Serialize};

use super::file::MAGIC_LEN;
use crate::{frames::PREFIX, meta::TreeId};

/// The tree of heads.
pub(super) const HEADS: TreeId = TreeId::new("answers");

/// The log of a space as far as its answers were released.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SpaceHead {
    /// A key that the dataset had when the log was created: the folder of the log.
    pub(super) folder: KeyId,
    /// The random name of the log.
    pub(super) log: Nonce,
    /// Number of records.
    pub(super) records: u64,
    /// Length of the log up to their end.
    pub(super) bytes: u64,
    /// The chain over the sealed records, see [`SpaceHead::push`].
    pub(super) chain: Digest32,
}

impl SpaceHead {
    /// The head of a log without records.
    pub(super) const fn empty(folder: KeyId, log: Nonce) -> Self {
        Self {
            folder,
            log,
            records: 0,
            bytes: MAGIC_LEN,
            chain: Digest32::ZERO,
        }
    }

    /// Adds a sealed record whose hash is `hash`. The chain is the BLAKE3 hash of the chain before and of that hash; it needs no key, because
    /// it is in the sealed state only.
    pub(super) fn push(&mut self, sealed_len: usize, hash: Digest32) {
        let mut hasher = blake3::Hasher::new_derive_key(ANSWER_CHAIN);
        hasher.update(self.chain.as_bytes()).update(hash.as_bytes());
        self.chain = Digest32::from_bytes(*hasher.finalize().as_bytes());
        self.records = self.records.saturating_add(1);
        self.bytes = self.bytes.saturating_add((PREFIX + sealed_len) as u64);
    }

    /// Where the log is, below the folder of all logs.
    pub(super) fn path(&self) -> PathBuf {
        Path::new(&self.folder.to_string()).join(format!("{}.log", self.log))
    }
}

/// The hash of a sealed record.
pub(super) fn hash_of(sealed: &[u8]) -> Digest32 {
    Digest32::from_bytes(*blake3::hash(sealed).as_bytes())
}
