//! Decodes the bytes of a file to UTF-8 text and computes their fingerprint.

use std::{
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use encoding_rs::{Decoder, DecoderResult, Encoding, UTF_8};
use flate2::bufread::MultiGzDecoder;

use super::{
    error::IngestError,
    fingerprint::{Fingerprint, Hashing, Watched, read_error},
    foreign::{self, Foreign},
    options::TextEncoding,
    source::Source,
};

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
    raw: Raw,
    encoding: Option<TextEncoding>,
    decoder: Option<Decoder>,
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
        let (inner, file) = source.open().map_err(|source| read_error(path, source))?;
        let watched = Watched::new(file, path)?;
        let mut bytes = BufReader::with_capacity(CHUNK_BYTES, Hashing::new(inner));
        let start = bytes.fill_buf().map_err(|source| read_error(path, source))?;
        check_format(path, start)?;
        let raw = if start.starts_with(&[0x1f, 0x8b]) {
            Raw::Gzip(Box::new(MultiGzDecoder::new(bytes)))
        } else {
            Raw::Plain(Box::new(bytes))
        };
        Ok(Self {
            path: path.to_owned(),
            watched,
            raw,
            encoding,
            decoder: None,
            chunk: Vec::with_capacity(CHUNK_BYTES),
            begun: false,
            ended: false,
            offset: 0,
            lines: 0,
        })
    }

    /// Whether the file is compressed.
    pub(super) fn is_gzip(&self) -> bool {
        matches!(self.raw, Raw::Gzip(_))
    }

    /// The encoding in use, known once the first chunk has been read.
    pub(super) fn encoding(&self) -> TextEncoding {
        self.encoding.unwrap_or(TextEncoding(UTF_8))
    }

    /// The fingerprint, after the text has been read to its end.
    pub(super) fn finish(self) -> Result<Fingerprint, IngestError> {
        let mut rest = match self.raw {
            Raw::Plain(bytes) => *bytes,
            Raw::Gzip(decoder) => decoder.into_inner(),
        };
        io::copy(&mut rest, &mut io::sink()).map_err(|source| read_error(&self.path, source))?;
        let fingerprint = rest.into_inner().fingerprint();
        self.watched.check(&self.path, fingerprint.length)?;
        Ok(fingerprint)
    }

    fn read_chunk(&mut self) -> Result<(), IngestError> {
        self.chunk.clear();
        let mut limited = io::Read::take(&mut self.raw, CHUNK_BYTES as u64);
        match limited.read_to_end(&mut self.chunk) {
            Ok(read) => self.ended = read == 0,
            Err(source) if self.is_gzip() => {
                return Err(IngestError::Damaged {
                    path: self.path.clone(),
                    source,
                });
            }
            Err(source) => return Err(read_error(&self.path, source)),
        }
        Ok(())
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
        match result {
            DecoderResult::InputEmpty => Ok(()),
            DecoderResult::Malformed(..) | DecoderResult::OutputFull => Err(IngestError::Encoding {
                line: self.lines + 1,
                offset: self.offset,
                encoding: self.encoding().name(),
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

enum Raw {
    Plain(Box<BufReader<Hashing>>),
    Gzip(Box<MultiGzDecoder<BufReader<Hashing>>>),
}

impl Read for Raw {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(bytes) => bytes.read(buf),
            Self::Gzip(bytes) => bytes.read(buf),
        }
    }
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
