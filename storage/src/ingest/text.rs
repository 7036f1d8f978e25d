//! Decodes the bytes of a file to UTF-8 text and computes their fingerprint.

use std::{
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use encoding_rs::{Decoder, DecoderResult, Encoding, UTF_8};

use super::{
    compression::{Compression, Excess, Unpacked, decode, needs_more_memory, only_file},
    error::IngestError,
    fingerprint::{self, Fingerprint, Hashing, Shared, Watched, read_error},
    foreign::{self, Foreign},
    note::Note,
    options::TextEncoding,
    source::{RandomAccess, Source},
};
use implausible::Implausible;

mod implausible;
mod legacy;

pub(super) use legacy::{UNKNOWN as UNKNOWN_ENCODING, remedy as encoding_remedy};

/// How many bytes are read from the file at a time.
const CHUNK_BYTES: usize = 64 * 1024;

/// A source of UTF-8 text in chunks.
pub(super) trait TextSource {
    /// Appends the next chunk to `out`; `false` means that there is none. A chunk may end inside a character.
    fn fill(&mut self, out: &mut Vec<u8>) -> Result<bool, IngestError>;
}

/// The text of a file.
pub(super) struct FileText {
    path: PathBuf,
    watched: Watched,
    compression: Option<Compression>,
    bytes: Box<dyn Read + Send>,
    origin: Origin,
    encoding: Option<TextEncoding>,
    decoder: Option<Decoder>,
    /// What was seen of text that is not UTF-8.
    implausible: Implausible,
    chunk: Vec<u8>,
    begun: bool,
    ended: bool,
    offset: u64,
    lines: u64,
}

impl FileText {
    /// Opens a source; `encoding` is used only if there is no byte order mark.
    pub(super) fn open(source: &Source, encoding: Option<TextEncoding>) -> Result<Self, IngestError> {
        let path = source.name();
        let failed = |source| read_error(path, source);
        let (inner, file) = source.open().map_err(failed)?;
        let watched = Watched::new(file, path)?;
        let stream = Shared::new(Hashing::new(inner));
        let mut plain = BufReader::with_capacity(CHUNK_BYTES, stream.clone());
        let start = plain.fill_buf().map_err(failed)?;
        check_format(path, start)?;
        let compression = Compression::of(start);
        let mut origin = Origin::Stream(stream.clone());
        let bytes: Box<dyn Read + Send> = match compression {
            None => Box::new(plain),
            Some(Compression::Zip) => {
                let file = Arc::new(source.random_access().map_err(failed)?);
                origin = Origin::Zip(Arc::clone(&file));
                Box::new(only_file(path, file)?)
            }
            Some(compression) => {
                let decoder = decode(compression, plain).map_err(failed)?;
                Box::new(Unpacked::new(decoder, move || stream.length()))
            }
        };
        Ok(Self {
            path: path.to_owned(),
            watched,
            compression,
            bytes,
            origin,
            encoding,
            decoder: None,
            implausible: Implausible::default(),
            chunk: Vec::with_capacity(CHUNK_BYTES),
            begun: false,
            ended: false,
            offset: 0,
            lines: 0,
        })
    }

    /// How the file is compressed, if it is.
    pub(super) fn compression(&self) -> Option<Compression> {
        self.compression
    }

    /// The encoding in use, known once the first chunk has been read.
    pub(super) fn encoding(&self) -> TextEncoding {
        self.encoding.unwrap_or(TextEncoding(UTF_8))
    }

    /// What speaks against the encoding in which the text was read, after all of it has been.
    pub(super) fn encoding_note(&mut self) -> Option<Note> {
        let encoding = self.encoding().name();
        std::mem::take(&mut self.implausible).note(encoding)
    }

    /// The fingerprint, after the text has been read to its end.
    pub(super) fn finish(self) -> Result<Fingerprint, IngestError> {
        drop(self.bytes);
        let fingerprint = match self.origin {
            Origin::Stream(stream) => stream.finish(),
            Origin::Zip(file) => fingerprint::of_all(file.from_start()),
        };
        let fingerprint = fingerprint.map_err(|source| read_error(&self.path, source))?;
        self.watched.check(&self.path, fingerprint.length)?;
        Ok(fingerprint)
    }

    fn read_chunk(&mut self) -> Result<(), IngestError> {
        self.chunk.clear();
        let mut limited = io::Read::take(&mut self.bytes, CHUNK_BYTES as u64);
        match limited.read_to_end(&mut self.chunk) {
            Ok(read) => self.ended = read == 0,
            Err(source) => return Err(self.unreadable(source)),
        }
        Ok(())
    }

    /// The error for bytes that cannot be read or unpacked.
    fn unreadable(&self, source: io::Error) -> IngestError {
        let path = self.path.clone();
        match self.compression {
            None => read_error(&path, source),
            Some(_) if Excess::is_reason(&source) => IngestError::UnpacksToTooMuch { path },
            Some(compression) if needs_more_memory(&source) => IngestError::NeedsMemory { path, compression },
            Some(compression) => IngestError::Damaged {
                path,
                compression,
                source,
            },
        }
    }

    /// Refuses a compressed file in a compressed file, and formats that are not read as a stream.
    fn check_once_compressed(&self) -> Result<(), IngestError> {
        let inner = Compression::of(&self.chunk).map(|_| "a compressed file in a compressed file");
        let inner = inner.or_else(|| is_parquet_start(&self.chunk).then_some("a compressed Parquet file"));
        match inner.filter(|_| self.compression.is_some()) {
            None => Ok(()),
            Some(what) => Err(IngestError::NotText {
                path: self.path.clone(),
                what,
                remedy: "unpack it once, and import the file in it",
            }),
        }
    }

    /// Removes a byte order mark, if there is one, and chooses the decoder.
    fn begin(&mut self) {
        self.begun = true;
        if let Some((encoding, mark)) = Encoding::for_bom(&self.chunk) {
            self.encoding = Some(TextEncoding(encoding));
            self.chunk.drain(..mark);
            self.offset = mark as u64;
        }
        let encoding = self.encoding().0;
        if encoding != UTF_8 {
            self.decoder = Some(encoding.new_decoder_without_bom_handling());
        }
    }

    /// Appends the decoded chunk to `out`. UTF-8 is copied unchanged; [`super::csv`] validates it, where the line
    /// is known.
    fn decode(&mut self, out: &mut Vec<u8>) -> Result<(), IngestError> {
        let Some(decoder) = self.decoder.as_mut() else {
            out.extend_from_slice(&self.chunk);
            return Ok(());
        };
        let from = out.len();
        let capacity = decoder
            .max_utf8_buffer_length_without_replacement(self.chunk.len())
            .unwrap_or(CHUNK_BYTES * 4);
        out.resize(from + capacity, 0);
        let target = out.get_mut(from..).unwrap_or_default();
        let (result, read, written) = decoder.decode_to_utf8_without_replacement(&self.chunk, target, self.ended);
        out.truncate(from + written);
        self.offset += read as u64;
        let decoded = out.get(from..).unwrap_or_default();
        self.lines += decoded.iter().filter(|byte| **byte == b'\n').count() as u64;
        if let Ok(text) = std::str::from_utf8(decoded) {
            self.implausible.observe(text);
        }
        match result {
            DecoderResult::InputEmpty => Ok(()),
            DecoderResult::Malformed(..) | DecoderResult::OutputFull => Err(IngestError::Encoding {
                line: self.lines + 1,
                offset: self.offset,
                encoding: self.encoding().name(),
                remedy: UNKNOWN_ENCODING,
            }),
        }
    }
}

impl TextSource for FileText {
    fn fill(&mut self, out: &mut Vec<u8>) -> Result<bool, IngestError> {
        if self.ended {
            return Ok(false);
        }
        self.read_chunk()?;
        let is_start = !self.begun;
        if is_start {
            self.check_once_compressed()?;
            self.begin();
        }
        let from = out.len();
        self.decode(out)?;
        if is_start {
            check_format(&self.path, out.get(from..).unwrap_or_default())?;
        }
        Ok(!self.ended)
    }
}

/// Refuses formats that are sent by mistake.
fn check_format(path: &Path, start: &[u8]) -> Result<(), IngestError> {
    match foreign::recognize(start) {
        None => Ok(()),
        Some(Foreign { what, remedy }) => Err(IngestError::NotText {
            path: path.to_owned(),
            what,
            remedy,
        }),
    }
}

/// A sample in memory.
impl TextSource for &[u8] {
    fn fill(&mut self, out: &mut Vec<u8>) -> Result<bool, IngestError> {
        let chunk = std::mem::take(self);
        out.extend_from_slice(chunk);
        Ok(!chunk.is_empty())
    }
}

/// Whether bytes are the start of a Parquet file: after the magic bytes, it has a byte that no text has there.
pub(super) fn is_parquet_start(start: &[u8]) -> bool {
    let after = start.strip_prefix(b"PAR1").map(<[u8]>::first);
    after.is_some_and(|byte| byte.is_none_or(|byte| byte.is_ascii_control() && !byte.is_ascii_whitespace()))
}

/// What the fingerprint is computed of.
enum Origin {
    /// The bytes as they are read.
    Stream(Shared),
    /// A file that is read at any place.
    Zip(Arc<RandomAccess>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_truncated_after_the_read_part_has_no_fingerprint() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        io::Write::write_all(&mut file, &vec![b'x'; 10 * CHUNK_BYTES]).unwrap();
        let mut text = FileText::open(&Source::at_path(file.path()), None).unwrap();
        text.fill(&mut Vec::new()).unwrap();
        file.as_file().set_len(5 * CHUNK_BYTES as u64).unwrap();
        while text.fill(&mut Vec::new()).unwrap() {}
        assert!(matches!(text.finish(), Err(IngestError::Changed { .. })));
    }

    #[test]
    fn file_truncated_during_first_pass_has_no_fingerprint() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        io::Write::write_all(&mut file, b"a,b\n1,2\n").unwrap();
        let mut text = FileText::open(&Source::at_path(file.path()), None).unwrap();
        text.fill(&mut Vec::new()).unwrap();
        file.as_file().set_len(4).unwrap();
        while text.fill(&mut Vec::new()).unwrap() {}
        assert!(matches!(text.finish(), Err(IngestError::Changed { .. })));
    }
}
