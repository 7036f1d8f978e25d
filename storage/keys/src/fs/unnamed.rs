//! Files that end with the process.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use super::create_dir_private;

/// Creates a file in the folder `dir` and removes its name: the system frees its space when it is closed, also after a crash. Mode 0600.
///
/// # Errors
/// The error of the system; also if there are no random bytes.
pub fn unnamed_private(dir: &Path) -> io::Result<File> {
    create_dir_private(dir)?;
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    let path = dir.join(data_encoding::HEXLOWER.encode(&random));
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}
