//! Levels by listed values: one atom for each label, and one for all other values.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::super::lists;
use super::code_set::MAX_TEXT;
use super::comparison::{Comparison, Undecided};
use super::contents::{Contents, Datum};
use super::error::LevelsError;
use crate::scope::{Kind, Value};
use crate::text::Text;

/// Most listed values.
pub const MAX_VALUES: usize = 1_000;

/// The label of a listed value.
pub type ValueLabel = Text<256>;

/// A value and its label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listed {
    /// The value.
    pub value: Value,
    /// How it is shown as a group.
    pub label: ValueLabel,
}

/// One to 1,000 listed values, each with a label. Values with one label are one atom, and all values that are not listed are another
/// one, the last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawListedValues", into = "Vec<Listed>")]
pub struct ListedValues {
    /// In the order of the values.
    listed: Vec<Listed>,
    /// The atom of each of them.
    atoms: Vec<u16>,
    /// The label of each atom: in the order of the least value of each, and the one of all other values at last.
    labels: Vec<String>,
}

#[derive(Deserialize)]
#[serde(transparent)]
struct RawListedValues(#[serde(deserialize_with = "lists::list::<_, _, MAX_VALUES>")] Vec<Listed>);

impl Listed {
    /// The entry with its value as one of a column with these contents.
    pub(super) fn converted(self, contents: Contents) -> Self {
        Self {
            value: contents.convert(self.value),
            label: self.label,
        }
    }
}

impl ListedValues {
    /// These values, in any order.
    ///
    /// # Errors
    /// All that is wrong with them: none or too many, kinds that differ, a value twice, a text that is too long.
    pub fn check(mut listed: Vec<Listed>) -> Result<Self, Vec<LevelsError>> {
        let errors = problems(&listed);
        if !errors.is_empty() {
            return Err(errors);
        }
        listed.sort_by(|a, b| a.value.cmp(&b.value));
        let mut labels: Vec<String> = Vec::new();
        let mut atoms = Vec::with_capacity(listed.len());
        for Listed { label, .. } in &listed {
            let known = labels.iter().position(|known| known == label.as_str());
            let atom = known.unwrap_or_else(|| {
                labels.push(label.as_str().to_owned());
                labels.len() - 1
            });
            atoms.push(u16::try_from(atom).unwrap_or(u16::MAX));
        }
        let rest = label_of_rest(&labels);
        labels.push(rest);
        Ok(Self { listed, atoms, labels })
    }

    /// The values with their labels, in the order of the values.
    pub fn iter(&self) -> impl Iterator<Item = &Listed> {
        self.listed.iter()
    }

    /// The number of atoms, without the missing values.
    pub fn atoms(&self) -> u16 {
        u16::try_from(self.labels.len()).unwrap_or(u16::MAX)
    }

    /// The kind of the values.
    pub fn kind(&self) -> Option<Kind> {
        self.listed.first().map(|listed| listed.value.kind())
    }

    pub(super) fn raw(&self) -> Vec<Listed> {
        self.listed.clone()
    }

    pub(super) fn label(&self, atom: u16) -> Option<String> {
        self.labels.get(usize::from(atom)).cloned()
    }

    /// The values that either lists. `None` if a value has two labels, and if they are too many or of two kinds.
    pub(super) fn union(&self, other: &Self) -> Option<Self> {
        let mut listed = self.listed.clone();
        for entry in &other.listed {
            match self.position(&entry.value).and_then(|at| self.listed.get(at)) {
                Some(known) if known == entry => {}
                Some(_) => return None,
                None => listed.push(entry.clone()),
            }
        }
        Self::check(listed).ok()
    }

    /// For each atom the one of another list with exactly the same values.
    pub(super) fn same_atoms(&self, other: &Self) -> Vec<Option<u16>> {
        let values = |list: &Self, atom: Option<u16>| -> BTreeSet<Value> {
            let of_atoms = list.listed.iter().zip(&list.atoms);
            let of_atom = of_atoms.filter(|(_, of)| atom.is_none_or(|atom| **of == atom));
            of_atom.map(|(listed, _)| listed.value.clone()).collect()
        };
        let same = |atom: u16| {
            if atom == self.rest() {
                return (values(self, None) == values(other, None)).then(|| other.rest());
            }
            let ours = values(self, Some(atom));
            let theirs = other.atom_of_value(ours.first()?)?;
            (values(other, Some(theirs)) == ours).then_some(theirs)
        };
        (0..self.atoms()).map(same).collect()
    }

    /// The atom of a value; `None` for one that is missing or of another kind.
    pub(super) fn atom_of(&self, value: Datum<'_>) -> Option<u16> {
        let value = owned(value, self.kind()?)?;
        Some(self.atom_of_value(&value).unwrap_or_else(|| self.rest()))
    }

    /// The atoms whose values satisfy a comparison with literals.
    pub(super) fn decide(&self, comparison: &Comparison) -> Result<Vec<u16>, Undecided> {
        let (Comparison::Equal(_) | Comparison::NotEqual(_) | Comparison::In(_) | Comparison::NotIn(_)) = comparison
        else {
            return Err(Undecided::NotOrdered);
        };
        let mut named = BTreeSet::new();
        for literal in comparison.literals() {
            let Some(value) = self.converted(literal)? else {
                continue;
            };
            if self.atom_of_value(&value).is_none() {
                return Err(self.undecided(&value));
            }
            named.insert(value);
        }
        self.whole_atoms(&named)
    }

    /// The atoms of these listed values, which must have all values of each.
    fn whole_atoms(&self, named: &BTreeSet<Value>) -> Result<Vec<u16>, Undecided> {
        let mut atoms: Vec<u16> = named.iter().filter_map(|value| self.atom_of_value(value)).collect();
        atoms.sort_unstable();
        atoms.dedup();
        let of_atoms = self.listed.iter().zip(&self.atoms);
        let left_out = of_atoms
            .filter(|(_, atom)| atoms.binary_search(atom).is_ok())
            .find(|(listed, _)| !named.contains(&listed.value));
        match left_out {
            Some((listed, _)) => Err(Undecided::NotListed {
                nearest: vec![listed.label.to_string()],
            }),
            None => Ok(atoms),
        }
    }

    /// The literal as a value of the column; `None` if no value of the column equals it.
    fn converted(&self, literal: &Value) -> Result<Option<Value>, Undecided> {
        let Some(kind) = self.kind() else {
            return Ok(None);
        };
        match (kind, literal) {
            (kind, literal) if kind == literal.kind() => Ok(Some(literal.clone())),
            (Kind::Int, Value::Float(number)) => Ok(exact_int(number.get()).map(Value::Int)),
            (Kind::Float, Value::Int(number)) => Ok(float_of(*number)),
            (Kind::Bool | Kind::Int | Kind::Float | Kind::Date | Kind::Text, _) => Err(Undecided::OtherKind {
                expected: kind_label(kind),
            }),
        }
    }

    /// The listed values beside one that is not listed: those that differ from it in case alone, or else its neighbors in order.
    fn undecided(&self, value: &Value) -> Undecided {
        let same = self.in_another_case(value);
        if !same.is_empty() {
            return Undecided::NotListed { nearest: same };
        }
        let above = self.listed.partition_point(|listed| listed.value < *value);
        let around = above.checked_sub(1).into_iter().chain([above]);
        let labels = around
            .filter_map(|at| self.listed.get(at))
            .map(|listed| listed.label.to_string());
        Undecided::NotListed {
            nearest: labels.collect(),
        }
    }

    /// The labels of listed texts that differ from `value` in case alone.
    fn in_another_case(&self, value: &Value) -> Vec<String> {
        let Value::Text(text) = value else {
            return Vec::new();
        };
        let folded = text.to_lowercase();
        let is_same = |listed: &&Listed| matches!(&listed.value, Value::Text(own) if own.to_lowercase() == folded);
        let same = self.listed.iter().filter(is_same);
        same.map(|listed| listed.label.to_string()).collect()
    }

    fn atom_of_value(&self, value: &Value) -> Option<u16> {
        self.atoms.get(self.position(value)?).copied()
    }

    fn position(&self, value: &Value) -> Option<usize> {
        self.listed.binary_search_by(|listed| listed.value.cmp(value)).ok()
    }

    /// The atom of all values that are not listed.
    fn rest(&self) -> u16 {
        self.atoms().saturating_sub(1)
    }
}

fn problems(listed: &[Listed]) -> Vec<LevelsError> {
    let mut errors = Vec::new();
    if listed.is_empty() {
        errors.push(LevelsError::NoValues);
    }
    if listed.len() > MAX_VALUES {
        errors.push(LevelsError::TooManyValues { max: MAX_VALUES });
    }
    let kind = listed.first().map(|first| first.value.kind());
    if listed.iter().any(|listed| Some(listed.value.kind()) != kind) || kind == Some(Kind::Bool) {
        errors.push(LevelsError::OtherKind);
    }
    let mut seen = BTreeSet::new();
    for (position, Listed { value, .. }) in (1..).zip(listed) {
        if !seen.insert(value) {
            errors.push(LevelsError::DoubledValue { position });
        }
        if matches!(value, Value::Text(text) if text.len() > MAX_TEXT) {
            errors.push(LevelsError::LongText { position });
        }
    }
    errors
}

/// `other`, in parentheses while that is the label of a listed value.
fn label_of_rest(labels: &[String]) -> String {
    let mut rest = "other".to_owned();
    while labels.contains(&rest) {
        rest = format!("({rest})");
    }
    rest
}

/// A value of the column as one of the list's kind; `None` for a missing one and one of another kind.
fn owned(value: Datum<'_>, kind: Kind) -> Option<Value> {
    let value = match value {
        Datum::Int(number) => Value::Int(number),
        // A number that is not finite equals no listed one.
        Datum::Float(number) => return (kind == Kind::Float).then(|| finite_or_unlisted(number)),
        Datum::Date(day) => Value::Date(day),
        Datum::Text(text) => Value::Text(text.to_owned()),
        Datum::Null | Datum::Truth(_) | Datum::Millis(_) => return None,
    };
    (value.kind() == kind).then_some(value)
}

/// A finite number; another kind of value, which no list of numbers has, for NaN and infinities.
fn finite_or_unlisted(number: f64) -> Value {
    crate::scope::Finite::new(number).map_or(Value::Bool(false), Value::Float)
}

#[expect(clippy::cast_possible_truncation, reason = "the number is whole and in the range")]
fn exact_int(number: f64) -> Option<i64> {
    let bound = 2_f64.powi(63);
    (number.fract() == 0.0 && number >= -bound && number < bound).then_some(number as i64)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "SQL compares a whole number with a number as the nearest number"
)]
fn float_of(number: i64) -> Option<Value> {
    crate::scope::Finite::new(number as f64).ok().map(Value::Float)
}

const fn kind_label(kind: Kind) -> &'static str {
    match kind {
        Kind::Bool => "true or false",
        Kind::Int => "whole numbers",
        Kind::Float => "numbers",
        Kind::Date => "dates",
        Kind::Text => "texts",
    }
}

impl TryFrom<RawListedValues> for ListedValues {
    type Error = LevelsError;
    fn try_from(raw: RawListedValues) -> Result<Self, LevelsError> {
        Self::check(raw.0).map_err(|errors| errors.into_iter().next().unwrap_or(LevelsError::NoValues))
    }
}

impl From<ListedValues> for Vec<Listed> {
    fn from(values: ListedValues) -> Self {
        values.listed
    }
}
