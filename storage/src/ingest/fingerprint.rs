//! The fingerprint of a file, which both passes must share, and whether the file was written to in the meantime.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use super::error::IngestError;

/// Length and BLAKE3 hash of a file's bytes as on disk, before decompression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// Bytes.
    pub length: u64,
    /// Hash of the bytes.
    pub blake3: [u8; 32],
}

/// Shows without reading whether a file was written to. Times of the file system are only compared with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    length: u64,
    modified: SystemTime,
}

impl Stamp {
    fn of(file: &File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        Ok(Self {
            length: metadata.len(),
            modified: metadata.modified()?,
        })
    }
}

/// A source that was opened, if it is a file that others may write to.
#[derive(Debug)]
pub(super) struct Watched(Option<(Arc<File>, Stamp)>);

impl Watched {
    /// Notes the state of `file`; `None` stands for bytes that cannot change.
    pub(super) fn new(file: Option<Arc<File>>, path: &Path) -> Result<Self, IngestError> {
        let stamped = |file: Arc<File>| Stamp::of(&file).map(|stamp| (file, stamp));
        let watched = file.map(stamped).transpose();
        watched.map(Self).map_err(|source| read_error(path, source))
    }

    /// Checks that the file is as it was, and that `read` of its bytes were read.
    ///
    /// # Errors
    /// [`IngestError::Changed`] if not.
    pub(super) fn check(&self, path: &Path, read: u64) -> Result<(), IngestError> {
        let Some((file, opened)) = &self.0 else {
            return Ok(());
        };
        let now = Stamp::of(file).map_err(|source| read_error(path, source))?;
        if now == *opened && now.length == read {
            Ok(())
        } else {
            Err(IngestError::Changed { path: path.to_owned() })
        }
    }
}

/// Hashes and counts the bytes that are read.
pub(super) struct Hashing {
    inner: Box<dyn Read + Send>,
    hasher: blake3::Hasher,
    length: u64,
}

impl Hashing {
    pub(super) fn new(inner: Box<dyn Read + Send>) -> Self {
        Self {
            inner,
            hasher: blake3::Hasher::new(),
            length: 0,
        }
    }

    /// The fingerprint of what was read.
    pub(super) fn fingerprint(&self) -> Fingerprint {
        Fingerprint {
            length: self.length,
            blake3: *self.hasher.finalize().as_bytes(),
        }
    }
}

impl Read for Hashing {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buf)?;
        self.hasher.update(buf.get(..read).unwrap_or_default());
        self.length += read as u64;
        Ok(read)
    }
}

/// Bytes that are hashed as a decoder reads them; clones share them, so that the rest can be read when the decoder has ended.
#[derive(Clone)]
pub(super) struct Shared(Arc<Mutex<Hashing>>);

impl Shared {
    pub(super) fn new(bytes: Hashing) -> Self {
        Self(Arc::new(Mutex::new(bytes)))
    }

    /// How many bytes were read.
    pub(super) fn length(&self) -> u64 {
        self.inner().length
    }

    /// The fingerprint of all bytes; reads those that are left.
    pub(super) fn finish(&self) -> io::Result<Fingerprint> {
        let mut bytes = self.inner();
        io::copy(&mut *bytes, &mut io::sink())?;
        Ok(bytes.fingerprint())
    }

    /// Ignores poisoning: after a panic in the middle of a read, the fingerprint is of less than the file, which is found by its length.
    fn inner(&self) -> MutexGuard<'_, Hashing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Read for Shared {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.inner().read(buf)
    }
}

/// Reads all of `bytes` for their fingerprint.
pub(super) fn of_all(bytes: Box<dyn Read + Send>) -> io::Result<Fingerprint> {
    let mut bytes = Hashing::new(bytes);
    io::copy(&mut bytes, &mut io::sink())?;
    Ok(bytes.fingerprint())
}

/// The error for a file that cannot be opened or read.
pub(super) fn read_error(path: &Path, source: io::Error) -> IngestError {
    let path = path.to_owned();
    let kind = source.kind();
    if kind == io::ErrorKind::NotFound {
        IngestError::NotFound { path }
    } else if kind == io::ErrorKind::InvalidInput {
        IngestError::NotAFile { path }
    } else {
        IngestError::Read { path, source }
    }
}
