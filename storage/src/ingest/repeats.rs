//! Finds columns that look like a person's number and have repeated values that do not match the subjects.
//!
//! Only a sample is stored, as keyed hashes: the first 65,536 different values of a column. The note is only a hint:
//! the subject of a row is always determined by the rule that the steward states. Who follows the note with the number of a visit
//! counts visits as persons, so a column whose name is that of a person comes first, and of several the one with the fewest values:
//! each of the others divides what it counts.

use std::{
    collections::HashSet,
    hash::{BuildHasher, RandomState},
};

use super::{
    block::Block,
    names::Name,
    note::Note,
    parse_field::{is_marker, trim},
};

/// Different values that are stored for one column: at most a megabyte.
const MAX_SAMPLE: usize = 1 << 16;
/// Maximum number of examined columns; it is unlikely that more look like a person's number.
const MAX_COLUMNS_WATCHED: usize = 16;
/// A subject column of which fewer than one row in this many repeats is assumed to number rows, not people.
const ROWS_PER_REPEAT: u64 = 20;
/// If a value occurs in more rows than this on average, a column identifies places or codes rather than people.
const MAX_ROWS_PER_PERSON: u64 = 200;

/// A column that is named after one of these numbers persons: `patient_id`, `mrn`.
const PERSON_WORDS: [&str; 13] = [
    "patient",
    "person",
    "subject",
    "participant",
    "mrn",
    "ssn",
    "nhs",
    "taj",
    "ahv",
    "pid",
    "patid",
    "subjid",
    "usubjid",
];
/// A column that numbers one of these often numbers persons: `record_id`, `case_no`.
const RECORD_WORDS: [&str; 2] = ["case", "record"];
/// What these words stand for is not a person, although it is numbered: places, and the vocabularies of a data model.
const OTHER_WORDS: [&str; 7] = [
    "domain",
    "vocabulary",
    "concept",
    "class",
    "location",
    "provider",
    "relationship",
];
/// The words for a number. As the last word of a name they make any column look like one.
const NUMBER_WORDS: [&str; 5] = ["id", "number", "no", "nr", "identifier"];

/// The samples of the columns that look like a person's number, the likeliest first.
pub(super) struct Repeats {
    hasher: RandomState,
    columns: Vec<Sample>,
}

struct Sample {
    index: usize,
    /// `None` for a subject that does not look like a person's number.
    likeness: Option<Likeness>,
    seen: HashSet<u64>,
    values: u64,
}

/// How much the name of a column looks like that of a person's number, the likeliest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Likeness {
    /// It is named after a person: `patient`, `person_id`, `SubjectNo`.
    Person,
    /// It numbers cases or records: `record_id`.
    Record,
    /// It numbers something: `visit_occurrence_id`.
    Number,
    /// It has the word in some other place: `person_source_value`, `case`.
    Mention,
}

impl Repeats {
    pub(super) fn new(names: &[Name], subject: Option<usize>) -> Self {
        let sample = |(index, name): (usize, &Name)| {
            let likeness = Likeness::of(&name.name);
            (likeness.is_some() || subject == Some(index)).then(|| Sample::new(index, likeness))
        };
        let mut columns: Vec<Sample> = names.iter().enumerate().filter_map(sample).collect();
        // The sort is stable: of columns that look alike, the first ones of the file are examined.
        columns.sort_by_key(|sample| (subject != Some(sample.index), sample.likeness));
        columns.truncate(MAX_COLUMNS_WATCHED);
        Self {
            hasher: RandomState::new(),
            columns,
        }
    }

    pub(super) fn observe(&mut self, block: &Block) {
        for sample in self.columns.iter_mut().filter(|sample| !sample.is_full()) {
            for field in block.column(sample.index).map(|field| trim(field.text)) {
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
            let column = likeliest(repeats)?;
            return Some(Note::Repeats {
                column: name(column.index)?,
            });
        };
        let own = self.columns.iter().find(|sample| sample.index == subject)?;
        if own.repeated().saturating_mul(ROWS_PER_REPEAT) >= own.values {
            return None;
        }
        let column = likeliest(repeats.filter(|sample| sample.repeated() > own.repeated()))?;
        Some(Note::SubjectHardlyRepeats {
            subject: name(subject)?,
            column: name(column.index)?,
        })
    }
}

/// The column whose name looks most like that of a person's number; of several, the one with the fewest different values.
fn likeliest<'a>(samples: impl Iterator<Item = &'a Sample>) -> Option<&'a Sample> {
    samples.min_by_key(|sample| (sample.likeness, sample.seen.len()))
}

