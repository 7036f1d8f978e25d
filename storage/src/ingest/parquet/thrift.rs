//! Walks through the compact encoding of Thrift, in which a Parquet file states its structure.
//!
//! Nothing is built. The walk is stricter than the library that decodes the same bytes afterwards, so that both see the same:
//! fields are in the order of their numbers and occur once, those that the library knows have the type that it reads, and
//! lists contain what they state. What was walked through can be decoded in memory that is proportional to the number of its
//! elements.

/// Deepest nesting of structures and lists; the format itself needs six levels.
const MAX_DEPTH: usize = 16;

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    Byte,
    Int,
    Double,
    Binary,
    List,
    Map,
    Struct,
    Uuid,
}

impl Kind {
    fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 | 2 => Self::Bool,
            3 => Self::Byte,
            4..=6 => Self::Int,
            7 => Self::Double,
            8 => Self::Binary,
            9 | 10 => Self::List,
            11 => Self::Map,
            12 => Self::Struct,
            13 => Self::Uuid,
            _ => return None,
        })
    }
}

/// What a known value must be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    Bool,
    Byte,
    Int,
    Double,
    Binary,
    List(&'static Self),
    Struct(Fields),
}

/// The known fields of a structure, by their numbers.
pub(super) type Fields = &'static [(i16, Shape)];

impl Shape {
    const fn kind(self) -> Kind {
        match self {
            Self::Bool => Kind::Bool,
            Self::Byte => Kind::Byte,
            Self::Int => Kind::Int,
            Self::Double => Kind::Double,
            Self::Binary => Kind::Binary,
            Self::List(_) => Kind::List,
            Self::Struct(_) => Kind::Struct,
        }
    }
}

/// A walk through encoded bytes. Every method returns `None` if the bytes are not what they have to be.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
    /// How many more elements lists may contain together; `None` if a list was longer.
    elements: Option<usize>,
}

impl<'a> Walk<'a> {
    /// A walk through lists with at most `elements` together.
    pub(super) const fn new(bytes: &'a [u8], elements: usize) -> Self {
        Self {
            bytes,
            at: 0,
            elements: Some(elements),
        }
    }

    /// Whether the walk failed because lists contain too many elements together.
    pub(super) const fn is_exhausted(&self) -> bool {
        self.elements.is_none()
    }

    /// How many bytes were walked through.
    pub(super) const fn position(&self) -> usize {
        self.at
    }

    /// The next field of a structure after the field number `last`, which is updated; the inner `None` is its end.
    pub(super) fn field(&mut self, last: &mut i16) -> Option<Option<(i16, Kind)>> {
        let header = self.byte()?;
        if header == 0 {
            return Some(None);
        }
        let kind = Kind::from_code(header & 0x0f)?;
        let id = match header >> 4 {
            0 => i16::try_from(self.int()?).ok()?,
            delta => last.checked_add(delta.into())?,
        };
        if id <= *last {
            return None;
        }
        *last = id;
        Some(Some((id, kind)))
    }

    /// A whole number.
    pub(super) fn int(&mut self) -> Option<i64> {
        let raw = self.varint()?;
        Some((raw >> 1).cast_signed() ^ -((raw & 1).cast_signed()))
    }

    /// A whole number of 32 bits.
    pub(super) fn int32(&mut self) -> Option<i32> {
        self.int()?.try_into().ok()
    }

    /// Bytes with their length before them.
    pub(super) fn binary(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.varint()?).ok()?;
        self.take(length)
    }

    /// The beginning of a list: the type and the number of its elements.
    pub(super) fn list(&mut self) -> Option<(Kind, usize)> {
        let header = self.byte()?;
        if header == 0 {
            return Some((Kind::Byte, 0));
        }
        let kind = Kind::from_code(header & 0x0f)?;
        let count = match header >> 4 {
            15 => usize::try_from(self.varint()?).ok()?,
            short => short.into(),
        };
        self.count(count)?;
        Some((kind, count))
    }

    /// Walks through a structure with these known fields; `int` receives the number and the value of each that is a whole
    /// number.
    pub(super) fn structure(&mut self, fields: Fields, int: &mut dyn FnMut(i16, i64)) -> Option<()> {
        let mut last = 0;
        while let Some((id, kind)) = self.field(&mut last)? {
            match fields.iter().find(|(known, _)| *known == id) {
                Some((_, Shape::Int)) if kind == Kind::Int => int(id, self.int()?),
                Some((_, shape)) => self.value(*shape, kind)?,
                None => self.skip(kind)?,
            }
        }
        Some(())
    }

    /// Walks through a value of this type, which must be the one of its shape.
    pub(super) fn value(&mut self, shape: Shape, kind: Kind) -> Option<()> {
        if shape.kind() != kind {
            return None;
        }
        match shape {
            Shape::Struct(fields) => self.structure(fields, &mut |_, _| ()),
            Shape::List(elements) => {
                let (kind, count) = self.list()?;
                (0..count).try_for_each(|_| self.value(*elements, kind))
            }
            Shape::Bool | Shape::Byte | Shape::Int | Shape::Double | Shape::Binary => self.skip(kind),
        }
    }

    /// Walks through a value of any shape.
    pub(super) fn skip(&mut self, kind: Kind) -> Option<()> {
        self.skip_below(kind, MAX_DEPTH)
    }

    fn skip_below(&mut self, kind: Kind, depth: usize) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        match kind {
            // The value is in the type.
            Kind::Bool => {}
            Kind::Byte => drop(self.byte()?),
            Kind::Int => drop(self.varint()?),
            Kind::Double => drop(self.take(8)?),
            Kind::Uuid => drop(self.take(16)?),
            Kind::Binary => drop(self.binary()?),
            Kind::Struct => {
                let mut last = 0;
                while let Some((_, kind)) = self.field(&mut last)? {
                    self.skip_below(kind, depth)?;
                }
            }
            Kind::List => {
                let (kind, count) = self.list()?;
                for _ in 0..count {
                    self.skip_element(kind, depth)?;
                }
            }
            Kind::Map => {
                let count = usize::try_from(self.varint()?).ok()?;
                self.count(count)?;
                let kinds = if count == 0 { 0x33 } else { self.byte()? };
                let key = Kind::from_code(kinds >> 4)?;
                let value = Kind::from_code(kinds & 0x0f)?;
                for _ in 0..count {
                    self.skip_element(key, depth)?;
                    self.skip_element(value, depth)?;
                }
            }
        }
        Some(())
    }

    /// Truth values in lists are refused: the library skips them in another way, and the format has none.
    fn skip_element(&mut self, kind: Kind, depth: usize) -> Option<()> {
        if kind == Kind::Bool {
            None
        } else {
            self.skip_below(kind, depth)
        }
    }

    /// Each element takes at least a byte.
    fn count(&mut self, elements: usize) -> Option<()> {
        if elements > self.bytes.len() - self.at {
            return None;
        }
        self.elements = self.elements?.checked_sub(elements);
        self.elements.map(drop)
    }

    /// A number without a sign.
    pub(super) fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte()?;
            let part = u64::from(byte & 0x7f);
            // The last byte has one bit of the number.
            if shift == 63 && part > 1 {
                return None;
            }
            value |= part << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn byte(&mut self) -> Option<u8> {
        let byte = self.bytes.get(self.at).copied()?;
        self.at += 1;
        Some(byte)
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(length)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }
}
