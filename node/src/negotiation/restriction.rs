//! Narrows the policy's offer by the options of a steward. The policy's offer is the upper bound: an option can only narrow it, and
//! one that would widen it is refused with what is allowed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::str::FromStr;

use concordat_protocol::ids::{ActorId, ColumnName, DatasetName, InstitutionId};
use concordat_protocol::scope::{
    BandWidth, Columns, Datasets, Disjoint, Generalization, InvalidScope, Part, People, Rows, Scope, Tier, Transform,
    Window,
};
use concordat_protocol::time::{InvalidTime, Timestamp};
use concordat_protocol::wire::messages::{CatalogColumn, Reason};
use serde::Deserialize;

use super::condition::{self, ConditionError};
use concordat_policy::CollectionFacts;

/// The rule named for what the steward narrows.
pub(super) const BY_STEWARD: &str = "steward-decision";

/// The options of `grant offer`. What is omitted stays as the policy allows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Restriction {
    /// The highest tier.
    pub tier: Option<Tier>,
    /// The columns; no others are offered.
    pub columns: Option<BTreeSet<ColumnName>>,
    /// A condition on rows, as SQL; it is combined with that of the request.
    #[serde(rename = "where")]
    pub condition: Option<String>,
    /// The last day, or the moment of the end.
    pub until: Option<String>,
    /// The people at the consumer who may use it.
    pub people: Option<BTreeSet<ActorId>>,
    /// Limits.
    pub limits: RestrictedLimits,
    /// Transforms of some columns.
    pub transforms: BTreeMap<ColumnName, TransformName>,
}

/// Limits that a steward sets for one grant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RestrictedLimits {
    /// Maximum number of rows in one answer.
    pub max_rows: Option<u64>,
    /// Maximum number of queries in 24 hours.
    pub queries_per_day: Option<u32>,
    /// Minimum number of subjects behind a released cell.
    pub min_cell: Option<u32>,
}

/// A transform as people write it: `clear`, `year`, `band:5`, `band:10`, `pseudonym` or `removed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct TransformName(pub Transform);

/// Text that does not name a transform.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a transform; write clear, year, band:5, band:10, pseudonym or removed")]
pub struct InvalidTransform {
    text: String,
}

impl FromStr for TransformName {
    type Err = InvalidTransform;

    fn from_str(text: &str) -> Result<Self, InvalidTransform> {
        let generalized = |method| Ok(Self(Transform::Generalized(method)));
        match text {
            "clear" => Ok(Self(Transform::Clear)),
            "year" => generalized(Generalization::Year),
            "band:5" => generalized(Generalization::AgeBand(BandWidth::Five)),
            "band:10" => generalized(Generalization::AgeBand(BandWidth::Ten)),
            "pseudonym" => Ok(Self(Transform::Pseudonym)),
            "removed" => Ok(Self(Transform::Removed)),
            _ => Err(InvalidTransform {
                text: text.chars().take(60).collect(),
            }),
        }
    }
}

impl TryFrom<String> for TransformName {
    type Error = InvalidTransform;

    fn try_from(text: String) -> Result<Self, InvalidTransform> {
        text.parse()
    }
}

