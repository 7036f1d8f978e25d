//! Files of a repository.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use concordat_keys::fs::create_dir_private;
use concordat_protocol::ids::Digest32;

use super::contents::FILE_HASH;
use crate::beneath::open_beneath;

/// Most bytes of a small file of a repository: the list of a snapshot's files, a key, a statement.
pub(super) const MAX_SMALL: u64 = 16 * 1024 * 1024;

/// The bytes of a small file of a repository.
pub(super) fn small(root: &Path, below: &str) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_beneath(root, Path::new(below))?
        .take(MAX_SMALL)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Length and hash of a file.
pub(super) fn hash_file(mut file: File) -> io::Result<(u64, Digest32)> {
    let mut hasher = blake3::Hasher::new_derive_key(FILE_HASH);
    let mut buffer = vec![0; 256 * 1024];
    let mut len = 0;
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok((len, Digest32::from_bytes(*hasher.finalize().as_bytes())));
        }
        hasher.update(buffer.get(..read).unwrap_or_default());
        len += read as u64;
    }
}

/// Copies a file durably with mode 0600; returns the length and hash of what was copied.
pub(super) fn copy_file(from: File, to: &Path, limit: Option<u64>) -> io::Result<(u64, Digest32)> {
    if let Some(parent) = to.parent() {
        create_dir_private(parent)?;
    }
    let mut source = from.take(limit.unwrap_or(u64::MAX));
    let mut target = File::options().write(true).create_new(true).mode(0o600).open(to)?;
    let mut hasher = blake3::Hasher::new_derive_key(FILE_HASH);
    let mut buffer = vec![0; 256 * 1024];
    let mut len = 0;
    loop {
        let read = source.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        let bytes = buffer.get(..read).unwrap_or_default();
        hasher.update(bytes);
        target.write_all(bytes)?;
        len += read as u64;
    }
    target.sync_all()?;
    Ok((len, Digest32::from_bytes(*hasher.finalize().as_bytes())))
}
