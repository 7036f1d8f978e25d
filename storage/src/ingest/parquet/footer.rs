//! Reads the footer of a Parquet file, after its lengths and its structure were checked.

use parquet::{
    basic::Compression,
    file::metadata::{
        ColumnChunkMetaData, ParquetMetaData, ParquetMetaDataOptions, ParquetMetaDataReader, ParquetStatisticsPolicy,
        RowGroupMetaData,
    },
};

use super::{
    damage::{DAMAGED, Damage, contained},
    shapes::{FILE_METADATA, NUM_CHILDREN, SCHEMA, SCHEMA_ELEMENT},
    thrift::{Kind, Walk},
};
use crate::ingest::{limits::MAX_COLUMNS, source::RandomAccess};

/// Longest footer that is read. A column takes some 150 bytes in each row group.
const MAX_FOOTER: u64 = 8 * 1024 * 1024;
/// Most elements that the lists of a footer may contain together. The library takes up to half a kilobyte for what has at
/// least 30 bytes in the footer, the chunk of a column, and less than 50 bytes for anything else.
const MAX_ELEMENTS: usize = 1 << 20;
/// Most elements of a schema; the library takes half a kilobyte for what may have five bytes.
const MAX_SCHEMA: usize = 4 * MAX_COLUMNS;
/// Deepest nesting of columns: they are refused, but by their names.
const MAX_NESTING: usize = 64;
/// Most values for each byte of the file. A column without values takes more than a hundred bytes for a million rows; a file
/// that states more has no other purpose than to be expanded.
const MAX_VALUES_PER_BYTE: u64 = 1 << 14;
/// First and last bytes of a file.
const MAGIC: &[u8; 4] = b"PAR1";
/// Last bytes of a file with an encrypted footer.
const ENCRYPTED: &[u8; 4] = b"PARE";
/// The length of the footer, and the magic bytes.
const TAIL: u64 = 8;

const TOO_LARGE: Damage = "its footer is larger than 8 MiB, or states too many row groups and columns; write it with larger row \
                           groups, or as several files that are appended";
const COMPRESSION: Damage = "it is compressed with gzip, brotli, LZO or the former LZ4; write it with Snappy, Zstandard or LZ4_RAW, or without compression";
const EXPANDS: Damage = "it states more values than a file of its length can have";
const OTHER_FILES: Damage = "its columns are in other files; write it as one file";
const IS_ENCRYPTED: Damage = "it is encrypted; write it without encryption";
const TOO_WIDE: Damage = "it has too many columns and parts of columns";
const TOO_DEEP: Damage = "its columns are nested too deeply";

/// Reads and checks the footer.
pub(super) fn read(file: &RandomAccess) -> Result<ParquetMetaData, Damage> {
    let end = file.len().checked_sub(TAIL).ok_or(DAMAGED)?;
    let mut tail = [0; 8];
    file.read_exact_at(&mut tail, end).map_err(|_| DAMAGED)?;
    let (length, magic) = tail.split_first_chunk::<4>().ok_or(DAMAGED)?;
    if magic == ENCRYPTED {
        return Err(IS_ENCRYPTED);
    }
    let length = u64::from(u32::from_le_bytes(*length));
    let start = end.checked_sub(length).filter(|start| *start >= 4 && magic == MAGIC);
    let start = start.ok_or(DAMAGED)?;
    if length > MAX_FOOTER {
        return Err(TOO_LARGE);
    }
    let mut bytes = vec![0; usize::try_from(length).map_err(|_| DAMAGED)?];
    file.read_exact_at(&mut bytes, start).map_err(|_| DAMAGED)?;
    check_structure(&bytes)?;
    let metadata = contained(|| ParquetMetaDataReader::decode_metadata_with_options(&bytes, Some(&options())))?;
    check_row_groups(&metadata, start, file.len())?;
    Ok(metadata)
}

/// Nothing that is not needed here is decoded.
fn options() -> ParquetMetaDataOptions {
    ParquetMetaDataOptions::new()
        .with_encoding_stats_policy(ParquetStatisticsPolicy::SkipAll)
        .with_column_stats_policy(ParquetStatisticsPolicy::SkipAll)
        .with_size_stats_policy(ParquetStatisticsPolicy::SkipAll)
}

