//! The files: opening and repairing them, making appends durable.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use concordat_keys::{
    LedgerKey,
    fs::{append_to_regular, create_dir_private, open_or_create_regular, write_private},
};

use super::LedgerError;
use super::files::{checkpoint_path, latest_checkpoint, log_path};
use super::format::{Head, MAGIC, MAGIC_LEN};
use super::head_file::{self, HeadFile};
use super::log_reader::{recover_complete_records, replay_from};
use super::medium::Medium;
use super::segments::{self, SEGMENT, Segments};
use super::shared::Shared;
use super::tip::Tip;

/// The ledger's files, ready for appends.
#[derive(Debug)]
pub(super) struct Files {
    log: File,
    head: HeadFile,
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
    let log = log_path(dir);
    create_dir_private(dir).map_err(|source| LedgerError::io("create", dir, source))?;
    let acknowledged = match head_file::read(dir, key)? {
        Some(found) => found.head,
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
    // Reading took a while, in which someone else may have replaced it.
    let file = append_to_regular(&log);
    let file = file.map_err(|source| LedgerError::io("open", &log, source))?;
    cut(&file, end).map_err(|source| LedgerError::io("repair", &log, source))?;
    let segments = segments::path(dir);
    // Written again in every case: the slots may be those of a snapshot, or one of them torn.
    let sealed = shared.tip.head().seal(key)?;
    let head = HeadFile::create(dir, &sealed).map_err(|source| LedgerError::io("write the head in", dir, source))?;
    let files = Files {
        log: file,
        head,
        segments,
    };
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
    HeadFile::create(dir, &head.seal(key)?).map_err(|source| LedgerError::io("write the head in", dir, source))?;
    Ok(head)
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

    fn put_head(&mut self, sealed: &[u8]) -> io::Result<()> {
        self.head.put(sealed)
    }

    fn put_segment(&mut self, record: &[u8]) -> io::Result<()> {
        // Without waiting: the writer of the ledger would.
        let file = open_or_create_regular(&self.segments)?;
        let end = file.metadata()?.len();
        file.write_all_at(record, end)
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, sync::mpsc, thread, time::Duration};

    use super::*;

    #[test]
    fn segments_replaced_by_a_pipe_do_not_stop_the_writer() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let mut files = Files {
            log: File::create(at("log")).unwrap(),
            head: HeadFile::create(dir.path(), b"sealed").unwrap(),
            segments: at("segments"),
        };
        files.put_segment(b"one").unwrap();
        files.put_segment(b"two").unwrap();
        assert_eq!(fs::read(at("segments")).unwrap(), b"onetwo");
        fs::remove_file(at("segments")).unwrap();
        nix::unistd::mkfifo(&at("segments"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let (done, waiting) = mpsc::channel();
        // On a separate thread: opening a pipe would wait forever.
        thread::spawn(move || done.send(files.put_segment(b"three")));
        let written = waiting.recv_timeout(Duration::from_secs(20)).expect("writing it ends");
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
