//! Reading the log.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use concordat_keys::LedgerKey;
use concordat_keys::fs::open_regular;

use super::LedgerError;
use super::files::log_path;
use super::format::{Head, MAGIC};
use super::record::{BadRecord, Reader, Record};
use super::shared::Shared;
use super::tip::Tip;

/// Reads the entries that `head` covers, calls `each` with each, and checks that they are the ones that were acknowledged.
pub(super) fn replay(dir: &Path, key: &LedgerKey, head: &Head, each: impl FnMut(&Record)) -> Result<(), LedgerError> {
    replay_from(dir, key, &Tip::default(), head, each)
}

/// The same for the entries after `from`.
pub(super) fn replay_from(
    dir: &Path,
    key: &LedgerKey,
    from: &Tip,
    head: &Head,
    mut each: impl FnMut(&Record),
) -> Result<(), LedgerError> {
    let mut tip = from.clone();
    tip.length = read(dir, key, from, head.size, |record| {
        tip.push(record.leaf);
        each(&record);
    })?;
    if tip.head() == *head {
        Ok(())
    } else {
        Err(LedgerError::damaged(head.size, "the entries do not match the head"))
    }
}

/// Reads the entries after `from` up to, not including, `end`; returns where the last one ends.
pub(super) fn read(
    dir: &Path,
    key: &LedgerKey,
    from: &Tip,
    end: u64,
    mut each: impl FnMut(Record),
) -> Result<u64, LedgerError> {
    let mut reader = Reader::new(log_from(dir, from.length)?, key, from);
    for sequence in from.tree.size()..end {
        match reader.next() {
            Ok(Some(record)) => each(record),
            Ok(None) => return Err(LedgerError::damaged(sequence, "the log ends before it")),
            Err(BadRecord::Broken(reason)) => return Err(LedgerError::damaged(sequence, reason)),
            Err(BadRecord::Io(source)) => return Err(LedgerError::io("read", &log_path(dir), source)),
        }
    }
    Ok(reader.offset())
}

fn log_from(dir: &Path, offset: u64) -> Result<BufReader<File>, LedgerError> {
    let path = log_path(dir);
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the kinds of I/O errors are open; all others are handled alike"
    )]
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof => {
            LedgerError::damaged(0, "the log is missing or empty")
        }
        _ => LedgerError::io("read", &path, source),
    };
    let mut file = open_regular(&path).map_err(failed)?;
    let mut magic = [0; MAGIC.len()];
    file.read_exact(&mut magic).map_err(failed)?;
    if magic != MAGIC {
        return Err(LedgerError::damaged(
            0,
            "the log does not begin with the magic bytes of this version",
        ));
    }
    file.seek(SeekFrom::Start(offset)).map_err(failed)?;
    Ok(BufReader::new(file))
}

/// Recovers complete records after the head: they are durable, only their acknowledgment is missing. Returns where the last
/// complete record ends.
pub(super) fn recover_complete_records(dir: &Path, key: &LedgerKey, shared: &mut Shared) -> Result<u64, LedgerError> {
    let from = shared.tip.clone();
    let mut reader = Reader::new(log_from(dir, from.length)?, key, &from);
    loop {
        match reader.next() {
            Ok(Some(record)) => shared.note(&record),
            Ok(None) | Err(BadRecord::Broken(_)) => return Ok(shared.tip.length),
            Err(BadRecord::Io(source)) => return Err(LedgerError::io("read", &log_path(dir), source)),
        }
    }
}
