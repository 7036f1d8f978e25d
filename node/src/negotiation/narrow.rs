//! What a steward offers less than the policy allows. The policy's offer is the ceiling: an option can only narrow it, and one
//! that would widen it is refused with what is allowed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::str::FromStr;

use concordat_protocol::ids::{ActorId, ColumnName, InstitutionId};
use concordat_protocol::scope::{
    BandWidth, Columns, Generalisation, InvalidScope, People, Rows, Scope, Tier, Transform, Window,
};
use concordat_protocol::time::{InvalidTime, Timestamp};
use concordat_protocol::wire::messages::{CatalogColumn, Reason};
use serde::Deserialize;

use super::NegotiationFault;
use super::condition::{self, ConditionError};
use crate::policy::DatasetFacts;

/// The rule behind what is narrowed by the steward.
pub(super) const BY_STEWARD: &str = "steward-decision";

/// The options of `grant offer`. What is left out stays as the policy allows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Restriction {
    /// The highest tier.
    pub tier: Option<Tier>,
    /// The columns; no other one is offered.
    pub columns: Option<BTreeSet<ColumnName>>,
    /// A condition on rows, as SQL; it is joined to the request's.
    #[serde(rename = "where")]
    pub condition: Option<String>,
    /// The last day, or the moment of the end.
    pub until: Option<String>,
    /// Who at the consumer may use it.
    pub people: Option<BTreeSet<ActorId>>,
    /// Limits.
    pub limits: RestrictedLimits,
    /// How some columns are shown.
    pub transforms: BTreeMap<ColumnName, TransformWord>,
}

/// Limits that a steward sets for one grant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RestrictedLimits {
    /// Most rows in one answer.
    pub max_rows: Option<u64>,
    /// Most queries in 24 hours.
    pub queries_per_day: Option<u32>,
    /// Fewest subjects behind a released cell.
    pub min_cell: Option<u32>,
}

/// A transform as people write it: `clear`, `year`, `band:5`, `band:10`, `pseudonym` or `removed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct TransformWord(pub Transform);

/// Text that names no transform.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a transform; write clear, year, band:5, band:10, pseudonym or removed")]
pub struct InvalidTransform {
    text: String,
}

impl FromStr for TransformWord {
    type Err = InvalidTransform;

    fn from_str(text: &str) -> Result<Self, InvalidTransform> {
        let generalised = |how| Ok(Self(Transform::Generalised(how)));
        match text {
            "clear" => Ok(Self(Transform::Clear)),
            "year" => generalised(Generalisation::Year),
            "band:5" => generalised(Generalisation::AgeBand(BandWidth::Five)),
            "band:10" => generalised(Generalisation::AgeBand(BandWidth::Ten)),
            "pseudonym" => Ok(Self(Transform::Pseudonym)),
            "removed" => Ok(Self(Transform::Removed)),
            _ => Err(InvalidTransform {
                text: text.chars().take(60).collect(),
            }),
        }
    }
}

impl TryFrom<String> for TransformWord {
    type Error = InvalidTransform;

    fn try_from(text: String) -> Result<Self, InvalidTransform> {
        text.parse()
    }
}

/// Why a restriction cannot be read.
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

impl Restriction {
    /// The part of `allowed` that lies within this restriction.
    ///
    /// # Errors
    /// [`NegotiationFault::Wider`] with everything that goes beyond `allowed`; [`NegotiationFault::Restriction`] for what cannot
    /// be read; [`NegotiationFault::NothingLeft`] when nothing remains.
    pub(super) fn within(
        &self,
        allowed: &Scope,
        consumer: &InstitutionId,
        facts: &DatasetFacts,
    ) -> Result<Scope, NegotiationFault> {
        let mut wider = Wider::default();
        let wanted = Scope {
            tier: self.tier(allowed, &mut wider),
            columns: self.shown(allowed, facts, &mut wider)?,
            rows: self.rows(facts)?,
            people: self.people(allowed, consumer, &mut wider)?,
            limits: self.limits(allowed, &mut wider),
            window: self.window(allowed, &mut wider)?,
            ..allowed.clone()
        };
        if !wider.0.is_empty() {
            return Err(NegotiationFault::Wider { reasons: wider.0 });
        }
        // The checks above say what is wrong; that it lies within is what the meet makes sure of.
        Ok(allowed.meet(&wanted)?)
    }

