//! Text of others on a terminal.
//!
//! It may contain characters that control a terminal, that change the direction of the following text, or that are invisible.

use std::fmt::{self, Write as _};

/// Whether a character acts on other characters or is invisible: direction marks and overrides, zero-width characters, line
/// separators, tags, and control characters.
pub fn is_deceptive(character: char) -> bool {
    character.is_control() || is_invisible(character)
}

/// Whether a character is not shown, or changes how those after it are shown, and is not a control character.
pub fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Text for one line of a terminal: every deceptive character is shown escaped, as `\u{1b}`, also the end of a line. What was given
/// cannot add a line, change another one, or look like something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TerminalLine(Box<str>);

impl TerminalLine {
    /// Escapes the text.
    pub fn new(text: &str) -> Self {
        let mut line = String::with_capacity(text.len());
        for character in text.chars() {
            if is_deceptive(character) {
                // Writing to a string does not fail.
                write!(line, "{}", character.escape_unicode()).ok();
            } else {
                line.push(character);
            }
        }
        Self(line.into())
    }

    /// The line, without its end.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TerminalLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_line_shows_deceptive_characters_escaped() {
        let line = TerminalLine::new("a\nb\r\u{1b}[2Jc\u{9b}d\u{202e}e\u{200b}f\u{feff}");
        assert_eq!(
            line.as_str(),
            r"a\u{a}b\u{d}\u{1b}[2Jc\u{9b}d\u{202e}e\u{200b}f\u{feff}"
        );
        for text in ["Kovács Anna, 41", "żółć", "李雷", "شيراز", r"a\b"] {
            assert_eq!(TerminalLine::new(text).as_str(), text);
        }
        proptest::proptest!(|(any in ".{0,40}")| {
            assert!(!TerminalLine::new(&any).as_str().chars().any(is_deceptive));
        });
    }
}
