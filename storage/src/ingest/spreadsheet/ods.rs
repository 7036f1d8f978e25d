//! OpenDocument spreadsheets (ISO/IEC 26300).
//!
//! A document is a zip file; all sheets are in `content.xml`. A cell states its value and its type, and how often it is repeated to the
//! right; a row, how often it is repeated below.

use quick_xml::events::BytesStart;

use super::{
    damage::Damage,
    row::{Kind, MAX_COLUMNS, MAX_ROWS, Rows, Seen, SheetRow},
    value,
    xml::{self, Item, Xml},
};
use crate::ingest::{compression::Archive, limits::MAX_FIELD_BYTES};

/// Most sheets of a document.
const MAX_SHEETS: usize = 1000;
/// Most bytes of the name of a sheet.
const MAX_NAME: usize = 1024;
/// Most bytes of the list of files, in which encryption is looked for.
const MAX_MANIFEST: u64 = 1024 * 1024;
/// What stands for an error in a cell that has no type of its own for it.
const ERRORS: [&str; 7] = ["#DIV/0!", "#N/A", "#NAME?", "#NULL!", "#NUM!", "#REF!", "#VALUE!"];

/// A document.
pub(super) struct Document {
    archive: Archive,
    names: Vec<String>,
}

impl Document {
    pub(super) fn open(archive: Archive) -> Result<Self, Damage> {
        if is_encrypted(&archive)? {
            return Err(Damage::Reason(
                "it has a password; save it without one, or save the sheet as CSV",
            ));
        }
        let names = names(content(&archive)?)?;
        Ok(Self { archive, names })
    }

    /// The names of the sheets.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// The rows of a sheet.
    pub(super) fn rows(&self, sheet: usize) -> Result<Box<dyn Rows>, Damage> {
        let mut xml = content(&self.archive)?;
        let mut tables = 0;
        while tables <= sheet {
            match xml.next()? {
                Item::Start(tag) => tables += usize::from(is_table(&tag)),
                Item::Eof => return Err(Damage::DAMAGED),
                Item::End(_) | Item::Text(_) | Item::Character(_) | Item::Other => {}
            }
        }
        Ok(Box::new(TableCells {
            xml,
            row: SheetRow::default(),
            number: 0,
            repeats: 0,
            is_hidden: false,
            text: String::new(),
            seen: Seen::default(),
        }))
    }
}

fn content(archive: &Archive) -> Result<Xml, Damage> {
    let file = archive.file("content.xml").ok_or(Damage::DAMAGED)?;
    Ok(Xml::new(archive.read(file)?, u64::MAX))
}

fn is_encrypted(archive: &Archive) -> Result<bool, Damage> {
    if archive.file("encrypted-package").is_some() {
        return Ok(true);
    }
    let Some(manifest) = archive.file("META-INF/manifest.xml") else {
        return Ok(false);
    };
    let text = archive.read_start(manifest, MAX_MANIFEST)?;
    let mark = b"encryption-data";
    Ok(text.windows(mark.len()).any(|window| window == mark))
}

/// Whether a tag begins a sheet. Tables of charts are in other files.
fn is_table(tag: &BytesStart<'_>) -> bool {
    tag.name().as_ref() == b"table:table"
}

fn names(mut xml: Xml) -> Result<Vec<String>, Damage> {
    let mut names = Vec::new();
    loop {
        match xml.next()? {
            Item::Start(tag) if is_table(&tag) => {
                let name = xml::attribute(&tag, "table:name")?.unwrap_or_default().into_owned();
                if name.len() > MAX_NAME || names.len() == MAX_SHEETS {
                    return Err(Damage::TOO_LARGE);
                }
                names.push(name);
            }
            Item::Eof => return Ok(names),
            Item::Start(_) | Item::End(_) | Item::Text(_) | Item::Character(_) | Item::Other => {}
        }
    }
}

/// The cells of a sheet.
struct TableCells {
    xml: Xml,
    row: SheetRow,
    /// The number of the last row.
    number: u32,
    /// How often the current row is still to be repeated.
    repeats: u32,
    is_hidden: bool,
    /// The text of the current cell.
    text: String,
    seen: Seen,
}

/// What is stated of a cell.
struct Stated {
    kind: Kind,
    /// The value; `None` if the text of the cell is the value.
    value: Option<String>,
    has_value: bool,
    has_formula: bool,
    is_merged: bool,
    is_covered: bool,
    repeats: u32,
}

