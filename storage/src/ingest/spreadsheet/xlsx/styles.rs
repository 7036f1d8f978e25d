//! Which styles show a number as a time, or with zeros before it.

use std::collections::HashMap;

use super::super::{
    damage::Damage,
    value::Shape,
    xml::{self, Item, Xml},
};

/// Most styles of a workbook. Excel allows 65,490.
const MAX_STYLES: usize = 1 << 20;

/// The styles of a workbook.
#[derive(Debug, Default)]
pub(super) struct Styles(Vec<Shape>);

impl Styles {
    pub(super) fn read(mut xml: Xml) -> Result<Self, Damage> {
        let mut styles = Self::default();
        let mut codes: HashMap<u32, Shape> = HashMap::new();
        let mut section = Section::Other;
        loop {
            match xml.next()? {
                Item::Start(tag) if xml::is(&tag, "numFmts") => section = Section::Codes,
                Item::Start(tag) if xml::is(&tag, "cellXfs") => section = Section::Cells,
                Item::End(tag) if xml::ends(&tag, "numFmts") || xml::ends(&tag, "cellXfs") => section = Section::Other,
                Item::Start(tag) if section == Section::Codes && xml::is(&tag, "numFmt") => {
                    let number = xml::number(&tag, "numFmtId")?;
                    let code = xml::attribute(&tag, "formatCode")?;
                    if let (Some(number), Some(code)) = (number, code) {
                        codes.insert(number, Shape::of_code(&code));
                    }
                }
                Item::Start(tag) if section == Section::Cells && xml::is(&tag, "xf") => {
                    let number = xml::number(&tag, "numFmtId")?.unwrap_or(0);
                    let stated = codes.get(&number).copied();
                    styles.0.push(stated.unwrap_or(Shape::of_number(number)));
                }
                Item::Eof => return Ok(styles),
                Item::Start(_) | Item::End(_) | Item::Text(_) | Item::Character(_) | Item::Other => {}
            }
            if codes.len().max(styles.0.len()) > MAX_STYLES {
                return Err(Damage::TOO_LARGE);
            }
        }
    }

    /// How a cell of a style shows its number.
    pub(super) fn shape(&self, style: usize) -> Shape {
        self.0.get(style).copied().unwrap_or_default()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Section {
    Codes,
    Cells,
    Other,
}
