//! The directory of a zip file, and the files in it (APPNOTE.TXT 6.3.10).
//!
//! The directory is at the end of the file, so a zip file is read at any place and not as a stream. Only what is unambiguous is read: the
//! directory ends where its last record begins, the name and method of a file are the same in both places, and its bytes are before the
//! directory. The size and the checksum that are stated for a file are compared with its contents.

use std::{
    io::{self, BufReader, Read},
    sync::Arc,
};

use flate2::bufread::DeflateDecoder;

use super::decoder::{Contained, Unpacked};
use crate::ingest::source::RandomAccess;

mod contents;
mod fields;
#[cfg(test)]
pub(in crate::ingest) mod tests;

use contents::{Checked, Part};
use fields::Fields;

/// Most bytes of a directory.
const MAX_DIRECTORY: u64 = 4 * 1024 * 1024;
/// Most files in an archive.
pub(super) const MAX_MEMBERS: u64 = 10_000;
/// Bytes of the last record, without its comment.
const END: u64 = 22;
/// Most bytes of its comment.
const MAX_COMMENT: u64 = 0xffff;
/// Bytes of the record that states where the last record of a large file is.
const LOCATOR: usize = 20;
/// Bytes before the name of a file, where it begins.
const LOCAL: usize = 30;
/// What stands for a number that is in another record, because it needs more than 32 bits.
const ELSEWHERE: u64 = 0xffff_ffff;
/// The bit of the flags that states that a file is encrypted.
const ENCRYPTED: u64 = 1;

/// Why an archive cannot be read.
#[derive(Debug)]
pub(crate) enum ArchiveError {
    /// The system fails.
    Read(io::Error),
    /// What is wrong with the file, and what to do.
    Refused(&'static str),
}

impl ArchiveError {
    /// It is not a whole archive.
    pub(crate) const DAMAGED: Self = Self::Refused("it is damaged, incomplete or in several parts; get it again");
    /// It has more than [`MAX_MEMBERS`] files.
    pub(super) const TOO_MANY: Self =
        Self::Refused("it has more than 10,000 files; unpack it, and import the file that has the table");
    /// The file needs a password.
    const ENCRYPTED: Self = Self::Refused("it is encrypted; unpack it, and import the file in it");
    /// The file is compressed in another way.
    const METHOD: Self =
        Self::Refused("it is compressed with another method than deflate; unpack it, and import the file in it");
}

impl From<io::Error> for ArchiveError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            Self::DAMAGED
        } else {
            Self::Read(error)
        }
    }
}

/// A zip file.
#[derive(Clone, Debug)]
pub(crate) struct Archive {
    bytes: Arc<RandomAccess>,
    members: Vec<Member>,
    /// Where the directory begins.
    directory: u64,
}

/// A file in a zip file.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    name: Vec<u8>,
    is_encrypted: bool,
    method: u64,
    checksum: u32,
    packed: u64,
    unpacked: u64,
    /// Where it begins.
    start: u64,
}

impl Member {
    /// Its path, as it is stated.
    pub(crate) fn name(&self) -> &[u8] {
        &self.name
    }
}

impl Archive {
    /// Reads the directory.
    pub(crate) fn open(bytes: Arc<RandomAccess>) -> Result<Self, ArchiveError> {
        let directory = Directory::find(&bytes)?;
        if directory.members > MAX_MEMBERS {
            return Err(ArchiveError::TOO_MANY);
        }
        let length = usize::try_from(directory.size.min(MAX_DIRECTORY)).map_err(|_| ArchiveError::DAMAGED)?;
        if length as u64 != directory.size {
            return Err(ArchiveError::TOO_MANY);
        }
        let mut listed = vec![0; length];
        bytes.read_exact_at(&mut listed, directory.start)?;
        let mut fields = Fields(&listed);
        let mut members = Vec::new();
        for _ in 0..directory.members {
            members.push(member(&mut fields).ok_or(ArchiveError::DAMAGED)?);
        }
        let mut names: Vec<&[u8]> = members.iter().map(|member| member.name.as_slice()).collect();
        names.sort_unstable();
        let is_twice = names.windows(2).any(|pair| pair.first() == pair.last());
        if is_twice || !fields.0.is_empty() {
            return Err(ArchiveError::DAMAGED);
        }
        Ok(Self {
            bytes,
            members,
            directory: directory.start,
        })
    }

