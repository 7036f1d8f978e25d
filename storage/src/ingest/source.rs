//! The source of an import: an open file, or uploaded bytes that are stored sealed.

use std::{
    fmt,
    fs::File,
    io::{self, Read},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use concordat_keys::fs::open_regular;

use super::upload::{Upload, UploadReader};

/// A reader of the bytes from the start, and the file that they come from if it could be modified in the meantime.
type Opened = (Box<dyn Read + Send>, Option<Arc<File>>);

/// The bytes of an import, which are read twice; clones read the same bytes.
#[derive(Clone, Debug)]
pub struct Source {
    name: PathBuf,
    bytes: Bytes,
}

#[derive(Clone, Debug)]
enum Bytes {
    /// A file that this process chose: for benchmarks and tests. It is never used for a request.
    Path,
    /// A file that was opened for the import, so it can no longer be replaced by another one.
    File(Arc<File>),
    /// Uploaded bytes.
    Upload(Arc<Upload>),
}

impl Source {
    /// A file that this process chose, opened for each pass. Must not be used for a path from another party: that could
    /// be any file that this process can read.
    #[must_use]
    pub fn at_path(path: impl Into<PathBuf>) -> Self {
        Self {
            name: path.into(),
            bytes: Bytes::Path,
        }
    }

    /// An open file; `name` is only used in errors and in the manifest.
    #[must_use]
    pub fn opened(name: impl Into<PathBuf>, file: File) -> Self {
        Self {
            name: name.into(),
            bytes: Bytes::File(Arc::new(file)),
        }
    }

    /// Uploaded bytes; `name` is the name given by the sender.
    #[must_use]
    pub fn sent(name: impl Into<PathBuf>, upload: Upload) -> Self {
        Self {
            name: name.into(),
            bytes: Bytes::Upload(Arc::new(upload)),
        }
    }

    /// The name of the source.
    #[must_use]
    pub fn name(&self) -> &Path {
        &self.name
    }

    /// A reader of the bytes from the start, and the file that they come from if it could be modified in the meantime.
    pub(super) fn open(&self) -> io::Result<Opened> {
        match &self.bytes {
            Bytes::Path => {
                let file = Arc::new(open_regular(&self.name)?);
                Ok((Box::new(FileReader::start(&file)), Some(file)))
            }
            Bytes::File(file) => Ok((Box::new(FileReader::start(file)), Some(Arc::clone(file)))),
            Bytes::Upload(upload) => Ok((Box::new(UploadReader::new(upload)?), None)),
        }
    }

    /// The same bytes, to be read at any place.
    pub(super) fn random_access(&self) -> io::Result<RandomAccess> {
        let file = match &self.bytes {
            Bytes::Path => Arc::new(open_regular(&self.name)?),
            Bytes::File(file) => Arc::clone(file),
            Bytes::Upload(upload) => {
                return Ok(RandomAccess {
                    len: upload.len(),
                    origin: Origin::Upload(Mutex::new(UploadReader::new(upload)?)),
                });
            }
        };
        Ok(RandomAccess {
            len: file.metadata()?.len(),
            origin: Origin::File(file),
        })
    }
}

/// Reads a file from its start, independently of other readers.
struct FileReader {
    file: Arc<File>,
    offset: u64,
}

impl FileReader {
    fn start(file: &Arc<File>) -> Self {
        Self {
            file: Arc::clone(file),
            offset: 0,
        }
    }
}

impl Read for FileReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buf, self.offset)?;
        self.offset += read as u64;
        Ok(read)
    }
}

/// The bytes of a source, to be read at any place.
pub(super) struct RandomAccess {
    len: u64,
    origin: Origin,
}

enum Origin {
    File(Arc<File>),
    Upload(Mutex<UploadReader>),
}

impl RandomAccess {
    /// How many bytes there were when the source was opened.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// The file, if it could be modified in the meantime.
    pub(super) fn file(&self) -> Option<Arc<File>> {
        match &self.origin {
            Origin::File(file) => Some(Arc::clone(file)),
            Origin::Upload(_) => None,
        }
    }

    /// Fills `buf` with the bytes from `offset` on.
    pub(super) fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        match &self.origin {
            Origin::File(file) => file.read_exact_at(buf, offset),
            Origin::Upload(reader) => {
                let mut reader = reader.lock().unwrap_or_else(PoisonError::into_inner);
                reader.seek(offset)?;
                reader.read_exact(buf)
            }
        }
    }

    /// A reader of the bytes from the start to the end that they had when the source was opened.
    pub(super) fn from_start(self: &Arc<Self>) -> Box<dyn Read + Send> {
        Box::new(Sequential {
            bytes: Arc::clone(self),
            offset: 0,
        })
    }
}

impl fmt::Debug for RandomAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RandomAccess({} bytes)", self.len)
    }
}

struct Sequential {
    bytes: Arc<RandomAccess>,
    offset: u64,
}

impl Read for Sequential {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.bytes.len.saturating_sub(self.offset)).unwrap_or(usize::MAX);
        let now = left.min(buf.len());
        self.bytes
            .read_exact_at(buf.get_mut(..now).unwrap_or_default(), self.offset)?;
        self.offset += now as u64;
        Ok(now)
    }
}
