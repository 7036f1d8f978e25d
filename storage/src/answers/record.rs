//! The records of a log.

use std::io::{self, BufReader, Read};

use concordat_keys::{AnswersKey, Wrapped};
use concordat_protocol::ids::{Digest32, Nonce};
use zeroize::Zeroizing;

use super::{
    file::{MAGIC, Medium},
    head::{LogHead, SpaceHead, hash_of},
};
use crate::frames::{BadFrame, PREFIX, framed, next_frame};

/// Longest record. The set of all subjects that a collection can have takes 32 MiB.
pub const MAX_RECORD: usize = 64 * 1024 * 1024;

/// Longest sealed record.
const MAX_SEALED: usize = MAX_RECORD + AnswersKey::OVERHEAD;

/// Memory for reading a log from its begin to its end.
const BUFFER: usize = 256 * 1024;

/// Where a record is, and what it is: enough to read it again without trusting the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredRecord {
    /// Its number, from 0.
    pub(super) number: u64,
    /// Where it begins in the log, or will begin.
    pub(super) offset: u64,
    /// The length of its sealed bytes.
    pub(super) sealed_len: usize,
    /// Their hash.
    pub(super) hash: Digest32,
}

impl StoredRecord {
    /// The record that a log gets after its first ones.
    pub(super) fn after(end: &LogHead, sealed: &Wrapped) -> Self {
        Self {
            number: end.records,
            offset: end.bytes,
            sealed_len: sealed.as_bytes().len(),
            hash: hash_of(sealed),
        }
    }

    /// Its number in its log, from 0.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }
}

