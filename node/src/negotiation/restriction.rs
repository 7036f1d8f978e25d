//! Narrows the policy's offer by the options of a steward. The policy's offer is the upper bound: an option can only narrow it, and
//! one that would widen it is refused with what is allowed.
//!
//! Options about columns name the dataset (`person.sex`), or the column of this name in each dataset of the offer that shows it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::str::FromStr;

use concordat_protocol::collection::ColumnRole;
use concordat_protocol::ids::{ActorId, ColumnName, DatasetName, InstitutionId, SelectedColumn};
use concordat_protocol::scope::{
    BandWidth, Columns, DatasetScope, Datasets, Disjoint, FiguresWithNoise, Generalization, InvalidScope, Limits,
    Noise, Part, People, Protection, ProtectionName, Rows, Scope, Tier, Transform, Window,
};
use concordat_protocol::time::{InvalidTime, Timestamp};
use concordat_protocol::wire::messages::{CatalogColumn, Reason};
use serde::Deserialize;

use super::condition::{self, ConditionError, Conditions, ListedDataset, RowCondition};
use concordat_policy::CollectionFacts;

/// The rule named for what the steward narrows.
pub(super) const BY_STEWARD: &str = "steward-decision";

/// The options of `grant offer`. What is omitted stays as the policy allows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Restriction {
    /// The highest tier.
    pub tier: Option<Tier>,
    /// How figures are protected at least.
    pub protection: Option<ProtectionName>,
    /// The datasets of the collection; no others are offered.
    pub datasets: Option<BTreeSet<DatasetName>>,
    /// The columns; no others are offered.
    pub columns: Option<BTreeSet<SelectedColumn>>,
    /// A condition on rows, which was read of a text; it is combined with that of the request.
    #[serde(skip)]
    pub condition: Option<RowCondition>,
    /// The last day, or the moment of the end.
    pub until: Option<String>,
    /// The people at the consumer who may use it.
    pub people: Option<BTreeSet<ActorId>>,
    /// Limits.
    pub limits: RestrictedLimits,
    /// Transforms of some columns.
    pub transforms: BTreeMap<SelectedColumn, TransformName>,
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
    /// Maximum number of cells of one answer below records.
    pub max_cells: Option<u32>,
    /// Maximum number of sets of subjects, none of which follows from others, that answers below records distinguish.
    pub distinctions: Option<u32>,
    /// Maximum number of figures that are protected as `perturbed`, which they are then.
    pub figures_with_noise: Option<FiguresWithNoise>,
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
    /// The row condition is not about the columns of the offer.
    #[error(transparent)]
    Condition(#[from] ConditionError),
    /// A number of figures with noise is stated, and a protection without such noise.
    #[error("figures with noise are protected as `perturbed`, and not as `{protection}`; state one of both")]
    FiguresWithNoise {
        /// The protection.
        protection: ProtectionName,
    },
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
    /// Whether figures with this protection are those of the restriction: what the policy offers in the end can be another one.
    pub(super) fn is_of(&self, protection: &Protection) -> bool {
        let is_named = self.protection.is_none_or(|wanted| wanted == protection.name());
        let figures = self.limits.figures_with_noise;
        let is_counted = |figures: FiguresWithNoise| match protection {
            Protection::Perturbed(noise) => noise.answers() == Some(figures.get()),
            Protection::Exact | Protection::Private(_) => false,
        };
        is_named && figures.is_none_or(is_counted)
    }

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
        let offered = self.offered(allowed, &mut excess);
        let shown = self.shown(&offered, facts, &mut excess)?;
        let conditions = self.conditions(&offered, facts)?;
        let tier = self.tier(allowed, &mut excess);
        let protection = self.protection(allowed, &mut excess)?;
        let people = self.people(allowed, consumer, &mut excess)?;
        let limits = self.limits(allowed, &mut excess);
        let window = self.window(allowed, &mut excess)?;
        if !excess.0.is_empty() {
            return Err(NarrowError::Exceeds { reasons: excess.0 });
        }
        let wanted = Scope {
            tier,
            protection,
            datasets: scopes(shown, conditions)?,
            people,
            limits,
            window,
            ..allowed.clone()
        };
        // The checks above produce the error messages; `meet` guarantees that the result lies within `allowed`.
        let met = allowed.meet(&wanted)?;
        // A dataset would disappear if no row of it met both conditions.
        let mut names = wanted.datasets.names();
        match names.all(|name| met.datasets.get(name).is_some()) {
            true => Ok(met),
            false => Err(Disjoint { part: Part::Rows }.into()),
        }
    }

    /// The datasets that are offered still.
    fn offered<'a>(&self, allowed: &'a Scope, excess: &mut Excess) -> Vec<OfferedDataset<'a>> {
        for name in self.datasets.iter().flatten() {
            let names: Vec<&str> = allowed.datasets.names().map(DatasetName::as_str).collect();
            let is_known = allowed.datasets.get(name).is_some();
            excess.unless(is_known, "the dataset", name, names.join(", "));
        }
        let is_chosen = |name: &DatasetName| self.datasets.as_ref().is_none_or(|chosen| chosen.contains(name));
        let offered = allowed.datasets.iter().filter(|(name, _)| is_chosen(name));
        offered.collect()
    }

    fn tier(&self, allowed: &Scope, excess: &mut Excess) -> Tier {
        let tier = self.tier.unwrap_or(allowed.tier);
        excess.unless(tier <= allowed.tier, "the tier", tier, allowed.tier);
        tier
    }

    fn protection(&self, allowed: &Scope, excess: &mut Excess) -> Result<Protection, RestrictionError> {
        let known = allowed.protection;
        let figures = self.limits.figures_with_noise;
        // Figures with noise are perturbed, whether that is stated or not.
        let named = self.protection.or(figures.map(|_| ProtectionName::Perturbed));
        let Some(wanted) = named else {
            return Ok(known);
        };
        excess.unless(wanted >= known.name(), "the protection", wanted, known.name());
        let Some(figures) = figures else {
            return Ok(wanted.widest());
        };
        if wanted != ProtectionName::Perturbed {
            return Err(RestrictionError::FiguresWithNoise { protection: wanted });
        }
        if let Protection::Perturbed(noise) = known {
            let most = noise.answers();
            excess.lowered("the figures with noise", Some(figures.get()), most);
        }
        // The meet with what the policy allows has the noise of the policy, for these figures.
        Ok(Protection::Perturbed(Noise::of(figures)))
    }

    /// The columns of each dataset that are offered still.
    fn shown(
        &self,
        offered: &[OfferedDataset<'_>],
        facts: &CollectionFacts,
        excess: &mut Excess,
    ) -> Result<Vec<(DatasetName, Columns)>, RestrictionError> {
        for column in self.columns.iter().flatten() {
            let all: Vec<String> = offered.iter().map(|(_, scope)| scope.columns.to_string()).collect();
            let is_shown = meant(column, offered).any(|(_, known)| known != Transform::Removed);
            excess.unless(is_shown, column, "shown", all.join("; "));
        }
        for (column, TransformName(wanted)) in &self.transforms {
            for (dataset, known) in transformed(column, offered) {
                excess.unless(known.covers(*wanted), column, wanted, known);
                let can_show = facts.can_show(dataset, &column.column, *wanted);
                excess.unless(can_show, column, wanted, "nothing of that kind");
            }
        }
        let each = offered.iter().map(|(dataset, scope)| {
            let selected = scope.columns.iter().filter_map(|(column, known)| {
                let wanted = self.transform(&selections(dataset, column), known)?;
                Some((column.clone(), wanted))
            });
            Ok(((*dataset).clone(), Columns::new(selected)?))
        });
        each.collect()
    }

    /// How a column that the policy shows as `known`, and that options may name in these ways, is offered; `None` if it is not.
    fn transform(&self, named: &[SelectedColumn; 2], known: Transform) -> Option<Transform> {
        let columns = self.columns.as_ref();
        let is_selected = columns.is_none_or(|columns| named.iter().any(|column| columns.contains(column)));
        let wanted = named.iter().filter_map(|column| self.transforms.get(column));
        is_selected.then(|| wanted.fold(known, |known, TransformName(wanted)| known.meet(*wanted)))
    }

    /// The conditions on rows of the datasets that are offered still.
    fn conditions(
        &self,
        offered: &[OfferedDataset<'_>],
        facts: &CollectionFacts,
    ) -> Result<Conditions, RestrictionError> {
        let Some(condition) = &self.condition else {
            return Ok(Conditions::new());
        };
        let column = |column: &concordat_policy::ColumnFacts| CatalogColumn {
            name: column.name.clone(),
            kind: column.kind_label().to_owned(),
            class: String::new(),
            role: ColumnRole::Value,
            unit: None,
        };
        let known = offered.iter().map(|(dataset, _)| {
            let columns = facts.dataset(dataset).into_iter().flat_map(|dataset| &dataset.columns);
            (*dataset, columns.map(column).collect())
        });
        let known: Vec<(&DatasetName, Vec<CatalogColumn>)> = known.collect();
        let known: Vec<ListedDataset<'_>> = known
            .iter()
            .map(|(dataset, columns)| (*dataset, columns.as_slice()))
            .collect();
        Ok(condition::conditions(condition, &known)?)
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

    fn limits(&self, allowed: &Scope, excess: &mut Excess) -> Limits {
        let RestrictedLimits {
            max_rows,
            queries_per_day,
            min_cell,
            max_cells,
            distinctions,
            // It is part of the protection.
            figures_with_noise: _,
        } = self.limits;
        let known = allowed.limits;
        let least = min_cell.unwrap_or(known.min_cell);
        excess.unless(
            least >= known.min_cell,
            "the fewest subjects of a cell",
            least,
            known.min_cell,
        );
        Limits {
            max_rows: excess.lowered("the most rows of an answer", max_rows, known.max_rows),
            max_queries_per_day: excess.lowered("the queries of a day", queries_per_day, known.max_queries_per_day),
            max_cells: excess.lowered("the most cells of an answer", max_cells, known.max_cells),
            distinctions: excess.lowered("the distinctions", distinctions, known.distinctions),
            min_cell: least,
            ..known
        }
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

/// A dataset as the policy allows it.
type OfferedDataset<'a> = (&'a DatasetName, &'a DatasetScope);

/// How an option may name a column.
fn selections(dataset: &DatasetName, column: &ColumnName) -> [SelectedColumn; 2] {
    let named = SelectedColumn {
        dataset: Some(dataset.clone()),
        column: column.clone(),
    };
    [named, SelectedColumn::from(column.clone())]
}

/// How each dataset that an option about `column` may mean shows it.
fn meant<'a>(
    column: &'a SelectedColumn,
    offered: &'a [OfferedDataset<'a>],
) -> impl Iterator<Item = (&'a DatasetName, Transform)> {
    let datasets = offered
        .iter()
        .filter(move |(dataset, _)| column.is(dataset, &column.column));
    datasets.map(move |(dataset, scope)| (*dataset, scope.columns.transform(&column.column)))
}

/// As [`meant`], of the datasets that show it; if none does, of all.
fn transformed<'a>(column: &'a SelectedColumn, offered: &'a [OfferedDataset<'a>]) -> Vec<(&'a DatasetName, Transform)> {
    let all: Vec<_> = meant(column, offered).collect();
    let is_shown = |(_, known): &&(&DatasetName, Transform)| *known != Transform::Removed;
    let shown: Vec<_> = all.iter().filter(is_shown).copied().collect();
    match (shown.is_empty(), &column.dataset) {
        (false, _) => shown,
        (true, Some(other)) if all.is_empty() => vec![(other, Transform::Removed)],
        (true, _) => all,
    }
}

/// The datasets with what is left of each. Of several, those without a column are left out.
fn scopes(shown: Vec<(DatasetName, Columns)>, mut conditions: Conditions) -> Result<Datasets, NarrowError> {
    let is_single = shown.len() == 1;
    let mut datasets = Vec::new();
    for (name, columns) in shown {
        if is_single || !columns.is_empty() {
            let rows = conditions.remove(&name).unwrap_or_else(Rows::all);
            datasets.push((name, DatasetScope { columns, rows }));
        }
    }
    if datasets.is_empty() {
        return Err(Disjoint { part: Part::Columns }.into());
    }
    Ok(Datasets::new(datasets).map_err(RestrictionError::from)?)
}

/// What goes beyond the policy's offer.
#[derive(Default)]
struct Excess(Vec<Reason>);

impl Excess {
    /// A limit, which is `known` unless a lower one is wanted.
    fn lowered<T: Ord + Copy + Display>(&mut self, what: &str, wanted: Option<T>, known: Option<T>) -> Option<T> {
        let Some(wanted) = wanted else { return known };
        let most = known.unwrap_or(wanted);
        self.unless(wanted <= most, what, wanted, most);
        Some(wanted)
    }

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
