//! The files: opening and repairing them, reading them, making appends durable.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "all other sources are handled the same here"
)]

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use concordat_protocol::audit::Checkpoint;
use concordat_protocol::signed::{MAX_DOCUMENT, Signed};

use super::LedgerError;
use super::format::{BadRecord, Head, MAGIC, MAGIC_LEN, Reader, Record};
use super::segments::{self, SEGMENT, Segments};
use super::writer::{Medium, Shared, Tip};
use crate::fs::{create_dir_private, write_private};
use crate::keys::LedgerKey;

/// Longest sealed head that is read; a real one takes about 130 bytes.
const MAX_HEAD: u64 = 4096;

fn log_path(dir: &Path) -> PathBuf {
    dir.join("entries.log")
}

fn head_path(dir: &Path) -> PathBuf {
    dir.join("head")
}

/// Where the latest checkpoint is stored.
pub(super) fn checkpoint_path(dir: &Path) -> PathBuf {
    dir.join("checkpoint.cose")
}

/// The ledger's files, ready for appends.
#[derive(Debug)]
pub(super) struct Files {
    log: File,
    head: PathBuf,
    segments: PathBuf,
}

/// How much is read when a ledger is opened.
#[derive(Clone, Copy, Debug)]
pub(super) enum Extent {
    /// Every entry.
    Everything,
    /// The newest: starting at least one segment before this number of entries, which the sealed state covers.
    From(u64),
}

/// A ledger that was found intact, or was repaired.
pub(super) struct Opened {
    /// Its files.
    pub(super) files: Files,
    /// Its contents.
    pub(super) shared: Shared,
    /// The ends of the segments that were not read.
    pub(super) older: Vec<Tip>,
}

/// Opens the ledger in `dir` or creates one; checks the entries of `extent` and cuts off a torn record that was never
/// acknowledged.
pub(super) fn open(dir: &Path, key: &LedgerKey, extent: Extent) -> Result<Opened, LedgerError> {
    let (log, head) = (log_path(dir), head_path(dir));
    create_dir_private(dir).map_err(|source| LedgerError::io("create", dir, source))?;
    let acknowledged = match read_head(dir, key)? {
        Some(head) => head,
        None => create(dir, key)?,
    };
    let (segments, as_written, size) = match extent {
        Extent::Everything => (Segments::default(), false, 0),
        Extent::From(size) => {
            let (segments, as_written) = Segments::read(dir, key, acknowledged.size)?;
            // At least one entry after the recorded end is read, so that its link to the predecessor is compared too.
            (
                segments,
                as_written,
                size.min(acknowledged.size).saturating_sub(SEGMENT),
            )
        }
    };
    let on_disk = segments.count();
    let mut shared = Shared::from_segments(segments, size);
    let older = shared.segments.up_to(u64::MAX).to_vec();
    let from = shared.tip.clone();
    replay_from(dir, key, &from, &acknowledged, |record| shared.note(record))?;
    check_against_checkpoint(dir, &shared)?;
    let end = recover_complete_records(dir, key, &mut shared)?;
    let file = OpenOptions::new().append(true).mode(0o600).open(&log);
    let file = file.map_err(|source| LedgerError::io("open", &log, source))?;
    let segments = segments::path(dir);
    let mut files = Files {
        log: file,
        head,
        segments,
    };
    cut(&files.log, end).map_err(|source| LedgerError::io("repair", &log, source))?;
    if shared.tip.head() != acknowledged {
        let sealed = shared.tip.head().seal(key)?;
        files
            .put_head(&sealed)
            .map_err(|source| LedgerError::io("write", &files.head, source))?;
    }
    let found = shared.segments.count();
    if found != on_disk || !as_written && (found > 0 || files.segments.exists()) {
        write_private(&files.segments, &shared.segments.sealed(key)?)
            .map_err(|source| LedgerError::io("write", &files.segments, source))?;
    }
    Ok(Opened { files, shared, older })
}

