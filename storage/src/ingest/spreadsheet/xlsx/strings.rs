//! Texts that cells share, and texts in cells.

use super::super::{
    damage::Damage,
    xml::{self, Item, Xml},
};

/// The shared strings of a workbook, one after the other.
#[derive(Debug, Default)]
pub(super) struct SharedStrings {
    text: String,
    ends: Vec<u32>,
}

impl SharedStrings {
    pub(super) fn read(mut xml: Xml) -> Result<Self, Damage> {
        let mut strings = Self::default();
        let mut string = String::new();
        loop {
            match xml.next()? {
                Item::Start(tag) if xml::is(&tag, "si") => {
                    drop(tag);
                    string.clear();
                    rich_text(&mut xml, "si", &mut string)?;
                    strings.text.push_str(&string);
                    let end = u32::try_from(strings.text.len()).map_err(|_| Damage::TOO_LARGE)?;
                    strings.ends.push(end);
                }
                Item::Eof => return Ok(strings),
                Item::Start(_) | Item::End(_) | Item::Text(_) | Item::Character(_) | Item::Other => {}
            }
        }
    }

    /// The string with this number, counted from 0.
    pub(super) fn get(&self, number: usize) -> Option<&str> {
        let end = *self.ends.get(number)? as usize;
        let start = match number.checked_sub(1) {
            Some(before) => *self.ends.get(before)? as usize,
            None => 0,
        };
        self.text.get(start..end)
    }
}

/// Reads the text of an element up to its end, which is called `name`. Parts of different fonts are put together, and how characters are
/// pronounced is left out.
pub(super) fn rich_text(xml: &mut Xml, name: &str, text: &mut String) -> Result<(), Damage> {
    let mut pronounced = 0_u32;
    let mut inside = false;
    loop {
        match xml.next()? {
            Item::Start(tag) if xml::is(&tag, "rPh") => pronounced += 1,
            Item::End(tag) if xml::ends(&tag, "rPh") => pronounced = pronounced.saturating_sub(1),
            Item::Start(tag) if xml::is(&tag, "t") => inside = pronounced == 0,
            Item::End(tag) if xml::ends(&tag, "t") => inside = false,
            Item::End(tag) if xml::ends(&tag, name) => break,
            Item::Text(part) if inside => xml::push(text, &part),
            Item::Character(part) if inside => xml::push(text, part.encode_utf8(&mut [0; 4])),
            Item::Eof => return Err(Damage::DAMAGED),
            Item::Start(_) | Item::End(_) | Item::Text(_) | Item::Character(_) | Item::Other => {}
        }
    }
    unescape(text);
    Ok(())
}

/// Replaces `_xHHHH_`, as which characters are written that XML cannot have.
pub(super) fn unescape(text: &mut String) {
    if !text.contains("_x") {
        return;
    }
    let mut replaced = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(at) = rest.find("_x") {
        let (before, escaped) = rest.split_at(at);
        replaced.push_str(before);
        match escape(escaped) {
            Some((character, after)) => {
                replaced.push(character);
                rest = after;
            }
            None => {
                replaced.push('_');
                rest = escaped.get(1..).unwrap_or_default();
            }
        }
    }
    replaced.push_str(rest);
    *text = replaced;
}

/// The character that is written at the start of `text`, and what follows it.
fn escape(text: &str) -> Option<(char, &str)> {
    let digits = text.get(2..6)?;
    let after = text.get(6..)?.strip_prefix('_')?;
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let character = char::from_u32(u32::from_str_radix(digits, 16).ok()?)?;
    Some((character, after))
}

#[cfg(test)]
mod tests {
    use super::unescape;

    #[test]
    fn escaped_characters_are_replaced_once() {
        for (text, expected) in [
            ("a_x000D_b", "a\rb"),
            ("_x005F_x0041_", "_x0041_"),
            ("_x00g0_", "_x00g0_"),
            ("_x0041", "_x0041"),
            ("_xD83D_", "_xD83D_"),
            ("_x_x0041_", "_xA"),
            ("patient_x", "patient_x"),
        ] {
            let mut found = text.to_owned();
            unescape(&mut found);
            assert_eq!(found, expected, "{text}");
        }
    }
}
