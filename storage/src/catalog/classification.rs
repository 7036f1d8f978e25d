//! What the columns of a dataset reveal, as its steward says.

use std::{collections::BTreeMap, fmt, str::FromStr};

use concordat_protocol::ids::ColumnName;
use serde::{Deserialize, Serialize};

/// What a column reveals about a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ColumnClass {
    /// Names one person by itself: name, record number, address.
    DirectIdentifier,
    /// Narrows down who it is together with others: age, sex, postcode, dates.
    QuasiIdentifier,
    /// Says something a person would not want to be known: a diagnosis, a result.
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

    /// The word for it, as stewards write it.
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

/// A word that names no class of columns.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no class of columns; use `direct-identifier`, `quasi-identifier`, `sensitive` or `ordinary`")]
pub struct InvalidClass {
    text: String,
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

/// The classes of a dataset's columns; a column that is not in it is unclassified.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Classification(BTreeMap<ColumnName, ColumnClass>);

impl Classification {
    /// The class of a column, if it has one.
    #[must_use]
    pub fn class(&self, column: &ColumnName) -> Option<ColumnClass> {
        self.0.get(column).copied()
    }

    /// Sets the class of a column.
    pub fn set(&mut self, column: ColumnName, class: ColumnClass) {
        self.0.insert(column, class);
    }

    /// Columns and classes, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&ColumnName, ColumnClass)> {
        self.0.iter().map(|(column, class)| (column, *class))
    }

    /// Takes over the classes of `other` where it has any.
    pub(super) fn merge(&mut self, other: &Self) {
        self.0
            .extend(other.0.iter().map(|(column, class)| (column.clone(), *class)));
    }

    /// The same without columns that `keep` does not want.
    pub(super) fn filtered(&self, keep: impl Fn(&ColumnName) -> bool) -> Self {
        self.iter()
            .filter(|(column, _)| keep(column))
            .map(|(column, class)| (column.clone(), class))
            .collect()
    }
}

impl FromIterator<(ColumnName, ColumnClass)> for Classification {
    fn from_iter<I: IntoIterator<Item = (ColumnName, ColumnClass)>>(classes: I) -> Self {
        Self(classes.into_iter().collect())
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
