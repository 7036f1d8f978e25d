//! A signed file, as the daemon receives it.

use std::path::Path;

use concordat_documents::consortium::FileContent;
use concordat_documents::problem::Problem;
use data_encoding::BASE64;

use crate::files;

/// Most bytes of a signed document in its armor.
const MAX_FILE: u64 = 2 * 1024 * 1024;

/// Reads a file, with the rights of the person who names it.
///
/// # Errors
/// If it cannot be read.
pub(super) fn read(path: &Path) -> Result<FileContent, Problem> {
    let bytes = files::read(path, MAX_FILE)?;
    Ok(FileContent {
        file: BASE64.encode(&bytes),
    })
}
