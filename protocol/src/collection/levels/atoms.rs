//! Sets of atoms, and conditions as sets of atoms.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::super::lists;
use super::code_set::{CodeKind, CodeSet};
use crate::scope::Value;

/// Most atoms of a column without an open list: the largest number of edges or listed values, and one more.
const MAX_ATOMS: usize = 1_001;

/// The atom that a value belongs to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AtomId {
    /// The missing values.
    Null,
    /// An atom of edges, listed values or truth, counted from zero.
    Listed(u16),
    /// A code of an open list, which is an atom of its own.
    Code(Value),
}

/// A set of atoms of one column. The missing values are an atom of their own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AtomSet {
    atoms: Atoms,
    null: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Atoms {
    Listed(ListedAtoms),
    Codes(CodeSet),
}

/// Some of `of` atoms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawListedAtoms")]
struct ListedAtoms {
    of: u16,
    atoms: BTreeSet<u16>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawListedAtoms {
    of: u16,
    #[serde(deserialize_with = "lists::set::<_, _, MAX_ATOMS>")]
    atoms: BTreeSet<u16>,
}

impl TryFrom<RawListedAtoms> for ListedAtoms {
    type Error = DifferentLevels;
    fn try_from(raw: RawListedAtoms) -> Result<Self, DifferentLevels> {
        let inside = raw.atoms.last().is_none_or(|last| *last < raw.of);
        if inside && usize::from(raw.of) <= MAX_ATOMS {
            Ok(Self {
                of: raw.of,
                atoms: raw.atoms,
            })
        } else {
            Err(DifferentLevels)
        }
    }
}

/// Sets of atoms of different columns, or a set of more codes than allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the sets are about columns with different levels, or have too many codes together")]
pub struct DifferentLevels;

impl AtomSet {
    /// The atoms at these positions, of `of` in all.
    pub(super) fn listed(of: u16, atoms: impl IntoIterator<Item = u16>) -> Self {
        let atoms = atoms.into_iter().filter(|atom| *atom < of).collect();
        Self {
            atoms: Atoms::Listed(ListedAtoms { of, atoms }),
            null: false,
        }
    }

    /// These codes.
    pub(super) const fn codes(codes: CodeSet) -> Self {
        Self {
            atoms: Atoms::Codes(codes),
            null: false,
        }
    }

    /// The same atoms, with or without the missing values.
    #[must_use]
    pub fn with_null(self, null: bool) -> Self {
        Self { null, ..self }
    }

    /// Whether missing values are in the set.
    pub const fn has_null(&self) -> bool {
        self.null
    }

    /// Whether `atom` is in the set.
    pub fn contains(&self, atom: &AtomId) -> bool {
        match (&self.atoms, atom) {
            (_, AtomId::Null) => self.null,
            (Atoms::Listed(listed), AtomId::Listed(at)) => listed.atoms.contains(at),
            (Atoms::Codes(codes), AtomId::Code(code)) => codes.contains(code),
            (Atoms::Listed(_), AtomId::Code(_)) | (Atoms::Codes(_), AtomId::Listed(_)) => false,
        }
    }

    /// Whether no atom is in the set.
    pub fn is_empty(&self) -> bool {
        let empty = match &self.atoms {
            Atoms::Listed(listed) => listed.atoms.is_empty(),
            Atoms::Codes(codes) => codes.is_empty(),
        };
        empty && !self.null
    }

    /// The positions of the atoms in ascending order, without the missing values; `None` for codes.
    pub fn positions(&self) -> Option<impl Iterator<Item = u16>> {
        match &self.atoms {
            Atoms::Listed(listed) => Some(listed.atoms.iter().copied()),
            Atoms::Codes(_) => None,
        }
    }

    /// The codes; `None` if the column has no open list.
    pub const fn code_set(&self) -> Option<&CodeSet> {
        match &self.atoms {
            Atoms::Codes(codes) => Some(codes),
            Atoms::Listed(_) => None,
        }
    }

    /// The atoms in at least one of both.
    ///
    /// # Errors
    /// [`DifferentLevels`] if they are about columns with different levels.
    pub fn union(&self, other: &Self) -> Result<Self, DifferentLevels> {
        self.combine(other, |a, b| a || b)
    }

    /// The atoms in both.
    ///
    /// # Errors
    /// [`DifferentLevels`] if they are about columns with different levels.
    pub fn intersection(&self, other: &Self) -> Result<Self, DifferentLevels> {
        self.combine(other, |a, b| a && b)
    }

    /// The atoms in this set and not in the other one.
    ///
    /// # Errors
    /// [`DifferentLevels`] if they are about columns with different levels.
    pub fn difference(&self, other: &Self) -> Result<Self, DifferentLevels> {
        self.combine(other, |a, b| a && !b)
    }

