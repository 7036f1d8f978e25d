//! The head of a space: what the state knows about its records.

use std::path::{Path, PathBuf};

use concordat_keys::{ANSWER_CHAIN, AnswersKey, Wrapped};
use concordat_protocol::ids::{Digest32, KeyId, Nonce};
use serde::{Deserialize, Serialize};

use super::file::MAGIC_LEN;
use crate::{frames::PREFIX, meta::TreeId};

/// The tree of heads.
pub(super) const HEADS: TreeId = TreeId::new("answers");

/// The records of a space that count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SpaceHead {
    /// The first ones, in the log.
    pub(super) log: LogHead,
    /// The sealed records after them, which are in the state.
    pub(super) recent: Vec<Wrapped>,
}

/// A log, or a part of it from its begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LogHead {
    /// A key that the dataset had when its name was chosen: the folder of the log.
    pub(super) folder: KeyId,
    /// Its random name.
    pub(super) name: Nonce,
    /// Number of records. There is no file while it is zero.
    pub(super) records: u64,
    /// Length of the log up to their end.
    pub(super) bytes: u64,
    /// The chain over the sealed records, see [`LogHead::push`].
    pub(super) chain: Digest32,
}

/// How many records may be in the state. They need no sync of their own; each of them is written again with every later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RecentLimits {
    /// Longest sealed record.
    pub(super) record: usize,
    /// Bytes of all of them together.
    pub(super) total: usize,
}

impl RecentLimits {
    /// A set of 100,000 subjects takes at most 12.5 KB. All heads may be in memory at once: 2,000 of them take 64 MB at most.
    pub(super) const DEFAULT: Self = Self {
        record: 16 * 1024,
        total: 32 * 1024,
    };
}

impl SpaceHead {
    /// The head of a space without records.
    pub(super) const fn empty(folder: KeyId, name: Nonce) -> Self {
        Self {
            log: LogHead::empty(folder, name),
            recent: Vec::new(),
        }
    }

    /// What the log is once the recent records are in it. Numbers and offsets of records follow from it and never change.
    pub(super) fn end(&self) -> LogHead {
        let mut end = self.log;
        for sealed in &self.recent {
            end.push(sealed.as_bytes().len(), hash_of(sealed));
        }
        end
    }

    /// Number of records.
    pub(super) fn records(&self) -> u64 {
        self.log.records.saturating_add(self.recent.len() as u64)
    }

    /// Whether further records may be in the state.
    pub(super) fn fits(&self, limits: RecentLimits, records: &[&[u8]]) -> bool {
        let present = self.recent.iter().map(|sealed| sealed.as_bytes().len());
        let added = records
            .iter()
            .map(|plain| plain.len().saturating_add(AnswersKey::OVERHEAD));
        added.clone().all(|sealed| sealed <= limits.record)
            && present.chain(added).fold(0, usize::saturating_add) <= limits.total
    }
}

impl LogHead {
    /// The head of a log without records.
    pub(super) const fn empty(folder: KeyId, name: Nonce) -> Self {
        Self {
            folder,
            name,
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
        Path::new(&self.folder.to_string()).join(format!("{}.log", self.name))
    }
}

/// The hash of a sealed record.
pub(super) fn hash_of(sealed: &Wrapped) -> Digest32 {
    Digest32::from_bytes(*blake3::hash(sealed.as_bytes()).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recent_answers_are_limited_by_record_and_in_all() {
        let mut head = SpaceHead::empty(KeyId::from_bytes([1; 16]), Nonce::from_bytes([2; 16]));
        let limits = RecentLimits { record: 50, total: 100 };
        let overhead = AnswersKey::OVERHEAD;
        let longest = vec![0; 50 - overhead];
        let longer = vec![0; 51 - overhead];
        assert!(head.fits(limits, &[&longest, &longest]));
        assert!(!head.fits(limits, &[&longer]));
        assert!(!head.fits(limits, &[&longest, &longest, b""]));
        head.recent.push(Wrapped::from_bytes(vec![0; 50]));
        assert!(head.fits(limits, &[&longest]));
        assert!(!head.fits(limits, &[&longest, b""]));
    }
}
