//! The rows and cells of a sheet.

use std::sync::Arc;

use quick_xml::events::BytesStart;

use super::{
    super::{
        damage::Damage,
        row::{Kind, MAX_COLUMNS, MAX_ROWS, Rows, Seen, SheetRow},
        value::{self, Epoch},
        xml::{self, Item, Xml},
    },
    strings::{SharedStrings, rich_text, unescape},
    styles::Styles,
};

/// The cells of a sheet.
pub(super) struct SheetCells {
    xml: Xml,
    strings: Arc<SharedStrings>,
    styles: Arc<Styles>,
    epoch: Epoch,
    row: SheetRow,
    /// The number of the row before.
    number: u32,
    /// What the cell contains as it is stored.
    stored: String,
    /// The same as it is shown.
    shown: String,
    seen: Seen,
}

/// What is stated of a cell.
struct Stated {
    column: u32,
    style: usize,
    kind: Stored,
}

/// What is stored in a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stored {
    Number,
    Boolean,
    Error,
    /// The number of a shared string.
    Shared,
    /// Text.
    Text,
    /// A date or date-time as ISO 8601 writes it.
    Iso,
}

impl SheetCells {
    pub(super) fn new(xml: Xml, strings: Arc<SharedStrings>, styles: Arc<Styles>, epoch: Epoch) -> Self {
        Self {
            xml,
            strings,
            styles,
            epoch,
            row: SheetRow::default(),
            number: 0,
            stored: String::new(),
            shown: String::new(),
            seen: Seen::default(),
        }
    }

    /// Reads the cells of a row up to its end.
    fn cells(&mut self) -> Result<(), Damage> {
        let mut next = 0;
        loop {
            match self.xml.next()? {
                Item::Start(tag) if xml::is(&tag, "c") => {
                    let stated = Stated::of(&tag, next)?;
                    drop(tag);
                    next = stated.column + 1;
                    self.cell(&stated)?;
                }
                Item::End(tag) if xml::ends(&tag, "row") => return Ok(()),
                Item::Eof => return Err(Damage::DAMAGED),
                Item::Start(_) | Item::End(_) | Item::Text(_) | Item::Character(_) | Item::Other => {}
            }
        }
    }

    /// Reads a cell up to its end.
    fn cell(&mut self, stated: &Stated) -> Result<(), Damage> {
        self.stored.clear();
        let mut has_formula = false;
        loop {
            match self.xml.next()? {
                // Two values would be joined to a third one.
                Item::Start(tag) if is_value(&tag) && !self.stored.is_empty() => return Err(Damage::DAMAGED),
                Item::Start(tag) if xml::is(&tag, "v") => {
                    drop(tag);
                    self.value()?;
                }
                Item::Start(tag) if xml::is(&tag, "is") => {
                    drop(tag);
                    rich_text(&mut self.xml, "is", &mut self.stored)?;
                    return self.end_of_cell().and_then(|()| self.push(stated.column, Kind::Text));
                }
                Item::Start(tag) if xml::is(&tag, "f") => has_formula = true,
                Item::End(tag) if xml::ends(&tag, "c") => break,
                Item::Eof => return Err(Damage::DAMAGED),
                Item::Start(_) | Item::End(_) | Item::Text(_) | Item::Character(_) | Item::Other => {}
            }
        }
        // The result of a formula may be an empty text.
        if has_formula && self.stored.is_empty() && stated.kind == Stored::Number {
            self.seen.without_result += 1;
        }
        self.show(stated)
    }

    /// Reads a value up to its end.
    fn value(&mut self) -> Result<(), Damage> {
        loop {
            match self.xml.next()? {
                Item::Text(part) => xml::push(&mut self.stored, &part),
                Item::Character(part) => xml::push(&mut self.stored, part.encode_utf8(&mut [0; 4])),
                Item::End(tag) if xml::ends(&tag, "v") => return Ok(()),
                Item::Start(_) | Item::Eof => return Err(Damage::DAMAGED),
                Item::End(_) | Item::Other => {}
            }
        }
    }

    fn end_of_cell(&mut self) -> Result<(), Damage> {
        loop {
            match self.xml.next()? {
                Item::End(tag) if xml::ends(&tag, "c") => return Ok(()),
                Item::Start(tag) if is_value(&tag) => return Err(Damage::DAMAGED),
                Item::Eof => return Err(Damage::DAMAGED),
                Item::Start(_) | Item::End(_) | Item::Text(_) | Item::Character(_) | Item::Other => {}
            }
        }
    }