impl Sample {
    fn new(index: usize, likeness: Option<Likeness>) -> Self {
        Self {
            index,
            likeness,
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

impl Likeness {
    /// `None` if the name does not look like that of a person's number.
    fn of(name: &str) -> Option<Self> {
        let words = words(name);
        let ends_with_number = words.last().is_some_and(|word| NUMBER_WORDS.contains(&word.as_str()));
        // What is numbered: the last word that is not itself one for a number.
        let numbered = words.iter().rfind(|word| !NUMBER_WORDS.contains(&word.as_str()));
        if numbered.is_some_and(|word| is_of(&PERSON_WORDS, word)) {
            Some(Self::Person)
        } else if numbered.is_some_and(|word| is_number_of(&RECORD_WORDS, word, ends_with_number)) {
            Some(Self::Record)
        } else if numbered.is_some_and(|word| OTHER_WORDS.contains(&word.as_str())) {
            None
        } else if ends_with_number {
            Some(Self::Number)
        } else {
            let is_mentioned = |word: &String| is_of(&PERSON_WORDS, word) || is_of(&RECORD_WORDS, word);
            words.iter().any(is_mentioned).then_some(Self::Mention)
        }
    }
}

/// Whether a word is one of `known`, by itself or written together with a word for a number: `patient`, `patientid`.
fn is_of(known: &[&str], word: &str) -> bool {
    known.contains(&word) || is_written_together(known, word)
}

/// Whether a word is one of `known` and has a word for a number behind it or written together with it.
fn is_number_of(known: &[&str], word: &str, ends_with_number: bool) -> bool {
    (known.contains(&word) && ends_with_number) || is_written_together(known, word)
}

fn is_written_together(known: &[&str], word: &str) -> bool {
    let mut parts = NUMBER_WORDS.iter().filter_map(|number| word.strip_suffix(*number));
    parts.any(|part| known.contains(&part))
}

/// The words of a name in lower case: `patient_id` and `PatientId` have the same two.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut after_lower = false;
    for character in name.chars() {
        if character == '_' || (after_lower && character.is_uppercase()) {
            words.push(String::new());
        }
        after_lower = character.is_lowercase();
        if let Some(word) = words.last_mut().filter(|_| character != '_') {
            word.extend(character.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_look_like_a_persons_number_more_or_less() {
        for (likeness, names) in [
            (
                Likeness::Person,
                &[
                    "patient_id",
                    "PATIENT",
                    "PatientId",
                    "patientid",
                    "id_patient",
                    "study_subject_no",
                    "person_id",
                    "USUBJID",
                    "mrn",
                    "pid",
                ][..],
            ),
            (Likeness::Record, &["record_number", "case_no", "RecordID", "recordid"]),
            (
                Likeness::Number,
                &[
                    "id",
                    "visit_id",
                    "visit_occurrence_id",
                    "patient_visit_id",
                    "siteNumber",
                ],
            ),
            (
                Likeness::Mention,
                &["record", "case", "person_source_value", "patient_age"],
            ),
        ] {
            for name in names {
                assert_eq!(Likeness::of(name), Some(likeness), "{name}");
            }
        }
        for name in [
            "age",
            "num",
            "width",
            "sex",
            "paid",
            "idle_time",
            "covid",
            "domain_id",
            "location_id",
            "CONCEPT_ID",
            "",
            "_",
        ] {
            assert_eq!(Likeness::of(name), None, "{name}");
        }
    }

    #[test]
    fn columns_are_examined_by_their_names_and_not_their_places() {
        let called = |name: String| Name {
            given: name.clone(),
            name,
        };
        let ids = (0..40).map(|number| called(format!("code{number}_id")));
        let names: Vec<Name> = ids
            .chain(["patient_id", "chol"].map(|name| called(name.to_owned())))
            .collect();
        let examined = |subject: Option<usize>| {
            let repeats = Repeats::new(&names, subject);
            let indices = repeats.columns.iter().map(|sample| sample.index);
            indices.collect::<Vec<_>>()
        };
        assert_eq!(examined(None)[..3], [40, 0, 1]);
        assert_eq!(examined(Some(41))[..3], [41, 40, 0]);
        assert_eq!(examined(Some(39)).len(), MAX_COLUMNS_WATCHED);
    }
}
