//! Pages: the library gets a page only after its header was checked.
//!
//! 1. The library asks for the header of the page at some offset ([`Chunk::get_read`]). The header is read, walked through and
//!    checked, and the library gets these bytes and no others.
//! 2. It asks for the bytes of the page ([`Chunk::get_bytes`]), and gets as many as the checked header states at most.
//! 3. What it unpacks has the stated length, because only compressions are accepted whose decoders end there ([`super::footer`]).
//! 4. Values in it that state a length before they are decoded are checked last ([`Pages`]).

use std::{
    io::Cursor,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use parquet::{
    basic::{Encoding, Type as Physical},
    column::page::{Page, PageMetadata, PageReader},
    errors::Result,
    file::{
        metadata::ColumnChunkMetaData,
        reader::{ChunkReader, Length},
        serialized_reader::SerializedPageReader,
    },
};

use super::{
    damage::{DAMAGED, Damage, Refusal},
    header::{self, Header, PageKind},
};
use crate::ingest::source::RandomAccess;

/// Largest page, compressed or not.
const MAX_PAGE: u64 = 64 * 1024 * 1024;
/// Largest dictionary; writers use a mebibyte unless another size is configured.
const MAX_DICTIONARY: u64 = 8 * 1024 * 1024;
/// Most that the pages of all columns which are open at a time take together.
const MAX_OPEN: u64 = 256 * 1024 * 1024;
/// Memory for a value of a dictionary, in addition to its bytes.
const DICTIONARY_VALUE: u64 = 32;
/// Memory for the length of a text, if the lengths of all texts of a page are decoded at once.
const LENGTH: u64 = 4;
/// Most texts in a page whose lengths are decoded at once.
const MAX_LENGTHS: u64 = 1 << 22;
/// How much is read for the header of a page: nearly always enough, and the longest one that is accepted.
const HEADER_BYTES: [u64; 2] = [256, 256 * 1024];

const PAGE_TOO_LARGE: Damage =
    "it has a page of more than 64 MiB, or a dictionary of more than 8 MiB; write it with smaller pages";
const TOO_MUCH_OPEN: Damage =
    "the pages of its columns take more than 256 MiB together; write it with smaller pages, or with smaller row groups";
const ENCODING: Damage =
    "it uses DELTA_BYTE_ARRAY or an encoding that is not known; write it with the plain or the dictionary encoding";
const TOO_MANY_TEXTS: Damage = "it has a page with more than four million texts; write it with smaller pages";

/// How much the open pages of a row group take together.
#[derive(Debug, Default)]
pub(super) struct OpenPages(AtomicU64);

impl OpenPages {
    /// Replaces what a column takes; only one thread reads a row group.
    fn replace(&self, before: u64, now: u64) -> Result<()> {
        let total = self
            .0
            .load(Ordering::Relaxed)
            .saturating_sub(before)
            .saturating_add(now);
        if total > MAX_OPEN {
            return Err(Refusal(TOO_MUCH_OPEN).into());
        }
        self.0.store(total, Ordering::Relaxed);
        Ok(())
    }
}

/// A chunk of a column, as the library reads it.
#[derive(Debug)]
pub(super) struct Chunk {
    file: Arc<RandomAccess>,
    /// Where it ends.
    end: u64,
    physical: Physical,
    type_length: u64,
    open_pages: Arc<OpenPages>,
    /// What the open page and the dictionary take.
    page: AtomicU64,
    dictionary: AtomicU64,
    /// How many bytes the page has whose header was checked last.
    allowed: AtomicU64,
}

impl Length for Chunk {
    fn len(&self) -> u64 {
        self.file.len()
    }
}

impl ChunkReader for Chunk {
    type T = Cursor<Vec<u8>>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        let (bytes, header) = self.header(start)?;
        let page = start.saturating_add(bytes.len() as u64);
        if header.compressed > self.end.saturating_sub(page) {
            return Err(Refusal(DAMAGED).into());
        }
        self.admit(&header)?;
        self.allowed.store(header.compressed, Ordering::Relaxed);
        Ok(Cursor::new(bytes))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        if length as u64 > self.allowed.swap(0, Ordering::Relaxed) {
            return Err(Refusal(DAMAGED).into());
        }
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, start)?;
        Ok(bytes.into())
    }
}

impl Chunk {
    fn header(&self, start: u64) -> Result<(Vec<u8>, Header)> {
        for most in HEADER_BYTES {
            let length = self.end.saturating_sub(start).min(most);
            let mut bytes = vec![0; usize::try_from(length)?];
            self.file.read_exact_at(&mut bytes, start)?;
            if let Some(header) = header::read(&bytes) {
                bytes.truncate(header.length);
                return Ok((bytes, header));
            }
        }
        Err(Refusal(DAMAGED).into())
    }

    /// Checks what the page states, and counts what it takes.
    fn admit(&self, header: &Header) -> Result<()> {
        let largest = if header.kind == PageKind::Dictionary {
            MAX_DICTIONARY
        } else {
            MAX_PAGE
        };
        if header.compressed > MAX_PAGE || header.unpacked > largest {
            return Err(Refusal(PAGE_TOO_LARGE).into());
        }
        if header.kind == PageKind::Dictionary {
            let shortest = self.shortest_value().ok_or(Refusal(DAMAGED))?;
            if header.values.saturating_mul(shortest) > header.unpacked {
                return Err(Refusal(DAMAGED).into());
            }
            let takes = header
                .unpacked
                .saturating_add(header.values.saturating_mul(DICTIONARY_VALUE));
            self.open_pages
                .replace(self.dictionary.load(Ordering::Relaxed), takes)?;
            self.dictionary.store(takes, Ordering::Relaxed);
        } else {
            let takes = header.unpacked.max(header.compressed);
            self.take(takes)?;
        }
        Ok(())
    }

