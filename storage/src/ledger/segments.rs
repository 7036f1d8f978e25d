//! Segments: the log in parts of [`SEGMENT`] entries, and the state of the ledger at the end of each.
//!
//! The file `segments` contains a sealed record for the end of each complete segment: number of entries, the roots of the tree's
//! perfect subtrees, the last leaf, and the offset in the log. With it a start reads only the newest entries, from the end of a
//! segment on, and finds any entry without reading those before its segment.
//!
//! The file is not trusted. The entries read from the end of a segment on must lead to the head, which is in the sealed state, so
//! the tree in the record must be the one from which the head's root was computed. The segments before it are verified in the
//! background ([`super::verification`]). If the file is missing, torn or from another ledger, all entries are read, and it is
//! written again.

use std::path::{Path, PathBuf};

use concordat_keys::{LedgerKey, Wrapped};
use concordat_protocol::audit::merkle::CompactTree;
use concordat_protocol::ids::Digest32;
use serde::{Deserialize, Serialize};

use super::tip::Tip;
use super::{LedgerError, files};

/// Entries of a segment, which take some milliseconds to read.
pub(super) const SEGMENT: u64 = 1024;
/// Longest sealed record: 64 subtrees of 34 bytes each, and the rest.
const MAX_RECORD: usize = 4096;
/// Bytes of the length prefix of each record.
const PREFIX: usize = 4;

/// The state of the ledger at the end of a segment, as it is sealed.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct End {
    size: u64,
    peaks: Vec<Digest32>,
    last: Digest32,
    length: u64,
}

/// The ends of the complete segments, from the first on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Segments(Vec<Tip>);

/// Where the ends of segments are stored.
pub(super) fn path(dir: &Path) -> PathBuf {
    dir.join("segments")
}

impl Segments {
    /// The ends on disk up to `most` entries, and whether the file contains those and nothing else.
    pub(super) fn read(dir: &Path, key: &LedgerKey, most: u64) -> Result<(Self, bool), LedgerError> {
        let longest = most
            .checked_div(SEGMENT)
            .unwrap_or(0)
            .saturating_add(1)
            .saturating_mul((MAX_RECORD + PREFIX) as u64);
        let bytes = files::read_small(&path(dir), longest)?.unwrap_or_default();
        let mut rest = bytes.as_slice();
        let mut found = Self::default();
        while let Some((end, after)) = found.next(key, rest, most) {
            found.0.push(end);
            rest = after;
        }
        Ok((found, rest.is_empty()))
    }

    fn next<'a>(&self, key: &LedgerKey, bytes: &'a [u8], most: u64) -> Option<(Tip, &'a [u8])> {
        let (prefix, rest) = bytes.split_first_chunk::<PREFIX>()?;
        let length = usize::try_from(u32::from_be_bytes(*prefix)).ok()?;
        let (sealed, rest) = rest.split_at_checked(length)?;
        let number = self.0.len() as u64;
        let end = open(key, number, sealed)?;
        let size = number.checked_add(1)?.checked_mul(SEGMENT)?;
        (end.tree.size() == size && size <= most).then_some((end, rest))
    }

    /// Adds the end of a segment if `tip` is one.
    pub(super) fn note(&mut self, tip: &Tip) {
        if is_end(tip) {
            self.0.push(tip.clone());
        }
    }

    /// The state of the ledger at the end of the newest segment before entry number `size`, or at its beginning.
    pub(super) fn before(&self, size: u64) -> Tip {
        self.up_to(size).last().cloned().unwrap_or_default()
    }

    /// The ends before entry number `size`.
    pub(super) fn up_to(&self, size: u64) -> &[Tip] {
        let complete = usize::try_from(size / SEGMENT).unwrap_or(usize::MAX);
        self.0.get(..complete.min(self.0.len())).unwrap_or_default()
    }

    /// The same without those that end after entry number `size`.
    pub(super) fn cut(self, size: u64) -> Self {
        Self(self.up_to(size).to_vec())
    }

    /// Number of complete segments.
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// All records as they are in the file.
    pub(super) fn sealed(&self, key: &LedgerKey) -> Result<Vec<u8>, LedgerError> {
        self.0
            .iter()
            .map(|end| seal(key, end))
            .collect::<Result<Vec<_>, _>>()
            .map(|records| records.concat())
    }
}

/// Whether a segment ends with the last entry of `tip`.
pub(super) fn is_end(tip: &Tip) -> bool {
    tip.tree.size() > 0 && tip.tree.size().is_multiple_of(SEGMENT)
}

fn position(number: u64) -> String {
    format!("segment {number}")
}

/// The record of the end of a segment: its length and its sealed bytes.
pub(super) fn seal(key: &LedgerKey, tip: &Tip) -> Result<Vec<u8>, LedgerError> {
    let size = tip.tree.size();
    let unencodable = || LedgerError::damaged(size, "the end of a segment cannot be encoded");
    let end = End {
        size,
        peaks: tip.tree.peaks().to_vec(),
        last: tip.last,
        length: tip.length,
    };
    let mut plain = Vec::new();
    ciborium::into_writer(&end, &mut plain).map_err(|_| unencodable())?;
    let number = (size / SEGMENT).saturating_sub(1);
    let sealed = key.seal(&position(number), &plain).map_err(LedgerError::Key)?;
    let length = u32::try_from(sealed.as_bytes().len()).map_err(|_| unencodable())?;
    Ok([&length.to_be_bytes(), sealed.as_bytes()].concat())
}

fn open(key: &LedgerKey, number: u64, sealed: &[u8]) -> Option<Tip> {
    let plain = key
        .open(&position(number), &Wrapped::from_bytes(sealed.to_vec()))
        .ok()?;
    let End {
        size,
        peaks,
        last,
        length,
    } = ciborium::from_reader(plain.expose()).ok()?;
    let tree = CompactTree::from_peaks(size, peaks)?;
    Some(Tip { tree, last, length })
}