    /// Its files, without folders and what macOS adds to each file.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Member> {
        let is_file = |member: &&Member| !member.name.ends_with(b"/") && !member.name.starts_with(b"__MACOSX/");
        self.members.iter().filter(is_file)
    }

    /// The file of this name, regardless of case.
    pub(crate) fn file(&self, name: &str) -> Option<&Member> {
        let named = |member: &&Member| member.name.eq_ignore_ascii_case(name.as_bytes());
        self.members.iter().find(named)
    }

    /// Whether there are files in the folder `name`, which ends with a slash.
    pub(crate) fn has_folder(&self, name: &str) -> bool {
        self.members
            .iter()
            .any(|member| member.name.starts_with(name.as_bytes()))
    }

    /// The contents of a file. Reading fails if they are not what the directory states.
    pub(crate) fn read(&self, member: &Member) -> Result<BufReader<Unpacked>, ArchiveError> {
        if member.is_encrypted {
            return Err(ArchiveError::ENCRYPTED);
        }
        let part = BufReader::new(Part::new(Arc::clone(&self.bytes), self.data_of(member)?, member.packed));
        let contents: Box<dyn Read + Send> = match member.method {
            0 => Box::new(part),
            8 => Box::new(Contained::new(DeflateDecoder::new(part))),
            _ => return Err(ArchiveError::METHOD),
        };
        let checked = Checked::new(contents, member.unpacked, member.checksum);
        let packed = member.packed;
        Ok(Unpacked::new(Box::new(checked), move || packed).buffered())
    }

    /// The first bytes of the contents of a file, at most `limit`.
    pub(crate) fn read_start(&self, member: &Member, limit: u64) -> Result<Vec<u8>, ArchiveError> {
        let mut bytes = Vec::new();
        let read = self.read(member)?.take(limit).read_to_end(&mut bytes);
        read.map_err(|_| ArchiveError::DAMAGED)?;
        Ok(bytes)
    }

    /// Where the bytes of a file begin, after its name is compared with the one of the directory.
    fn data_of(&self, member: &Member) -> Result<u64, ArchiveError> {
        if member.start >= self.directory {
            return Err(ArchiveError::DAMAGED);
        }
        let mut start = [0; LOCAL];
        self.bytes.read_exact_at(&mut start, member.start)?;
        let mut fields = Fields(&start);
        let stated = local(&mut fields).ok_or(ArchiveError::DAMAGED)?;
        if stated.method != member.method || stated.name_length != member.name.len() as u64 {
            return Err(ArchiveError::DAMAGED);
        }
        let mut name = vec![0; member.name.len()];
        self.bytes.read_exact_at(&mut name, member.start + LOCAL as u64)?;
        let data = member.start + LOCAL as u64 + stated.name_length + stated.extra_length;
        let end = data.checked_add(member.packed);
        if name != member.name || end.is_none_or(|end| end > self.directory) {
            return Err(ArchiveError::DAMAGED);
        }
        Ok(data)
    }
}

/// Where the directory is.
struct Directory {
    members: u64,
    size: u64,
    start: u64,
}

impl Directory {
    fn find(bytes: &RandomAccess) -> Result<Self, ArchiveError> {
        let length = bytes.len();
        let tail_length = length.min(END + MAX_COMMENT);
        let tail_start = length - tail_length;
        let mut tail = vec![0; usize::try_from(tail_length).map_err(|_| ArchiveError::DAMAGED)?];
        bytes.read_exact_at(&mut tail, tail_start)?;
        let found = (0..tail.len()).rev().find_map(|at| {
            let record = tail.get(at..)?;
            Some((tail_start + at as u64, Self::of_record(record)?))
        });
        let (at, directory) = found.ok_or(ArchiveError::DAMAGED)?;
        let is_large = directory.members == 0xffff || directory.size == ELSEWHERE || directory.start == ELSEWHERE;
        let (end, directory) = match is_large {
            false => (at, directory),
            true => Self::of_large(bytes, at)?,
        };
        if directory.start.checked_add(directory.size) == Some(end) {
            Ok(directory)
        } else {
            Err(ArchiveError::DAMAGED)
        }
    }