/// Creates a ledger, unless there are traces of one whose head was lost.
fn create(dir: &Path, key: &LedgerKey) -> Result<Head, LedgerError> {
    let log = log_path(dir);
    let length = match std::fs::metadata(&log) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(source) => return Err(LedgerError::io("read", &log, source)),
    };
    if length > MAGIC_LEN || checkpoint_path(dir).exists() {
        return Err(LedgerError::damaged(0, "the head is missing"));
    }
    write_private(&log, &MAGIC).map_err(|source| LedgerError::io("write", &log, source))?;
    let head = Tip::default().head();
    let path = head_path(dir);
    write_private(&path, &head.seal(key)?).map_err(|source| LedgerError::io("write", &path, source))?;
    Ok(head)
}

/// The head on disk; `None` if there is no such file.
pub(super) fn read_head(dir: &Path, key: &LedgerKey) -> Result<Option<Head>, LedgerError> {
    match read_small(&head_path(dir), MAX_HEAD)? {
        Some(sealed) => Head::open(key, sealed).map(Some),
        None => Ok(None),
    }
}

/// The checkpoint on disk; `None` if there is no such file.
pub(super) fn latest_checkpoint(dir: &Path) -> Result<Option<Signed<Checkpoint>>, LedgerError> {
    let bytes = read_small(&checkpoint_path(dir), MAX_DOCUMENT as u64)?;
    bytes
        .map(Signed::from_bytes)
        .transpose()
        .map_err(LedgerError::Signature)
}

pub(super) fn read_small(path: &Path, max: u64) -> Result<Option<Vec<u8>>, LedgerError> {
    let mut bytes = Vec::new();
    match File::open(path).and_then(|file| file.take(max).read_to_end(&mut bytes)) {
        Ok(_) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(LedgerError::io("read", path, source)),
    }
}

/// A ledger shorter than its own checkpoint was truncated together with its head.
fn check_against_checkpoint(dir: &Path, shared: &Shared) -> Result<(), LedgerError> {
    let Some(signed) = latest_checkpoint(dir)? else {
        return Ok(());
    };
    let size = shared.tip.tree.size();
    let covered = signed.peek_unverified().map_err(LedgerError::Signature)?.size;
    if covered > size {
        Err(LedgerError::damaged(
            size,
            "the checkpoint covers more entries than there are",
        ))
    } else {
        Ok(())
    }
}

/// Reads the entries that `head` covers, calls `each` with each, and checks that they are the ones that were acknowledged.
pub(super) fn replay(dir: &Path, key: &LedgerKey, head: &Head, each: impl FnMut(&Record)) -> Result<(), LedgerError> {
    replay_from(dir, key, &Tip::default(), head, each)
}

/// The same for the entries after `from`.
fn replay_from(
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
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof => {
            LedgerError::damaged(0, "the log is missing or empty")
        }
        _ => LedgerError::io("read", &path, source),
    };
    let mut file = File::open(&path).map_err(failed)?;
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
fn recover_complete_records(dir: &Path, key: &LedgerKey, shared: &mut Shared) -> Result<u64, LedgerError> {
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

fn cut(log: &File, length: u64) -> io::Result<()> {
    if log.metadata()?.len() > length {
        log.set_len(length)?;
    }
    log.sync_all()
}

impl Medium for Files {
    fn append(&mut self, records: &[u8]) -> io::Result<()> {
        self.log.write_all(records)?;
        self.log.sync_data()
    }

    /// The folder is not synced: after a power cut the previous head may be there again, and then the entries after it, which are
    /// durable, are recovered when the ledger is opened.
    fn put_head(&mut self, sealed: &[u8]) -> io::Result<()> {
        let staged = self.head.with_extension("new");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&staged)?;
        file.write_all(sealed)?;
        file.sync_data()?;
        std::fs::rename(&staged, &self.head)
    }

    fn put_segment(&mut self, record: &[u8]) -> io::Result<()> {
        let mut file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&self.segments)?;
        file.write_all(record)
    }
}
