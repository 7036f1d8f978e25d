//! Text that others wrote, made harmless where it is shown.
//!
//! A cell, a name or a message of a peer may hold signs that a terminal obeys, that turn the direction of what follows, or that
//! nobody sees. On a terminal they are always replaced; in JSON they are always escaped, which changes no value; in a CSV file they
//! stay as they are unless a file for spreadsheets is asked for.

use std::{borrow::Cow, fmt::Write};

/// What stands for a sign that would not be seen or would change how others are shown.
const REPLACEMENT: char = '\u{fffd}';

/// Whether a sign is one that acts on other signs or is not seen: marks and overrides of direction, signs without width,
/// separators of lines, tags, and what a terminal obeys.
pub(super) fn is_deceptive(sign: char) -> bool {
    sign.is_control() || is_invisible(sign)
}

fn is_invisible(sign: char) -> bool {
    matches!(
        sign,
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

/// Text for one line of a terminal.
pub(super) fn for_terminal(text: &str) -> Cow<'_, str> {
    if text.chars().any(is_deceptive) {
        Cow::Owned(text.chars().map(shown).collect())
    } else {
        Cow::Borrowed(text)
    }
}

fn shown(sign: char) -> char {
    if sign.is_control() {
        ' '
    } else if is_invisible(sign) {
        REPLACEMENT
    } else {
        sign
    }
}

/// Text of several lines for a terminal.
pub(super) fn lines_for_terminal(text: &str) -> String {
    text.chars()
        .map(|sign| if matches!(sign, '\n' | '\t') { sign } else { shown(sign) })
        .collect()
}

/// JSON in which every such sign stands as an escape (RFC 8259, section 7): the same value, and nothing that a terminal obeys. Line
/// ends between values stay.
pub(super) fn escaped_json(json: &str) -> Cow<'_, str> {
    let needs_escape = |sign: char| sign != '\n' && is_deceptive(sign);
    if !json.chars().any(needs_escape) {
        return Cow::Borrowed(json);
    }
    let mut escaped = String::with_capacity(json.len());
    for sign in json.chars() {
        if needs_escape(sign) {
            for unit in sign.encode_utf16(&mut [0; 2]) {
                // Writing to a string does not fail.
                write!(escaped, "\\u{unit:04x}").ok();
            }
        } else {
            escaped.push(sign);
        }
    }
    Cow::Owned(escaped)
}

/// Signs with which a cell begins that a spreadsheet takes for a formula; some read the wide forms in the same way.
const BEGINS_FORMULA: [char; 10] = [
    '=', '+', '-', '@', '\t', '\r', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}',
];

/// A cell for a spreadsheet: what would be a formula begins with an apostrophe, and signs that deceive are replaced. Numbers stay
/// numbers.
pub(super) fn for_spreadsheet(cell: &str) -> Cow<'_, str> {
    let replaced = |sign: char| {
        if matches!(sign, '\n' | '\r' | '\t') {
            sign
        } else {
            shown(sign)
        }
    };
    let clean: Cow<'_, str> = if cell.chars().any(|sign| replaced(sign) != sign) {
        Cow::Owned(cell.chars().map(replaced).collect())
    } else {
        Cow::Borrowed(cell)
    };
    // What is not seen, and blanks, do not count: some programs take them off before they look.
    let first = cell
        .chars()
        .find(|sign| !is_invisible(*sign) && *sign != ' ' && *sign != '\n');
    if first.is_some_and(|sign| BEGINS_FORMULA.contains(&sign)) && !is_number(cell) {
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

    /// Every sign that Unicode gives a direction to impose, no width, or a terminal something to obey.
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
    fn deceptive_signs_never_reach_a_terminal() {
        for sign in deceptive() {
            let text = format!("Anna{sign}Kovács");
            let shown = for_terminal(&text);
            assert!(!shown.contains(sign) && shown.starts_with("Anna"), "{sign:?}");
            let lines = lines_for_terminal(&text);
            assert!(!lines.contains(sign) || matches!(sign, '\n' | '\t'), "{sign:?}");
            let json = serde_json::Value::String(text.clone()).to_string();
            let escaped = escaped_json(&json);
            assert!(!escaped.contains(sign), "{sign:?}");
            let back: String = serde_json::from_str(&escaped).unwrap();
            assert_eq!(back, text, "{sign:?}");
        }
        for text in ["Kovács Anna, 41", "żółć", "李雷", "شيراز", "🩺"] {
            assert_eq!(for_terminal(text), text);
            assert_eq!(for_spreadsheet(text), text);
            assert_eq!(escaped_json(text), text);
        }
    }

    #[test]
    fn formulas_become_text_and_numbers_stay_numbers() {
        for begin in BEGINS_FORMULA {
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