    /// Adds what the cell shows to the row.
    fn show(&mut self, stated: &Stated) -> Result<(), Damage> {
        if self.stored.is_empty() && stated.kind != Stored::Error {
            return Ok(());
        }
        let column = stated.column;
        match stated.kind {
            Stored::Text => {
                unescape(&mut self.stored);
                self.push(column, Kind::Text)
            }
            Stored::Iso => self.push(column, Kind::Value),
            Stored::Error => self.row.push(column, Kind::Error, ""),
            Stored::Boolean => match self.stored.trim() {
                "1" | "true" => self.row.push(column, Kind::Value, "true"),
                "0" | "false" => self.row.push(column, Kind::Value, "false"),
                _ => Err(Damage::DAMAGED),
            },
            Stored::Shared => {
                let number = self.stored.trim().parse().map_err(|_| Damage::DAMAGED)?;
                let string = self.strings.get(number).ok_or(Damage::DAMAGED)?;
                if string.is_empty() {
                    return Ok(());
                }
                self.row.push(column, Kind::Text, string)
            }
            Stored::Number => match self.stored.trim().parse::<f64>() {
                Ok(number) if number.is_finite() => {
                    let stored = self.stored.trim();
                    if value::keeps_digits(stored, number) {
                        return self.row.push(column, Kind::Value, stored);
                    }
                    let shape = self.styles.shape(stated.style);
                    if let Some(code) = value::padded(number, shape) {
                        return self.row.push(column, Kind::Code, &code);
                    }
                    self.shown.clear();
                    value::serial(number, shape, self.epoch, &mut self.shown);
                    self.row.push(column, Kind::Value, &self.shown)
                }
                Ok(_) | Err(_) => self.push(column, Kind::Text),
            },
        }
    }

    /// Adds what is stored as it is.
    fn push(&mut self, column: u32, kind: Kind) -> Result<(), Damage> {
        if self.stored.is_empty() {
            return Ok(());
        }
        self.row.push(column, kind, &self.stored)
    }
}

impl Rows for SheetCells {
    fn advance(&mut self) -> Result<bool, Damage> {
        loop {
            match self.xml.next()? {
                Item::Start(tag) if xml::is(&tag, "row") => {
                    let number = xml::number(&tag, "r")?.unwrap_or(self.number.saturating_add(1));
                    let is_hidden = xml::is_true(&tag, "hidden")?;
                    drop(tag);
                    if number <= self.number || number > MAX_ROWS {
                        return Err(Damage::UNORDERED);
                    }
                    self.number = number;
                    self.row.begin(number);
                    self.cells()?;
                    if !self.row.is_empty() {
                        self.seen.hidden_rows += u64::from(is_hidden);
                        return Ok(true);
                    }
                }
                Item::Start(tag) if xml::is(&tag, "col") => {
                    let first: u32 = xml::number(&tag, "min")?.unwrap_or(1);
                    let last: u32 = xml::number(&tag, "max")?.unwrap_or(first);
                    // All columns to the right of a table are often hidden.
                    if xml::is_true(&tag, "hidden")? && last < MAX_COLUMNS {
                        self.seen.hidden_columns += u64::from((last + 1).saturating_sub(first));
                    }
                }
                Item::Start(tag) if xml::is(&tag, "mergeCell") => self.seen.merged += 1,
                Item::Eof => return Ok(false),
                Item::Start(_) | Item::End(_) | Item::Text(_) | Item::Character(_) | Item::Other => {}
            }
        }
    }

    fn row(&self) -> &SheetRow {
        &self.row
    }

    fn seen(&self) -> Seen {
        self.seen
    }
}

impl Stated {
    /// What the tag of a cell states; a cell without a place is at column `next`.
    fn of(tag: &BytesStart<'_>, next: u32) -> Result<Self, Damage> {
        let column = match xml::attribute(tag, "r")? {
            Some(place) => column_of(&place).ok_or(Damage::DAMAGED)?,
            None => next,
        };
        let kind = match xml::attribute(tag, "t")?.as_deref() {
            None | Some("n") => Stored::Number,
            Some("b") => Stored::Boolean,
            Some("e") => Stored::Error,
            Some("s") => Stored::Shared,
            Some("str" | "inlineStr") => Stored::Text,
            Some("d") => Stored::Iso,
            Some(_) => return Err(Damage::DAMAGED),
        };
        Ok(Self {
            column,
            style: xml::number(tag, "s")?.unwrap_or(0),
            kind,
        })
    }
}

/// Whether an element has the value of a cell.
fn is_value(tag: &BytesStart<'_>) -> bool {
    xml::is(tag, "v") || xml::is(tag, "is")
}

/// The number of the column of a place such as `AB12`, counted from 0.
fn column_of(place: &str) -> Option<u32> {
    let letters = place.bytes().take_while(u8::is_ascii_alphabetic);
    let number = letters.take(4).fold(0, |number: u32, letter| {
        number * 26 + u32::from(letter.to_ascii_uppercase() - b'A') + 1
    });
    number.checked_sub(1)
}

#[cfg(test)]
mod tests {
    use super::column_of;

    #[test]
    fn places_have_the_number_of_their_column() {
        for (place, expected) in [
            ("A1", Some(0)),
            ("Z9", Some(25)),
            ("AA1", Some(26)),
            ("XFD1048576", Some(16_383)),
            ("a1", Some(0)),
            ("12", None),
            ("", None),
        ] {
            assert_eq!(column_of(place), expected, "{place}");
        }
        assert!(column_of("ZZZZZZZZZZZZZZ1").unwrap() > 16_384);
    }
}
