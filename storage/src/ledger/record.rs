//! The records of the log: an entry is sealed for its number and linked to the one before.

use std::io::{self, Read};

use concordat_keys::{LedgerKey, Wrapped};
use concordat_protocol::audit::{EntryError, LedgerEntry, MAX_ENTRY, leaf_hash};
use concordat_protocol::ids::Digest32;

use super::LedgerError;
use super::tip::Tip;
use crate::frames::{BadFrame, PREFIX, framed, next_frame};

/// Longest sealed entry: version, nonce and tag take 41 bytes.
const MAX_SEALED: usize = MAX_ENTRY + 64;

fn position(sequence: u64) -> String {
    format!("entry {sequence}")
}

/// The record of an entry: its length and its sealed bytes.
pub(super) fn seal_record(key: &LedgerKey, sequence: u64, entry: &[u8]) -> Result<Vec<u8>, LedgerError> {
    let sealed = key.seal(&position(sequence), entry).map_err(LedgerError::Key)?;
    framed(sealed.as_bytes(), MAX_SEALED).ok_or(LedgerError::Entry(EntryError::TooLarge))
}

/// An entry as read from the log.
#[derive(Debug)]
pub(super) struct Record {
    /// The entry.
    pub(super) entry: LedgerEntry,
    /// Its bytes as written.
    pub(super) bytes: Vec<u8>,
    /// Their leaf hash.
    pub(super) leaf: Digest32,
    /// Where its record ends in the log.
    pub(super) end: u64,
}

/// Why a record cannot be read.
#[derive(Debug)]
pub(super) enum BadRecord {
    /// It was cut, changed or moved; with the reason.
    Broken(&'static str),
    /// The disk failed.
    Io(io::Error),
}

/// Reads records one after the other and checks that each is linked to the one before.
pub(super) struct Reader<'a, R> {
    source: R,
    key: &'a LedgerKey,
    sequence: u64,
    previous: Digest32,
    offset: u64,
}

impl<'a, R: Read> Reader<'a, R> {
    /// Reads the records after `from`; `source` must be positioned there.
    pub(super) fn new(source: R, key: &'a LedgerKey, from: &Tip) -> Self {
        Self {
            source,
            key,
            sequence: from.tree.size(),
            previous: from.last,
            offset: from.length,
        }
    }

    /// Where the next record begins.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// The next record; `None` at the end of the log.
    pub(super) fn next(&mut self) -> Result<Option<Record>, BadRecord> {
        let Some(sealed) = self.sealed()? else { return Ok(None) };
        let length = sealed.len() as u64;
        let opened = self.key.open(&position(self.sequence), &Wrapped::from_bytes(sealed));
        let bytes = opened
            .map_err(|_| BadRecord::Broken("it does not open: it was changed or moved"))?
            .expose()
            .to_vec();
        let entry = LedgerEntry::decode(&bytes).map_err(|_| BadRecord::Broken("it is not an entry of a known kind"))?;
        if entry.sequence != self.sequence || entry.previous != self.previous {
            return Err(BadRecord::Broken("it is not linked to the entry before"));
        }
        self.offset = self.offset.saturating_add(PREFIX as u64).saturating_add(length);
        let record = Record {
            leaf: leaf_hash(&bytes),
            entry,
            bytes,
            end: self.offset,
        };
        self.previous = record.leaf;
        self.sequence = self.sequence.saturating_add(1);
        Ok(Some(record))
    }

    fn sealed(&mut self) -> Result<Option<Vec<u8>>, BadRecord> {
        next_frame(&mut self.source, MAX_SEALED).map_err(|bad| match bad {
            BadFrame::Cut => BadRecord::Broken("the log ends in the middle of it"),
            BadFrame::Length => BadRecord::Broken("its length is impossible"),
            BadFrame::Io(source) => BadRecord::Io(source),
        })
    }
}
