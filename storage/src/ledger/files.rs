//! The small files of the ledger: where they are, and reading them whole.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use concordat_keys::fs::open_regular;
use concordat_protocol::audit::Checkpoint;
use concordat_protocol::signed::{MAX_DOCUMENT, Signed};

use super::LedgerError;

/// The log.
pub(super) fn log_path(dir: &Path) -> PathBuf {
    dir.join("entries.log")
}

/// The head.
pub(super) fn head_path(dir: &Path) -> PathBuf {
    dir.join("head")
}

/// Where the latest checkpoint is stored.
pub(super) fn checkpoint_path(dir: &Path) -> PathBuf {
    dir.join("checkpoint.cose")
}

/// The checkpoint on disk; `None` if there is no such file.
pub(super) fn latest_checkpoint(dir: &Path) -> Result<Option<Signed<Checkpoint>>, LedgerError> {
    let bytes = read_small(&checkpoint_path(dir), MAX_DOCUMENT as u64)?;
    bytes
        .map(Signed::from_bytes)
        .transpose()
        .map_err(LedgerError::Signature)
}

/// The first `max` bytes of a file; `None` if there is no such file.
pub(super) fn read_small(path: &Path, max: u64) -> Result<Option<Vec<u8>>, LedgerError> {
    let mut bytes = Vec::new();
    match open_regular(path).and_then(|file| file.take(max).read_to_end(&mut bytes)) {
        Ok(_) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(LedgerError::io("read", path, source)),
    }
}
