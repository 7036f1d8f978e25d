//! What conditions and groups may distinguish in a column.
//!
//! 1. Levels divide the values of a column into atoms: between edges ([`Edges`]), by listed values ([`ListedValues`]), or each code by
//!    itself ([`Codes`]). Missing values are an atom of their own, which only `IS NULL` and `IS NOT NULL` name.
//! 2. [`Levels::decide`] returns the atoms for which a condition is true and those for which it is false ([`AtomTest`]). If the
//!    values of one atom differ in it, the condition is refused with the nearest edges ([`Undecided`]).
//! 3. Named levels are coarser: each of their atoms is a union of atoms.
//! 4. A transform of a grant leaves only the levels that it does not hide ([`Levels::under`]).

mod atoms;
mod axis;
mod code_set;
mod codes;
mod comparison;
mod contents;
mod edge_labels;
mod edges;
mod error;
mod reading;
mod values;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use atoms::{AtomId, AtomSet, AtomTest, DifferentLevels};
pub use axis::{Axis, MAX_DATE_EDGES, MAX_EDGES};
pub use code_set::{CodeKind, CodeSet, InvalidCodes, MAX_CODES, MAX_TEXT};
pub use codes::{ANCESTORS_LEVEL, AncestorGroups, CodeNames, Codes, Hierarchy, LISTED_LEVEL, NAMED_LEVEL};
pub use comparison::{Comparison, Undecided};
pub use contents::{Contents, Datum};
pub use edges::Edges;
pub use error::LevelsError;
pub use reading::Reading;
pub use values::{Listed, ListedValues, MAX_VALUES, ValueLabel};

use crate::ids::LevelName;
use crate::schema::ColumnKind;
use crate::scope::{Generalization, Kind, Transform, Value};

/// Most values in the list of a condition, as in the rows of a scope.
const MAX_LITERALS: usize = 1_000;

/// What conditions and groups may distinguish in one column.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Levels {
    /// Only whether a value is missing: all others are one atom.
    #[default]
    None,
    /// True and false.
    Truth,
    /// Numbers or dates between edges.
    Edges(Edges),
    /// Listed values, and all others as one atom.
    Values(ListedValues),
    /// Codes of an open list.
    Codes(Codes),
}

/// Levels that were not checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RawLevels {
    /// See [`Levels::None`].
    #[default]
    None,
    /// See [`Levels::Truth`].
    Truth,
    /// See [`Levels::Edges`].
    Edges {
        /// The edges in ascending order.
        edges: Vec<Value>,
        /// The edges of each coarser level.
        levels: BTreeMap<LevelName, Vec<Value>>,
    },
    /// See [`Levels::Values`].
    Values(Vec<Listed>),
    /// See [`Levels::Codes`].
    Codes {
        /// The reference dataset with the codes above each code.
        hierarchy: Option<Hierarchy>,
        /// The reference dataset with the names of codes.
        names: Option<CodeNames>,
        /// The groups of codes of each level.
        levels: BTreeMap<LevelName, Vec<Listed>>,
    },
}

