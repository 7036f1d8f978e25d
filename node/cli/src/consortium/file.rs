//! A signed file, as the daemon receives it.

use std::path::Path;

use concordat_documents::consortium::FileContent;
use concordat_documents::problem::Problem;
use data_encoding::BASE64;

/// Reads a file, with the rights of the person who names it.
///
/// # Errors
/// If it cannot be read.
pub(super) fn read(path: &Path) -> Result<FileContent, Problem> {
    let bytes =
        std::fs::read(path).map_err(|error| Problem::usage(format!("cannot read `{}`: {error}", path.display())))?;
    Ok(FileContent {
        file: BASE64.encode(&bytes),
    })
}