impl TableCells {
    /// Reads a row up to its end.
    fn cells(&mut self) -> Result<(), Damage> {
        let mut column = 0_u32;
        loop {
            match self.xml.next()? {
                Item::Start(tag) if is_cell(&tag) => {
                    let stated = Stated::of(&tag)?;
                    drop(tag);
                    self.cell(&stated, column)?;
                    column = column.saturating_add(stated.repeats);
                }
                Item::End(tag) if xml::ends(&tag, "table-row") => return Ok(()),
                Item::Eof => return Err(Damage::DAMAGED),
                Item::Start(_) | Item::End(_) | Item::Text(_) | Item::Character(_) | Item::Other => {}
            }
        }
    }

    /// Reads a cell up to its end, and adds it to the row.
    fn cell(&mut self, stated: &Stated, column: u32) -> Result<(), Damage> {
        self.text.clear();
        self.text_of_cell()?;
        self.seen.merged += u64::from(stated.is_merged);
        self.seen.without_result += u64::from(stated.has_formula && !stated.has_value);
        let text = stated.value.as_deref().unwrap_or(&self.text);
        let is_error = stated.kind == Kind::Error || (stated.kind == Kind::Text && is_error(text));
        let (kind, text) = if is_error {
            (Kind::Error, "")
        } else if stated.kind == Kind::Value && is_padded(&self.text, text) {
            (Kind::Code, self.text.as_str())
        } else {
            (stated.kind, text)
        };
        if !stated.has_value || (text.is_empty() && !is_error) {
            return Ok(());
        }
        let end = column.saturating_add(stated.repeats).min(MAX_COLUMNS);
        if stated.is_covered {
            self.seen.covered += u64::from(end.saturating_sub(column));
        }
        for column in column..end {
            self.row.push(column, kind, text)?;
        }
        Ok(())
    }

    /// Reads the text of a cell up to the end of the cell. Paragraphs are lines; comments and drawings are left out.
    fn text_of_cell(&mut self) -> Result<(), Damage> {
        let mut paragraphs = 0_u32;
        let mut inside = 0_u32;
        let mut left_out = 0_u32;
        loop {
            match self.xml.next()? {
                Item::Start(tag) if left_out > 0 || is_left_out(&tag) => left_out += 1,
                Item::End(_) if left_out > 0 => left_out -= 1,
                Item::Start(tag) if xml::is(&tag, "p") => {
                    if paragraphs > 0 {
                        xml::push(&mut self.text, "\n");
                    }
                    paragraphs = paragraphs.saturating_add(1);
                    inside += 1;
                }
                Item::End(tag) if xml::ends(&tag, "p") => inside = inside.saturating_sub(1),
                Item::Start(tag) if xml::is(&tag, "s") => {
                    let count: usize = xml::number(&tag, "text:c")?.unwrap_or(1);
                    xml::push(&mut self.text, &" ".repeat(count.min(MAX_FIELD_BYTES + 1)));
                }
                Item::Start(tag) if xml::is(&tag, "tab") => xml::push(&mut self.text, "\t"),
                Item::Start(tag) if xml::is(&tag, "line-break") => xml::push(&mut self.text, "\n"),
                Item::End(tag) if xml::ends(&tag, "table-cell") || xml::ends(&tag, "covered-table-cell") => {
                    return Ok(());
                }
                Item::Text(part) if inside > 0 && left_out == 0 => xml::push(&mut self.text, &part),
                Item::Character(part) if inside > 0 && left_out == 0 => {
                    xml::push(&mut self.text, part.encode_utf8(&mut [0; 4]));
                }
                Item::Eof => return Err(Damage::DAMAGED),
                Item::Start(_) | Item::End(_) | Item::Text(_) | Item::Character(_) | Item::Other => {}
            }
        }
    }
}

