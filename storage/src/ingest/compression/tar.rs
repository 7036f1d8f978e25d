//! The files in a tar archive (POSIX.1-2017, pax, section "ustar Interchange Format"), read as a stream in bounded memory.
//!
//! Only regular files and folders are read. Links, devices and sparse files are refused: a file of an import has its contents in the
//! archive. Names come from pax records, from the records of GNU tar for long names, or from the header. An archive that ends before its
//! two blocks of zeros is incomplete.

use std::io::{self, Read};

use super::archive::{ArchiveError, MAX_MEMBERS};

/// Bytes of a block.
const BLOCK: usize = 512;
/// Most bytes of a path, as of one that Linux opens.
const MAX_PATH: u64 = 4096;
/// Most bytes of a record with values of pax, among them a path.
const MAX_RECORD: u64 = 16 * MAX_PATH;
/// Bytes that are read at a time.
const CHUNK: usize = 64 * 1024;

/// A block of zeros, of which two end an archive.
const ZEROS: [u8; BLOCK] = [0; BLOCK];

/// The field with the checksum.
const CHECKSUM: std::ops::Range<usize> = 148..156;

/// Reads the files of an archive one after the other.
pub(crate) struct TarReader<R> {
    bytes: R,
    /// Bytes of the current file that are still to be read.
    left: u64,
    /// Bytes between the current file and the next header.
    padding: u64,
    files: u64,
}

/// What a header describes.
struct Header {
    kind: u8,
    size: u64,
    path: Vec<u8>,
}

/// What records before a header state about it.
#[derive(Default)]
struct Stated {
    path: Option<Vec<u8>>,
    size: Option<u64>,
}

impl ArchiveError {
    /// It has something else than files and folders.
    const NOT_A_FILE: Self = Self::Refused(
        "it contains a link, a device or a sparse file; pack the files themselves, with `tar --dereference`",
    );
    /// A record is too long, or a number is not one.
    const RECORD: Self = Self::Refused("a header in it is invalid; pack the files again");
}

/// Whether an archive begins with these bytes.
pub(crate) fn is_tar(start: &[u8]) -> bool {
    start.get(257..262) == Some(&b"ustar"[..])
}

/// How many first bytes [`is_tar`] needs.
pub(crate) const TAR_START: u64 = 262;

impl<R: Read> TarReader<R> {
    pub(crate) fn new(bytes: R) -> Self {
        Self {
            bytes,
            left: 0,
            padding: 0,
            files: 0,
        }
    }

    /// The path of the next file; what is left of the one before is skipped. `None` at the end.
    pub(crate) fn next_file(&mut self) -> Result<Option<Vec<u8>>, ArchiveError> {
        self.read_file(&mut |_| Ok(()))?;
        let mut stated = Stated::default();
        while let Some(header) = self.header()? {
            self.files += 1;
            if self.files > MAX_MEMBERS {
                return Err(ArchiveError::TOO_MANY);
            }
            match header.kind {
                b'x' => stated.add(&self.record(header.size, MAX_RECORD)?)?,
                b'L' => stated.path = Some(until_zero(&self.record(header.size, MAX_PATH + 1)?)),
                // What is stated for all files is neither a path nor a size, and a long name of a link is for one that is refused.
                b'g' | b'K' => drop(self.record(header.size, MAX_RECORD)?),
                b'5' => stated = Stated::default(),
                b'0' | b'7' | 0 => {
                    self.begin(stated.size.unwrap_or(header.size))?;
                    return Ok(Some(stated.path.unwrap_or(header.path)));
                }
                _ => return Err(ArchiveError::NOT_A_FILE),
            }
        }
        Ok(None)
    }

