//! Decides whether the first line of a text, or the first row of a sheet, has the names of the columns.
//!
//! It has names if, in the columns that are typed below it, most of its fields have another type; if no column is typed, if its fields are
//! distinct words that start with a letter.

use std::collections::BTreeSet;

use crate::ingest::{
    missing::MissingRule,
    notation::Notation,
    options::TableOptions,
    parse_field::{Kinds, is_marker, trim},
};

/// Whether the first line has the column names, and how that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderFound {
    /// The steward states it.
    Stated,
    /// The values below it are of other types.
    Proved,
    /// The first line could be one of names, and nothing proves that it is not a row.
    Assumed,
    /// The first line is a row.
    Absent,
}

/// Whether the first of the rows has names; `None` if that is not clear.
pub(crate) fn guess_header(rows: &[Vec<String>], options: &TableOptions) -> Option<HeaderFound> {
    let missing = &MissingRule::of(options);
    let Some(first) = rows.first() else {
        return Some(HeaderFound::Assumed);
    };
    let (names, values) = match names_and_values(rows, options) {
        // Lines that repeat the names make each column text.
        (0, 0) => names_and_values(&without_repeats(rows), options),
        found => found,
    };
    if names != values {
        return Some(if names > values {
            HeaderFound::Proved
        } else {
            HeaderFound::Absent
        });
    }
    let distinct: BTreeSet<String> = first.iter().map(|cell| trim(cell).to_ascii_lowercase()).collect();
    // A line of values must not become names, which more people can see than the data; a field that starts with a digit
    // is unclear.
    let is_name = |cell: &String| trim(cell).starts_with(|first: char| first.is_alphabetic() || first == '_');
    let words = first.iter().all(|cell| is_name(cell) && !is_missing(cell, missing));
    (values == 0 && words && distinct.len() == first.len()).then_some(HeaderFound::Assumed)
}

/// The rows without those that repeat the first.
fn without_repeats(rows: &[Vec<String>]) -> Vec<Vec<String>> {
    let Some((first, below)) = rows.split_first() else {
        return Vec::new();
    };
    let others = below.iter().filter(|row| !is_same(row, first));
    std::iter::once(first).chain(others).cloned().collect()
}

/// Whether the second of the rows has names or units that the first does not have: none of its fields is a value of a column that has a
/// type below it.
pub(super) fn is_second_header(rows: &[Vec<String>], options: &TableOptions) -> bool {
    if let [first, second, ..] = rows
        && is_same(first, second)
    {
        return false;
    }
    let below = rows.get(1..).unwrap_or_default();
    let (names, values) = names_and_values(below, options);
    names > 0 && values == 0
}

/// Whether rows have the same fields, whatever blanks are around them.
fn is_same(row: &[String], other: &[String]) -> bool {
    row.len() == other.len() && row.iter().zip(other).all(|(cell, same)| trim(cell) == trim(same))
}

/// How many fields of the first row have another kind than all values below them, and how many have the same.
fn names_and_values(rows: &[Vec<String>], options: &TableOptions) -> (usize, usize) {
    let missing = &MissingRule::of(options);
    let notation = &options.notation;
    let Some((first, below)) = rows.split_first() else {
        return (0, 0);
    };
    let mut names = 0;
    let mut values = 0;
    for (index, cell) in first.iter().enumerate() {
        let kinds = kinds_below(below, index, missing, notation);
        if kinds.is_none() || is_missing(cell, missing) {
            continue;
        }
        if notation.classify(trim(cell)).kinds.and(kinds).is_none() {
            names += 1;
        } else {
            values += 1;
        }
    }
    (names, values)
}

/// The kinds that all values of a column can be parsed as; `NONE` if it is text or has no values.
fn kinds_below(rows: &[Vec<String>], index: usize, missing: &MissingRule, notation: &Notation) -> Kinds {
    let mut values = rows
        .iter()
        .filter_map(|row| row.get(index))
        .filter(|cell| !is_missing(cell, missing))
        .peekable();
    if values.peek().is_none() {
        return Kinds::NONE;
    }
    values.fold(Kinds::ALL, |kinds, cell| kinds.and(notation.classify(trim(cell)).kinds))
}

fn is_missing(cell: &str, missing: &MissingRule) -> bool {
    missing.is_without_value(trim(cell)) || is_marker(trim(cell))
}
