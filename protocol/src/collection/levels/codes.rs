//! Levels of an open list of codes: conditions name codes or prefixes, and groups a named level.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::super::lists;
use super::code_set::{CodeKind, CodeSet};
use super::comparison::{Comparison, Undecided};
use super::contents::{Contents, Datum};
use super::edges::MAX_LEVELS;
use super::error::LevelsError;
use super::values::{Listed, ListedValues, ValueLabel};
use crate::ids::{ColumnName, DatasetName, LevelName};
use crate::scope::{Kind, Value};

/// The level that groups by the column use: the codes that are listed, each by itself, and all others together.
pub const LISTED_LEVEL: &str = "listed";
/// The level that groups by the names of the codes use: the codes that are listed, by the name that [`CodeNames`] has for each.
pub const NAMED_LEVEL: &str = "named";
/// The level that groups by the names of ancestors use: the codes that are groups ([`AncestorGroups`]), each with its name. They are codes
/// above those of the column.
pub const ANCESTORS_LEVEL: &str = "ancestors";

/// A reference dataset with each code and those above it, as pairs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hierarchy {
    /// The dataset.
    pub dataset: DatasetName,
    /// The column with the code above.
    pub ancestor: ColumnName,
    /// The column with the code below.
    pub descendant: ColumnName,
    /// Which of the codes above are groups; `None` if none are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<AncestorGroups>,
}

impl Hierarchy {
    /// Whether the codes above each code are in the same columns.
    #[must_use]
    pub fn has_pairs_of(&self, other: &Self) -> bool {
        (&self.dataset, &self.ancestor, &self.descendant) == (&other.dataset, &other.ancestor, &other.descendant)
    }
}

/// The codes of one class, such as `concept_class_id = 'Ingredient'`. Of these, those above listed codes are proposed as groups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AncestorGroups {
    /// The column with the class of a code, in the dataset with the names of codes.
    pub column: ColumnName,
    /// The class.
    pub class: ValueLabel,
}

/// A dataset with the name of each code: a reference dataset, or that of the column with the codes, in which another column describes the code
/// of each row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CodeNames {
    /// The dataset.
    pub dataset: DatasetName,
    /// The column with the code.
    pub code: ColumnName,
    /// The column with its name.
    pub name: ColumnName,
}

/// Codes of an open list: each code is an atom. Named levels list codes with the label of the group that each belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawCodes")]
pub struct Codes {
    kind: CodeKind,
    hierarchy: Option<Hierarchy>,
    names: Option<CodeNames>,
    levels: BTreeMap<LevelName, ListedValues>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCodes {
    kind: CodeKind,
    hierarchy: Option<Hierarchy>,
    names: Option<CodeNames>,
    #[serde(deserialize_with = "lists::map::<_, _, _, MAX_LEVELS>")]
    levels: BTreeMap<LevelName, ListedValues>,
}

impl Codes {
    /// The codes of a column with these contents.
    pub(super) fn check(
        hierarchy: Option<Hierarchy>,
        names: Option<CodeNames>,
        levels: BTreeMap<LevelName, Vec<Listed>>,
        contents: Contents,
    ) -> Result<Self, Vec<LevelsError>> {
        let mut errors = Vec::new();
        let mut checked = BTreeMap::new();
        for (name, listed) in levels {
            match ListedValues::check(listed) {
                Ok(values) => {
                    checked.insert(name, values);
                }
                Err(found) => errors.extend(found),
            }
        }
        let listed_kind = checked.values().find_map(ListedValues::kind);
        let is_int = match contents {
            Contents::Empty => listed_kind == Some(Kind::Int),
            Contents::Of(_) => contents.fits(Kind::Int),
        };
        let codes = Self {
            kind: if is_int { CodeKind::Int } else { CodeKind::Text },
            hierarchy,
            names,
            levels: checked,
        };
        if !codes.fits(contents) {
            errors.push(LevelsError::OtherKind);
        }
        errors.extend(codes.problems());
        if errors.is_empty() { Ok(codes) } else { Err(errors) }
    }

    fn problems(&self) -> Vec<LevelsError> {
        let mut errors = Vec::new();
        if self.levels.len() > MAX_LEVELS {
            errors.push(LevelsError::TooManyLevels { max: MAX_LEVELS });
        }
        if self.levels.values().any(|level| level.kind() != Some(self.kind.kind())) {
            errors.push(LevelsError::OtherKind);
        }
        errors
    }