    /// Passes on what is left of the current file.
    pub(crate) fn read_file(&mut self, each: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> Result<(), ArchiveError> {
        let mut chunk = Vec::new();
        while self.left > 0 {
            chunk.resize(CHUNK, 0);
            let now = usize::try_from(self.left).unwrap_or(CHUNK).min(CHUNK);
            let part = chunk.get_mut(..now).unwrap_or_default();
            self.bytes.read_exact(part)?;
            each(part)?;
            self.left -= now as u64;
        }
        let mut padding = [0; BLOCK];
        let padding = padding
            .get_mut(..usize::try_from(self.padding).unwrap_or(0))
            .unwrap_or_default();
        self.bytes.read_exact(padding)?;
        self.padding = 0;
        Ok(())
    }

    fn begin(&mut self, size: u64) -> Result<(), ArchiveError> {
        let block = BLOCK as u64;
        let padded = size.checked_next_multiple_of(block).ok_or(ArchiveError::RECORD)?;
        self.left = size;
        self.padding = padded - size;
        Ok(())
    }

    /// The contents of a record of at most `most` bytes.
    fn record(&mut self, size: u64, most: u64) -> Result<Vec<u8>, ArchiveError> {
        if size > most {
            return Err(ArchiveError::RECORD);
        }
        self.begin(size)?;
        let mut record = Vec::new();
        self.read_file(&mut |part| {
            record.extend_from_slice(part);
            Ok(())
        })?;
        Ok(record)
    }

    /// The next header; `None` at the two blocks that end the archive.
    fn header(&mut self) -> Result<Option<Header>, ArchiveError> {
        let block = self.block()?;
        if block != ZEROS {
            return header(&block).map(Some);
        }
        if self.block()? == ZEROS {
            Ok(None)
        } else {
            Err(ArchiveError::DAMAGED)
        }
    }

    fn block(&mut self) -> Result<[u8; BLOCK], ArchiveError> {
        let mut block = ZEROS;
        self.bytes.read_exact(&mut block)?;
        Ok(block)
    }
}

impl Stated {
    /// Adds the records of pax: `LENGTH KEY=VALUE\n`, where the length is that of all of it.
    fn add(&mut self, mut records: &[u8]) -> Result<(), ArchiveError> {
        while !records.is_empty() {
            let (record, rest) = pax_record(records).ok_or(ArchiveError::RECORD)?;
            let equals = record
                .iter()
                .position(|byte| *byte == b'=')
                .ok_or(ArchiveError::RECORD)?;
            let (key, value) = record.split_at(equals);
            let value = value.get(1..).unwrap_or_default();
            match key {
                b"path" if value.len() as u64 > MAX_PATH => return Err(ArchiveError::RECORD),
                b"path" => self.path = Some(value.to_vec()),
                b"size" => self.size = Some(decimal(value).ok_or(ArchiveError::RECORD)?),
                // A sparse file is a regular one whose contents are a list of its parts.
                _ if key.starts_with(b"GNU.sparse.") => return Err(ArchiveError::NOT_A_FILE),
                _ => {}
            }
            records = rest;
        }
        Ok(())
    }
}

/// The first record without its length and line end, and what follows it.
fn pax_record(records: &[u8]) -> Option<(&[u8], &[u8])> {
    let blank = records.iter().take(20).position(|byte| *byte == b' ')?;
    let (length, _) = records.split_at(blank);
    let length = usize::try_from(decimal(length)?).ok()?;
    let (record, rest) = records.split_at_checked(length)?;
    let record = record.get(blank + 1..)?.strip_suffix(b"\n")?;
    Some((record, rest))
}

fn decimal(digits: &[u8]) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(digits).ok().filter(|_| is_number)?;
    text.parse().ok()
}

fn header(block: &[u8; BLOCK]) -> Result<Header, ArchiveError> {
    if !is_tar(block) {
        return Err(ArchiveError::DAMAGED);
    }
    let field = |range: std::ops::Range<usize>| block.get(range).unwrap_or_default();
    let stated = octal(field(CHECKSUM)).ok_or(ArchiveError::DAMAGED)?;
    let bytes = block.iter().enumerate();
    let sum: u64 = bytes
        .map(|(at, byte)| {
            if CHECKSUM.contains(&at) {
                u64::from(b' ')
            } else {
                u64::from(*byte)
            }
        })
        .sum();
    if sum != stated {
        return Err(ArchiveError::DAMAGED);
    }
    let mut path = Vec::new();
    // GNU tar has other fields where the first part of a long path is.
    let prefix = until_zero(field(345..500));
    if field(257..263) == b"ustar\0" && !prefix.is_empty() {
        path.extend(prefix);
        path.push(b'/');
    }
    path.extend(until_zero(field(0..100)));
    Ok(Header {
        kind: field(156..157).first().copied().unwrap_or_default(),
        size: number(field(124..136)).ok_or(ArchiveError::RECORD)?,
        path,
    })
}

/// A number in octal digits, or in binary if its first bit is set, as GNU tar writes large ones.
fn number(field: &[u8]) -> Option<u64> {
    let (first, rest) = field.split_first()?;
    if first & 0x80 == 0 {
        return octal(field);
    }
    let mut found = u64::from(first & 0x7f);
    for byte in rest {
        found = found.checked_mul(256)?.checked_add(u64::from(*byte))?;
    }
    Some(found)
}

/// Octal digits between blanks and zero bytes.
fn octal(field: &[u8]) -> Option<u64> {
    let is_blank = |byte: &u8| matches!(*byte, b' ' | 0);
    let start = field.iter().position(|byte| !is_blank(byte))?;
    let digits = field.get(start..)?;
    let end = digits.iter().position(is_blank).unwrap_or(digits.len());
    let (digits, after) = digits.split_at(end);
    if !after.iter().all(is_blank) {
        return None;
    }
    digits.iter().try_fold(0_u64, |found, digit| match *digit {
        b'0'..=b'7' => found.checked_mul(8)?.checked_add(u64::from(*digit - b'0')),
        _ => None,
    })
}

fn until_zero(field: &[u8]) -> Vec<u8> {
    field.split(|byte| *byte == 0).next().unwrap_or_default().to_vec()
}

#[cfg(test)]
pub(in crate::ingest) mod tests;
