//! Columns that look like a person's number and repeat, though the subjects say otherwise.
//!
//! Only a sample is remembered, as keyed hashes: the first 65,536 different values of a column. The note is a hint for the
//! steward, and what decides whose record a row is stays what the steward states.

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

/// Different values remembered of one column: a megabyte at most.
const REMEMBERED: usize = 1 << 16;
/// Columns that are watched; more do not look like a person's number by chance.
const WATCHED: usize = 16;
/// A subject column of which fewer than one row in this many repeats is taken to count rows, not people.
const HARDLY: u64 = 20;
/// Where a value stands on more rows than this on average, a column tells apart places or codes rather than people.
const ROWS_OF_ONE_PERSON: u64 = 200;

/// Words of which one in its name makes a column look like a person's number.
const OF_PERSONS: [&str; 12] = [
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
/// The same for the last word of its name.
const OF_NUMBERS: [&str; 5] = ["id", "number", "no", "nr", "identifier"];

/// What is remembered of the columns that look like a person's number.
pub(super) struct Repeats {
    hasher: RandomState,
    columns: Vec<Sample>,
}

struct Sample {
    place: usize,
    seen: HashSet<u64>,
    values: u64,
}

impl Repeats {
    pub(super) fn new(names: &[Name], subject: Option<usize>) -> Self {
        let watched = |(place, name): &(usize, &Name)| subject == Some(*place) || looks_like_a_number(&name.name);
        let places = names.iter().enumerate().filter(watched).map(|(place, _)| place);
        Self {
            hasher: RandomState::new(),
            columns: places.take(WATCHED).map(Sample::new).collect(),
        }
    }

    pub(super) fn observe(&mut self, block: &Block) {
        for sample in self.columns.iter_mut().filter(|sample| !sample.is_full()) {
            for field in block.column(sample.place).map(trim) {
                if !field.is_empty() && !is_marker(field) {
                    sample.observe(self.hasher.hash_one(field));
                }
            }
        }
    }

    /// What the steward should be told, where each row is a subject of its own or `subject` tells them apart.
    pub(super) fn note(&self, names: &[Name], subject: Option<usize>) -> Option<Note> {
        let others = self.columns.iter().filter(|sample| Some(sample.place) != subject);
        let repeats = others.filter(|sample| sample.looks_like_persons());
        let name = |place: usize| names.get(place).map(|name| name.name.clone());
        let Some(subject) = subject else {
            let column = repeats.max_by_key(|sample| sample.seen.len())?;
            return Some(Note::Repeats {
                column: name(column.place)?,
            });
        };
        let own = self.columns.iter().find(|sample| sample.place == subject)?;
        if own.repeated().saturating_mul(HARDLY) >= own.values {
            return None;
        }
        let more = repeats.filter(|sample| sample.repeated() > own.repeated());
        let column = more.max_by_key(|sample| sample.seen.len())?;
        Some(Note::SubjectHardlyRepeats {
            subject: name(subject)?,
            column: name(column.place)?,
        })
    }
}

impl Sample {
    fn new(place: usize) -> Self {
        Self {
            place,
            seen: HashSet::new(),
            values: 0,
        }
    }

    fn is_full(&self) -> bool {
        self.seen.len() >= REMEMBERED
    }

    fn observe(&mut self, hash: u64) {
        if !self.is_full() {
            self.seen.insert(hash);
            self.values += 1;
        }
    }

    /// Rows whose value stood on an earlier one.
    fn repeated(&self) -> u64 {
        self.values.saturating_sub(self.seen.len() as u64)
    }

    fn looks_like_persons(&self) -> bool {
        self.repeated() > 0 && self.values <= (self.seen.len() as u64).saturating_mul(ROWS_OF_ONE_PERSON)
    }
}

fn looks_like_a_number(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let mut words = lower.split('_').filter(|word| !word.is_empty());
    words.clone().any(|word| OF_PERSONS.contains(&word))
        || words.next_back().is_some_and(|word| OF_NUMBERS.contains(&word))
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
