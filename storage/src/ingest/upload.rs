//! Uploaded bytes, which are stored sealed.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::unix::fs::FileExt,
    path::Path,
    sync::Arc,
};

use concordat_keys::{DatasetKey, KeyError, Suite, fs::unnamed_private};

use crate::seal::{BLOCK_LEN, HEADER_LEN, Opener, SealError, Sealer, sealed_len};

/// Bytes of a sealed block after the header.
const SEALED_BLOCK: u64 = BLOCK_LEN as u64 + TAG_LEN;

/// Bytes that sealing adds to a block.
const TAG_LEN: u64 = 16;

/// Uploaded bytes in an unnamed file, sealed under a key that exists only in memory.
///
/// If the process dies, the key is lost and the system removes the file: the uploaded bytes are never on a disk in
/// plaintext, and nothing of them is left. Only one block at a time is in memory.
#[derive(Debug)]
pub struct Upload {
    file: File,
    key: DatasetKey,
    /// Uploaded bytes.
    len: u64,
}

impl Upload {
    /// Starts an upload; its file is created in `dir` and is unlinked before this returns.
    ///
    /// # Errors
    /// If the file cannot be created, or there are no random bytes.
    pub fn begin(dir: &Path) -> io::Result<UploadWriter> {
        let file = unnamed_private(dir)?;
        let key = DatasetKey::random().map_err(key_error)?;
        let sealer = Sealer::new(&key, Suite::auto()).map_err(seal_error)?;
        let mut writer = UploadWriter {
            file,
            key,
            sealer,
            block: Vec::with_capacity(BLOCK_LEN),
            out: Vec::with_capacity(BLOCK_LEN + HEADER_LEN),
            len: 0,
        };
        writer.file.write_all(writer.sealer.header())?;
        Ok(writer)
    }

    /// Uploaded bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether no bytes were uploaded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn blocks(&self) -> u64 {
        self.len.div_ceil(BLOCK_LEN as u64).max(1)
    }
}

/// An upload in progress; dropping it discards the bytes.
#[derive(Debug)]
pub struct UploadWriter {
    file: File,
    key: DatasetKey,
    sealer: Sealer,
    /// Plaintext that is not sealed yet, because the last block must be marked as the last.
    block: Vec<u8>,
    out: Vec<u8>,
    len: u64,
}

impl UploadWriter {
    /// Adds the next bytes.
    ///
    /// # Errors
    /// If they cannot be written to disk.
    pub fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            if self.block.len() == BLOCK_LEN {
                self.seal(false)?;
            }
            let (now, later) = bytes.split_at(bytes.len().min(BLOCK_LEN - self.block.len()));
            self.block.extend_from_slice(now);
            self.len += now.len() as u64;
            bytes = later;
        }
        Ok(())
    }

    /// Completes the upload.
    ///
    /// # Errors
    /// If the last of them cannot be written to disk.
    pub fn finish(mut self) -> io::Result<Upload> {
        self.seal(true)?;
        Ok(Upload {
            file: self.file,
            key: self.key,
            len: self.len,
        })
    }

    fn seal(&mut self, last: bool) -> io::Result<()> {
        self.out.clear();
        let sealed = self.sealer.append_block(&self.block, last, &mut self.out);
        sealed.map_err(seal_error)?;
        self.block.clear();
        self.file.write_all(&self.out)
    }
}

/// Reads an upload, from its start or from any place.
pub(super) struct UploadReader {
    upload: Arc<Upload>,
    opener: Opener,
    next: u64,
    block: Vec<u8>,
    at: usize,
}

impl UploadReader {
    pub(super) fn new(upload: &Arc<Upload>) -> io::Result<Self> {
        let mut header = [0; HEADER_LEN];
        upload.file.read_exact_at(&mut header, 0)?;
        Ok(Self {
            opener: Opener::new(&upload.key, &header).map_err(seal_error)?,
            upload: Arc::clone(upload),
            next: 0,
            block: Vec::new(),
            at: 0,
        })
    }

    /// Continues at `offset`, which is at most the length of the upload.
    pub(super) fn seek(&mut self, offset: u64) -> io::Result<()> {
        let number = offset / BLOCK_LEN as u64;
        let within = offset % BLOCK_LEN as u64;
        if self.next != number + 1 || self.block.is_empty() {
            self.next = number;
            if !self.refill()? {
                self.block.clear();
            }
        }
        self.at = usize::try_from(within).map_err(io::Error::other)?.min(self.block.len());
        Ok(())
    }