/// Why a restriction cannot be parsed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestrictionError {
    /// A part of it is not valid.
    #[error(transparent)]
    Scope(#[from] InvalidScope),
    /// The end is not a date.
    #[error(transparent)]
    Until(#[from] InvalidTime),
    /// The row condition cannot be read.
    #[error(transparent)]
    Condition(#[from] ConditionError),
}

/// Why a restriction leaves nothing to offer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NarrowError {
    /// It cannot be parsed.
    #[error(transparent)]
    Invalid(#[from] RestrictionError),
    /// It goes beyond the policy's offer.
    #[error("an offer cannot exceed what the policy allows for the request")]
    Exceeds {
        /// Everything that does, each with what is allowed.
        reasons: Vec<Reason>,
    },
    /// Nothing of the offer lies within it.
    #[error(transparent)]
    NothingLeft(#[from] Disjoint),
}

impl Restriction {
    /// The part of `allowed` that lies within this restriction.
    ///
    /// # Errors
    /// [`NarrowError`].
    pub(super) fn within(
        &self,
        allowed: &Scope,
        consumer: &InstitutionId,
        facts: &CollectionFacts,
    ) -> Result<Scope, NarrowError> {
        let mut excess = Excess::default();
        // The options name no dataset, so they are about the only one.
        let (name, offered) = allowed.datasets.single().ok_or(Disjoint { part: Part::Datasets })?;
        let columns = self.shown(name, &offered.columns, facts, &mut excess)?;
        let wanted = Scope {
            tier: self.tier(allowed, &mut excess),
            datasets: Datasets::one(name.clone(), columns, self.rows(name, facts)?),
            people: self.people(allowed, consumer, &mut excess)?,
            limits: self.limits(allowed, &mut excess),
            window: self.window(allowed, &mut excess)?,
            ..allowed.clone()
        };
        if !excess.0.is_empty() {
            return Err(NarrowError::Exceeds { reasons: excess.0 });
        }
        // The checks above produce the error messages; `meet` guarantees that the result lies within `allowed`.
        Ok(allowed.meet(&wanted)?)
    }

    fn tier(&self, allowed: &Scope, excess: &mut Excess) -> Tier {
        let tier = self.tier.unwrap_or(allowed.tier);
        excess.unless(tier <= allowed.tier, "the tier", tier, allowed.tier);
        tier
    }

    fn shown(
        &self,
        dataset: &DatasetName,
        allowed: &Columns,
        facts: &CollectionFacts,
        excess: &mut Excess,
    ) -> Result<Columns, RestrictionError> {
        for column in self.columns.iter().flatten() {
            let known = allowed.transform(column);
            excess.unless(known != Transform::Removed, column, "shown", allowed);
        }
        for (column, TransformName(wanted)) in &self.transforms {
            let known = allowed.transform(column);
            excess.unless(known.covers(*wanted), column, wanted, known);
            let can_show = facts.can_show(dataset, column, *wanted);
            excess.unless(can_show, column, wanted, "nothing of that kind");
        }
        let is_selected = |column: &ColumnName| self.columns.as_ref().is_none_or(|columns| columns.contains(column));
        let selected = allowed.iter().filter(|(column, _)| is_selected(column));
        let shown = selected.map(|(column, known)| {
            let wanted = self.transforms.get(column).map_or(known, |wanted| wanted.0);
            (column.clone(), known.meet(wanted))
        });
        Ok(Columns::new(shown)?)
    }

    fn rows(&self, dataset: &DatasetName, facts: &CollectionFacts) -> Result<Rows, RestrictionError> {
        let Some(text) = &self.condition else {
            return Ok(Rows::all());
        };
        let column = |column: &concordat_policy::ColumnFacts| CatalogColumn {
            name: column.name.clone(),
            kind: column.kind_label().to_owned(),
            class: String::new(),
        };
        let columns = facts.dataset(dataset).into_iter().flat_map(|dataset| &dataset.columns);
        let columns: Vec<CatalogColumn> = columns.map(column).collect();
        Ok(condition::parse(text, &columns)?)
    }

    fn people(
        &self,
        allowed: &Scope,
        consumer: &InstitutionId,
        excess: &mut Excess,
    ) -> Result<People, RestrictionError> {
        let Some(people) = &self.people else {
            return Ok(allowed.people.clone());
        };
        for person in people {
            let known = allowed.people.allow(person) && person.belongs_to(consumer);
            excess.unless(
                known,
                person,
                "among the people",
                format!("{} of {consumer}", allowed.people),
            );
        }
        Ok(People::only(people.iter().cloned())?)
    }

    fn limits(&self, allowed: &Scope, excess: &mut Excess) -> concordat_protocol::scope::Limits {
        let RestrictedLimits {
            max_rows,
            queries_per_day,
            min_cell,
        } = self.limits;
        let mut limits = allowed.limits;
        let known = allowed.limits;
        if let Some(rows) = max_rows {
            let fits = known.max_rows.is_none_or(|most| rows <= most);
            excess.unless(fits, "the most rows of an answer", rows, known.max_rows.unwrap_or(rows));
            limits.max_rows = Some(rows);
        }
        if let Some(queries) = queries_per_day {
            let fits = known.max_queries_per_day.is_none_or(|most| queries <= most);
            let most = known.max_queries_per_day.unwrap_or(queries);
            excess.unless(fits, "the queries of a day", queries, most);
            limits.max_queries_per_day = Some(queries);
        }
        if let Some(subjects) = min_cell {
            excess.unless(
                subjects >= known.min_cell,
                "the fewest subjects of a cell",
                subjects,
                known.min_cell,
            );
            limits.min_cell = subjects;
        }
        limits
    }

    fn window(&self, allowed: &Scope, excess: &mut Excess) -> Result<Window, RestrictionError> {
        let Some(until) = &self.until else {
            return Ok(allowed.window);
        };
        let until = Timestamp::parse_end(until)?;
        let known = allowed.window;
        excess.unless(until <= known.not_after(), "the end", until, known.not_after());
        Ok(Window::new(known.not_before(), until)?)
    }
}

/// What goes beyond the policy's offer.
#[derive(Default)]
struct Excess(Vec<Reason>);

impl Excess {
    fn unless(&mut self, fits: bool, what: impl Display, wanted: impl Display, allowed: impl Display) {
        if !fits {
            self.0.push(Reason {
                text: format!("{what}: `{wanted}` exceeds what the policy allows for this request, `{allowed}`"),
                remedy: Some("offer that or less; to allow more, change the policy".to_owned()),
                rule: Some(BY_STEWARD.to_owned()),
            });
        }
    }
}

#[cfg(test)]
mod tests;
