//! Files of a repository.

use std::{
    fs::File,
    io::{self, BufReader, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use concordat_keys::fs::create_dir_private;
use concordat_protocol::ids::Digest32;

use super::contents::FILE_HASH;
use crate::beneath::{create_beneath, open_beneath};

/// Most bytes of a small file of a repository: the list of a snapshot's files, a key, a statement.
const MAX_SMALL: u64 = 16 * 1024 * 1024;

/// The bytes of a small file of a repository.
pub(super) fn small(root: &Path, below: &str) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_beneath(root, Path::new(below))?
        .take(MAX_SMALL)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Length and hash of the contents of a file.
pub(super) fn hash_file(mut file: impl Read) -> io::Result<(u64, Digest32)> {
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

/// A new file with mode 0600, and the hash of what is written to it: what else is written to its folder does not change the hash.
pub(super) struct HashedFile {
    file: File,
    hasher: blake3::Hasher,
    len: u64,
}

impl HashedFile {
    /// Creates the file; one that exists, or a link, is never written to.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        let file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
        Ok(Self::to(file))
    }

    /// Creates the file below a folder that others may have written, and the folders on the way to it.
    pub(super) fn create_beneath(root: &Path, below: &Path) -> io::Result<Self> {
        create_beneath(root, below).map(Self::to)
    }

    fn to(file: File) -> Self {
        Self {
            file,
            hasher: blake3::Hasher::new_derive_key(FILE_HASH),
            len: 0,
        }
    }

    /// Writes all that `from` has, durably; length and hash of it.
    pub(super) fn fill(mut self, from: impl Read) -> io::Result<(u64, Digest32)> {
        io::copy(&mut BufReader::with_capacity(256 * 1024, from), &mut self)?;
        self.finish()
    }

    /// Makes the file durable; length and hash of what was written.
    pub(super) fn finish(self) -> io::Result<(u64, Digest32)> {
        self.file.sync_all()?;
        Ok((self.len, Digest32::from_bytes(*self.hasher.finalize().as_bytes())))
    }
}

impl Write for HashedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.update(bytes.get(..written).unwrap_or(bytes));
        self.len += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Copies a file durably with mode 0600; returns the length and hash of what was copied.
pub(super) fn copy_file(from: File, to: &Path) -> io::Result<(u64, Digest32)> {
    if let Some(parent) = to.parent() {
        create_dir_private(parent)?;
    }
    HashedFile::create(to)?.fill(from)
}
