//! What the values of a column of text suggest: spellings of one value, words for missing ones, and few texts among numbers.
//!
//! Nothing is changed for it: each becomes a note. Values are compared by their hashes, and none is kept but the words of a list.

use std::{
    collections::BTreeMap,
    hash::{BuildHasher, Hash, Hasher, RandomState},
};

use super::parse_field::trim;

/// Most different values whose spellings are compared. A column with more has names, numbers or sentences, in which spellings differ for
/// other reasons; it also bounds the memory of a file with the most columns to about 50 MB.
const MAX_VALUES: usize = 256;
/// Most words for missing values that a note names.
const MAX_WORDS: usize = 4;
/// Numbers for each text among them, at least, for the texts to be an exception.
const NUMBERS_PER_TEXT: u64 = 9;
/// Words that often mean that a value is missing, in lower case, and are not markers by themselves.
const MISSING_WORDS: [&str; 17] = [
    "-",
    "--",
    "---",
    "n/a",
    "na",
    "n.a.",
    "#n/a",
    "<na>",
    "nan",
    "null",
    "(null)",
    "\\n",
    "missing",
    "unknown",
    "not available",
    "k.a.",
    "unbekannt",
];

/// What was seen of the values of a column so far.
#[derive(Clone, Debug, Default)]
pub(super) struct TextValues {
    spellings: Spellings,
    words: Vec<String>,
    with_word: u64,
    numbers: u64,
    texts: u64,
    first_text: Option<u64>,
}

impl TextValues {
    /// Adds a value that is read as a number.
    pub(super) fn number(&mut self) {
        self.numbers += 1;
    }

    /// Adds a value that no other kind can represent, as the file has it.
    pub(super) fn text(&mut self, field: &str, line: u64) {
        self.texts += 1;
        self.first_text.get_or_insert(line);
        self.spellings.observe(field, line);
        let value = trim(field);
        let is_word = value.len() <= 13 && MISSING_WORDS.contains(&value.to_lowercase().as_str());
        if is_word {
            self.with_word += 1;
            let is_new = !self.words.iter().any(|word| word == value);
            if is_new && self.words.len() < MAX_WORDS {
                self.words.push(value.to_owned());
            }
        }
    }

    /// How many values occur in several spellings, and the line of the first that is spelled in another way.
    pub(super) fn several_spellings(&self) -> Option<(u64, u64)> {
        let count = self.spellings.seen.values().filter(|seen| seen.differs).count() as u64;
        self.spellings.line.map(|line| (count, line))
    }

    /// The words that often mean that a value is missing, as they are written, and how many values are such a word.
    pub(super) fn missing_words(&self) -> Option<(&[String], u64)> {
        (self.with_word > 0).then_some((self.words.as_slice(), self.with_word))
    }

    /// How many values are not numbers, and the line of the first, if almost all others are.
    pub(super) fn few_texts(&self) -> Option<(u64, u64)> {
        let are_few = self.numbers >= self.texts.saturating_mul(NUMBERS_PER_TEXT);
        self.first_text.filter(|_| are_few).map(|line| (self.texts, line))
    }
}

/// The spellings of values that differ only in capital letters, or in blanks around them.
#[derive(Clone, Debug, Default)]
struct Spellings {
    /// Its keys are random, so that no file can be made whose values have one hash.
    hasher: RandomState,
    /// By the hash of the value in lower case and without blanks around it.
    seen: BTreeMap<u64, Seen>,
    /// Whether there are too many values.
    is_excluded: bool,
    /// The line of the first value in a second spelling.
    line: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    /// The hash of the first spelling.
    spelling: u64,
    differs: bool,
}

impl Spellings {
    fn observe(&mut self, field: &str, line: u64) {
        if self.is_excluded {
            return;
        }
        let spelling = self.hash(field.chars());
        let value = self.hash(trim(field).chars().flat_map(char::to_lowercase));
        if let Some(seen) = self.seen.get_mut(&value) {
            if seen.spelling != spelling {
                seen.differs = true;
                self.line.get_or_insert(line);
            }
        } else if self.seen.len() < MAX_VALUES {
            let differs = false;
            self.seen.insert(value, Seen { spelling, differs });
        } else {
            *self = Self {
                is_excluded: true,
                ..Self::default()
            };
        }
    }

    fn hash(&self, text: impl Iterator<Item = char>) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        text.for_each(|sign| sign.hash(&mut hasher));
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(values: &[&str]) -> TextValues {
        let mut found = TextValues::default();
        for (line, value) in (2..).zip(values) {
            found.text(value, line);
        }
        found
    }

    #[test]
    fn spellings_differ_in_case_and_in_blanks_around_values() {
        assert_eq!(
            texts(&["Male", "female", "male", "female ", "FEMALE"]).several_spellings(),
            Some((2, 4))
        );
        assert_eq!(texts(&["male", "fe male", "female", "male"]).several_spellings(), None);
    }

    #[test]
    fn spellings_of_many_values_are_not_compared() {
        let many: Vec<String> = (0..=MAX_VALUES)
            .flat_map(|n| [format!("v{n}"), format!("V{n}")])
            .collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(texts(&many[..2 * MAX_VALUES]).several_spellings().is_some());
        let all = texts(&many);
        assert_eq!((all.several_spellings(), all.spellings.seen.len()), (None, 0));
    }

    #[test]
    fn words_for_missing_values_are_known_in_any_case() {
        let found = texts(&["male", "N/a", "-", "N/a", "unknown"]);
        let words = ["N/a".to_owned(), "-".to_owned(), "unknown".to_owned()];
        assert_eq!(found.missing_words(), Some((&words[..], 4)));
        assert_eq!(texts(&["male", "x-ray"]).missing_words(), None);
    }

    #[test]
    fn few_texts_are_an_exception_among_numbers() {
        let mut found = texts(&["high"]);
        (0..8).for_each(|_| found.number());
        assert_eq!(found.few_texts(), None);
        found.number();
        assert_eq!(found.few_texts(), Some((1, 2)));
        assert_eq!(TextValues::default().few_texts(), None);
    }
}
