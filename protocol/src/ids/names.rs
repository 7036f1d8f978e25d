//! Names chosen and read by people.

use crate::error_kind::{ErrorKind, Explain};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::countries::is_assigned;

/// Prefix of column names that are reserved for the system; imports reject them.
pub const RESERVED_PREFIX: &str = "__concordat";

/// A name that breaks the rule of its kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a valid {kind}: {rule}")]
pub struct InvalidName {
    kind: &'static str,
    text: String,
    rule: &'static str,
}

impl Explain for InvalidName {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Usage
    }
}

impl InvalidName {
    pub(super) fn new(kind: &'static str, text: &str, rule: &'static str) -> Self {
        Self {
            kind,
            text: text.chars().take(64).collect(),
            rule,
        }
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $rule:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Box<str>);

        impl $name {
            /// Checks the rule and creates the name.
            ///
            /// # Errors
            /// [`InvalidName`] states the rule.
            pub fn new(text: &str) -> Result<Self, InvalidName> {
                let valid: fn(&str) -> bool = $valid;
                if valid(text) { Ok(Self(text.into())) } else { Err(InvalidName::new($kind, text, $rule)) }
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;
            fn from_str(text: &str) -> Result<Self, InvalidName> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;
            fn try_from(text: String) -> Result<Self, InvalidName> {
                Self::new(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.into()
            }
        }
    };
}

name!(
    /// Short id of a member, for example `cleveland`: 2 to 32 characters, `a-z0-9-`, starting with a letter.
    InstitutionId,
    "institution id",
    "2 to 32 characters of `a-z`, `0-9` and `-`, starting with a letter; `consortium` is reserved",
    |text| (2..=32).contains(&text.len()) && plain(text, b'-') && text != "consortium"
);
name!(
    /// Name of a dataset inside its institution: 1 to 63 characters, `a-z0-9_`, starting with a letter.
    DatasetName,
    "dataset name",
    "1 to 63 characters of `a-z`, `0-9` and `_`, starting with a letter",
    |text| (1..=63).contains(&text.len()) && plain(text, b'_')
);
name!(
    /// Name of a collection inside its institution: 1 to 63 characters, `a-z0-9_`, starting with a letter.
    CollectionName,
    "collection name",
    "1 to 63 characters of `a-z`, `0-9` and `_`, starting with a letter",
    |text| (1..=63).contains(&text.len()) && plain(text, b'_')
);
name!(
    /// Name of a coarser level of a column, for example `quarter`: 1 to 32 characters, `a-z0-9_`, starting with a letter.
    LevelName,
    "level name",
    "1 to 32 characters of `a-z`, `0-9` and `_`, starting with a letter",
    |text| (1..=32).contains(&text.len()) && plain(text, b'_')
);
name!(
    /// Name of a segment: 1 to 32 characters, `a-z0-9-`, starting with a letter.
    SegmentName,
    "segment name",
    "1 to 32 characters of `a-z`, `0-9` and `-`, starting with a letter",
    |text| (1..=32).contains(&text.len()) && plain(text, b'-')
);
name!(
    /// Name of a column: 1 to 63 letters, digits and `_` of any script, not starting with a digit; upper and lower case are kept. It is an
    /// identifier by UAX #31 (`XID_Start` or `_`, then `XID_Continue`) in normalization form C, so that one name has one spelling.
    ColumnName,
    "column name",
    "1 to 63 letters, digits and `_`, not starting with a digit",
    |text| (1..=MAX_COLUMN_NAME).contains(&text.chars().count())
        && text.chars().all(is_in_column_name)
        && text.starts_with(may_begin_column_name)
        && unicode_normalization::is_nfc(text)
);
name!(
    /// Country whose law applies to an institution: an assigned code of ISO 3166-1 alpha-2, upper case, for example `HU`.
    Jurisdiction,
    "jurisdiction",
    "the code of a country in ISO 3166-1, two upper-case letters, for example `CH` or `GB`",
    is_assigned
);
name!(
    /// A person or workload: `name@institution`.
    ActorId,
    "actor",
    "`name@institution`, the name 1 to 64 characters of `a-z`, `0-9`, `.`, `_` and `-`",
    |text| text.split_once('@').is_some_and(|(name, institution)| {
        (1..=64).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b))
            && InstitutionId::new(institution).is_ok()
    })
);

