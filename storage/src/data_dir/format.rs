//! Which format a data directory has.
//!
//! The file `format` contains one number as text. Format 1 had no such file. A program rejects a directory of a newer format than
//! its own, and one that is too old to be opened.

use std::{io, path::Path};

use concordat_keys::fs::{read_regular_text, write_private};

use super::StorageError;

/// The format that this program writes.
///
/// 3: datasets are collections of one. Their records have the form that they had; manifests are those of collections, and the ones of format
/// 2 are still read.
pub(super) const CURRENT: u32 = 3;

/// The oldest format that is opened: the root keys are wrapped in `master.key`; datasets have several keys, a separate secret for pseudonyms, and an
/// oldest version.
///
/// Commits of format 1 do not state which values there are, so its state could have been replaced by any of its older copies.
const OLDEST: u32 = 2;

const FILE: &str = "format";
/// The format of a directory without the file.
const WITHOUT_FILE: &str = "1";
/// Most bytes of the file.
const MAX_FORMAT: u64 = 1024;

/// The format of the directory.
///
/// # Errors
/// [`StorageError::Format`] if it is newer than [`CURRENT`] or cannot be read as a number, [`StorageError::OutdatedFormat`] if it is older than
/// [`OLDEST`].
pub(super) fn read(dir: &Path) -> Result<u32, StorageError> {
    let path = dir.join(FILE);
    let text = match read_regular_text(&path, MAX_FORMAT) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => WITHOUT_FILE.to_owned(),
        Err(source) => return Err(StorageError::io("read", &path, source)),
    };
    let found: Option<u32> = text.trim().parse().ok();
    match found.filter(|found| *found <= CURRENT) {
        Some(found) if found >= OLDEST => Ok(found),
        Some(found) => Err(StorageError::OutdatedFormat {
            dir: dir.to_owned(),
            found,
            oldest: OLDEST,
        }),
        None => Err(StorageError::Format {
            dir: dir.to_owned(),
            found: text.trim().chars().take(20).collect(),
            known: CURRENT,
        }),
    }
}

/// Records that the directory has the current format.
pub(super) fn write(dir: &Path) -> Result<(), StorageError> {
    let path = dir.join(FILE);
    write_private(&path, format!("{CURRENT}\n").as_bytes()).map_err(|source| StorageError::io("write", &path, source))
}
