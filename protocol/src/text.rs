//! Text that people wrote and other people will read: bounded, on one line, without characters that can deceive a reader.

mod terminal;

pub use terminal::{TerminalLine, is_deceptive, is_invisible};

use crate::error_kind::{ErrorKind, Explain};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// 1 to `MAX` characters on one line, without control characters and without marks that reverse the reading direction
/// (Unicode UAX #9), so that it can be shown in a terminal and in a log as it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Text<const MAX: usize>(Box<str>);

/// Legal name of an institution.
pub type LegalName = Text<200>;
/// Name of a consortium.
pub type ConsortiumName = Text<100>;
/// Network address of a node as libp2p multiaddr, for example `/dns4/node.example.org/tcp/7400`.
pub type Address = Text<256>;
/// A reason, for people to read.
pub type Reason = Text<500>;
/// The name of a course, for example `human-subjects-protection`.
pub type Course = Text<100>;
/// A short name of a state, kind or outcome.
pub type Label = Text<40>;

impl<const MAX: usize> Text<MAX> {
    /// Checks the text; whitespace at both ends is removed.
    ///
    /// # Errors
    /// [`InvalidText`] names the rule that the text breaks.
    pub fn new(text: &str) -> Result<Self, InvalidText> {
        let text = text.trim();
        if text.is_empty() {
            return Err(InvalidText::Empty);
        }
        if text.chars().count() > MAX {
            return Err(InvalidText::TooLong { max: MAX });
        }
        if text.chars().any(is_unprintable) {
            Err(InvalidText::Unprintable)
        } else {
            Ok(Self(text.into()))
        }
    }

    /// Turns any text into a valid one: deceptive characters become spaces, text that is too long is cut, empty text becomes `-`.
    pub fn sanitized(text: &str) -> Self {
        let clean: String = text
            .trim()
            .chars()
            .map(|c| if is_unprintable(c) { ' ' } else { c })
            .take(MAX)
            .collect();
        let clean = clean.trim();
        Self(if clean.is_empty() { "-" } else { clean }.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_unprintable(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

impl<const MAX: usize> fmt::Display for Text<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl<const MAX: usize> FromStr for Text<MAX> {
    type Err = InvalidText;
    fn from_str(text: &str) -> Result<Self, InvalidText> {
        Self::new(text)
    }
}

impl<const MAX: usize> TryFrom<String> for Text<MAX> {
    type Error = InvalidText;
    fn try_from(text: String) -> Result<Self, InvalidText> {
        Self::new(&text)
    }
}

impl<const MAX: usize> From<Text<MAX>> for String {
    fn from(text: Text<MAX>) -> Self {
        text.0.into()
    }
}

/// A text that breaks a rule of [`Text`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidText {
    /// Empty, or only whitespace.
    #[error("the text is empty")]
    Empty,
    /// More characters than its kind may have.
    #[error("the text is longer than {max} characters")]
    TooLong {
        /// The most characters allowed.
        max: usize,
    },
    /// Control characters, line breaks or marks that reverse the reading direction.
    #[error("the text contains a line break, a control character or a mark that reverses the reading direction")]
    Unprintable,
}

impl Explain for InvalidText {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Usage
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deceptive_or_too_long_text_is_refused() {
        assert_eq!(Text::<4>::new(" Zürich ").unwrap_err(), InvalidText::TooLong { max: 4 });
        assert_eq!(Text::<6>::new(" Zürich ").unwrap().as_str(), "Zürich");
        assert_eq!(Text::<9>::new("  ").unwrap_err(), InvalidText::Empty);
        for bad in ["a\u{1b}[2Jb", "a\nb", "a\u{202e}b", "a\u{2066}b"] {
            assert_eq!(Text::<9>::new(bad).unwrap_err(), InvalidText::Unprintable, "{bad:?}");
        }
        assert!(serde_json::from_str::<Text<3>>("\"abcd\"").is_err());
    }

    #[test]
    fn any_text_can_be_sanitized() {
        assert_eq!(Text::<5>::sanitized("a\nbcdefg").as_str(), "a bcd");
        assert_eq!(Text::<5>::sanitized("\u{1b}").as_str(), "-");
        proptest::proptest!(|(any in ".{0,40}")| { Text::<7>::new(Text::<7>::sanitized(&any).as_str()).unwrap(); });
    }
}
