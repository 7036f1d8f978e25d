//! Zip files that are whole, damaged or crafted. They are written here byte by byte, so that each field can be wrong.

use std::io::Write;

use flate2::{Compression, Crc, write::DeflateEncoder};

use super::*;
use crate::ingest::source::Source;

/// A file of a zip file, and what is stated of it.
pub(in crate::ingest) struct Stored<'a> {
    name: &'a str,
    contents: &'a [u8],
    method: u16,
    flags: u16,
    /// The size that is stated.
    size: u64,
}

impl<'a> Stored<'a> {
    pub(in crate::ingest) fn new(name: &'a str, contents: &'a [u8], method: u16) -> Self {
        Self {
            name,
            contents,
            method,
            flags: 0,
            size: contents.len() as u64,
        }
    }

    fn packed(&self) -> Vec<u8> {
        if self.method != 8 {
            return self.contents.to_vec();
        }
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(self.contents).unwrap();
        encoder.finish().unwrap()
    }

    fn checksum(&self) -> u32 {
        let mut checksum = Crc::new();
        checksum.update(self.contents);
        checksum.sum()
    }

    /// The fields that are the same before the file and in the directory.
    fn fields(&self, large: bool) -> Vec<u8> {
        let mut fields = Vec::new();
        fields.extend_from_slice(&20_u16.to_le_bytes());
        fields.extend_from_slice(&self.flags.to_le_bytes());
        fields.extend_from_slice(&self.method.to_le_bytes());
        fields.extend_from_slice(&[0; 4]);
        fields.extend_from_slice(&self.checksum().to_le_bytes());
        let sizes = if large {
            [u32::MAX; 2]
        } else {
            [self.packed().len() as u64, self.size].map(|size| u32::try_from(size).unwrap())
        };
        for size in sizes {
            fields.extend_from_slice(&size.to_le_bytes());
        }
        fields.extend_from_slice(&u16::try_from(self.name.len()).unwrap().to_le_bytes());
        fields
    }

    fn large_extra(&self) -> Vec<u8> {
        let mut extra = vec![1, 0, 16, 0];
        extra.extend_from_slice(&self.size.to_le_bytes());
        extra.extend_from_slice(&(self.packed().len() as u64).to_le_bytes());
        extra
    }
}

/// A zip file whose files are compressed.
pub(in crate::ingest) fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let files: Vec<_> = files
        .iter()
        .map(|(name, contents)| Stored::new(name, contents, 8))
        .collect();
    written(&files, false)
}

/// A zip file; a large one has its numbers in the records of 64 bits.
fn written(files: &[Stored<'_>], large: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut directory = Vec::new();
    for file in files {
        let start = u32::try_from(bytes.len()).unwrap();
        let extra = if large { file.large_extra() } else { Vec::new() };
        bytes.extend_from_slice(b"PK\x03\x04");
        bytes.extend_from_slice(&file.fields(large));
        bytes.extend_from_slice(&u16::try_from(extra.len()).unwrap().to_le_bytes());
        bytes.extend_from_slice(file.name.as_bytes());
        bytes.extend_from_slice(&extra);
        bytes.extend_from_slice(&file.packed());
        directory.extend_from_slice(b"PK\x01\x02\x14\0");
        directory.extend_from_slice(&file.fields(large));
        directory.extend_from_slice(&u16::try_from(extra.len()).unwrap().to_le_bytes());
        directory.extend_from_slice(&[0; 10]);
        directory.extend_from_slice(&start.to_le_bytes());
        directory.extend_from_slice(file.name.as_bytes());
        directory.extend_from_slice(&extra);
    }
    let start = bytes.len();
    bytes.extend_from_slice(&directory);
    end(&mut bytes, files.len(), directory.len(), start, large);
    bytes
}

fn end(bytes: &mut Vec<u8>, count: usize, size: usize, start: usize, large: bool) {
    if large {
        let record = bytes.len() as u64;
        bytes.extend_from_slice(b"PK\x06\x06");
        bytes.extend_from_slice(&44_u64.to_le_bytes());
        bytes.extend_from_slice(&[0; 12]);
        for number in [count, count, size, start] {
            bytes.extend_from_slice(&(number as u64).to_le_bytes());
        }
        bytes.extend_from_slice(b"PK\x06\x07\0\0\0\0");
        bytes.extend_from_slice(&record.to_le_bytes());
        bytes.extend_from_slice(&1_u32.to_le_bytes());
    }
    bytes.extend_from_slice(b"PK\x05\x06\0\0\0\0");
    let count = if large { u16::MAX } else { u16::try_from(count).unwrap() };
    bytes.extend_from_slice(&count.to_le_bytes());
    bytes.extend_from_slice(&count.to_le_bytes());
    for number in [size, start] {
        let number = if large {
            u32::MAX
        } else {
            u32::try_from(number).unwrap()
        };
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    bytes.extend_from_slice(&[0; 2]);
}

fn opened(bytes: &[u8]) -> Result<Archive, ArchiveError> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    Archive::open(Arc::new(Source::at_path(file.path()).random_access().unwrap()))
}

/// The contents of all files.
fn contents(bytes: &[u8]) -> Result<Vec<Vec<u8>>, ArchiveError> {
    let archive = opened(bytes)?;
    let read = |member: &Member| {
        let mut contents = Vec::new();
        archive.read(member)?.read_to_end(&mut contents)?;
        Ok(contents)
    };
    archive.files().map(read).collect()
}

fn reason(bytes: &[u8]) -> &'static str {
    match contents(bytes).unwrap_err() {
        ArchiveError::Refused(reason) => reason,
        ArchiveError::Read(error) => panic!("{error}"),
    }
}

