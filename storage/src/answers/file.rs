//! The file of a log.

use std::{fs::File, io, os::unix::fs::FileExt, path::Path};

use concordat_keys::fs::{create_dir_private, sync_dir};
use rustix::fs::{Mode, OFlags, open};

/// First bytes of a log: its type, and version 1 of its format.
pub(super) const MAGIC: [u8; 8] = *b"CCANSWR\x01";
/// Length of [`MAGIC`].
pub(super) const MAGIC_LEN: u64 = 8;

/// Where the records of a log are written.
pub(super) trait Medium: Send + Sync {
    /// Its length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Reads from an offset; fewer bytes than requested are no error.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes at an offset.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Removes what is after this length.
    fn cut(&self, length: u64) -> io::Result<()>;
    /// What was written is on disk when this returns.
    fn sync(&self) -> io::Result<()>;
}

impl Medium for File {
    fn len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(self, buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}

/// Creates the file of a log that has no records yet; it is on disk when this returns. One that a killed process left is emptied.
pub(super) fn create(dir: &Path, below: &Path) -> io::Result<File> {
    let path = dir.join(below);
    let folder = path.parent().unwrap_or(dir);
    create_dir_private(folder)?;
    let file = opened(&path, OFlags::CREATE | OFlags::TRUNC)?;
    file.write_all_at(&MAGIC, 0)?;
    file.sync_all()?;
    sync_dir(folder)?;
    sync_dir(dir)?;
    Ok(file)
}

/// Opens the file of a log.
pub(super) fn open_existing(path: &Path) -> io::Result<File> {
    opened(path, OFlags::empty())
}

/// Opens a file without waiting and without following a link, which this module never creates.
fn opened(path: &Path, more: OFlags) -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(open(path, flags | more, Mode::RUSR | Mode::WUSR)?);
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"))
    }
}