    /// All other atoms, the missing values among them. This is not `NOT` of a condition: see [`AtomTest::negation`].
    #[must_use]
    pub fn complement(&self) -> Self {
        let atoms = match &self.atoms {
            Atoms::Listed(ListedAtoms { of, atoms }) => Atoms::Listed(ListedAtoms {
                of: *of,
                atoms: (0..*of).filter(|atom| !atoms.contains(atom)).collect(),
            }),
            Atoms::Codes(codes) => Atoms::Codes(codes.complement()),
        };
        Self {
            atoms,
            null: !self.null,
        }
    }

    fn combine(&self, other: &Self, both: fn(bool, bool) -> bool) -> Result<Self, DifferentLevels> {
        let atoms = match (&self.atoms, &other.atoms) {
            (Atoms::Listed(a), Atoms::Listed(b)) if a.of == b.of => {
                let met = (0..a.of).filter(|atom| both(a.atoms.contains(atom), b.atoms.contains(atom)));
                Atoms::Listed(ListedAtoms {
                    of: a.of,
                    atoms: met.collect(),
                })
            }
            (Atoms::Codes(a), Atoms::Codes(b)) => Atoms::Codes(a.combine(b, both).ok_or(DifferentLevels)?),
            (Atoms::Listed(_) | Atoms::Codes(_), _) => return Err(DifferentLevels),
        };
        Ok(Self {
            atoms,
            null: both(self.null, other.null),
        })
    }

    /// What kind of codes are in the set; `None` if the column has no open list.
    pub fn code_kind(&self) -> Option<CodeKind> {
        self.code_set().map(CodeSet::kind)
    }
}

/// A condition on one column in the three-valued logic of SQL: the atoms for which it is true and those for which it is false. For
/// the others, which can only be the missing values, it is neither.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawAtomTest")]
pub struct AtomTest {
    is_true: AtomSet,
    is_false: AtomSet,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAtomTest {
    is_true: AtomSet,
    is_false: AtomSet,
}

impl TryFrom<RawAtomTest> for AtomTest {
    type Error = DifferentLevels;
    /// No atom is both, and both sets are of one column.
    fn try_from(raw: RawAtomTest) -> Result<Self, DifferentLevels> {
        if !raw.is_true.intersection(&raw.is_false)?.is_empty() {
            return Err(DifferentLevels);
        }
        Ok(Self {
            is_true: raw.is_true,
            is_false: raw.is_false,
        })
    }
}

impl AtomTest {
    /// A comparison that is true for `atoms` and false for all others, and neither for missing values.
    pub(super) fn of_values(atoms: AtomSet) -> Self {
        Self {
            is_false: atoms.complement().with_null(false),
            is_true: atoms.with_null(false),
        }
    }

    /// The test that is true for these atoms, where it does not matter for which others it is false ([`Self::where_true`]).
    #[must_use]
    pub fn true_for(atoms: AtomSet) -> Self {
        Self {
            is_false: atoms.complement(),
            is_true: atoms,
        }
        .where_true()
    }

    /// `IS NULL`, for a column with these atoms.
    pub(super) fn is_null(all: &AtomSet) -> Self {
        let is_true = all.complement().with_null(true);
        Self {
            is_false: is_true.complement(),
            is_true,
        }
    }

    /// The atoms for which the condition is true: the rows that `WHERE` keeps.
    pub const fn passing(&self) -> &AtomSet {
        &self.is_true
    }

    /// The atoms for which the condition is false.
    pub const fn failing(&self) -> &AtomSet {
        &self.is_false
    }

    /// `NOT`.
    #[must_use]
    pub fn negation(self) -> Self {
        Self {
            is_true: self.is_false,
            is_false: self.is_true,
        }
    }

    /// The one test that is true for the same atoms, for where it does not matter whether a condition is false or neither: a comparison is
    /// neither for missing values, and `IS NULL` and `IS NOT NULL` are false for all others.
    #[must_use]
    pub fn where_true(self) -> Self {
        let others = self.is_true.complement();
        let is_all = others.clone().with_null(false).is_empty();
        let is_false = if self.is_true.has_null() || is_all {
            others
        } else {
            others.with_null(false)
        };
        Self {
            is_true: self.is_true,
            is_false,
        }
    }

    /// `AND`.
    ///
    /// # Errors
    /// [`DifferentLevels`] if the conditions are about columns with different levels.
    pub fn and(&self, other: &Self) -> Result<Self, DifferentLevels> {
        Ok(Self {
            is_true: self.is_true.intersection(&other.is_true)?,
            is_false: self.is_false.union(&other.is_false)?,
        })
    }

    /// `OR`.
    ///
    /// # Errors
    /// [`DifferentLevels`] if the conditions are about columns with different levels.
    pub fn or(&self, other: &Self) -> Result<Self, DifferentLevels> {
        Ok(Self {
            is_true: self.is_true.union(&other.is_true)?,
            is_false: self.is_false.intersection(&other.is_false)?,
        })
    }
}
