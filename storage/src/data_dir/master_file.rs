//! Which master key file is the current one, in the sealed state.
//!
//! The root keys stay the same when the master key, or what unlocks it, is replaced. So an earlier file, with the secret that belonged
//! to it, still opens the state and the ledger. The state therefore knows the digest of the current file, and of the one that is about
//! to replace it ([`FileRegister`]). A start accepts these two and from then on only the one that is there; any other file is refused.

use std::io;
use std::path::Path;
use std::sync::Arc;

use concordat_keys::fs::{read_regular, write_private};
use concordat_keys::{FileRegister, MasterKey, StateKey};
use concordat_protocol::ids::Digest32;
use serde::{Deserialize, Serialize};

use super::StorageError;
use crate::meta::{MetaError, SealedDb, SealedTree, TreeId};

/// The tree with the record about the master key file; it changes whenever the file is replaced.
pub const MASTER_KEY_FILE: TreeId = TreeId::new("master-key-file");
/// The key of the only record in it.
pub const MASTER_KEY_RECORD: &str = "file";
/// Most bytes of a master key file.
const MAX_FILE: u64 = 64 * 1024;

/// The record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    /// The digest of the current file; `None` in a directory of an earlier version, until its first start.
    current: Option<Digest32>,
    /// The digest of the file that is about to replace it.
    next: Option<Digest32>,
}

/// The record about the master key file.
#[derive(Clone, Debug)]
pub(super) struct MasterKeyFile(SealedTree<Record>);

impl MasterKeyFile {
    /// Opens the record in the sealed state.
    pub(super) fn open(meta: &SealedDb) -> Result<Self, MetaError> {
        Ok(Self(meta.tree(MASTER_KEY_FILE)?))
    }

    fn record(&self) -> Result<Record, MetaError> {
        Ok(self.0.get(MASTER_KEY_RECORD)?.unwrap_or_default())
    }

    fn put(&self, record: Record) -> Result<(), MetaError> {
        self.0.put(MASTER_KEY_RECORD, &record)
    }

    /// Checks that the file at `path`, which has the digest `found` and was just opened, is the current one, or the one that was about
    /// to replace it when the node stopped.
    ///
    /// # Errors
    /// [`StorageError::MasterKeyReplaced`] if it is another one.
    pub(super) fn check(&self, path: &Path, found: Option<Digest32>) -> Result<(), StorageError> {
        let record = self.record()?;
        let is_known = record.current.is_none() || found == record.current || found == record.next;
        if found.is_none() || !is_known {
            return Err(StorageError::MasterKeyReplaced { path: path.to_owned() });
        }
        let settled = Record {
            current: found,
            next: None,
        };
        if record != settled {
            self.put(settled)?;
        }
        Ok(())
    }
}

impl FileRegister for MasterKeyFile {
    fn prepare(&self, next: Digest32) -> io::Result<()> {
        let record = self.record().map_err(io::Error::other)?;
        let next = Some(next);
        self.put(Record { next, ..record }).map_err(io::Error::other)
    }

    fn confirm(&self, current: Digest32) -> io::Result<()> {
        let current = Some(current);
        self.put(Record { current, next: None }).map_err(io::Error::other)
    }
}

/// Forgets which file is the current one, as a copy of a data directory must: its file and its state come from one signed snapshot.
pub(super) fn forget(meta: &SealedDb) -> Result<(), MetaError> {
    MasterKeyFile::open(meta)?.0.remove(MASTER_KEY_RECORD)
}

/// A master key file that was replaced with the keys of an escrow, and what was there before.
pub(super) struct Replaced {
    /// Opens the state again; it is closed meanwhile.
    keys: StateKey,
    written: Option<Digest32>,
    before: Option<Vec<u8>>,
    record: Record,
}

impl Replaced {
    /// Writes the file of `master`, the keys of an escrow, at `path` in the data directory `dir`, whose lock the caller holds.
    pub(super) fn with(master: &MasterKey, dir: &Path, path: &Path) -> Result<Self, StorageError> {
        let before = read_regular(path, MAX_FILE).ok();
        let file = MasterKeyFile::open(&state(master.state(), dir)?)?;
        let record = file.record()?;
        master.bind(Arc::new(file));
        master.rewrite()?;
        Ok(Self {
            keys: master.state(),
            written: master.file(),
            before,
            record,
        })
    }

    /// Restores the previous file, if there was one. Both files are known while it is written.
    pub(super) fn undo(self, dir: &Path, path: &Path) -> Result<(), StorageError> {
        let Self {
            keys,
            written,
            before,
            record,
        } = self;
        let Some(before) = before else { return Ok(()) };
        let file = MasterKeyFile::open(&state(keys, dir)?)?;
        file.put(Record {
            next: written,
            ..record
        })?;
        write_private(path, &before).map_err(|source| StorageError::io("write", path, source))?;
        Ok(file.put(record)?)
    }
}

fn state(keys: StateKey, dir: &Path) -> Result<SealedDb, MetaError> {
    SealedDb::open(&dir.join("meta"), keys)
}
