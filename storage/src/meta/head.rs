//! The commit counter in a file next to the database.
//!
//! Written after each commit with one small write and no `fsync`: after a power cut it may be lower than the counter in the
//! database, which is harmless, but it is never higher than what is durable. The file itself is made durable when it is
//! created, so a database with commits and no `head` was tampered with.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom, Write},
    path::Path,
};

use concordat_keys::StateKey;
use concordat_keys::fs::{open_or_create_regular, sync_dir};

use super::MetaError;

/// Most bytes of the file that are read; what is longer does not open. A real one takes about 50.
const MAX_SEALED: u64 = 4096;

/// The file `head`, open for writing.
#[derive(Debug)]
pub(super) struct Head {
    file: File,
    count: u64,
    fresh: bool,
}

impl Head {
    /// Opens or creates the file and reads the counter; a new file counts 0.
    pub(super) fn open(path: &Path, key: &StateKey) -> Result<Self, MetaError> {
        let io = |source| MetaError::Io {
            action: "open",
            path: path.to_owned(),
            source,
        };
        let mut file = open_or_create_regular(path).map_err(io)?;
        let mut sealed = Vec::new();
        (&mut file).take(MAX_SEALED).read_to_end(&mut sealed).map_err(io)?;
        let fresh = sealed.is_empty();
        let count = if fresh { 0 } else { decode(key, &sealed)? };
        Ok(Self { file, count, fresh })
    }

    /// Compares with the number of commits found in the database, and makes a new file durable.
    pub(super) fn check(&mut self, path: &Path, key: &StateKey, found: u64) -> Result<(), MetaError> {
        if found < self.count {
            return Err(MetaError::RolledBack {
                found,
                expected: self.count,
            });
        }
        if !self.fresh {
            return Ok(());
        }
        if found > 0 {
            return Err(MetaError::Value { tree: "head" });
        }
        self.adopt(path, key, 0)
    }

    /// Sets the counter to the number found in a database that was just restored from a backup.
    pub(super) fn adopt(&mut self, path: &Path, key: &StateKey, found: u64) -> Result<(), MetaError> {
        self.write(path, key, found)?;
        let synced = self
            .file
            .sync_all()
            .and_then(|()| path.parent().map_or(Ok(()), sync_dir));
        synced.map_err(|source| MetaError::Io {
            action: "sync",
            path: path.to_owned(),
            source,
        })
    }

    /// Raises the counter; a lower number is ignored, as commits may end out of order.
    pub(super) fn raise(&mut self, path: &Path, key: &StateKey, count: u64) -> Result<(), MetaError> {
        if count <= self.count {
            return Ok(());
        }
        self.write(path, key, count)
    }

    fn write(&mut self, path: &Path, key: &StateKey, count: u64) -> Result<(), MetaError> {
        let sealed = key.seal_head(count).map_err(MetaError::Key)?;
        let io = |source| MetaError::Io {
            action: "write",
            path: path.to_owned(),
            source,
        };
        self.file.seek(SeekFrom::Start(0)).map_err(io)?;
        self.file.write_all(&sealed).map_err(io)?;
        self.count = count;
        Ok(())
    }
}

fn decode(key: &StateKey, sealed: &[u8]) -> Result<u64, MetaError> {
    let plain = key.open_head(sealed).map_err(|_| MetaError::Value { tree: "head" })?;
    let bytes = plain
        .as_slice()
        .try_into()
        .map_err(|_| MetaError::Kind { tree: "head" })?;
    Ok(u64::from_be_bytes(bytes))
}
