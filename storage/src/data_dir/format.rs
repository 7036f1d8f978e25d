//! Which format a data directory has.
//!
//! The file `format` contains one number as text. Format 1 had no such file. A program rejects a directory of a newer format than
//! its own and migrates an older one.

use std::{io, path::Path};

use concordat_keys::fs::{read_regular_text, write_private};

use super::StorageError;

/// The format that this program writes.
///
/// 2: the root keys are wrapped in `master.key`; datasets have several keys, a separate secret for pseudonyms, and an oldest
/// version.
pub(super) const CURRENT: u32 = 2;

const FILE: &str = "format";
/// Most bytes of the file.
const MAX_FORMAT: u64 = 1024;

/// The format of the directory.
///
/// # Errors
/// [`StorageError::Format`] if it is newer than [`CURRENT`] or cannot be read as a number.
pub(super) fn read(dir: &Path) -> Result<u32, StorageError> {
    let path = dir.join(FILE);
    let text = match read_regular_text(&path, MAX_FORMAT) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(1),
        Err(source) => return Err(StorageError::io("read", &path, source)),
    };
    let found = text.trim().parse().ok().filter(|found| (1..=CURRENT).contains(found));
    found.ok_or_else(|| StorageError::Format {
        dir: dir.to_owned(),
        found: text.trim().chars().take(20).collect(),
        known: CURRENT,
    })
}

/// Records that the directory has the current format.
pub(super) fn write(dir: &Path) -> Result<(), StorageError> {
    let path = dir.join(FILE);
    write_private(&path, format!("{CURRENT}\n").as_bytes()).map_err(|source| StorageError::io("write", &path, source))
}
