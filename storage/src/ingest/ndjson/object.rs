//! Reads the members of one line's object, strictly by RFC 8259.
//!
//! No value is built. What is found of each is its name, what it is, and how long its text is. Nothing recurses: of lists and
//! objects within the object only the extent is found, because a column with them cannot be imported.

use std::borrow::Cow;

use memchr::memchr2;

use crate::ingest::{limits::MAX_COLUMNS, rejects::Reason};

/// A member of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Member<'a> {
    /// Its name, without escapes.
    pub(super) name: Cow<'a, str>,
    pub(super) value: Value,
}

/// What the value of a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Null,
    /// A number, `true` or `false`, whose text has this length.
    Plain {
        length: usize,
    },
    Text(Text),
    /// A list or an object.
    Nested(&'static str),
}

/// A string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Text {
    /// Bytes of the text that it stands for.
    pub(super) length: usize,
    /// Whether this text contains a zero byte.
    pub(super) has_zero: bool,
    is_escaped: bool,
}

/// Reads the object of a line into `members`.
///
/// # Errors
/// Why the line is refused.
pub(super) fn read<'a>(line: &'a str, members: &mut Vec<Member<'a>>) -> Result<(), Reason> {
    members.clear();
    let mut scan = Scan { text: line, at: 0 };
    scan.skip_blanks();
    if scan.peek() != Some(b'{') {
        // Another value is checked no further.
        return Err(
            if matches!(scan.peek(), Some(b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n')) {
                Reason::NotAnObject
            } else {
                scan.not_json()
            },
        );
    }
    scan.at += 1;
    scan.skip_blanks();
    if scan.peek() == Some(b'}') {
        scan.at += 1;
    } else {
        scan.members(members)?;
    }
    scan.skip_blanks();
    if scan.at == line.len() {
        Ok(())
    } else {
        Err(scan.not_json())
    }
}

struct Scan<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scan<'a> {
    /// The members up to and with the closing brace.
    fn members(&mut self, members: &mut Vec<Member<'a>>) -> Result<(), Reason> {
        loop {
            if members.len() >= MAX_COLUMNS {
                return Err(Reason::TooManyFields);
            }
            self.skip_blanks();
            let start = self.at + 1;
            let name = self.string()?;
            let raw = self.text.get(start..self.at - 1).unwrap_or_default();
            let name = if name.is_escaped {
                Cow::Owned(unescaped(raw))
            } else {
                Cow::Borrowed(raw)
            };
            self.skip_blanks();
            self.expect(b':')?;
            self.skip_blanks();
            let value = self.value()?;
            members.push(Member { name, value });
            self.skip_blanks();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(self.not_json()),
            }
        }
    }

    fn value(&mut self) -> Result<Value, Reason> {
        match self.peek() {
            Some(b'"') => self.string().map(Value::Text),
            Some(b'n') => self.literal("null").map(|_| Value::Null),
            Some(b't') => self.literal("true"),
            Some(b'f') => self.literal("false"),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b'[') => self.nested().map(|()| Value::Nested("lists")),
            Some(b'{') => self.nested().map(|()| Value::Nested("structures")),
            _ => Err(self.not_json()),
        }
    }

    fn literal(&mut self, literal: &str) -> Result<Value, Reason> {
        for byte in literal.bytes() {
            self.expect(byte)?;
        }
        Ok(Value::Plain { length: literal.len() })
    }

    fn number(&mut self) -> Result<Value, Reason> {
        let start = self.at;
        self.at += usize::from(self.peek() == Some(b'-'));
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits()?;
        }
        Ok(Value::Plain {
            length: self.at - start,
        })
    }

    /// One digit or more.
    fn digits(&mut self) -> Result<(), Reason> {
        let rest = self.rest();
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        if count == 0 { Err(self.not_json()) } else { Ok(()) }
    }

    /// A string with its quotes.
    fn string(&mut self) -> Result<Text, Reason> {
        self.expect(b'"')?;
        let mut text = Text {
            length: 0,
            has_zero: false,
            is_escaped: false,
        };
        loop {
            let rest = self.rest();
            let run = memchr2(b'"', b'\\', rest).unwrap_or(rest.len());
            let control = rest.iter().take(run).position(|byte| *byte < b' ');
            self.at += control.unwrap_or(run);
            if control.is_some() {
                return Err(self.not_json());
            }
            text.length += run;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(text);
                }
                Some(_) => {
                    let character = self.escape()?;
                    text.length += character.len_utf8();
                    text.has_zero |= character == '\0';
                    text.is_escaped = true;
                }
                None => return Err(self.not_json()),
            }
        }
    }

    /// A backslash and what follows it.
    fn escape(&mut self) -> Result<char, Reason> {
        let (character, length) = unescape(self.rest_text()).ok_or_else(|| self.not_json())?;
        self.at += length;
        Ok(character)
    }

    /// A list or an object: up to the bracket that closes it.
    fn nested(&mut self) -> Result<(), Reason> {
        let mut open = 0_usize;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.string()?;
                    continue;
                }
                Some(b'[' | b'{') => open += 1,
                Some(b']' | b'}') => open -= 1,
                Some(_) => {}
                None => return Err(self.not_json()),
            }
            self.at += 1;
            if open == 0 {
                return Ok(());
            }
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), Reason> {
        if self.peek() == Some(byte) {
            self.at += 1;
            Ok(())
        } else {
            Err(self.not_json())
        }
    }

    fn skip_blanks(&mut self) {
        let blank = |byte: &&u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
        self.at += self.rest().iter().take_while(blank).count();
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    fn rest_text(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn not_json(&self) -> Reason {
        Reason::NotJson { byte: self.at + 1 }
    }
}

/// The character of the escape at the beginning of `text`, and the length of the escape.
fn unescape(text: &str) -> Option<(char, usize)> {
    let bytes = text.as_bytes();
    let simple = match bytes.get(1)? {
        b'"' => '"',
        b'\\' => '\\',
        b'/' => '/',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => return unescape_unicode(text),
        _ => return None,
    };
    Some((simple, 2))
}

/// The same for `\uXXXX`; two of them stand for one character if they are a surrogate pair, and for none if they are not.
fn unescape_unicode(text: &str) -> Option<(char, usize)> {
    let unit = |from: usize| {
        let digits = text.get(from..from + 4)?;
        let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_hex.then(|| u16::from_str_radix(digits, 16).ok()).flatten()
    };
    let first = unit(2)?;
    if let Some(character) = char::from_u32(first.into()) {
        return Some((character, 6));
    }
    let second = text.get(6..8).filter(|start| *start == "\\u").and_then(|_| unit(8))?;
    let mut decoded = char::decode_utf16([first, second]);
    match (decoded.next()?, decoded.next()) {
        (Ok(character), None) => Some((character, 12)),
        _ => None,
    }
}

/// A string that was checked, without its escapes.
fn unescaped(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find('\\') {
        let (plain, from) = rest.split_at(at);
        text.push_str(plain);
        let Some((character, length)) = unescape(from) else {
            break;
        };
        text.push(character);
        rest = from.get(length..).unwrap_or_default();
    }
    text.push_str(rest);
    text
}