#[test]
fn zip_files_are_read_in_either_form() {
    let text = "id,age\n".repeat(5000);
    for large in [false, true] {
        let files = [
            Stored::new("folder/", b"", 0),
            Stored::new("folder/a.csv", text.as_bytes(), 8),
            Stored::new("__MACOSX/folder/._a.csv", b"x", 0),
            Stored::new("b.csv", b"plain", 0),
        ];
        let bytes = written(&files, large);
        assert_eq!(contents(&bytes).unwrap(), [text.as_bytes(), b"plain"], "large: {large}");
        let archive = opened(&bytes).unwrap();
        assert!(archive.file("FOLDER/A.csv").is_some() && archive.file("c.csv").is_none());
        assert!(archive.has_folder("folder/") && !archive.has_folder("xl/"));
    }
    assert_eq!(contents(&written(&[], false)).unwrap(), [[0_u8; 0]; 0]);
}

/// Flags and times are not read, and names are not compared with anything here.
#[test]
fn zip_file_changed_anywhere_is_never_read_as_something_else() {
    let text = b"id,age\n1,50\n2,60\n".repeat(3);
    for (method, large) in [(8, false), (0, false), (8, true)] {
        let bytes = written(&[Stored::new("a.csv", &text, method)], large);
        for at in 0..bytes.len() {
            for change in [1, 0x80] {
                let mut changed = bytes.clone();
                changed[at] ^= change;
                if let Ok(found) = contents(&changed) {
                    assert!(found.is_empty() || found == [text.as_slice()], "byte {at}");
                }
            }
            assert!(contents(&bytes[..at]).is_err(), "{at} bytes");
        }
    }
}

#[test]
fn stated_sizes_are_not_believed() {
    let text = vec![b'x'; 100_000];
    for size in [0, 99_999, 100_001, u64::from(u32::MAX)] {
        for (method, large) in [(0, false), (8, false), (8, true)] {
            let stored = Stored {
                size,
                ..Stored::new("a.csv", &text, method)
            };
            assert!(contents(&written(&[stored], large)).is_err(), "{size}");
        }
    }
    // Directories that would need a hundred gigabytes.
    for count in [1 << 31, 10] {
        let mut bytes = Vec::new();
        end(&mut bytes, count, 46 << 31, 0, true);
        assert!(opened(&bytes).is_err());
    }
    // One that is there, with names of four megabytes.
    let name = "x".repeat(60_000);
    let names: Vec<String> = (0..75).map(|number| format!("{number}{name}")).collect();
    let many: Vec<_> = names.iter().map(|name| Stored::new(name, b"", 0)).collect();
    assert!(reason(&written(&many, false)).contains("10,000"));
}

#[test]
fn zip_files_that_are_not_read_are_named() {
    let encrypted = Stored {
        flags: 1,
        ..Stored::new("a.csv", b"x", 0)
    };
    assert!(reason(&written(&[encrypted], false)).contains("encrypted"));
    assert!(reason(&written(&[Stored::new("a.csv", b"x", 12)], false)).contains("deflate"));
    let twice = [Stored::new("a.csv", b"x", 0), Stored::new("a.csv", b"y", 0)];
    assert!(reason(&written(&twice, false)).contains("damaged"));
    let names: Vec<String> = (0..=MAX_MEMBERS).map(|number| number.to_string()).collect();
    let many: Vec<_> = names.iter().map(|name| Stored::new(name, b"", 0)).collect();
    assert!(reason(&written(&many, false)).contains("10,000"));
    for bytes in [&b"PK\x03\x04"[..], b"PK\x05\x06", b""] {
        assert!(reason(bytes).contains("damaged"));
    }
}

#[test]
fn names_that_differ_in_both_places_are_damage() {
    let mut bytes = written(&[Stored::new("a.csv", b"x", 0)], false);
    bytes[30] = b'b';
    assert!(reason(&bytes).contains("damaged"));
}
