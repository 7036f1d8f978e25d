//! XML of one file of a spreadsheet, piece by piece in bounded memory.
//!
//! The library reads a piece (a tag, a text up to the next tag) as a whole, so [`Bounded`] ends the reading of one that is too long, and
//! of a file that is larger than its purpose explains. Entities other than those of XML itself, and definitions of such, are refused.

use std::{
    borrow::Cow,
    io::{self, BufRead, BufReader, Read},
};

use quick_xml::{
    Reader, XmlVersion,
    events::{BytesEnd, BytesRef, BytesStart, Event},
};

use super::damage::{Damage, TooLong};
use crate::ingest::{compression::Unpacked, limits::MAX_FIELD_BYTES};

/// Most bytes of a piece: a field of the largest size, with room for tags with many attributes.
const MAX_PIECE: u64 = 4 * MAX_FIELD_BYTES as u64;
/// Most elements in each other. Spreadsheet programs use less than twenty.
const MAX_DEPTH: usize = 256;

/// A file of a spreadsheet.
pub(super) struct Xml {
    reader: Reader<Bounded<BufReader<Unpacked>>>,
    piece: Vec<u8>,
    depth: usize,
}

/// A piece of a file.
pub(super) enum Item<'a> {
    /// The start of an element; an empty element has a start and an end.
    Start(BytesStart<'a>),
    /// Its end.
    End(BytesEnd<'a>),
    /// Text, or a part of one.
    Text(Cow<'a, str>),
    /// A character of a text that is written as a reference.
    Character(char),
    /// Comments and the like.
    Other,
    /// The end of the file.
    Eof,
}

impl Xml {
    /// Reads a file of at most `limit` bytes.
    pub(super) fn new(file: BufReader<Unpacked>, limit: u64) -> Self {
        let mut reader = Reader::from_reader(Bounded {
            inner: file,
            piece_left: MAX_PIECE,
            left: limit,
        });
        reader.config_mut().expand_empty_elements = true;
        Self {
            reader,
            piece: Vec::new(),
            depth: 0,
        }
    }

    /// The next piece.
    pub(super) fn next(&mut self) -> Result<Item<'_>, Damage> {
        self.piece.clear();
        self.reader.get_mut().piece_left = MAX_PIECE;
        Ok(match self.reader.read_event_into(&mut self.piece)? {
            Event::Start(tag) => {
                self.depth += 1;
                if self.depth > MAX_DEPTH {
                    return Err(Damage::DAMAGED);
                }
                Item::Start(tag)
            }
            Event::End(tag) => {
                self.depth = self.depth.saturating_sub(1);
                Item::End(tag)
            }
            Event::Text(text) => Item::Text(text.xml10_content().map_err(|_| Damage::DAMAGED)?),
            Event::CData(text) => Item::Text(text.xml10_content().map_err(|_| Damage::DAMAGED)?),
            Event::GeneralRef(reference) => Item::Character(resolve(&reference)?),
            Event::Decl(declaration) => match declaration.encoding() {
                Some(Ok(name)) if !name.eq_ignore_ascii_case(b"utf-8") => return Err(Damage::DAMAGED),
                Some(Ok(_)) | None => Item::Other,
                Some(Err(_)) => return Err(Damage::DAMAGED),
            },
            Event::DocType(_) => return Err(Damage::DAMAGED),
            Event::Empty(_) | Event::Comment(_) | Event::PI(_) => Item::Other,
            // A file that ends in the middle is not whole.
            Event::Eof if self.depth > 0 => return Err(Damage::DAMAGED),
            Event::Eof => Item::Eof,
        })
    }
}

/// The character for which a reference stands.
fn resolve(reference: &BytesRef<'_>) -> Result<char, Damage> {
    if let Some(character) = reference.resolve_char_ref()? {
        return Ok(character);
    }
    match &**reference {
        b"lt" => Ok('<'),
        b"gt" => Ok('>'),
        b"amp" => Ok('&'),
        b"apos" => Ok('\''),
        b"quot" => Ok('"'),
        _ => Err(Damage::DAMAGED),
    }
}

/// Whether the name of a tag without its prefix is `name`.
pub(super) fn is(tag: &BytesStart<'_>, name: &str) -> bool {
    tag.local_name().as_ref() == name.as_bytes()
}

/// Whether the name of the tag at the end of an element without its prefix is `name`.
pub(super) fn ends(tag: &BytesEnd<'_>, name: &str) -> bool {
    tag.local_name().as_ref() == name.as_bytes()
}

/// The value of the attribute `name`, which is written with its prefix.
pub(super) fn attribute<'a>(tag: &'a BytesStart<'_>, name: &str) -> Result<Option<Cow<'a, str>>, Damage> {
    find_attribute(tag, |key| key == name.as_bytes())
}

/// The value of the first attribute whose name is the one that is looked for. A second one of the same name is not looked for.
pub(super) fn find_attribute<'a>(
    tag: &'a BytesStart<'_>,
    is_meant: impl Fn(&[u8]) -> bool,
) -> Result<Option<Cow<'a, str>>, Damage> {
    for attribute in tag.attributes().with_checks(false) {
        let attribute = attribute.map_err(|_| Damage::DAMAGED)?;
        if is_meant(attribute.key.as_ref()) {
            return Ok(Some(attribute.normalized_value(XmlVersion::Explicit1_0)?));
        }
    }
    Ok(None)
}

/// The value of an attribute that is a number.
pub(super) fn number<T: std::str::FromStr>(tag: &BytesStart<'_>, name: &str) -> Result<Option<T>, Damage> {
    let value = attribute(tag, name)?;
    value
        .map(|value| value.trim().parse().map_err(|_| Damage::DAMAGED))
        .transpose()
}

/// Whether an attribute has the value true.
pub(super) fn is_true(tag: &BytesStart<'_>, name: &str) -> Result<bool, Damage> {
    Ok(attribute(tag, name)?.is_some_and(|value| value == "1" || value == "true"))
}

/// Adds text to a value, up to a byte more than a field may have: such a value is refused.
pub(super) fn push(value: &mut String, text: &str) {
    let room = (MAX_FIELD_BYTES + 1).saturating_sub(value.len());
    if text.len() <= room {
        value.push_str(text);
    } else {
        value.extend(text.chars().take(room));
    }
}

/// Ends the reading of what is too long.
struct Bounded<R> {
    inner: R,
    piece_left: u64,
    left: u64,
}

impl<R: BufRead> Read for Bounded<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let now = available.len().min(buf.len());
        for (to, from) in buf.iter_mut().zip(available) {
            *to = *from;
        }
        self.consume(now);
        Ok(now)
    }
}

impl<R: BufRead> BufRead for Bounded<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let most = usize::try_from(self.piece_left.min(self.left)).unwrap_or(usize::MAX);
        let available = self.inner.fill_buf()?;
        if most == 0 && !available.is_empty() {
            return Err(io::Error::other(TooLong));
        }
        Ok(available.get(..most).unwrap_or(available))
    }

    fn consume(&mut self, amount: usize) {
        self.piece_left = self.piece_left.saturating_sub(amount as u64);
        self.left = self.left.saturating_sub(amount as u64);
        self.inner.consume(amount);
    }
}