/// Walks through all of a footer.
pub(super) fn check_structure(bytes: &[u8]) -> Result<(), Damage> {
    let mut walk = Walk::new(bytes, MAX_ELEMENTS);
    let mut last = 0;
    while let Some((id, kind)) = walk.field(&mut last).ok_or(DAMAGED)? {
        if id == SCHEMA {
            check_schema(&mut walk, kind)?;
            continue;
        }
        let walked = match FILE_METADATA.iter().find(|(known, _)| *known == id) {
            Some((_, shape)) => walk.value(*shape, kind),
            None => walk.skip(kind),
        };
        walked.ok_or(if walk.is_exhausted() { TOO_LARGE } else { DAMAGED })?;
    }
    Ok(())
}

/// The library follows the numbers of children recursively, and reserves memory for them.
fn check_schema(walk: &mut Walk<'_>, kind: Kind) -> Result<(), Damage> {
    if kind != Kind::List {
        return Err(DAMAGED);
    }
    let (kind, count) = walk.list().ok_or(DAMAGED)?;
    if count > MAX_SCHEMA {
        return Err(TOO_WIDE);
    }
    // For each open element, how many of its children are still to come.
    let mut open = vec![1_usize];
    for _ in 0..count {
        let mut children = 0;
        let mut note = |id: i16, value: i64| {
            if id == NUM_CHILDREN {
                children = value;
            }
        };
        if kind != Kind::Struct {
            return Err(DAMAGED);
        }
        walk.structure(SCHEMA_ELEMENT, &mut note).ok_or(DAMAGED)?;
        let children = usize::try_from(children).ok().filter(|children| *children <= count);
        let left = open.last_mut().filter(|left| **left > 0).ok_or(DAMAGED)?;
        *left -= 1;
        open.push(children.ok_or(DAMAGED)?);
        while open.last() == Some(&0) {
            open.pop();
        }
        if open.len() > MAX_NESTING {
            return Err(TOO_DEEP);
        }
    }
    if open.is_empty() { Ok(()) } else { Err(DAMAGED) }
}

fn check_row_groups(metadata: &ParquetMetaData, end: u64, length: u64) -> Result<(), Damage> {
    let mut values = 0_u64;
    for group in metadata.row_groups() {
        let rows = u64::try_from(group.num_rows()).map_err(|_| DAMAGED)?;
        let columns = u64::try_from(group.num_columns()).map_err(|_| DAMAGED)?;
        values = rows
            .checked_mul(columns)
            .and_then(|more| values.checked_add(more))
            .filter(|values| *values <= length.saturating_mul(MAX_VALUES_PER_BYTE))
            .ok_or(EXPANDS)?;
        group
            .columns()
            .iter()
            .try_for_each(|column| check_column(column, group, end))?;
    }
    Ok(())
}

/// A chunk of a column must lie before the footer.
fn check_column(column: &ColumnChunkMetaData, group: &RowGroupMetaData, end: u64) -> Result<(), Damage> {
    if column.file_path().is_some() {
        return Err(OTHER_FILES);
    }
    match column.compression() {
        Compression::UNCOMPRESSED | Compression::SNAPPY | Compression::ZSTD(_) | Compression::LZ4_RAW => {}
        // Their decoders do not end at the stated length.
        Compression::GZIP(_) | Compression::BROTLI(_) | Compression::LZO | Compression::LZ4 => return Err(COMPRESSION),
    }
    let start = column.dictionary_page_offset().unwrap_or(column.data_page_offset());
    let range = u64::try_from(start)
        .ok()
        .zip(u64::try_from(column.compressed_size()).ok());
    let inside = range
        .and_then(|(start, length)| start.checked_add(length))
        .is_some_and(|stop| stop <= end);
    let is_flat = column.column_descr().max_rep_level() == 0;
    if inside && (!is_flat || column.num_values() == group.num_rows()) {
        Ok(())
    } else {
        Err(DAMAGED)
    }
}
