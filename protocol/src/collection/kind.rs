//! How rows lead to subjects, and what columns are for joins.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::lists;
use crate::ids::{ColumnName, DatasetName};

/// Most links through which a dataset can lead to its subjects.
const MAX_OWNER_LINKS: usize = 4;
/// Most steps of a list of counts or days.
const MAX_STEPS: usize = 64;

/// How the rows of a dataset lead to a subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum DatasetKind {
    /// A column of each row is the key of its subject.
    Keyed {
        /// The column.
        subject: ColumnName,
        /// Whether each subject has at most one row.
        unique: bool,
    },
    /// Rows lead to a subject through keys of other datasets of the collection.
    Owned {
        /// The links. Each alone leads to the subject; a row whose links lead to different subjects has none.
        through: OwnerLinks,
    },
    /// Rows that are about no subject: concepts, care sites.
    Reference,
    /// Each row is a subject of its own.
    EachRow,
    /// It is not known which subject a row belongs to. The dataset is outside of every statistic.
    Unowned,
}

impl DatasetKind {
    /// The kind in one word, as templates name it.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Keyed { .. } => "keyed",
            Self::Owned { .. } => "owned",
            Self::Reference => "reference",
            Self::EachRow => "each-row",
            Self::Unowned => "unowned",
        }
    }
}

/// A column whose values are keys of a dataset of the collection.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyLink {
    /// The column with the values.
    pub column: ColumnName,
    /// The dataset that they lead to.
    pub to: DatasetName,
    /// Its key.
    pub key: ColumnName,
}

/// The links through which a dataset leads to its subjects: one to four, no column twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawOwnerLinks", into = "Vec<KeyLink>")]
pub struct OwnerLinks(Vec<KeyLink>);

#[derive(Deserialize)]
#[serde(transparent)]
struct RawOwnerLinks(#[serde(deserialize_with = "lists::list::<_, _, MAX_OWNER_LINKS>")] Vec<KeyLink>);

impl OwnerLinks {
    /// These links, in the order of their columns.
    ///
    /// # Errors
    /// [`InvalidSteps`] for none, more than four or a column twice.
    pub fn new(mut links: Vec<KeyLink>) -> Result<Self, InvalidSteps> {
        links.sort();
        let doubled = links
            .windows(2)
            .any(|pair| matches!(pair, [a, b] if a.column == b.column));
        if links.is_empty() || links.len() > MAX_OWNER_LINKS || doubled {
            Err(InvalidSteps {
                what: "links to the owner",
                most: MAX_OWNER_LINKS,
            })
        } else {
            Ok(Self(links))
        }
    }

    /// The links in the order of their columns.
    pub fn iter(&self) -> impl Iterator<Item = &KeyLink> {
        self.0.iter()
    }
}

impl TryFrom<RawOwnerLinks> for OwnerLinks {
    type Error = InvalidSteps;
    fn try_from(raw: RawOwnerLinks) -> Result<Self, InvalidSteps> {
        Self::new(raw.0)
    }
}

impl From<OwnerLinks> for Vec<KeyLink> {
    fn from(links: OwnerLinks) -> Self {
        links.0
    }
}

/// What a column is for joins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ColumnRole {
    /// The key of the subject.
    Subject,
    /// A key of the dataset: each row has another value.
    Key,
    /// A key of another dataset.
    Link {
        /// The dataset that it leads to.
        to: DatasetName,
        /// Its key.
        key: ColumnName,
    },
    /// None of these.
    #[default]
    Value,
}

/// What makes two columns joinable: values of one domain mean the same, and have the same pseudonyms under one grant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyDomain {
    /// The subjects of the collection.
    Subject,
    /// A key of a dataset, and the links to it.
    Key {
        /// The dataset with the key.
        dataset: DatasetName,
        /// The key.
        column: ColumnName,
    },
    /// A column that joins only with those of its name.
    Column(ColumnName),
}

impl fmt::Display for KeyDomain {
    /// Another text for each domain: no name of a column contains a parenthesis or a period.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Subject => f.write_str("(subject)"),
            Self::Key { dataset, column } => write!(f, "{dataset}.{column}"),
            Self::Column(column) => write!(f, "{column}"),
        }
    }
}

/// A list that is empty, too long or not in ascending order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {what} must be between one and {most}, in ascending order and none of them twice")]
pub struct InvalidSteps {
    what: &'static str,
    most: usize,
}

macro_rules! steps {
    ($(#[$doc:meta])* $name:ident, $what:literal, $least:literal, $default:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(try_from = "RawSteps", into = "Vec<u32>")]
        pub struct $name(Vec<u32>);

        impl $name {
            /// These numbers.
            ///
            /// # Errors
            /// [`InvalidSteps`] for none, more than 64, or numbers that are not in ascending order.
            pub fn new(steps: Vec<u32>) -> Result<Self, InvalidSteps> {
                let ascending = steps.windows(2).all(|pair| matches!(pair, [a, b] if a < b));
                let least = steps.first().is_some_and(|first| !(0..$least).contains(first));
                if ascending && least && steps.len() <= MAX_STEPS {
                    Ok(Self(steps))
                } else {
                    Err(InvalidSteps { what: $what, most: MAX_STEPS })
                }
            }

            /// The numbers in ascending order.
            pub fn as_slice(&self) -> &[u32] {
                &self.0
            }

            /// Whether a condition may name this number.
            pub fn contains(&self, number: u32) -> bool {
                self.0.binary_search(&number).is_ok()
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self($default.to_vec())
            }
        }

        impl TryFrom<RawSteps> for $name {
            type Error = InvalidSteps;
            fn try_from(raw: RawSteps) -> Result<Self, InvalidSteps> {
                Self::new(raw.0)
            }
        }

        impl From<$name> for Vec<u32> {
            fn from(steps: $name) -> Self {
                steps.0
            }
        }
    };
}

#[derive(Deserialize)]
#[serde(transparent)]
struct RawSteps(#[serde(deserialize_with = "lists::list::<_, _, MAX_STEPS>")] Vec<u32>);

steps!(
    /// How many rows a condition may require of a subject: at least or at most one of these numbers.
    CountLevels,
    "counts",
    1,
    [1, 2, 3, 5, 10, 20]
);
steps!(
    /// How many days apart a condition may require two dates to be.
    DayLevels,
    "days",
    0,
    [0, 1, 7, 14, 30, 60, 90, 180, 365, 730]
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_that_are_not_ascending_are_refused() {
        for bad in [vec![], vec![0, 1], vec![2, 2], vec![3, 2], (1..=65).collect()] {
            assert!(CountLevels::new(bad.clone()).is_err(), "{bad:?}");
        }
        assert!(DayLevels::new(vec![0, 1]).is_ok_and(|days| days.contains(0) && !days.contains(2)));
        for steps in [CountLevels::default().0, DayLevels::default().0] {
            assert!(DayLevels::new(steps).is_ok());
        }
    }

    #[test]
    fn owner_links_are_one_to_four() {
        let link = |column: &str| KeyLink {
            column: ColumnName::new(column).unwrap(),
            to: DatasetName::new("note").unwrap(),
            key: ColumnName::new("note_id").unwrap(),
        };
        assert!(OwnerLinks::new(Vec::new()).is_err());
        assert!(OwnerLinks::new(vec![link("a"), link("a")]).is_err());
        assert!(OwnerLinks::new(["a", "b", "c", "d", "e"].map(link).to_vec()).is_err());
        assert_eq!(
            OwnerLinks::new(vec![link("b"), link("a")]),
            OwnerLinks::new(vec![link("a"), link("b")])
        );
    }
}
