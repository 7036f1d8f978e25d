//! Untrusted text, made harmless for display.
//!
//! A cell, a name or a message of a peer may contain characters that control a terminal, that change the direction of the
//! following text, or that are invisible. On a terminal they are always replaced; in JSON they are always escaped, which changes
//! no value; in a CSV file they stay unchanged unless a file for spreadsheets is requested.

use std::{borrow::Cow, fmt::Write};

use concordat_protocol::text::{is_deceptive, is_invisible};

/// Replaces a character that is invisible or would change how others are displayed.
const REPLACEMENT: char = '\u{fffd}';

/// Text for one line of a terminal.
pub(crate) fn for_terminal(text: &str) -> Cow<'_, str> {
    if text.chars().any(is_deceptive) {
        Cow::Owned(text.chars().map(shown).collect())
    } else {
        Cow::Borrowed(text)
    }
}

fn shown(character: char) -> char {
    if character.is_control() {
        ' '
    } else if is_invisible(character) {
        REPLACEMENT
    } else {
        character
    }
}

/// Text of several lines for a terminal.
pub(crate) fn lines_for_terminal(text: &str) -> String {
    text.chars()
        .map(|character| {
            if matches!(character, '\n' | '\t') {
                character
            } else {
                shown(character)
            }
        })
        .collect()
}

/// JSON in which every such character is escaped (RFC 8259, section 7): the same value, and nothing that controls a terminal. Line
/// ends between values stay.
pub(crate) fn escaped_json(json: &str) -> Cow<'_, str> {
    let needs_escape = |character: char| character != '\n' && is_deceptive(character);
    if !json.chars().any(needs_escape) {
        return Cow::Borrowed(json);
    }
    let mut escaped = String::with_capacity(json.len());
    for character in json.chars() {
        if needs_escape(character) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                // Writing to a string does not fail.
                write!(escaped, "\\u{unit:04x}").ok();
            }
        } else {
            escaped.push(character);
        }
    }
    Cow::Owned(escaped)
}

/// First characters of a cell that a spreadsheet treats as a formula; some programs also accept the full-width forms.
const FORMULA_PREFIXES: [char; 10] = [
    '=', '+', '-', '@', '\t', '\r', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}',
];

/// A cell for a spreadsheet: what would be a formula begins with an apostrophe, and deceptive characters are replaced. Numbers stay
/// numbers.
pub(crate) fn for_spreadsheet(cell: &str) -> Cow<'_, str> {
    let replaced = |character: char| {
        if matches!(character, '\n' | '\r' | '\t') {
            character
        } else {
            shown(character)
        }
    };
    let clean: Cow<'_, str> = if cell.chars().any(|character| replaced(character) != character) {
        Cow::Owned(cell.chars().map(replaced).collect())
    } else {
        Cow::Borrowed(cell)
    };
    // Invisible characters and spaces do not count: some programs strip them before they check.
    let first = cell
        .chars()
        .find(|character| !is_invisible(*character) && *character != ' ' && *character != '\n');
    if first.is_some_and(|character| FORMULA_PREFIXES.contains(&character)) && !is_number(cell) {
        Cow::Owned(format!("'{clean}"))
    } else {
        clean
    }
}

/// Whether a cell is a number as this program writes numbers.
fn is_number(cell: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E');
    cell.bytes().all(plain) && cell.parse::<f64>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every character that changes direction, has no width, or controls a terminal.
    fn deceptive() -> impl Iterator<Item = char> {
        let controls = ('\0'..='\u{1f}').chain('\u{7f}'..='\u{9f}');
        let marks = [
            '\u{61c}', '\u{200e}', '\u{200f}', '\u{feff}', '\u{ad}', '\u{180e}', '\u{2028}', '\u{2029}',
        ];
        controls
            .chain(marks)
            .chain('\u{202a}'..='\u{202e}')
            .chain('\u{2066}'..='\u{2069}')
            .chain('\u{200b}'..='\u{200d}')
            .chain('\u{2060}'..='\u{2064}')
            .chain('\u{e0020}'..='\u{e007f}')
    }

    #[test]
    fn deceptive_characters_never_reach_a_terminal() {
        for character in deceptive() {
            let text = format!("Anna{character}Kovács");
            let shown = for_terminal(&text);
            assert!(!shown.contains(character) && shown.starts_with("Anna"), "{character:?}");
            let lines = lines_for_terminal(&text);
            assert!(
                !lines.contains(character) || matches!(character, '\n' | '\t'),
                "{character:?}"
            );
            let json = serde_json::Value::String(text.clone()).to_string();
            let escaped = escaped_json(&json);
            assert!(!escaped.contains(character), "{character:?}");
            let back: String = serde_json::from_str(&escaped).unwrap();
            assert_eq!(back, text, "{character:?}");
        }
        for text in ["Kovács Anna, 41", "żółć", "李雷", "شيراز", "🩺"] {
            assert_eq!(for_terminal(text), text);
            assert_eq!(for_spreadsheet(text), text);
            assert_eq!(escaped_json(text), text);
        }
    }

    #[test]
    fn formulas_become_text_and_numbers_stay_numbers() {
        for begin in FORMULA_PREFIXES {
            for before in ["", " ", "\u{200b}", "\u{202e}", "\n"] {
                let cell = format!("{before}{begin}cmd|' /C calc'!A0");
                let safe = for_spreadsheet(&cell);
                assert!(safe.starts_with('\''), "{cell:?}: {safe:?}");
            }
        }
        for number in ["-1", "+1", "-0.5", "1e-7", "-1.5E+10", "12", "1,5"] {
            assert_eq!(for_spreadsheet(number), number);
        }
        for formula in ["-", "-a", "-1+2", "+nan", "-inf", "=1", "-1 ", "@SUM(A1)", "-1-1"] {
            assert!(for_spreadsheet(formula).starts_with('\''), "{formula}");
        }
        assert_eq!(for_spreadsheet("a=b"), "a=b");
        assert_eq!(for_spreadsheet(""), "");
        assert_eq!(for_spreadsheet("a\u{202e}b\nc"), "a\u{fffd}b\nc");
    }
}