/// Why a record is not the one that was written.
#[derive(Debug)]
pub(super) enum BadRecord {
    /// It is missing, was cut, changed, moved or replaced; with the reason.
    Broken(&'static str),
    /// The disk failed.
    Io(io::Error),
}

const CUT: BadRecord = BadRecord::Broken("the log ends before it, or in the middle of it");

impl From<BadFrame> for BadRecord {
    fn from(bad: BadFrame) -> Self {
        match bad {
            BadFrame::Cut => CUT,
            BadFrame::Length => Self::Broken("its length is impossible"),
            BadFrame::Io(source) => Self::Io(source),
        }
    }
}

/// Gets records in order, each with its contents.
pub(super) type Each<'a> = dyn FnMut(StoredRecord, &[u8]) + 'a;

/// Reads the records of a space, in the log and in the state, passes each to `each`, and checks that they are the ones that the head covers.
/// On an error, the number of the record is the first part of it; what `each` got must then not be used. `medium` may be missing if
/// no record is in the log.
pub(super) fn replay(
    medium: Option<&dyn Medium>,
    key: &AnswersKey,
    head: &SpaceHead,
    each: &mut Each<'_>,
) -> Result<(), (u64, BadRecord)> {
    if head.log.records > 0 {
        let medium = medium.ok_or((0, CUT))?;
        replay_log(medium, &head.log, &mut |found, sealed| pass(key, found, sealed, each))?;
    }
    let mut found = head.log;
    for sealed in &head.recent {
        let number = found.records;
        pass(key, &mut found, sealed, each).map_err(|bad| (number, bad))?;
    }
    Ok(())
}

/// Checks that a log has the records that its head covers; needs no key. The number of the record is the first part of an error.
pub(super) fn check_log(medium: &dyn Medium, head: &LogHead) -> Result<(), (u64, BadRecord)> {
    replay_log(medium, head, &mut |found, sealed| {
        found.push(sealed.as_bytes().len(), hash_of(sealed));
        Ok(())
    })
}

/// Passes each sealed record to `add`, which adds it to what was found before.
fn replay_log(
    medium: &dyn Medium,
    head: &LogHead,
    add: &mut dyn FnMut(&mut LogHead, &Wrapped) -> Result<(), BadRecord>,
) -> Result<(), (u64, BadRecord)> {
    let at_start = |bad| (0, bad);
    if medium.len().map_err(BadRecord::Io).map_err(at_start)? < head.bytes {
        return Err((head.records, CUT));
    }
    let mut source = BufReader::with_capacity(BUFFER, Sequential::new(medium, head.bytes));
    let mut magic = [0; MAGIC.len()];
    source.read_exact(&mut magic).map_err(BadRecord::Io).map_err(at_start)?;
    if magic != MAGIC {
        return Err((
            0,
            BadRecord::Broken("the log does not begin with the magic bytes of this version"),
        ));
    }
    let mut found = LogHead::empty(head.folder, head.name);
    while found.records < head.records {
        let number = found.records;
        let sealed = next_sealed(&mut source).map_err(|bad| (number, bad))?;
        add(&mut found, &sealed).map_err(|bad| (number, bad))?;
    }
    if found == *head {
        Ok(())
    } else {
        Err((
            head.records,
            BadRecord::Broken("the records are others than those that were released"),
        ))
    }
}

fn next_sealed(source: &mut impl Read) -> Result<Wrapped, BadRecord> {
    Ok(Wrapped::from_bytes(next_frame(source, MAX_SEALED)?.ok_or(CUT)?))
}

/// Opens the record after `found`, passes it on and adds it.
fn pass(key: &AnswersKey, found: &mut LogHead, sealed: &Wrapped, each: &mut Each<'_>) -> Result<(), BadRecord> {
    let record = StoredRecord::after(found, sealed);
    let plain = opened(key, found.name, &record, sealed)?;
    found.push(record.sealed_len, record.hash);
    each(record, &plain);
    Ok(())
}

fn opened(
    key: &AnswersKey,
    log: Nonce,
    record: &StoredRecord,
    sealed: &Wrapped,
) -> Result<Zeroizing<Vec<u8>>, BadRecord> {
    key.open(log.as_bytes(), record.number, sealed)
        .map_err(|_| BadRecord::Broken("it does not open: it was changed, moved or replaced"))
}

/// Reads one record again, from the log or the state. `medium` may be missing if there is no log.
pub(super) fn read(
    medium: Option<&dyn Medium>,
    key: &AnswersKey,
    head: &SpaceHead,
    record: &StoredRecord,
) -> Result<Zeroizing<Vec<u8>>, BadRecord> {
    let sealed = match record.number.checked_sub(head.log.records) {
        Some(after) => {
            let after = usize::try_from(after).unwrap_or(usize::MAX);
            head.recent.get(after).cloned().ok_or(CUT)?
        }
        None => read_from_log(medium.ok_or(CUT)?, record)?,
    };
    if hash_of(&sealed) != record.hash {
        return Err(BadRecord::Broken("it is another one than before"));
    }
    opened(key, head.log.name, record, &sealed)
}

fn read_from_log(medium: &dyn Medium, record: &StoredRecord) -> Result<Wrapped, BadRecord> {
    let mut sealed = vec![0; record.sealed_len];
    let begin = record.offset.saturating_add(PREFIX as u64);
    if read_up_to(medium, begin, &mut sealed).map_err(BadRecord::Io)? < sealed.len() {
        return Err(CUT);
    }
    Ok(Wrapped::from_bytes(sealed))
}

/// The record with its length, as it is written; `None` if it is longer than [`MAX_RECORD`].
pub(super) fn frame(sealed: &Wrapped) -> Option<Vec<u8>> {
    framed(sealed.as_bytes(), MAX_SEALED)
}

fn read_up_to(medium: &dyn Medium, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match medium.read_at(rest, offset.saturating_add(filled as u64)) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// A log from its begin up to an offset.
struct Sequential<'a> {
    medium: &'a dyn Medium,
    offset: u64,
    end: u64,
}

impl<'a> Sequential<'a> {
    fn new(medium: &'a dyn Medium, end: u64) -> Self {
        Self { medium, offset: 0, end }
    }
}

impl Read for Sequential<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.offset)).unwrap_or(usize::MAX);
        let most = buffer.len().min(left);
        let read = self
            .medium
            .read_at(buffer.get_mut(..most).unwrap_or_default(), self.offset)?;
        self.offset = self.offset.saturating_add(read as u64);
        Ok(read)
    }
}