impl Levels {
    /// The levels of a column with these contents. Values are converted to those of the column if that is possible without loss: texts of
    /// numbers and days, and whole numbers. Edges of a column of text divide the numbers in it.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn check(raw: RawLevels, contents: Contents) -> Result<Self, Vec<LevelsError>> {
        let listed = |listed: Vec<Listed>| {
            listed
                .into_iter()
                .map(|entry| entry.converted(contents))
                .collect::<Vec<_>>()
        };
        let levels = match raw {
            RawLevels::None => Self::None,
            RawLevels::Truth => Self::Truth,
            RawLevels::Edges { edges, levels } => {
                let divided = contents.between_edges();
                let values =
                    |edges: Vec<Value>| -> Vec<Value> { edges.into_iter().map(|edge| divided.convert(edge)).collect() };
                let levels = levels.into_iter().map(|(name, edges)| (name, values(edges))).collect();
                Self::Edges(Edges::check(&values(edges), &levels, divided)?)
            }
            RawLevels::Values(entries) => Self::Values(ListedValues::check(listed(entries))?),
            RawLevels::Codes {
                hierarchy,
                names,
                levels,
            } => {
                let levels = levels
                    .into_iter()
                    .map(|(name, entries)| (name, listed(entries)))
                    .collect();
                Self::Codes(Codes::check(hierarchy, names, levels, contents)?)
            }
        };
        if levels.fits(contents) {
            Ok(levels)
        } else {
            Err(vec![LevelsError::OtherKind])
        }
    }

    /// The levels as they are declared.
    #[must_use]
    pub fn raw(&self) -> RawLevels {
        match self {
            Self::None => RawLevels::None,
            Self::Truth => RawLevels::Truth,
            Self::Edges(edges) => RawLevels::Edges {
                edges: edges.axis().values(),
                levels: edges.raw_levels(),
            },
            Self::Values(values) => RawLevels::Values(values.raw()),
            Self::Codes(codes) => RawLevels::Codes {
                hierarchy: codes.hierarchy().cloned(),
                names: codes.names().cloned(),
                levels: codes.raw_levels(),
            },
        }
    }

    /// Whether a steward can declare these levels for a column with such contents.
    pub(in crate::collection) fn fits(&self, contents: Contents) -> bool {
        match self {
            Self::None => true,
            Self::Truth => contents.fits(Kind::Bool),
            Self::Edges(edges) => edges.reading() == Reading::Plain && edges.axis().fits(contents.between_edges()),
            // A point in time does not equal a day.
            Self::Values(values) => !contents.has_times() && values.kind().is_some_and(|kind| contents.fits(kind)),
            Self::Codes(codes) => codes.fits(contents),
        }
    }

    /// The set of one atom of edges, listed values or truth.
    #[must_use]
    pub fn only(&self, atom: u16) -> AtomSet {
        AtomSet::listed(self.atoms().unwrap_or(0), [atom])
    }

    /// The number of atoms without the missing values; `None` for an open list.
    pub fn atoms(&self) -> Option<u16> {
        match self {
            Self::None => Some(1),
            Self::Truth => Some(2),
            Self::Edges(edges) => Some(edges.atoms()),
            Self::Values(values) => Some(values.atoms()),
            Self::Codes(_) => None,
        }
    }

    /// All atoms, without the missing values.
    pub fn all(&self) -> AtomSet {
        match self {
            Self::Codes(codes) => AtomSet::codes(CodeSet::all(codes.kind())),
            Self::None | Self::Truth | Self::Edges(_) | Self::Values(_) => {
                let atoms = self.atoms().unwrap_or_default();
                AtomSet::listed(atoms, 0..atoms)
            }
        }
    }

    /// The atom that a value belongs to: the missing values for one that is missing, shown as missing, or of another kind.
    pub fn atom_of(&self, value: Datum<'_>) -> AtomId {
        let listed = match (self, value) {
            (Self::None, Datum::Null) => None,
            (Self::None, _) => Some(0),
            (Self::Truth, Datum::Truth(truth)) => Some(u16::from(truth)),
            (Self::Truth, _) => None,
            (Self::Edges(edges), value) => edges.atom_of(value),
            (Self::Values(values), value) => values.atom_of(value),
            (Self::Codes(codes), value) => return codes.atom_of(value).map_or(AtomId::Null, AtomId::Code),
        };
        listed.map_or(AtomId::Null, AtomId::Listed)
    }

    /// How an atom is shown as a group, which no other atom of the column is. `None` for missing values, which are NULL, for an atom that
    /// does not exist, and for a column without levels, which has no groups.
    pub fn label(&self, atom: &AtomId) -> Option<String> {
        match (self, atom) {
            (Self::Truth, AtomId::Listed(0)) => Some("false".to_owned()),
            (Self::Truth, AtomId::Listed(1)) => Some("true".to_owned()),
            (Self::Edges(edges), AtomId::Listed(atom)) => edges.label(*atom),
            (Self::Values(values), AtomId::Listed(atom)) => values.label(*atom),
            (Self::Codes(_), AtomId::Code(Value::Int(code))) => Some(code.to_string()),
            (Self::Codes(_), AtomId::Code(Value::Text(code))) => Some(code.clone()),
            (Self::None | Self::Truth | Self::Edges(_) | Self::Values(_) | Self::Codes(_), _) => None,
        }
    }

    /// The atom with this label; `None` for an open list.
    pub fn labeled(&self, label: &str) -> Option<AtomId> {
        let atoms = (0..self.atoms()?).map(AtomId::Listed);
        atoms
            .into_iter()
            .find(|atom| self.label(atom).as_deref() == Some(label))
    }

    /// The atoms for which a condition is true, and those for which it is false.
    ///
    /// # Errors
    /// [`Undecided`] if the values of one atom differ in the condition.
    pub fn decide(&self, comparison: &Comparison) -> Result<AtomTest, Undecided> {
        let is_negative = match comparison {
            Comparison::IsNull => return Ok(AtomTest::is_null(&self.all())),
            Comparison::IsNotNull => return Ok(AtomTest::is_null(&self.all()).negation()),
            Comparison::NotEqual(_) | Comparison::NotIn(_) => true,
            Comparison::Equal(_)
            | Comparison::Less(_)
            | Comparison::AtMost(_)
            | Comparison::Greater(_)
            | Comparison::AtLeast(_)
            | Comparison::In(_)
            | Comparison::Between(..)
            | Comparison::Prefix(_) => false,
        };
        if comparison.literals().len() > MAX_LITERALS {
            return Err(Undecided::TooLong);
        }
        let named = match self {
            Self::None => return Err(Undecided::NoLevels),
            Self::Truth => AtomSet::listed(2, truths(comparison)?),
            Self::Edges(edges) => AtomSet::listed(edges.atoms(), edges.decide(comparison)?),
            Self::Values(values) => AtomSet::listed(values.atoms(), values.decide(comparison)?),
            Self::Codes(codes) => AtomSet::codes(codes.decide(comparison)?),
        };
        let test = AtomTest::of_values(named);
        Ok(if is_negative { test.negation() } else { test })
    }

    /// The coarser levels of this name, without further ones; `None` if there are none of this name.
    pub fn level(&self, name: &LevelName) -> Option<Self> {
        match self {
            Self::Edges(edges) => edges.level(name).map(Self::Edges),
            Self::Codes(codes) => codes.level(name).cloned().map(Self::Values),
            Self::None | Self::Truth | Self::Values(_) => None,
        }
    }

    /// The atom of the named level that contains an atom of these levels.
    pub fn coarser(&self, name: &LevelName, atom: &AtomId) -> Option<AtomId> {
        match (self, atom) {
            (Self::Edges(edges), AtomId::Listed(atom)) => edges.coarser(name, *atom).map(AtomId::Listed),
            (Self::Codes(codes), AtomId::Code(code)) => codes.level(name)?.atom_of(code.into()).map(AtomId::Listed),
            (Self::Edges(_) | Self::Codes(_), AtomId::Null) => self.level(name).map(|_| AtomId::Null),
            (Self::None | Self::Truth | Self::Edges(_) | Self::Values(_) | Self::Codes(_), _) => None,
        }
    }

    /// The levels that columns with these and with other ones have together: the edges of both, and the values that either lists. `None` if
    /// they have no edge in common, and if one value has two labels or is shown in two ways.
    pub fn common(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (one, other) if one == other => Some(one.clone()),
            (Self::Edges(one), Self::Edges(other)) => one.common(other).map(Self::Edges),
            (Self::Values(one), Self::Values(other)) => one.union(other).map(Self::Values),
            (Self::None | Self::Truth | Self::Edges(_) | Self::Values(_) | Self::Codes(_), _) => None,
        }
    }

    /// For each atom of listed values the atom of another list that has exactly the same values, if there is one: all other values are not
    /// the same if the lists differ. `None` for other levels.
    pub fn same_atoms(&self, other: &Self) -> Option<Vec<Option<u16>>> {
        match (self, other) {
            (Self::Values(one), Self::Values(other)) => Some(one.same_atoms(other)),
            (Self::None | Self::Truth | Self::Edges(_) | Self::Values(_) | Self::Codes(_), _) => None,
        }
    }

    /// What is left of the levels if the column is shown with a transform: declared levels met with what the transform shows, in which
    /// values that it shows as missing are missing. Dates before the end of `oldest_year` are one atom in years
    /// ([`Window::oldest_year`](crate::scope::Window::oldest_year)). `None` for a column that is removed.
    #[must_use]
    pub fn under(&self, transform: Transform, oldest_year: Option<i32>) -> Option<Self> {
        let left = match (transform, self) {
            (Transform::Removed, _) => return None,
            (Transform::Clear | Transform::Generalized(Generalization::Levels), levels) => return Some(levels.clone()),
            (Transform::Generalized(Generalization::Year), Self::Edges(edges)) => edges.in_years(oldest_year),
            (Transform::Generalized(Generalization::AgeBand(width)), Self::Edges(edges)) => edges.in_bands(width),
            (Transform::Generalized(_) | Transform::Pseudonym, _) => None,
        };
        Some(left.map_or(Self::None, Self::Edges))
    }
}

/// The atoms of true and false that satisfy a comparison; false is below true.
fn truths(comparison: &Comparison) -> Result<Vec<u16>, Undecided> {
    let is_truth = |literal: &&Value| literal.kind() == Kind::Bool;
    if !comparison.literals().iter().all(is_truth) {
        return Err(Undecided::OtherKind {
            expected: ColumnKind::Boolean.label(),
        });
    }
    let admits = |truth: bool| {
        let value = Value::Bool(truth);
        Ok(match comparison {
            Comparison::Equal(one) | Comparison::NotEqual(one) => value == *one,
            Comparison::Less(one) => value < *one,
            Comparison::AtMost(one) => value <= *one,
            Comparison::Greater(one) => value > *one,
            Comparison::AtLeast(one) => value >= *one,
            Comparison::In(list) | Comparison::NotIn(list) => list.contains(&value),
            Comparison::Between(low, high) => *low <= value && value <= *high,
            Comparison::Prefix(_) | Comparison::IsNull | Comparison::IsNotNull => return Err(Undecided::NotOrdered),
        })
    };
    let mut atoms = Vec::new();
    for truth in [false, true] {
        if admits(truth)? {
            atoms.push(u16::from(truth));
        }
    }
    Ok(atoms)
}
