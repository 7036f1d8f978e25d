//! What the provider and the consumers know about the columns and versions of a dataset.

use crate::error_kind::{ErrorKind, Explain};
use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The number of a version of a dataset, counting from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct VersionNumber(u64);

impl VersionNumber {
    /// The version created by the first import.
    pub const FIRST: Self = Self(1);

    /// The version with this number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The version created by the next import.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for VersionNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ColumnKind {
    /// Whole numbers of 64 bits.
    Int,
    /// 64-bit floating point numbers.
    Float,
    /// `true` or `false`.
    Boolean,
    /// Days, written `yyyy-mm-dd`.
    Date,
    /// Date and time of day without a zone, in milliseconds.
    Timestamp,
    /// Date and time of day with a zone, in milliseconds of UTC.
    TimestampUtc,
    /// Everything else.
    Text,
}

impl ColumnKind {
    /// What a column of this kind contains, for people to read.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Int => "whole numbers",
            Self::Float => "numbers",
            Self::Boolean => "true or false",
            Self::Date => "dates",
            Self::Timestamp => "date-times",
            Self::TimestampUtc => "date-times with a zone",
            Self::Text => "text",
        }
    }
}

/// Whether a column name indicates an age: `age`, `age_at_visit`.
#[must_use]
pub fn is_age(name: &str) -> bool {
    name.split('_').any(|word| word.eq_ignore_ascii_case("age"))
}

/// Whether a column name indicates a date of birth: `birth_date`, `date_of_birth`, `BIRTH_DATETIME`, `born`, `dob`.
#[must_use]
pub fn is_birth(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    lower.contains("birth") || lower.split('_').any(|word| word == "born" || word == "dob")
}

/// What a column reveals about a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ColumnClass {
    /// Identifies one person by itself: name, record number, address.
    DirectIdentifier,
    /// Narrows down the identity in combination with others: age, sex, ZIP code, dates.
    QuasiIdentifier,
    /// Reveals something that a person would not want others to know: a diagnosis, a result.
    Sensitive,
    /// Neither identifies nor harms.
    Ordinary,
}

impl ColumnClass {
    /// All classes, the most revealing first.
    pub const ALL: [Self; 4] = [
        Self::DirectIdentifier,
        Self::QuasiIdentifier,
        Self::Sensitive,
        Self::Ordinary,
    ];

    /// The name of the class, as stewards write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DirectIdentifier => "direct-identifier",
            Self::QuasiIdentifier => "quasi-identifier",
            Self::Sensitive => "sensitive",
            Self::Ordinary => "ordinary",
        }
    }
}

impl fmt::Display for ColumnClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text that does not name a class of columns.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a class of columns; use `direct-identifier`, `quasi-identifier`, `sensitive` or `ordinary`")]
pub struct InvalidClass {
    text: String,
}

impl Explain for InvalidClass {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Usage
    }
}

impl FromStr for ColumnClass {
    type Err = InvalidClass;

    fn from_str(text: &str) -> Result<Self, InvalidClass> {
        let found = Self::ALL.into_iter().find(|class| class.as_str() == text);
        found.ok_or_else(|| InvalidClass {
            text: text.chars().take(64).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_read_as_they_are_shown() {
        for class in ColumnClass::ALL {
            assert_eq!(class.to_string().parse(), Ok(class));
        }
        assert!("Ordinary ".parse::<ColumnClass>().is_err());
    }
}
