//! The contents of a file in a zip file.

use std::{
    io::{self, Read},
    sync::Arc,
};

use flate2::Crc;

use crate::ingest::source::RandomAccess;

/// The bytes of a file as they are packed.
pub(super) struct Part {
    bytes: Arc<RandomAccess>,
    offset: u64,
    left: u64,
}

impl Part {
    /// `length` bytes from `offset` on.
    pub(super) fn new(bytes: Arc<RandomAccess>, offset: u64, length: u64) -> Self {
        Self {
            bytes,
            offset,
            left: length,
        }
    }
}

impl Read for Part {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let now = usize::try_from(self.left).unwrap_or(usize::MAX).min(buf.len());
        self.bytes
            .read_exact_at(buf.get_mut(..now).unwrap_or_default(), self.offset)?;
        self.offset += now as u64;
        self.left -= now as u64;
        Ok(now)
    }
}

/// Contents that must have a stated length and checksum.
pub(super) struct Checked {
    contents: Box<dyn Read + Send>,
    checksum: Crc,
    left: u64,
    expected: u32,
}

impl Checked {
    /// Contents of `length` bytes with the checksum `expected`.
    pub(super) fn new(contents: Box<dyn Read + Send>, length: u64, expected: u32) -> Self {
        Self {
            contents,
            checksum: Crc::new(),
            left: length,
            expected,
        }
    }
}

impl Read for Checked {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.contents.read(buf)?;
        let damaged = || io::Error::from(io::ErrorKind::InvalidData);
        self.left = self.left.checked_sub(read as u64).ok_or_else(damaged)?;
        self.checksum.update(buf.get(..read).unwrap_or_default());
        let is_end = read == 0 && !buf.is_empty();
        if is_end && (self.left > 0 || self.checksum.sum() != self.expected) {
            return Err(damaged());
        }
        Ok(read)
    }
}