    fn tier(&self, allowed: &Scope, wider: &mut Wider) -> Tier {
        let tier = self.tier.unwrap_or(allowed.tier);
        wider.unless(tier <= allowed.tier, "the tier", tier, allowed.tier);
        tier
    }

    fn shown(&self, allowed: &Scope, facts: &DatasetFacts, wider: &mut Wider) -> Result<Columns, RestrictionError> {
        for column in self.columns.iter().flatten() {
            let known = allowed.columns.transform(column);
            wider.unless(known != Transform::Removed, column, "shown", &allowed.columns);
        }
        for (column, TransformWord(wanted)) in &self.transforms {
            let known = allowed.columns.transform(column);
            wider.unless(known.covers(*wanted), column, wanted, known);
            wider.unless(facts.can_show(column, *wanted), column, wanted, "nothing of that kind");
        }
        let is_kept = |column: &ColumnName| self.columns.as_ref().is_none_or(|columns| columns.contains(column));
        let kept = allowed.columns.iter().filter(|(column, _)| is_kept(column));
        let shown = kept.map(|(column, known)| {
            let wanted = self.transforms.get(column).map_or(known, |word| word.0);
            (column.clone(), known.meet(wanted))
        });
        Ok(Columns::new(shown)?)
    }

    fn rows(&self, facts: &DatasetFacts) -> Result<Rows, RestrictionError> {
        let Some(text) = &self.condition else {
            return Ok(Rows::all());
        };
        let column = |column: &crate::policy::ColumnFacts| CatalogColumn {
            name: column.name.clone(),
            kind: column.kind_label().to_owned(),
            class: String::new(),
        };
        let columns: Vec<CatalogColumn> = facts.columns.iter().map(column).collect();
        Ok(condition::parse(text, &columns)?)
    }

    fn people(&self, allowed: &Scope, consumer: &InstitutionId, wider: &mut Wider) -> Result<People, RestrictionError> {
        let Some(people) = &self.people else {
            return Ok(allowed.people.clone());
        };
        for person in people {
            let known = allowed.people.allow(person) && person.belongs_to(consumer);
            wider.unless(
                known,
                person,
                "among the people",
                format!("{} of {consumer}", allowed.people),
            );
        }
        Ok(People::only(people.iter().cloned())?)
    }

    fn limits(&self, allowed: &Scope, wider: &mut Wider) -> concordat_protocol::scope::Limits {
        let RestrictedLimits {
            max_rows,
            queries_per_day,
            min_cell,
        } = self.limits;
        let (mut limits, known) = (allowed.limits, allowed.limits);
        if let Some(rows) = max_rows {
            let fits = known.max_rows.is_none_or(|most| rows <= most);
            wider.unless(fits, "the most rows of an answer", rows, known.max_rows.unwrap_or(rows));
            limits.max_rows = Some(rows);
        }
        if let Some(queries) = queries_per_day {
            let fits = known.max_queries_per_day.is_none_or(|most| queries <= most);
            let most = known.max_queries_per_day.unwrap_or(queries);
            wider.unless(fits, "the queries of a day", queries, most);
            limits.max_queries_per_day = Some(queries);
        }
        if let Some(subjects) = min_cell {
            wider.unless(
                subjects >= known.min_cell,
                "the fewest subjects of a cell",
                subjects,
                known.min_cell,
            );
            limits.min_cell = subjects;
        }
        limits
    }

    fn window(&self, allowed: &Scope, wider: &mut Wider) -> Result<Window, RestrictionError> {
        let Some(until) = &self.until else {
            return Ok(allowed.window);
        };
        let (until, known) = (Timestamp::parse(until)?, allowed.window);
        wider.unless(until <= known.not_after(), "the end", until, known.not_after());
        Ok(Window::new(known.not_before(), until)?)
    }
}

/// What goes beyond the policy's offer.
#[derive(Default)]
struct Wider(Vec<Reason>);

impl Wider {
    fn unless(&mut self, fits: bool, what: impl Display, wanted: impl Display, allowed: impl Display) {
        if !fits {
            self.0.push(Reason {
                text: format!("{what}: `{wanted}` goes beyond what the policy allows of this request, `{allowed}`"),
                remedy: Some("offer that or less; what the policy allows is changed in the policy".to_owned()),
                rule: Some(BY_STEWARD.to_owned()),
            });
        }
    }
}

#[cfg(test)]
mod tests;
