//! Finds columns that look like a person's number and have repeated values that do not match the subjects.
//!
//! Only a sample is stored, as keyed hashes: the first 65,536 different values of a column. The note is only a hint:
//! the subject of a row is always determined by the rule that the steward states.

use std::{
    collections::HashSet,
    hash::{BuildHasher, RandomState},
};

use super::{
    block::Block,
    names::Name,
    note::Note,
    values::{is_marker, trim},
};

/// Different values that are stored for one column: at most a megabyte.
const MAX_SAMPLE: usize = 1 << 16;
/// Maximum number of examined columns; it is unlikely that more look like a person's number.
const MAX_COLUMNS_WATCHED: usize = 16;
/// A subject column of which fewer than one row in this many repeats is assumed to number rows, not people.
const ROWS_PER_REPEAT: u64 = 20;
/// If a value occurs in more rows than this on average, a column identifies places or codes rather than people.
const MAX_ROWS_PER_PERSON: u64 = 200;

/// A column with one of these words in its name looks like a person's number.
const PERSON_WORDS: [&str; 12] = [
    "patient",
    "person",
    "subject",
    "participant",
    "case",
    "record",
    "mrn",
    "ssn",
    "nhs",
    "taj",
    "ahv",
    "pid",
];
/// The same for the last word of the name.
const NUMBER_WORDS: [&str; 5] = ["id", "number", "no", "nr", "identifier"];

/// The samples of the columns that look like a person's number.
pub(super) struct Repeats {
    hasher: RandomState,
    columns: Vec<Sample>,
}

struct Sample {
    index: usize,
    seen: HashSet<u64>,
    values: u64,
}

impl Repeats {
    pub(super) fn new(names: &[Name], subject: Option<usize>) -> Self {
        let is_watched = |(index, name): &(usize, &Name)| subject == Some(*index) || looks_like_a_number(&name.name);
        let indices = names.iter().enumerate().filter(is_watched).map(|(index, _)| index);
        Self {
            hasher: RandomState::new(),
            columns: indices.take(MAX_COLUMNS_WATCHED).map(Sample::new).collect(),
        }
    }

    pub(super) fn observe(&mut self, block: &Block) {
        for sample in self.columns.iter_mut().filter(|sample| !sample.is_full()) {
            for field in block.column(sample.index).map(trim) {
                if !field.is_empty() && !is_marker(field) {
                    sample.observe(self.hasher.hash_one(field));
                }
            }
        }
    }

    /// The note for the steward, if each row is its own subject or `subject` identifies them.
    pub(super) fn note(&self, names: &[Name], subject: Option<usize>) -> Option<Note> {
        let others = self.columns.iter().filter(|sample| Some(sample.index) != subject);
        let repeats = others.filter(|sample| sample.looks_like_persons());
        let name = |index: usize| names.get(index).map(|name| name.name.clone());
        let Some(subject) = subject else {
            let column = repeats.max_by_key(|sample| sample.seen.len())?;
            return Some(Note::Repeats {
                column: name(column.index)?,
            });
        };
        let own = self.columns.iter().find(|sample| sample.index == subject)?;
        if own.repeated().saturating_mul(ROWS_PER_REPEAT) >= own.values {
            return None;
        }
        let more = repeats.filter(|sample| sample.repeated() > own.repeated());
        let column = more.max_by_key(|sample| sample.seen.len())?;
        Some(Note::SubjectHardlyRepeats {
            subject: name(subject)?,
            column: name(column.index)?,
        })
    }
}

impl Sample {
    fn new(index: usize) -> Self {
        Self {
            index,
            seen: HashSet::new(),
            values: 0,
        }
    }

    fn is_full(&self) -> bool {
        self.seen.len() >= MAX_SAMPLE
    }

    fn observe(&mut self, hash: u64) {
        if !self.is_full() {
            self.seen.insert(hash);
            self.values += 1;
        }
    }

    /// Rows whose value occurred in an earlier row.
    fn repeated(&self) -> u64 {
        self.values.saturating_sub(self.seen.len() as u64)
    }

    fn looks_like_persons(&self) -> bool {
        self.repeated() > 0 && self.values <= (self.seen.len() as u64).saturating_mul(MAX_ROWS_PER_PERSON)
    }
}

fn looks_like_a_number(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let mut words = lower.split('_').filter(|word| !word.is_empty());
    words.clone().any(|word| PERSON_WORDS.contains(&word))
        || words.next_back().is_some_and(|word| NUMBER_WORDS.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::looks_like_a_number;

    #[test]
    fn names_that_look_like_a_persons_number() {
        for name in [
            "patient_id",
            "PATIENT",
            "record",
            "record_number",
            "id",
            "case_no",
            "visit_id",
        ] {
            assert!(looks_like_a_number(name), "{name}");
        }
        for name in ["age", "num", "width", "sex", "paid", "idle_time", "covid"] {
            assert!(!looks_like_a_number(name), "{name}");
        }
    }
}