    pub(super) fn fits(&self, contents: Contents) -> bool {
        contents.fits(self.kind.kind())
    }

    /// Takes another kind, if no group lists codes of this one.
    pub(in crate::collection) fn adopt(&mut self, kind: CodeKind) {
        if self.levels.is_empty() {
            self.kind = kind;
        }
    }

    /// What the codes are.
    pub const fn kind(&self) -> CodeKind {
        self.kind
    }

    /// The reference dataset with the codes above each code.
    pub const fn hierarchy(&self) -> Option<&Hierarchy> {
        self.hierarchy.as_ref()
    }

    /// Where codes have their names.
    pub const fn names(&self) -> Option<&CodeNames> {
        self.names.as_ref()
    }

    /// The names of the levels.
    pub fn level_names(&self) -> impl Iterator<Item = &LevelName> {
        self.levels.keys()
    }

    /// The groups of codes of this name.
    pub fn level(&self, name: &LevelName) -> Option<&ListedValues> {
        self.levels.get(name)
    }

    /// The codes that groups by the column list; `None` if there is no such list.
    pub fn listed(&self) -> Option<&ListedValues> {
        self.levels.get(&LevelName::new(LISTED_LEVEL).ok()?)
    }

    /// The codes that groups by their names list; `None` if there is no such list.
    pub fn named(&self) -> Option<&ListedValues> {
        self.levels.get(&LevelName::new(NAMED_LEVEL).ok()?)
    }

    /// The codes above those of the column that are groups, with their names; `None` if there is no such list.
    pub fn ancestors(&self) -> Option<&ListedValues> {
        self.levels.get(&LevelName::new(ANCESTORS_LEVEL).ok()?)
    }

    pub(super) fn raw_levels(&self) -> BTreeMap<LevelName, Vec<Listed>> {
        let levels = self.levels.iter();
        levels.map(|(name, values)| (name.clone(), values.raw())).collect()
    }

    /// The code that a value is; `None` for one that is missing or of another kind.
    pub(super) fn atom_of(&self, value: Datum<'_>) -> Option<Value> {
        match (self.kind, value) {
            (CodeKind::Int, Datum::Int(code)) => Some(Value::Int(code)),
            (CodeKind::Text, Datum::Text(code)) => Some(Value::Text(code.to_owned())),
            (CodeKind::Int | CodeKind::Text, _) => None,
        }
    }

    /// The codes that satisfy a comparison, negated if it is a negative one.
    pub(super) fn decide(&self, comparison: &Comparison) -> Result<CodeSet, Undecided> {
        match comparison {
            Comparison::Equal(_) | Comparison::NotEqual(_) | Comparison::In(_) | Comparison::NotIn(_) => {
                self.set_of(comparison.literals())
            }
            Comparison::Prefix(prefix) if self.kind == CodeKind::Text => {
                CodeSet::with_prefix(prefix).map_err(|_| Undecided::TooLong)
            }
            Comparison::Less(_)
            | Comparison::AtMost(_)
            | Comparison::Greater(_)
            | Comparison::AtLeast(_)
            | Comparison::Between(..)
            | Comparison::Prefix(_)
            | Comparison::IsNull
            | Comparison::IsNotNull => Err(Undecided::NotOrdered),
        }
    }

    fn set_of(&self, literals: Vec<&Value>) -> Result<CodeSet, Undecided> {
        if literals.iter().any(|literal| literal.kind() != self.kind.kind()) {
            return Err(Undecided::OtherKind {
                expected: self.kind.label(),
            });
        }
        CodeSet::of(self.kind, literals.into_iter().cloned()).map_err(|_| Undecided::TooLong)
    }
}

impl TryFrom<RawCodes> for Codes {
    type Error = LevelsError;
    fn try_from(raw: RawCodes) -> Result<Self, LevelsError> {
        let codes = Self {
            kind: raw.kind,
            hierarchy: raw.hierarchy,
            names: raw.names,
            levels: raw.levels,
        };
        codes.problems().into_iter().next().map_or(Ok(codes), Err)
    }
}
