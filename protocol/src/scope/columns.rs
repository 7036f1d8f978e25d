//! Columns and the transforms that are applied before rows leave.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::invalid::{InvalidScope, Part};
use crate::ids::ColumnName;

/// Most columns a scope may name.
pub const MAX_COLUMNS: usize = 4096;

/// How a column is changed before it leaves: clear at the top, removed at the bottom, and between them generalized or
/// pseudonymized, neither of which contains the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transform {
    /// As it is.
    Clear,
    /// Coarser: a date as its year, an age as a band, a value as one of the levels that are declared for it.
    Generalized(Generalization),
    /// A keyed pseudonym, another one under each grant: equal values stay equal, no other property is preserved.
    Pseudonym,
    /// Not shown at all.
    Removed,
}

/// How values are made coarser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Generalization {
    /// A date or time as its year. Years from which an age of 90 or more follows are shown as the newest of them
    /// (45 CFR 164.514(b)(2)(i)(C)); see [`Window::oldest_year`](super::Window::oldest_year).
    Year,
    /// An age in years as a band; 90 and above are one band (45 CFR 164.514(b)(2)(i)(C)).
    AgeBand(BandWidth),
    /// The level to which the value belongs. Stewards declare levels ([`Levels`](crate::collection::Levels)) and may change them during a
    /// grant: a scope does not contain them. So these can be neither compared nor met with years and bands.
    Levels,
}

/// The width of age bands. Five divides ten, so bands nest and the wider one is the meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BandWidth {
    /// `40-44`, `45-49`, …, `90+`.
    Five,
    /// `40-49`, `50-59`, …, `90+`.
    Ten,
}

impl BandWidth {
    /// The width in years.
    pub const fn years(self) -> i64 {
        match self {
            Self::Five => 5,
            Self::Ten => 10,
        }
    }
}

impl Transform {
    /// The transform that reveals only what both reveal.
    pub fn meet(self, other: Self) -> Self {
        match (self, other) {
            (Self::Clear, x) | (x, Self::Clear) => x,
            (Self::Generalized(Generalization::AgeBand(a)), Self::Generalized(Generalization::AgeBand(b))) => {
                Self::Generalized(Generalization::AgeBand(a.max(b)))
            }
            (a, b) if a == b => a,
            (Self::Generalized(_) | Self::Pseudonym | Self::Removed, _) => Self::Removed,
        }
    }

    /// Whether this transform reveals everything that `inner` reveals.
    pub fn covers(self, inner: Self) -> bool {
        self.meet(inner) == inner
    }
}

impl fmt::Display for Transform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Clear => "clear",
            Self::Generalized(Generalization::Year) => "generalized to year",
            Self::Generalized(Generalization::AgeBand(BandWidth::Five)) => "generalized to bands of 5 years",
            Self::Generalized(Generalization::AgeBand(BandWidth::Ten)) => "generalized to bands of 10 years",
            Self::Generalized(Generalization::Levels) => "generalized to levels",
            Self::Pseudonym => "pseudonym",
            Self::Removed => "removed",
        })
    }
}

/// The columns a scope shows. A column that is not named is removed, so [`Transform::Removed`] is never stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    try_from = "BTreeMap<ColumnName, Transform>",
    into = "BTreeMap<ColumnName, Transform>"
)]
pub struct Columns(BTreeMap<ColumnName, Transform>);

impl Columns {
    /// The visible columns; removed ones are omitted.
    ///
    /// # Errors
    /// [`InvalidScope`] for more than 4096 columns or a reserved name.
    pub fn new(columns: impl IntoIterator<Item = (ColumnName, Transform)>) -> Result<Self, InvalidScope> {
        let mut visible = BTreeMap::new();
        for (name, transform) in columns {
            if name.is_reserved() {
                return Err(InvalidScope::new(Part::Columns, format!("`{name}` is a reserved name")));
            }
            if transform != Transform::Removed {
                visible.insert(name, transform);
            }
        }
        if visible.len() > MAX_COLUMNS {
            return Err(InvalidScope::new(
                Part::Columns,
                format!("more than {MAX_COLUMNS} columns"),
            ));
        }
        Ok(Self(visible))
    }

    /// What happens to `column`; [`Transform::Removed`] if it is not named.
    pub fn transform(&self, column: &ColumnName) -> Transform {
        self.0.get(column).copied().unwrap_or(Transform::Removed)
    }

    /// The visible columns with their transforms, in order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&ColumnName, Transform)> {
        self.0.iter().map(|(name, transform)| (name, *transform))
    }

    /// The names of the visible columns.
    pub fn names(&self) -> impl Iterator<Item = &ColumnName> {
        self.0.keys()
    }

    /// Whether no column is visible.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many columns are visible.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn meet(&self, other: &Self) -> Self {
        let met = self
            .iter()
            .map(|(name, mine)| (name.clone(), mine.meet(other.transform(name))));
        Self(met.filter(|(_, transform)| *transform != Transform::Removed).collect())
    }

    pub(super) fn covers(&self, inner: &Self) -> bool {
        inner
            .iter()
            .all(|(name, transform)| self.transform(name).covers(transform))
    }
}

impl TryFrom<BTreeMap<ColumnName, Transform>> for Columns {
    type Error = InvalidScope;
    fn try_from(columns: BTreeMap<ColumnName, Transform>) -> Result<Self, InvalidScope> {
        Self::new(columns)
    }
}

impl From<Columns> for BTreeMap<ColumnName, Transform> {
    fn from(columns: Columns) -> Self {
        columns.0
    }
}

impl fmt::Display for Columns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("no columns");
        }
        let parts: Vec<_> = self
            .iter()
            .map(|(name, transform)| format!("{name} ({transform})"))
            .collect();
        f.write_str(&parts.join(", "))
    }
}
