//! Headers that state more than there is, or more than is accepted.

use std::io::Write;

use super::*;
use crate::ingest::source::Source;

/// A number as Thrift encodes it.
fn number(value: i64, out: &mut Vec<u8>) {
    let mut raw = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while raw >= 0x80 {
        out.push(u8::try_from(raw & 0x7f).unwrap() | 0x80);
        raw >>= 7;
    }
    out.push(u8::try_from(raw).unwrap());
}

/// The header of a page: its kind, its sizes, and what is special to its kind as field `special` with `values` first.
fn header(kind: i64, sizes: (i64, i64), special: u8, values: i64, encoding: i64) -> Vec<u8> {
    let mut out = Vec::new();
    for value in [kind, sizes.0, sizes.1] {
        out.push(0x15);
        number(value, &mut out);
    }
    out.push((special - 3) << 4 | 0x0c);
    for value in [values, encoding] {
        out.push(0x15);
        number(value, &mut out);
    }
    if special == 5 {
        // The encodings of the levels.
        out.extend([0x15, 6, 0x15, 6]);
    }
    out.extend([0, 0]);
    out
}

fn chunk(bytes: &[u8], physical: Physical) -> Chunk {
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().write_all(bytes).unwrap();
    let file = Source::at_path(file.path()).random_access().unwrap();
    Chunk {
        end: file.len(),
        file: Arc::new(file),
        physical,
        type_length: 1,
        open_pages: Arc::new(OpenPages::default()),
        page: AtomicU64::new(0),
        dictionary: AtomicU64::new(0),
        allowed: AtomicU64::new(0),
    }
}

/// Asks for the header at the beginning of `bytes`.
fn refusal(bytes: &[u8], physical: Physical) -> Option<Damage> {
    super::super::damage::contained(|| chunk(bytes, physical).get_read(0).map(drop)).err()
}

#[test]
fn parquet_page_sizes_are_checked_before_allocation() {
    let page = |unpacked| [header(0, (unpacked, 4), 5, 1, 0), vec![0; 4]].concat();
    assert_eq!(refusal(&page(4), Physical::INT32), None);
    assert_eq!(refusal(&page(64 * 1024 * 1024), Physical::INT32), None);
    for unpacked in [64 * 1024 * 1024 + 1, i64::from(i32::MAX)] {
        assert_eq!(refusal(&page(unpacked), Physical::INT32), Some(PAGE_TOO_LARGE));
    }
    for unpacked in [-1, i64::from(i32::MAX) + 1, 1 << 33, i64::MIN] {
        assert_eq!(refusal(&page(unpacked), Physical::INT32), Some(DAMAGED));
    }
    // More bytes than the chunk has.
    let longer = [header(0, (4, 5), 5, 1, 0), vec![0; 4]].concat();
    assert_eq!(refusal(&longer, Physical::INT32), Some(DAMAGED));
    assert_eq!(refusal(&header(1, (0, 0), 6, 0, 0), Physical::INT32), Some(DAMAGED));
}

#[test]
fn parquet_dictionaries_have_the_values_that_they_state() {
    let dictionary = |values, unpacked| [header(2, (unpacked, 4), 7, values, 0), vec![0; 4]].concat();
    for (values, unpacked, physical, expected) in [
        (1, 4, Physical::INT32, None),
        (2, 4, Physical::INT32, Some(DAMAGED)),
        (1, 4, Physical::INT64, Some(DAMAGED)),
        (1, 4, Physical::BYTE_ARRAY, None),
        (i64::from(i32::MAX), 4, Physical::BYTE_ARRAY, Some(DAMAGED)),
        (1, 8 * 1024 * 1024 + 1, Physical::BYTE_ARRAY, Some(PAGE_TOO_LARGE)),
        (1, 4, Physical::BOOLEAN, Some(DAMAGED)),
    ] {
        assert_eq!(
            refusal(&dictionary(values, unpacked), physical),
            expected,
            "{values} {unpacked}"
        );
    }
}

#[test]
fn parquet_pages_of_all_columns_are_limited_together() {
    let open_pages = Arc::new(OpenPages::default());
    let page = [header(0, (60 * 1024 * 1024, 4), 5, 1, 0), vec![0; 4]].concat();
    let columns: Vec<Chunk> = (0..5)
        .map(|_| Chunk {
            open_pages: Arc::clone(&open_pages),
            ..chunk(&page, Physical::INT32)
        })
        .collect();
    let (last, others) = columns.split_last().unwrap();
    for column in others {
        // The next page of a column replaces the one before.
        assert!(column.get_read(0).is_ok() && column.get_read(0).is_ok());
    }
    let refused = super::super::damage::contained(|| last.get_read(0).map(drop));
    assert_eq!(refused, Err(TOO_MUCH_OPEN));
}

#[test]
fn parquet_pages_have_no_more_bytes_than_their_header_states() {
    let page = [header(0, (4, 4), 5, 1, 0), vec![7; 100]].concat();
    let start = (page.len() - 100) as u64;
    let chunk = chunk(&page, Physical::INT32);
    assert!(chunk.get_bytes(start, 4).is_err(), "before a header was read");
    chunk.get_read(0).unwrap();
    assert!(chunk.get_bytes(start, 5).is_err());
    chunk.get_read(0).unwrap();
    assert_eq!(chunk.get_bytes(start, 4).unwrap(), vec![7; 4]);
    assert!(chunk.get_bytes(start, 4).is_err(), "a second time");
}

#[test]
fn parquet_headers_are_read_as_the_library_reads_them() {
    let whole = header(0, (4, 4), 5, 1, 0);
    assert_eq!(header::read(&whole).unwrap().length, whole.len());
    for cut in 0..whole.len() {
        assert_eq!(header::read(&whole[..cut]), None);
    }
    for (at, wrong) in [
        // A number as bytes, a field twice, a field before the one before.
        (0, 0x18),
        (2, 0x05),
        (2, 0x0c),
    ] {
        let mut changed = whole.clone();
        changed[at] = wrong;
        assert_eq!(header::read(&changed), None, "{at} {wrong}");
    }
    // A list with truth values, which the library skips in another way than the format has it.
    let mut unknown = whole[..whole.len() - 1].to_vec();
    unknown.extend([0x59, 0x11, 1, 0]);
    assert_eq!(header::read(&unknown), None);
    let mut unknown = whole[..whole.len() - 1].to_vec();
    unknown.extend([0x59, 0x13, 1, 0]);
    assert!(header::read(&unknown).is_some());
}