/// Maximum length of the name of a column, in characters.
pub const MAX_COLUMN_NAME: usize = 63;

/// Whether the name of a column may contain `character`.
#[must_use]
pub fn is_in_column_name(character: char) -> bool {
    unicode_ident::is_xid_continue(character)
}

/// Whether the name of a column may begin with `character`.
#[must_use]
pub fn may_begin_column_name(character: char) -> bool {
    character == '_' || unicode_ident::is_xid_start(character)
}

fn plain(text: &str, joiner: u8) -> bool {
    text.bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == joiner)
        && text.starts_with(|c: char| c.is_ascii_lowercase())
}

impl ColumnName {
    /// Whether the name is reserved for the system.
    pub fn is_reserved(&self) -> bool {
        self.as_str().to_ascii_lowercase().starts_with(RESERVED_PREFIX)
    }
}

impl ActorId {
    /// The actor called `name` at `institution`.
    ///
    /// # Errors
    /// [`InvalidName`] if the name breaks the rule.
    pub fn at(name: &str, institution: &InstitutionId) -> Result<Self, InvalidName> {
        Self::new(&format!("{name}@{institution}"))
    }

    /// Whether the actor belongs to `institution`.
    pub fn belongs_to(&self, institution: &InstitutionId) -> bool {
        self.as_str()
            .split_once('@')
            .is_some_and(|(_, domain)| domain == institution.as_str())
    }

    /// The part before the `@`.
    pub fn name(&self) -> &str {
        self.as_str().split_once('@').map_or("", |(name, _)| name)
    }
}

impl CollectionName {
    /// Whether the dataset has this name too, as that of a collection of one has.
    pub fn is_name_of(&self, dataset: &DatasetName) -> bool {
        self.as_str() == dataset.as_str()
    }
}

// Both have the same rule.
impl From<&CollectionName> for DatasetName {
    fn from(name: &CollectionName) -> Self {
        Self(name.0.clone())
    }
}

impl From<&DatasetName> for CollectionName {
    fn from(name: &DatasetName) -> Self {
        Self(name.0.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_their_rules() {
        assert!(InstitutionId::new("cleveland").is_ok());
        for bad in ["", "c", "Cleveland", "9lives", "a_b", "consortium", "a/b", "../etc"] {
            assert!(InstitutionId::new(bad).is_err(), "{bad}");
        }
        let long = "é".repeat(64);
        // The last three are not composed, turn the direction of writing, and have no width.
        for bad in [
            "",
            "1a",
            "a b",
            "a-b",
            "a\"b",
            &long,
            "e\u{301}",
            "a\u{202e}b",
            "a\u{200b}b",
        ] {
            assert!(ColumnName::new(bad).is_err(), "{bad}");
        }
        for good in ["Age", "_x1", "é", "größe", "病历号", &"é".repeat(63)] {
            assert!(ColumnName::new(good).is_ok(), "{good}");
        }
        assert!(ColumnName::new("__CONCORDAT_subject").unwrap().is_reserved());
        for unassigned in ["hu", "XX", "EU", "UK"] {
            assert!(Jurisdiction::new(unassigned).is_err(), "{unassigned}");
        }
        assert!(
            ActorId::new("eva@budapest")
                .unwrap()
                .belongs_to(&InstitutionId::new("budapest").unwrap())
        );
        assert!(ActorId::new("eva").is_err());
    }

    #[test]
    fn an_invalid_name_does_not_survive_deserialization() {
        assert!(serde_json::from_str::<DatasetName>("\"heart\"").is_ok());
        assert!(serde_json::from_str::<DatasetName>("\"Heart; DROP\"").is_err());
    }
}
