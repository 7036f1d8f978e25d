//! The files of sled, checked before it opens them.
//!
//! Sled opens what it finds in its folder, waits for a writer if that is a pipe, and reads some of it to the end. The disk may be controlled by
//! another person, so what is there has to be regular files, without links, and not longer than sled writes them.

use std::fs::{self, Metadata};
use std::io;
use std::path::Path;

use super::MetaError;

/// Most bytes of the parameters of the database; real ones have about 20.
const MAX_PARAMETERS: u64 = 4096;
/// Most bytes of a snapshot of the page table, which is read into memory: tens of millions of pages.
const MAX_SNAPSHOT: u64 = 1 << 30;
/// The folder of long values, each a file.
const VALUES: &str = "blobs";

/// Checks each file in the folder of sled, if there is one.
///
/// # Errors
/// [`MetaError::Io`] for one that is not a regular file, or too long.
pub(super) fn check_files(sled: &Path) -> Result<(), MetaError> {
    check_folder(sled, |name, found| match name {
        VALUES if found.is_dir() => Ok(()),
        "conf" => require_regular(found, MAX_PARAMETERS),
        _ if name.starts_with("snap.") => require_regular(found, MAX_SNAPSHOT),
        _ => require_regular(found, u64::MAX),
    })?;
    check_folder(&sled.join(VALUES), |_, found| require_regular(found, u64::MAX))
}

fn check_folder(folder: &Path, check: impl Fn(&str, &Metadata) -> io::Result<()>) -> Result<(), MetaError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| MetaError::Io {
            action: "open",
            path,
            source,
        }
    };
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(failed(folder))?,
    };
    for entry in entries {
        let entry = entry.map_err(failed(folder))?;
        let path = entry.path();
        // Of a link itself, not of its target.
        let found = match entry.metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            found => found.map_err(failed(&path))?,
        };
        check(&entry.file_name().to_string_lossy(), &found).map_err(failed(&path))?;
    }
    Ok(())
}

fn require_regular(found: &Metadata, most: u64) -> io::Result<()> {
    if !found.is_file() {
        let what = "it is not a regular file; links, pipes, devices and folders are not opened here";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    if found.len() > most {
        let what = format!("it has more than {most} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, what));
    }
    Ok(())
}
