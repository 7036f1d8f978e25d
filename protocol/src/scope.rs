//! What a permission covers, as a lattice.
//!
//! A [`Scope`] is a product of parts, and every part is ordered from wide to narrow: the tier, the columns with their
//! transforms, the rows, the purposes, the people, the places, the limits and the time. [`Scope::meet`] is the widest scope
//! inside two others; [`Scope::covers`] checks whether one lies inside another. Both are total and decidable because a row
//! filter is a conjunction of constraints on single columns. Unknown terms make a scope invalid: no term is ever ignored.

mod columns;
mod invalid;
mod limits;
mod purpose;
mod rows;
mod value;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use columns::{BandWidth, Columns, Generalization, Transform};
pub(crate) use invalid::short;
pub use invalid::{InvalidScope, Part};
pub use limits::{DEFAULT_MIN_CELL, Limits, People, Places, Window};
pub use purpose::{DiseaseCode, Purpose, Purposes};
pub use rows::{Bound, Constraint, Rows, Values};
pub use value::{Finite, Kind, Value};

use crate::ids::CollectionRef;

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
    /// Which columns, and how they are changed before they leave. A column not named is removed.
    pub columns: Columns,
    /// Which rows.
    pub rows: Rows,
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
        if self.collection != other.collection {
            return Err(Disjoint::in_part(Part::Collection));
        }
        let met = Self {
            collection: self.collection.clone(),
            tier: self.tier.min(other.tier),
            columns: self.columns.meet(&other.columns),
            rows: self.rows.meet(&other.rows).ok_or(Disjoint::in_part(Part::Rows))?,
            purposes: self
                .purposes
                .meet(&other.purposes)
                .ok_or(Disjoint::in_part(Part::Purposes))?,
            people: self.people.meet(&other.people).ok_or(Disjoint::in_part(Part::People))?,
            places: self.places.meet(&other.places).ok_or(Disjoint::in_part(Part::Places))?,
            limits: self.limits.meet(&other.limits),
            window: self.window.meet(&other.window).ok_or(Disjoint::in_part(Part::Window))?,
        };
        if met.tier >= Tier::Aggregate && met.columns.is_empty() {
            Err(Disjoint::in_part(Part::Columns))
        } else {
            Ok(met)
        }
    }

    /// Whether everything that `inner` permits is permitted by this scope too.
    pub fn covers(&self, inner: &Self) -> bool {
        self.wider_parts(inner).is_empty()
    }

    /// The parts in which `inner` goes beyond this scope; empty if this scope covers it.
    pub fn wider_parts(&self, inner: &Self) -> Vec<Part> {
        let checks = [
            (Part::Collection, self.collection == inner.collection),
            (Part::Tier, self.tier >= inner.tier),
            (Part::Columns, self.columns.covers(&inner.columns)),
            (Part::Rows, self.rows.covers(&inner.rows)),
            (Part::Purposes, self.purposes.covers(&inner.purposes)),
            (Part::People, self.people.covers(&inner.people)),
            (Part::Places, self.places.covers(&inner.places)),
            (Part::Limits, self.limits.covers(&inner.limits)),
            (Part::Window, self.window.covers(&inner.window)),
        ];
        checks
            .into_iter()
            .filter(|(_, covered)| !covered)
            .map(|(part, _)| part)
            .collect()
    }

    /// Where `offered` differs from this scope, as text that a person can check: one line for each part or column.
    pub fn differences(&self, offered: &Self) -> Vec<Difference> {
        let mut differences = Vec::new();
        let mut compare = |part, requested: String, offered: String| {
            if requested != offered {
                differences.push(Difference {
                    part,
                    requested,
                    offered,
                });
            }
        };
        compare(
            Part::Collection,
            self.collection.to_string(),
            offered.collection.to_string(),
        );
        compare(Part::Tier, self.tier.to_string(), offered.tier.to_string());
        for column in self
            .columns
            .names()
            .chain(offered.columns.names())
            .collect::<std::collections::BTreeSet<_>>()
        {
            compare(
                Part::Columns,
                format!("{column} {}", self.columns.transform(column)),
                format!("{column} {}", offered.columns.transform(column)),
            );
        }
        compare(Part::Rows, self.rows.to_string(), offered.rows.to_string());
        compare(Part::Purposes, self.purposes.to_string(), offered.purposes.to_string());
        compare(Part::People, self.people.to_string(), offered.people.to_string());
        compare(Part::Places, self.places.to_string(), offered.places.to_string());
        compare(Part::Limits, self.limits.to_string(), offered.limits.to_string());
        compare(Part::Window, self.window.to_string(), offered.window.to_string());
        differences
    }
}

/// One difference between what was requested and what is offered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Difference {
    /// In which part.
    pub part: Part,
    /// What was requested.
    pub requested: String,
    /// What is offered instead.
    pub offered: String,
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
