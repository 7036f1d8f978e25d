//! What a permission covers, as a lattice.
//!
//! A [`Scope`] is a product of parts, and every part is ordered from wide to narrow: the tier, the protection of figures, the subjects,
//! the datasets with their columns, transforms and rows, the purposes, the people, the places, the limits and the time. [`Scope::meet`]
//! is the widest scope inside two others; [`Scope::covers`] checks whether one lies inside another. Both are total and decidable because
//! a row filter is a conjunction of constraints on single columns. Unknown terms make a scope invalid: no term is ever ignored.
//!
//! Which rows a scope admits: those of its datasets whose subject is one of its subjects, and that satisfy the rows of their dataset.
//! Of two scopes with filters on the subjects of different datasets, which no single filter expresses, there is no meet.

mod applied;
mod columns;
mod datasets;
mod deviation;
mod difference;
mod figures;
mod invalid;
mod limits;
mod protection;
mod purpose;
mod rows;
mod subjects;
mod value;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use applied::NotApplied;
pub use columns::{BandWidth, Columns, Generalization, MAX_COLUMNS, Transform};
pub use datasets::{DatasetScope, Datasets, MAX_DATASETS};
pub use difference::{Difference, column_label};
pub use figures::FiguresWithNoise;
pub(crate) use invalid::short;
pub use invalid::{InvalidScope, Part};
pub use limits::{DEFAULT_MIN_CELL, Limits, People, Places, Window};
pub use protection::{DeltaExponent, Loss, MicroRho, Noise, Protection, ProtectionName};
pub use purpose::{DiseaseCode, Purpose, Purposes};
pub use rows::{Bound, Constraint, Rows, Values};
pub use subjects::{SubjectFilter, Subjects};
pub use value::{Finite, Kind, Value};

use crate::ids::{CollectionRef, DatasetRef};

/// How much an answer may reveal, from mere existence up to records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tier {
    /// Whether enough subjects match, yes or no.
    Exists,
    /// How many match.
    Count,
    /// Statistics over groups that are large enough.
    Aggregate,
    /// Single records, transformed.
    Records,
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Exists => "exists",
            Self::Count => "count",
            Self::Aggregate => "aggregate",
            Self::Records => "records",
        })
    }
}

impl std::str::FromStr for Tier {
    type Err = InvalidScope;
    fn from_str(text: &str) -> Result<Self, InvalidScope> {
        match text {
            "exists" => Ok(Self::Exists),
            "count" => Ok(Self::Count),
            "aggregate" => Ok(Self::Aggregate),
            "records" => Ok(Self::Records),
            _ => Err(InvalidScope::new(
                Part::Tier,
                format!(
                    "`{}` is not a tier; write exists, count, aggregate or records",
                    short(text)
                ),
            )),
        }
    }
}

/// What a permission covers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// The collection that it covers.
    pub collection: CollectionRef,
    /// How much an answer may reveal.
    pub tier: Tier,
    /// How the figures of answers below records are protected.
    pub protection: Protection,
    /// Which subjects, in every dataset.
    pub subjects: Subjects,
    /// Which datasets, each with its columns and rows.
    pub datasets: Datasets,
    /// What for.
    pub purposes: Purposes,
    /// Which people at the consumer.
    pub people: People,
    /// In which jurisdictions the answer may be received.
    pub places: Places,
    /// How much, and in how much detail.
    pub limits: Limits,
    /// From when until when.
    pub window: Window,
}

impl Scope {
    /// The widest scope that lies inside both: what one side requests and the other allows.
    ///
    /// # Errors
    /// [`Disjoint`] names the first part in which the two do not overlap.
    pub fn meet(&self, other: &Self) -> Result<Self, Disjoint> {
        let met = self.meet_parts(other)?;
        if met.is_hollow() {
            Err(Disjoint::in_part(Part::Columns))
        } else {
            Ok(met)
        }
    }

    /// Part by part. This is associative, which [`Self::meet`] is but for scopes without a column.
    fn meet_parts(&self, other: &Self) -> Result<Self, Disjoint> {
        if self.collection != other.collection {
            return Err(Disjoint::in_part(Part::Collection));
        }
        let subjects = self.subjects.meet(&other.subjects);
        Ok(Self {
            collection: self.collection.clone(),
            tier: self.tier.min(other.tier),
            protection: self.protection.meet(&other.protection),
            subjects: subjects.ok_or(Disjoint::in_part(Part::Subjects))?,
            datasets: self.datasets.meet(&other.datasets).map_err(Disjoint::in_part)?,
            purposes: self
                .purposes
                .meet(&other.purposes)
                .ok_or(Disjoint::in_part(Part::Purposes))?,
            people: self.people.meet(&other.people).ok_or(Disjoint::in_part(Part::People))?,
            places: self.places.meet(&other.places).ok_or(Disjoint::in_part(Part::Places))?,
            limits: self.limits.meet(&other.limits),
            window: self.window.meet(&other.window).ok_or(Disjoint::in_part(Part::Window))?,
        })
    }

    /// Whether the scope shows no column although its tier needs one. No meet is such a scope.
    fn is_hollow(&self) -> bool {
        self.tier >= Tier::Aggregate && self.datasets.count_columns() == 0
    }

    /// The one dataset of a collection of one, which has its name; `None` for every other scope.
    pub fn only(&self) -> Option<(DatasetRef, &DatasetScope)> {
        let (name, dataset) = self.datasets.single()?;
        let reference = DatasetRef::only(self.collection.clone());
        (reference.dataset == *name).then_some((reference, dataset))
    }

    /// Whether everything that `inner` permits is permitted by this scope too.
    pub fn covers(&self, inner: &Self) -> bool {
        self.wider_parts(inner).is_empty()
    }

    /// The parts in which `inner` goes beyond this scope; empty if this scope covers it.
    pub fn wider_parts(&self, inner: &Self) -> Vec<Part> {
        let before = [
            (Part::Collection, self.collection == inner.collection),
            (Part::Tier, self.tier >= inner.tier),
            (Part::Protection, self.protection.covers(&inner.protection)),
            (Part::Subjects, self.subjects.covers(&inner.subjects)),
        ];
        let after = [
            (Part::Purposes, self.purposes.covers(&inner.purposes)),
            (Part::People, self.people.covers(&inner.people)),
            (Part::Places, self.places.covers(&inner.places)),
            (Part::Limits, self.limits.covers(&inner.limits)),
            (Part::Window, self.window.covers(&inner.window)),
        ];
        let is_wider = |(part, covered): (Part, bool)| (!covered).then_some(part);
        let mut parts: Vec<Part> = before.into_iter().filter_map(is_wider).collect();
        parts.extend(self.datasets.wider_parts(&inner.datasets));
        parts.extend(after.into_iter().filter_map(is_wider));
        parts
    }
}

/// Two scopes that do not overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the requested and the allowed {part} do not overlap")]
pub struct Disjoint {
    /// The part in which they do not overlap.
    pub part: Part,
}

impl Disjoint {
    const fn in_part(part: Part) -> Self {
        Self { part }
    }
}

#[cfg(test)]
mod tests;