    /// Reads the last record; `None` unless it ends where the file does.
    fn of_record(record: &[u8]) -> Option<Self> {
        let mut fields = Fields(record);
        fields.mark(b"PK\x05\x06")?;
        let first_disk = fields.number::<2>()? == 0 && fields.number::<2>()? == 0;
        let here = fields.number::<2>()?;
        let directory = Self {
            members: fields.number::<2>()?,
            size: fields.number::<4>()?,
            start: fields.number::<4>()?,
        };
        let comment = fields.number::<2>()?;
        let is_whole = first_disk && here == directory.members && comment == fields.0.len() as u64;
        is_whole.then_some(directory)
    }

    /// Reads the last record of a large file, and where it is; the one of small files is at `end`.
    fn of_large(bytes: &RandomAccess, end: u64) -> Result<(u64, Self), ArchiveError> {
        let mut locator = [0; LOCATOR];
        let at = end.checked_sub(LOCATOR as u64).ok_or(ArchiveError::DAMAGED)?;
        bytes.read_exact_at(&mut locator, at)?;
        let start = located(&mut Fields(&locator)).ok_or(ArchiveError::DAMAGED)?;
        let mut record = [0; 56];
        if start.checked_add(record.len() as u64).is_none_or(|end| end > at) {
            return Err(ArchiveError::DAMAGED);
        }
        bytes.read_exact_at(&mut record, start)?;
        let directory = Self::of_large_record(&mut Fields(&record)).ok_or(ArchiveError::DAMAGED)?;
        Ok((start, directory))
    }

    fn of_large_record(fields: &mut Fields<'_>) -> Option<Self> {
        fields.mark(b"PK\x06\x06")?;
        // The size of the record, and two versions.
        fields.take(12)?;
        let first_disk = fields.number::<4>()? == 0 && fields.number::<4>()? == 0;
        let here = fields.number::<8>()?;
        let directory = Self {
            members: fields.number::<8>()?,
            size: fields.number::<8>()?,
            start: fields.number::<8>()?,
        };
        (first_disk && here == directory.members).then_some(directory)
    }
}

/// Where the last record of a large file begins.
fn located(fields: &mut Fields<'_>) -> Option<u64> {
    fields.mark(b"PK\x06\x07")?;
    fields.number::<4>()?;
    fields.number::<8>()
}

/// Reads an entry of the directory.
fn member(fields: &mut Fields<'_>) -> Option<Member> {
    fields.mark(b"PK\x01\x02")?;
    // Two versions.
    fields.take(4)?;
    let flags = fields.number::<2>()?;
    let method = fields.number::<2>()?;
    // The time.
    fields.take(4)?;
    let checksum = u32::try_from(fields.number::<4>()?).ok()?;
    let packed = fields.number::<4>()?;
    let unpacked = fields.number::<4>()?;
    let name = fields.number::<2>()?;
    let extra = fields.number::<2>()?;
    let comment = fields.number::<2>()?;
    // The disk, and attributes.
    fields.take(8)?;
    let start = fields.number::<4>()?;
    let name = fields.take(usize::try_from(name).ok()?)?.to_vec();
    let mut extra = Fields(fields.take(usize::try_from(extra).ok()?)?);
    fields.take(usize::try_from(comment).ok()?)?;
    let mut large = Fields(extra.large());
    let mut whole = |number| match number {
        ELSEWHERE => large.number::<8>(),
        _ => Some(number),
    };
    let unpacked = whole(unpacked)?;
    Some(Member {
        name,
        is_encrypted: flags & ENCRYPTED != 0,
        method,
        checksum,
        packed: whole(packed)?,
        unpacked,
        start: whole(start)?,
    })
}

/// What stands before the bytes of a file.
struct Local {
    method: u64,
    name_length: u64,
    extra_length: u64,
}

fn local(fields: &mut Fields<'_>) -> Option<Local> {
    fields.mark(b"PK\x03\x04")?;
    // A version, and flags.
    fields.take(4)?;
    let method = fields.number::<2>()?;
    // Time, checksum and sizes, which may be stated after the bytes instead.
    fields.take(16)?;
    Some(Local {
        method,
        name_length: fields.number::<2>()?,
        extra_length: fields.number::<2>()?,
    })
}