impl Rows for TableCells {
    fn advance(&mut self) -> Result<bool, Damage> {
        if self.repeats > 0 {
            self.repeats -= 1;
            self.number += 1;
            self.row.repeat();
            self.seen.hidden_rows += u64::from(self.is_hidden);
            return Ok(true);
        }
        loop {
            match self.xml.next()? {
                Item::Start(tag) if xml::is(&tag, "table-row") => {
                    let repeats = xml::number(&tag, "table:number-rows-repeated")?.unwrap_or(1_u32);
                    let is_hidden = is_hidden(&tag)?;
                    drop(tag);
                    let first = self.number.saturating_add(1);
                    // Empty rows below a table are repeated to the end of the sheet.
                    self.number = self.number.saturating_add(repeats).min(MAX_ROWS);
                    self.row.begin(first);
                    self.cells()?;
                    if self.row.is_empty() || repeats == 0 {
                        continue;
                    }
                    if first > MAX_ROWS {
                        return Err(Damage::DAMAGED);
                    }
                    self.repeats = self.number - first;
                    self.number = first;
                    self.is_hidden = is_hidden;
                    self.seen.hidden_rows += u64::from(is_hidden);
                    return Ok(true);
                }
                Item::Start(tag) if xml::is(&tag, "table-column") => {
                    let repeats = xml::number(&tag, "table:number-columns-repeated")?.unwrap_or(1_u32);
                    // All columns to the right of a table are often hidden.
                    if is_hidden(&tag)? && repeats < MAX_COLUMNS / 2 {
                        self.seen.hidden_columns += u64::from(repeats);
                    }
                }
                Item::End(tag) if tag.name().as_ref() == b"table:table" => return self.skip_to_end(),
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

impl TableCells {
    /// The checksum of the file is compared at its end.
    fn skip_to_end(&mut self) -> Result<bool, Damage> {
        while !matches!(self.xml.next()?, Item::Eof) {}
        Ok(false)
    }
}

impl Stated {
    fn of(tag: &BytesStart<'_>) -> Result<Self, Damage> {
        let text = |name| Ok::<_, Damage>(xml::attribute(tag, name)?.map(std::borrow::Cow::into_owned));
        let spans = |name| Ok::<_, Damage>(xml::number(tag, name)?.unwrap_or(1_u32) > 1);
        let is_error = xml::attribute(tag, "calcext:value-type")?.is_some_and(|kind| kind == "error");
        let kind = xml::attribute(tag, "office:value-type")?;
        let (kind, value, has_value) = match kind.as_deref() {
            _ if is_error => (Kind::Error, None, true),
            None => (Kind::Text, None, false),
            Some("string") => (Kind::Text, text("office:string-value")?, true),
            Some("float" | "percentage" | "currency") => {
                (Kind::Value, text("office:value")?.map(|value| number(&value)), true)
            }
            Some("date") => (Kind::Value, text("office:date-value")?, true),
            Some("time") => {
                let time = text("office:time-value")?;
                let time = time.map(|time| value::duration(&time).unwrap_or(time));
                (Kind::Value, time, true)
            }
            Some("boolean") => (
                Kind::Value,
                text("office:boolean-value")?.map(|value| value.to_lowercase()),
                true,
            ),
            Some(_) => return Err(Damage::DAMAGED),
        };
        // An empty text is stated beside an error, and the text of the cell is what counts then.
        let value = value.filter(|value| !value.is_empty());
        Ok(Self {
            kind,
            value,
            has_value,
            has_formula: xml::attribute(tag, "table:formula")?.is_some(),
            is_merged: spans("table:number-columns-spanned")? || spans("table:number-rows-spanned")?,
            is_covered: xml::is(tag, "covered-table-cell"),
            repeats: xml::number(tag, "table:number-columns-repeated")?.unwrap_or(1),
        })
    }
}

/// A number as all formats write it; what is not one stays as it is.
fn number(stored: &str) -> String {
    match stored.trim().parse::<f64>() {
        Ok(number) if value::keeps_digits(stored.trim(), number) && number.is_finite() => stored.trim().to_owned(),
        Ok(number) if number.is_finite() => {
            let mut text = String::new();
            value::number(number, &mut text);
            text
        }
        Ok(_) | Err(_) => stored.to_owned(),
    }
}

/// Whether a cell shows its number with zeros before it.
fn is_padded(shown: &str, number: &str) -> bool {
    let zeros = shown.strip_suffix(number);
    let is_whole = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    is_whole && zeros.is_some_and(|zeros| !zeros.is_empty() && zeros.bytes().all(|byte| byte == b'0'))
}

fn is_error(text: &str) -> bool {
    ERRORS.contains(&text)
        || text
            .strip_prefix("Err:")
            .is_some_and(|code| code.parse::<u16>().is_ok())
}

fn is_cell(tag: &BytesStart<'_>) -> bool {
    xml::is(tag, "table-cell") || xml::is(tag, "covered-table-cell")
}

/// Whether an element in a cell has text that is not the text of the cell.
fn is_left_out(tag: &BytesStart<'_>) -> bool {
    let name = tag.name();
    name.as_ref().starts_with(b"draw:") || name.as_ref() == b"office:annotation" || is_table(tag)
}

fn is_hidden(tag: &BytesStart<'_>) -> Result<bool, Damage> {
    let visibility = xml::attribute(tag, "table:visibility")?;
    Ok(visibility.is_some_and(|visibility| visibility == "collapse" || visibility == "filter"))
}
