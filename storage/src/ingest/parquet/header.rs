//! Headers of pages, and of values that are stored as differences.

use super::{
    shapes::{
        DATA_PAGE, DATA_PAGE_HEADER, DATA_PAGE_HEADER_V2, DATA_PAGE_V2, DICTIONARY_PAGE, DICTIONARY_PAGE_HEADER,
        PAGE_HEADER,
    },
    thrift::{Fields, Kind, Walk},
};

/// Most elements in lists of a header; there are none today.
const MAX_ELEMENTS: usize = 1024;

/// What the header of a page states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Bytes of the header itself.
    pub(super) length: usize,
    pub(super) kind: PageKind,
    /// Bytes of the page after it.
    pub(super) compressed: u64,
    /// Bytes of the page once it is unpacked.
    pub(super) unpacked: u64,
    pub(super) values: u64,
}

/// The kind of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PageKind {
    Data,
    Dictionary,
}

/// Reads the header at the beginning of `bytes`; `None` if it is not complete or not valid.
pub(super) fn read(bytes: &[u8]) -> Option<Header> {
    let mut walk = Walk::new(bytes, MAX_ELEMENTS);
    let mut kind = None;
    let mut unpacked = None;
    let mut compressed = None;
    let mut data = None;
    let mut dictionary = None;
    let mut data_v2 = None;
    let mut last = 0;
    while let Some((id, found)) = walk.field(&mut last)? {
        match id {
            1 => kind = Some(int(&mut walk, found)?),
            2 => unpacked = Some(int(&mut walk, found)?),
            3 => compressed = Some(int(&mut walk, found)?),
            DATA_PAGE => data = Some(values_of(&mut walk, found, DATA_PAGE_HEADER)?),
            DICTIONARY_PAGE => dictionary = Some(values_of(&mut walk, found, DICTIONARY_PAGE_HEADER)?),
            DATA_PAGE_V2 => data_v2 = Some(values_of(&mut walk, found, DATA_PAGE_HEADER_V2)?),
            _ => match PAGE_HEADER.iter().find(|(known, _)| *known == id) {
                Some((_, shape)) => walk.value(*shape, found)?,
                None => walk.skip(found)?,
            },
        }
    }
    // The numbers of the kinds are those of the format; no writer makes an index page, which is 1.
    let (kind, values) = match (kind?, data, dictionary, data_v2) {
        (0, Some(values), None, None) | (3, None, None, Some(values)) => (PageKind::Data, values),
        (2, None, Some(values), None) => (PageKind::Dictionary, values),
        _ => return None,
    };
    Some(Header {
        length: walk.position(),
        kind,
        compressed: compressed?.try_into().ok()?,
        unpacked: unpacked?.try_into().ok()?,
        values: values.try_into().ok()?,
    })
}

fn int(walk: &mut Walk<'_>, kind: Kind) -> Option<i32> {
    if kind == Kind::Int { walk.int32() } else { None }
}

/// The number of values in a page: the first field of what is special to its kind.
fn values_of(walk: &mut Walk<'_>, kind: Kind, fields: Fields) -> Option<i32> {
    if kind != Kind::Struct {
        return None;
    }
    let mut values = None;
    let mut note = |id: i16, value: i64| {
        if id == 1 {
            values = i32::try_from(value).ok();
        }
    };
    walk.structure(fields, &mut note)?;
    values
}

/// How many numbers are stored as differences at the beginning of `values`.
pub(super) fn delta_count(values: &[u8]) -> Option<u64> {
    let mut walk = Walk::new(values, 0);
    let _block = walk.varint()?;
    let _parts = walk.varint()?;
    walk.varint()
}
