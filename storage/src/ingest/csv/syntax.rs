//! How delimited text is divided into lines and fields.

use std::str::FromStr;

use crate::ingest::error::IngestError;

/// What separates fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delimiter {
    /// This ASCII character.
    Byte(u8),
    /// Any number of spaces and tabs; those at the ends of a line separate nothing.
    Blanks,
}

impl std::fmt::Display for Delimiter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Byte(b'\t') => f.write_str("tab"),
            Self::Byte(byte) => write!(f, "{}", char::from(*byte)),
            Self::Blanks => f.write_str("blanks"),
        }
    }
}

impl FromStr for Delimiter {
    type Err = IngestError;

    fn from_str(text: &str) -> Result<Self, IngestError> {
        match (text, text.as_bytes()) {
            ("tab" | "\\t", _) => Ok(Self::Byte(b'\t')),
            ("blanks", _) => Ok(Self::Blanks),
            (_, [byte]) if byte.is_ascii() && !matches!(byte, b'"' | b'\n' | b'\r' | 0) => Ok(Self::Byte(*byte)),
            _ => Err(IngestError::Delimiter),
        }
    }
}

/// The syntax of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Syntax {
    pub(crate) delimiter: Delimiter,
    /// Whether `"` quotes fields; otherwise it is an ordinary character.
    pub(crate) quotes: bool,
    /// Whether lines in quotes that look like rows are text.
    pub(crate) trusts_quotes: bool,
    /// Lines that begin with this character are left out.
    pub(crate) comment: Option<u8>,
    /// Lines before the table.
    pub(crate) skip_lines: u64,
}

impl Syntax {
    /// The byte between fields, after runs of blanks were replaced.
    pub(super) const fn separator(self) -> u8 {
        match self.delimiter {
            Delimiter::Byte(byte) => byte,
            Delimiter::Blanks => b'\t',
        }
    }
}

/// Replaces runs of blanks outside of quotes by one tab, and removes them at the ends of lines.
#[derive(Clone, Copy, Debug)]
pub(super) struct Blanks {
    quotes: bool,
    in_quotes: bool,
    in_line: bool,
    pending: bool,
}

impl Blanks {
    pub(super) const fn new(quotes: bool) -> Self {
        Self {
            quotes,
            in_quotes: false,
            in_line: false,
            pending: false,
        }
    }

    /// Replaces the blanks of `text` from `start` on, which follows what was replaced before.
    pub(super) fn replace(&mut self, text: &mut Vec<u8>, start: usize) {
        let added = text.split_off(start.min(text.len()));
        for byte in added {
            match byte {
                _ if self.in_quotes => {
                    self.in_quotes = byte != b'"';
                    text.push(byte);
                }
                b' ' | b'\t' => self.pending = true,
                b'\n' | b'\r' => {
                    self.pending = false;
                    self.in_line = false;
                    text.push(byte);
                }
                _ => {
                    if self.pending && self.in_line {
                        text.push(b'\t');
                    }
                    self.pending = false;
                    self.in_line = true;
                    self.in_quotes = self.quotes && byte == b'"';
                    text.push(byte);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Blanks, Delimiter};

    #[test]
    fn delimiters_are_characters_or_words() {
        for (text, delimiter) in [
            (",", Delimiter::Byte(b',')),
            ("^", Delimiter::Byte(b'^')),
            ("tab", Delimiter::Byte(b'\t')),
            ("\\t", Delimiter::Byte(b'\t')),
            ("\t", Delimiter::Byte(b'\t')),
            ("blanks", Delimiter::Blanks),
        ] {
            assert_eq!(text.parse::<Delimiter>().unwrap(), delimiter, "{text}");
        }
        for text in ["", "\"", "::", "\n", "¦", "comma"] {
            assert!(text.parse::<Delimiter>().is_err(), "{text}");
        }
    }

    #[test]
    fn runs_of_blanks_become_one_tab_wherever_the_text_is_cut() {
        let text = "  a   b\t \"x  y\" \n c d  ";
        for cut in 0..text.len() {
            let mut blanks = Blanks::new(true);
            let mut replaced = Vec::new();
            let (head, tail) = text.as_bytes().split_at(cut);
            for part in [head, tail] {
                let before = replaced.len();
                replaced.extend_from_slice(part);
                blanks.replace(&mut replaced, before);
            }
            assert_eq!(
                String::from_utf8(replaced).unwrap(),
                "a\tb\t\"x  y\"\nc\td",
                "cut at {cut}"
            );
        }
    }
}
