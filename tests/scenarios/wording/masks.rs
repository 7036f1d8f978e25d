//! What varies between two runs, replaced by what it is.

use std::path::Path;

/// Replaces what varies in the output of a command.
pub(super) struct Masks {
    folder: String,
}

impl Masks {
    /// `folder` is that of the world.
    pub(super) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.display().to_string(),
        }
    }

    /// The text with masks, and with runs of spaces as two: the width of a column follows what was masked.
    pub(super) fn apply(&self, text: &str) -> String {
        let text = text.replace(&self.folder, "FOLDER");
        let mut masked = String::new();
        for line in text.split_inclusive('\n') {
            if line.trim_start().starts_with("ledger entries") {
                masked.push_str(" ledger entries  NUMBER\n");
                continue;
            }
            let mut word = String::new();
            for character in line.chars() {
                if is_of_word(character) {
                    word.push(character);
                    continue;
                }
                masked.push_str(&mask(&word));
                word.clear();
                masked.push(character);
            }
            masked.push_str(&mask(&word));
        }
        squeezed(&masked).split_inclusive('\n').map(without_last_good).collect()
    }
}

/// A line of addresses without when the address was last good: which of two nodes connects to the other first, and by which transport, varies.
fn without_last_good(line: &str) -> String {
    let text = line.trim_end();
    let time = ["  -", "  TIME"].into_iter().find_map(|end| text.strip_suffix(end));
    match time {
        Some(start) if line.contains("/ip4/") => format!("{start}  TIME-OR-NONE\n"),
        _ => line.to_owned(),
    }
}

fn is_of_word(character: char) -> bool {
    character.is_ascii_alphanumeric() || ":-._+".contains(character)
}

/// A word, or what it is if it varies.
fn mask(word: &str) -> String {
    let digits = word.chars().filter(char::is_ascii_digit).count();
    let is_hex = word.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
    if word.len() >= 20 && word.contains('T') && word.contains(':') && digits >= 14 {
        return "TIME".to_owned();
    }
    if word.len() == 10 && digits == 8 && word.matches('-').count() == 2 && !word.starts_with("2031") {
        return "DATE".to_owned();
    }
    if word.len() >= 20 && digits >= 4 && !word.contains('.') {
        return "ID".to_owned();
    }
    // The first characters of an identifier may all be digits, or all letters.
    if is_hex && word.len() >= 8 && word != "99999999" {
        return "ID".to_owned();
    }
    // Ports, and numbers of bytes.
    if word.len() >= 4 && digits == word.len() && word != "2031" && word != "99999999" {
        return "NUMBER".to_owned();
    }
    word.to_owned()
}

fn squeezed(text: &str) -> String {
    let mut squeezed = String::new();
    let mut spaces = 0;
    for character in text.chars() {
        if character == ' ' {
            spaces += 1;
            if spaces > 2 {
                continue;
            }
        } else {
            spaces = 0;
        }
        squeezed.push(character);
    }
    squeezed
}
