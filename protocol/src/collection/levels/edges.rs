//! Levels by edges: the atoms are what lies between two neighboring edges.

use std::collections::BTreeMap;
use std::mem::discriminant;

use serde::{Deserialize, Serialize};

use super::super::lists;
use super::axis::{Axis, date_of, year_at};
use super::comparison::{Comparison, Undecided};
use super::contents::{Contents, Datum};
use super::edge_labels;
use super::error::LevelsError;
use super::reading::Reading;
use crate::ids::LevelName;
use crate::scope::{BandWidth, Value};

/// Most named levels of a column.
pub(super) const MAX_LEVELS: usize = 16;
/// From this age on people are one category (45 CFR 164.514(b)(2)(i)(C)).
const TOP_AGE: i64 = 90;

/// Levels by edges `e0 < … < en`: the atoms are what is below `e0`, what is from each edge up to the next one, and what is from `en` on,
/// NaN among it. Coarser named levels have some of the edges, so that each of their atoms is a union of these.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawEdges")]
pub struct Edges {
    axis: Axis,
    reading: Reading,
    /// Positions of edges, in ascending order.
    levels: BTreeMap<LevelName, Vec<u16>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEdges {
    axis: Axis,
    reading: Reading,
    #[serde(deserialize_with = "lists::map::<_, _, _, MAX_LEVELS>")]
    levels: BTreeMap<LevelName, Positions>,
}

#[derive(Deserialize)]
#[serde(transparent)]
struct Positions(#[serde(deserialize_with = "lists::list::<_, _, 1_000>")] Vec<u16>);

impl Edges {
    /// The edges of a column, and for each coarser level those that it keeps.
    pub(super) fn check(
        edges: &[Value],
        levels: &BTreeMap<LevelName, Vec<Value>>,
        contents: Contents,
    ) -> Result<Self, Vec<LevelsError>> {
        if edges.is_empty() {
            return Err(vec![LevelsError::NoEdges]);
        }
        let axis = Axis::new(edges, contents).ok_or_else(|| vec![LevelsError::MixedKinds])?;
        if axis.len() > axis.max_len() {
            return Err(vec![LevelsError::TooManyEdges { max: axis.max_len() }]);
        }
        let mut errors = Vec::new();
        if !axis.fits(contents) {
            errors.push(LevelsError::OtherKind);
        }
        let position: BTreeMap<&Value, usize> = edges.iter().zip(0..).collect();
        let mut positions = BTreeMap::new();
        for (name, kept) in levels {
            let found = kept.iter().map(|edge| u16::try_from(*position.get(edge)?).ok());
            match found.collect() {
                Some(found) => {
                    positions.insert(name.clone(), found);
                }
                None => errors.push(LevelsError::NotCoarser { level: name.clone() }),
            }
        }
        let checked = Self {
            axis,
            reading: Reading::Plain,
            levels: positions,
        };
        errors.extend(checked.problems());
        if errors.is_empty() { Ok(checked) } else { Err(errors) }
    }

    fn problems(&self) -> Vec<LevelsError> {
        let mut errors = Vec::new();
        let len = self.axis.len();
        if len == 0 {
            errors.push(LevelsError::NoEdges);
        }
        if len > self.axis.max_len() {
            errors.push(LevelsError::TooManyEdges {
                max: self.axis.max_len(),
            });
        }
        if !is_ascending(&self.axis.points()) {
            errors.push(LevelsError::NotSorted);
        }
        if self
            .axis
            .days()
            .is_some_and(|days| days.iter().any(|day| date_of(*day).is_none()))
        {
            errors.push(LevelsError::FarDate);
        }
        if self.levels.len() > MAX_LEVELS {
            errors.push(LevelsError::TooManyLevels { max: MAX_LEVELS });
        }
        for (name, positions) in &self.levels {
            let known = positions.last().is_some_and(|last| usize::from(*last) < len);
            if !known || !is_ascending(positions) {
                errors.push(LevelsError::NotCoarser { level: name.clone() });
            }
        }
        if !self.is_read_as_possible() {
            errors.push(LevelsError::OtherKind);
        }
        errors
    }

    /// Whether ages have edges at bands only, and years at years.
    fn is_read_as_possible(&self) -> bool {
        match self.reading {
            Reading::Plain => true,
            Reading::Ages => self.at_bands(BandWidth::Five).len() == self.axis.len(),
            Reading::Years { oldest } => self.at_years(oldest).len() == self.axis.len(),
        }
    }

    /// The number of atoms, without the missing values.
    pub fn atoms(&self) -> u16 {
        u16::try_from(self.axis.len()).map_or(u16::MAX, |edges| edges.saturating_add(1))
    }

    /// The edges, by what they divide.
    pub const fn axis(&self) -> &Axis {
        &self.axis
    }

    /// How the values of the column are shown.
    pub const fn reading(&self) -> Reading {
        self.reading
    }

    /// The names of the coarser levels.
    pub fn level_names(&self) -> impl Iterator<Item = &LevelName> {
        self.levels.keys()
    }

    /// The edges of each coarser level, as they are declared.
    pub(super) fn raw_levels(&self) -> BTreeMap<LevelName, Vec<Value>> {
        let levels = self.levels.iter();
        levels
            .map(|(name, positions)| (name.clone(), self.axis.at(positions).values()))
            .collect()
    }

    /// The atom of a value, `None` for one that is missing or shown as such.
    pub(super) fn atom_of(&self, value: Datum<'_>) -> Option<u16> {
        let point = self.axis.point(value)?;
        if !self.possible().contains(&point) {
            return None;
        }
        u16::try_from(self.axis.count_below(|edge| edge <= point)).ok()
    }

    /// The label of an atom.
    pub(super) fn label(&self, atom: u16) -> Option<String> {
        edge_labels::label(&self.axis, self.reading, atom)
    }

    /// The levels of this name, without further ones.
    pub(super) fn level(&self, name: &LevelName) -> Option<Self> {
        Some(Self {
            axis: self.axis.at(self.levels.get(name)?),
            reading: self.reading,
            levels: BTreeMap::new(),
        })
    }

    /// The atom of the named level that contains this atom.
    pub(super) fn coarser(&self, name: &LevelName, atom: u16) -> Option<u16> {
        let positions = self.levels.get(name)?;
        let below = positions.partition_point(|position| *position < atom);
        u16::try_from(below).ok().filter(|_| atom < self.atoms())
    }

    /// The atoms whose values satisfy a comparison with literals.
    pub(super) fn decide(&self, comparison: &Comparison) -> Result<Vec<u16>, Undecided> {
        let mut spans = self.spans(comparison)?;
        spans.sort_unstable();
        let mut atoms = Vec::new();
        for (from, to) in merged(&spans) {
            let from = self.atoms_below(from)?;
            let to = self.atoms_below(to)?;
            atoms.extend(from..to);
        }
        Ok(atoms)
    }

    /// The points that satisfy a comparison, as half-open intervals.
    fn spans(&self, comparison: &Comparison) -> Result<Vec<(i128, i128)>, Undecided> {
        let span = |literal| {
            self.axis.span(literal).ok_or(Undecided::OtherKind {
                expected: self.axis.label(),
            })
        };
        let least = i128::from(i64::MIN);
        let above_all = i128::from(i64::MAX) + 1;
        Ok(match comparison {
            Comparison::Equal(one) | Comparison::NotEqual(one) => vec![span(one)?],
            Comparison::Less(one) => vec![(least, span(one)?.0)],
            Comparison::AtMost(one) => vec![(least, span(one)?.1)],
            Comparison::Greater(one) => vec![(span(one)?.1, above_all)],
            Comparison::AtLeast(one) => vec![(span(one)?.0, above_all)],
            Comparison::In(list) | Comparison::NotIn(list) => list.iter().map(span).collect::<Result<_, _>>()?,
            Comparison::Between(low, high) => vec![(span(low)?.0, span(high)?.1)],
            Comparison::Prefix(_) | Comparison::IsNull | Comparison::IsNotNull => return Err(Undecided::NotOrdered),
        })
    }

    /// How many atoms lie below a point.
    fn atoms_below(&self, point: i128) -> Result<u16, Undecided> {
        let possible = self.possible();
        if point <= i128::from(*possible.start()) {
            return Ok(0);
        }
        if point > i128::from(*possible.end()) {
            return Ok(self.atoms());
        }
        let found = self.axis.count_below(|edge| i128::from(edge) < point);
        if self.axis.count_below(|edge| i128::from(edge) <= point) > found {
            return Ok(u16::try_from(found).map_or(u16::MAX, |atoms| atoms.saturating_add(1)));
        }
        let values = self.axis.values();
        let around = found.checked_sub(1).into_iter().chain([found]);
        let nearest = around.filter_map(|at| values.get(at).cloned()).collect();
        Err(Undecided::OffEdge { nearest })
    }

    /// The points of values that are shown.
    fn possible(&self) -> std::ops::RangeInclusive<i64> {
        let (least, greatest) = self.axis.ends();
        match (self.reading, &self.axis) {
            // NaN, the last point of numbers, is no age.
            (Reading::Ages, Axis::Float(_)) => 0..=greatest - 1,
            (Reading::Ages, _) => 0..=greatest,
            (Reading::Plain | Reading::Years { .. }, _) => least..=greatest,
        }
    }

    /// The levels that are left if values are shown as years.
    pub(super) fn in_years(&self, oldest: Option<i32>) -> Option<Self> {
        self.with_edges(&self.at_years(oldest), Reading::Years { oldest })
    }

    /// The levels that are left if ages are shown in bands.
    pub(super) fn in_bands(&self, width: BandWidth) -> Option<Self> {
        self.with_edges(&self.at_bands(width), Reading::Ages)
    }

    /// The edges that another column has too, with those coarser levels that have the same edges there. `None` without any, and for values of
    /// another kind or that are shown in another way.
    pub(super) fn common(&self, other: &Self) -> Option<Self> {
        let are_alike = discriminant(&self.axis) == discriminant(&other.axis) && self.reading == other.reading;
        let theirs = other.axis.points();
        let points = self.axis.points().into_iter();
        let kept = positions(points.map(|point| are_alike && theirs.binary_search(&point).is_ok()));
        let mut left = self.with_edges(&kept, self.reading)?;
        let axis = |edges: &Self, name: &LevelName| edges.level(name).map(|level| level.axis);
        left.levels.retain(|name, _| axis(self, name) == axis(other, name));
        Some(left)
    }

    /// The positions of edges at the beginning of a year that is distinguished from the one before.
    fn at_years(&self, oldest: Option<i32>) -> Vec<u16> {
        let is_kept = |year: i32| oldest.is_none_or(|oldest| year > oldest);
        let days = self.axis.days().unwrap_or_default().iter();
        positions(days.map(|day| year_at(*day).is_some_and(is_kept)))
    }

    /// The positions of edges at the beginning of a band of ages that is not the first one.
    fn at_bands(&self, width: BandWidth) -> Vec<u16> {
        let is_kept = |edge: i64| (1..=TOP_AGE).contains(&edge) && edge % width.years() == 0;
        let edges = self.axis.whole().unwrap_or_default().into_iter();
        positions(edges.map(|edge| edge.is_some_and(is_kept)))
    }

    /// These levels with fewer edges; `None` without any. Named levels keep the edges that are left.
    fn with_edges(&self, kept: &[u16], reading: Reading) -> Option<Self> {
        let renumbered = |positions: &Vec<u16>| -> Vec<u16> {
            let found = positions
                .iter()
                .filter_map(|position| kept.binary_search(position).ok());
            found.filter_map(|at| u16::try_from(at).ok()).collect()
        };
        let levels = self
            .levels
            .iter()
            .map(|(name, positions)| (name.clone(), renumbered(positions)));
        let left = Self {
            axis: self.axis.at(kept),
            reading,
            levels: levels.filter(|(_, positions)| !positions.is_empty()).collect(),
        };
        (left.axis.len() > 0).then_some(left)
    }
}

/// The intervals in ascending order, with those that touch joined and empty ones left out.
fn merged(spans: &[(i128, i128)]) -> Vec<(i128, i128)> {
    let mut merged: Vec<(i128, i128)> = Vec::new();
    for (from, to) in spans.iter().filter(|(from, to)| from < to) {
        match merged.last_mut() {
            Some(last) if *from <= last.1 => last.1 = last.1.max(*to),
            Some(_) | None => merged.push((*from, *to)),
        }
    }
    merged
}

fn positions(kept: impl Iterator<Item = bool>) -> Vec<u16> {
    let kept = kept.enumerate().filter(|(_, kept)| *kept);
    kept.filter_map(|(at, _)| u16::try_from(at).ok()).collect()
}

fn is_ascending<T: Ord>(items: &[T]) -> bool {
    items.windows(2).all(|pair| matches!(pair, [a, b] if a < b))
}

impl TryFrom<RawEdges> for Edges {
    type Error = LevelsError;
    fn try_from(raw: RawEdges) -> Result<Self, LevelsError> {
        let levels = raw.levels.into_iter().map(|(name, positions)| (name, positions.0));
        let edges = Self {
            axis: raw.axis,
            reading: raw.reading,
            levels: levels.collect(),
        };
        edges.problems().into_iter().next().map_or(Ok(edges), Err)
    }
}