    /// Counts what the open page takes instead of what it took before.
    fn take(&self, bytes: u64) -> Result<()> {
        self.open_pages.replace(self.page.load(Ordering::Relaxed), bytes)?;
        self.page.store(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// Bytes of the shortest value in a dictionary; `None` if the type has no dictionaries.
    fn shortest_value(&self) -> Option<u64> {
        match self.physical {
            Physical::BOOLEAN => None,
            Physical::INT32 | Physical::FLOAT | Physical::BYTE_ARRAY => Some(4),
            Physical::INT64 | Physical::DOUBLE => Some(8),
            Physical::INT96 => Some(12),
            Physical::FIXED_LEN_BYTE_ARRAY => Some(self.type_length),
        }
    }
}

/// The pages of a chunk of a column.
pub(super) struct Pages {
    inner: SerializedPageReader<Chunk>,
    chunk: Arc<Chunk>,
    is_optional: bool,
    has_dictionary: bool,
    /// How many values of the open page were not read yet; shared with the reader of the values.
    left: Arc<AtomicU64>,
}

impl Pages {
    /// The pages of `column`, and the number of values in the open page, which the reader of the values counts down.
    pub(super) fn open(
        file: &Arc<RandomAccess>,
        column: &ColumnChunkMetaData,
        rows: usize,
        open_pages: &Arc<OpenPages>,
    ) -> Result<(Self, Arc<AtomicU64>)> {
        let (start, length) = column.byte_range();
        let descriptor = column.column_descr();
        let chunk = Arc::new(Chunk {
            file: Arc::clone(file),
            end: start.saturating_add(length),
            physical: column.column_type(),
            type_length: u64::try_from(descriptor.type_length()).unwrap_or(0).max(1),
            open_pages: Arc::clone(open_pages),
            page: AtomicU64::new(0),
            dictionary: AtomicU64::new(0),
            allowed: AtomicU64::new(0),
        });
        let left = Arc::new(AtomicU64::new(0));
        let pages = Self {
            inner: SerializedPageReader::new(Arc::clone(&chunk), column, rows, None)?,
            chunk,
            is_optional: descriptor.max_def_level() > 0,
            has_dictionary: false,
            left: Arc::clone(&left),
        };
        Ok((pages, left))
    }

    /// Checks what the library does not before it decodes.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "an encoding that is not listed cannot be imported"
    )]
    fn check(&self, page: &Page) -> Result<()> {
        if let Page::DataPage { def_level_encoding, .. } = page
            && self.is_optional
            && *def_level_encoding != Encoding::RLE
        {
            return Err(Refusal(ENCODING).into());
        }
        match page.encoding() {
            Encoding::PLAIN | Encoding::RLE | Encoding::DELTA_BINARY_PACKED | Encoding::BYTE_STREAM_SPLIT => Ok(()),
            Encoding::PLAIN_DICTIONARY | Encoding::RLE_DICTIONARY
                if page.is_dictionary_page() || self.has_dictionary =>
            {
                Ok(())
            }
            Encoding::PLAIN_DICTIONARY | Encoding::RLE_DICTIONARY => Err(Refusal(DAMAGED).into()),
            Encoding::DELTA_LENGTH_BYTE_ARRAY => {
                let values = self.values_of(page).ok_or(Refusal(DAMAGED))?;
                let count = header::delta_count(values).ok_or(Refusal(DAMAGED))?;
                if count > u64::from(page.num_values()) {
                    return Err(Refusal(DAMAGED).into());
                }
                if count > MAX_LENGTHS {
                    return Err(Refusal(TOO_MANY_TEXTS).into());
                }
                let lengths = count.saturating_mul(LENGTH);
                self.chunk.take((page.buffer().len() as u64).saturating_add(lengths))
            }
            // Each value may repeat the beginning of the one before: few bytes become any number of them.
            _ => Err(Refusal(ENCODING).into()),
        }
    }

    /// The values of a data page, without what states which of them are missing.
    fn values_of<'a>(&self, page: &'a Page) -> Option<&'a [u8]> {
        let bytes: &[u8] = page.buffer();
        match page {
            Page::DataPage { .. } if !self.is_optional => Some(bytes),
            Page::DataPage { .. } => {
                let (length, rest) = bytes.split_first_chunk::<4>()?;
                rest.get(usize::try_from(u32::from_le_bytes(*length)).ok()?..)
            }
            Page::DataPageV2 {
                def_levels_byte_len,
                rep_levels_byte_len,
                ..
            } => bytes.get(usize::try_from(def_levels_byte_len.checked_add(*rep_levels_byte_len)?).ok()?..),
            Page::DictionaryPage { .. } => None,
        }
    }
}

impl PageReader for Pages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        loop {
            let Some(page) = self.inner.get_next_page()? else {
                return Ok(None);
            };
            self.check(&page)?;
            if page.is_dictionary_page() {
                self.has_dictionary = true;
                return Ok(Some(page));
            }
            // The library takes a page without values for the end of the column.
            if page.num_values() > 0 {
                self.left.store(page.num_values().into(), Ordering::Relaxed);
                return Ok(Some(page));
            }
        }
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        // Columns of lists are not read, and rows are not skipped.
        Err(Refusal(DAMAGED).into())
    }

    fn skip_next_page(&mut self) -> Result<()> {
        Err(Refusal(DAMAGED).into())
    }
}

impl Iterator for Pages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

#[cfg(test)]
mod tests;