    /// Opens the next block; `false` after the last.
    fn refill(&mut self) -> io::Result<bool> {
        let blocks = self.upload.blocks();
        if self.next >= blocks {
            return Ok(false);
        }
        let start = HEADER_LEN as u64 + self.next * SEALED_BLOCK;
        let end = (start + SEALED_BLOCK).min(sealed_len(self.upload.len));
        let length = usize::try_from(end.saturating_sub(start)).map_err(io::Error::other)?;
        self.block.resize(length, 0);
        self.upload.file.read_exact_at(&mut self.block, start)?;
        let last = self.next + 1 == blocks;
        let plain = self.opener.open_block(self.next, last, &mut self.block);
        self.block.truncate(plain.map_err(seal_error)?);
        self.next += 1;
        self.at = 0;
        Ok(true)
    }
}

impl Read for UploadReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.at == self.block.len() {
            if !self.refill()? {
                return Ok(0);
            }
            if self.block.is_empty() {
                return Ok(0);
            }
        }
        let left = self.block.get(self.at..).unwrap_or_default();
        let now = left.len().min(buf.len());
        for (to, from) in buf.iter_mut().zip(left) {
            *to = *from;
        }
        self.at += now;
        Ok(now)
    }
}

/// The plaintext is zeroized.
impl Drop for UploadReader {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.block);
    }
}

fn seal_error(error: SealError) -> io::Error {
    io::Error::other(error)
}

fn key_error(error: KeyError) -> io::Error {
    io::Error::other(error)
}

#[cfg(test)]
mod tests {
    use super::{super::source::Source, *};

    fn upload(dir: &Path, chunks: &[&[u8]]) -> Upload {
        let mut writer = Upload::begin(dir).unwrap();
        for chunk in chunks {
            writer.write(chunk).unwrap();
        }
        writer.finish().unwrap()
    }

    fn text(source: &Source) -> Vec<u8> {
        let mut bytes = Vec::new();
        source.open().unwrap().0.read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn upload_is_read_as_sent_in_chunks_of_any_size() {
        let dir = tempfile::tempdir().unwrap();
        for len in [
            0,
            1,
            BLOCK_LEN - 1,
            BLOCK_LEN,
            BLOCK_LEN + 1,
            3 * BLOCK_LEN,
            3 * BLOCK_LEN + 7,
        ] {
            let sent: Vec<u8> = (0..len).map(|at| u8::try_from(at % 251).unwrap()).collect();
            for chunk in [1000, BLOCK_LEN, usize::MAX] {
                let chunks: Vec<&[u8]> = sent.chunks(chunk.min(sent.len().max(1))).collect();
                let source = Source::sent("a.csv", upload(dir.path(), &chunks));
                assert_eq!(text(&source), sent, "{len} bytes in chunks of {chunk}");
                assert_eq!(text(&source), sent, "and again");
            }
        }
    }

    #[test]
    fn upload_has_no_name_and_is_sealed_on_the_disk() {
        let dir = tempfile::tempdir().unwrap();
        let uploaded = upload(dir.path(), &[b"record,name\n1,Anna Kovacs\n"]);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "it has a name");
        let mut bytes = vec![0; usize::try_from(uploaded.file.metadata().unwrap().len()).unwrap()];
        uploaded.file.read_exact_at(&mut bytes, 0).unwrap();
        assert!(!bytes.windows(4).any(|window| window == b"Anna"), "it is in plaintext");
    }

    #[test]
    fn upload_changed_on_the_disk_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let uploaded = upload(dir.path(), &[&[7; BLOCK_LEN + 9]]);
        let at = HEADER_LEN as u64 + 5;
        let mut byte = [0];
        uploaded.file.read_exact_at(&mut byte, at).unwrap();
        uploaded.file.write_all_at(&[byte[0] ^ 1], at).unwrap();
        let source = Source::sent("a.csv", uploaded);
        let mut bytes = Vec::new();
        source.open().unwrap().0.read_to_end(&mut bytes).unwrap_err();
    }
}
