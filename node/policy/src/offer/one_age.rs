//! Ages and years of birth are one quasi-identifier: together they reveal an age to the year. An institution gets one of the two of a
//! collection, whose datasets are about the same people, under one grant or under several.
//!
//! 1. What another scope of the institution covers stays there: if it is ages, years of birth are not shown, and the reverse.
//! 2. Of what is left, years of birth are not shown if ages are requested.
//!
//! A scope covers a column that it shows and one that its rows are selected by. The rule is about ages in bands and dates as years: what
//! policies show in clear, it does not hide. The holder's own people get both.

use std::collections::BTreeMap;

use concordat_protocol::decision::RuleReason;
use concordat_protocol::ids::ColumnName;
use concordat_protocol::schema::{is_age, is_birth};
use concordat_protocol::scope::{Columns, Generalization, Rows, Scope, Subjects, Transform};

use super::decision::OfferInput;
use super::held::HeldUnder;
use crate::facts::{CollectionFacts, ColumnFacts, ColumnPath};

/// The rule for what one scope covers.
const ONE_AGE: &str = "one-age";
/// The same rule for what several agreements cover.
const ACROSS_GRANTS: &str = "one-age-across-grants";

/// How each column is shown, with a reason if it is not shown in clear.
pub(super) type Shown = BTreeMap<ColumnPath, (Transform, Option<RuleReason>)>;

/// Whether `reason` is that of this rule: the column exists, and a request without the other one would get it.
pub(super) fn is_reason(reason: &RuleReason) -> bool {
    reason.rule == ONE_AGE || is_across_grants(reason)
}

/// Whether `reason` names another agreement, which the institution can end.
pub(crate) fn is_across_grants(reason: &RuleReason) -> bool {
    reason.rule == ACROSS_GRANTS
}

/// Removes from `shown` what this rule does not allow.
pub(super) fn apply(input: &OfferInput<'_>, facts: &CollectionFacts, mut shown: Shown) -> Shown {
    if input.consumer.institution == input.provider.institution {
        return shown;
    }
    let held = held(input, facts, &shown);
    let label = |column: &ColumnPath| column.label(&facts.reference);
    for (column, half) in halves(facts) {
        if let Some(other) = held.iter().find(|other| other.half == half.other()) {
            remove(&mut shown, &column, || other.reason(&label(&column)));
        }
    }
    if let Some(age) = requested_age(input.request, facts, &shown) {
        for (column, _) in halves(facts).filter(|(_, half)| *half == Half::Birth) {
            remove(&mut shown, &column, || in_one_scope(&label(&column), &label(&age)));
        }
    }
    shown
}

/// The two that reveal the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Half {
    Age,
    Birth,
}

impl Half {
    fn of(column: &ColumnFacts, facts: &CollectionFacts) -> Option<Self> {
        match column.generalization {
            Some(Generalization::AgeBand(_)) => Some(Self::Age),
            Some(Generalization::Year | Generalization::Levels) => facts.is_birth(column).then_some(Self::Birth),
            None => None,
        }
    }

    /// Which of the two a column of an agreement is. The collection may not have the column any more; then its name decides.
    fn of_agreed(path: &ColumnPath, facts: &CollectionFacts) -> Option<Self> {
        let name = &path.column;
        match facts.column(&path.dataset, name) {
            Some(column) => Self::of(column, facts),
            None if is_age(name.as_str()) => Some(Self::Age),
            None if is_birth(name.as_str()) || facts.release.births.contains(name) => Some(Self::Birth),
            None => None,
        }
    }

    const fn other(self) -> Self {
        match self {
            Self::Age => Self::Birth,
            Self::Birth => Self::Age,
        }
    }
}

/// A column that another agreement covers.
struct Held {
    half: Half,
    /// As texts name it.
    column: String,
    under: HeldUnder,
}

impl Held {
    fn reason(&self, removed: &str) -> RuleReason {
        let Self { column, under, .. } = self;
        let until = under.until();
        let text = format!(
            "`{removed}` and `{column}` together reveal more than either, and {under} covers `{column}` {until}"
        );
        let remedy = format!("{}, or request a grant without `{removed}`", under.remedy());
        RuleReason::new(ACROSS_GRANTS, text, remedy)
    }
}

fn in_one_scope(birth: &str, age: &str) -> RuleReason {
    let text = format!("`{birth}` and `{age}` reveal the same, and together more than either");
    RuleReason::new(ONE_AGE, text, format!("request one of the two: leave `{age}` out"))
}

/// The columns of the collection that are one of the two.
fn halves(facts: &CollectionFacts) -> impl Iterator<Item = (ColumnPath, Half)> {
    facts.columns().filter_map(|(dataset, column)| {
        let half = Half::of(column, facts)?;
        Some((ColumnPath::new(&dataset.name, &column.name), half))
    })
}

/// What the other agreements cover, in their order.
fn held(input: &OfferInput<'_>, facts: &CollectionFacts, shown: &Shown) -> Vec<Held> {
    let in_clear = |column: &ColumnPath| matches!(shown.get(column), Some((Transform::Clear, _)));
    let mut all = Vec::new();
    for other in input
        .held
        .iter()
        .filter(|other| other.scope.collection == facts.reference)
    {
        for column in covered(&other.scope).into_iter().filter(|column| !in_clear(column)) {
            all.extend(Half::of_agreed(&column, facts).map(|half| Held {
                half,
                column: column.label(&facts.reference),
                under: other.under,
            }));
        }
    }
    all
}

/// The columns whose values a scope reveals, in clear or generalized, dataset by dataset, and those by which it selects subjects.
fn covered(scope: &Scope) -> Vec<ColumnPath> {
    let mut columns: Vec<ColumnPath> = Vec::new();
    for (name, dataset) in scope.datasets.iter() {
        let all = revealed(&dataset.columns).chain(selecting(&dataset.rows));
        columns.extend(all.map(|column| ColumnPath::new(name, column)));
    }
    if let Subjects::Only(filter) = &scope.subjects {
        columns.extend(selecting(filter.rows()).map(|column| ColumnPath::new(filter.dataset(), column)));
    }
    columns
}

fn revealed(columns: &Columns) -> impl Iterator<Item = &ColumnName> {
    let reveals = |transform: Transform| match transform {
        Transform::Clear | Transform::Generalized(_) => true,
        Transform::Pseudonym | Transform::Removed => false,
    };
    let shown = columns.iter().filter(move |(_, transform)| reveals(*transform));
    shown.map(|(column, _)| column)
}

fn selecting(rows: &Rows) -> impl Iterator<Item = &ColumnName> {
    rows.constraints().map(|(column, _)| column)
}

/// An age in bands that the request covers.
fn requested_age(request: &Scope, facts: &CollectionFacts, shown: &Shown) -> Option<ColumnPath> {
    let is_used = |path: &ColumnPath, transform: Transform| {
        let requested = request.datasets.get(&path.dataset);
        requested.is_some_and(|dataset| {
            dataset.columns.transform(&path.column).meet(transform) != Transform::Removed
                || selecting(&dataset.rows).any(|column| *column == path.column)
        })
    };
    let is_requested = |path: &ColumnPath| match shown.get(path) {
        Some((transform @ Transform::Generalized(_), _)) => is_used(path, *transform),
        Some((Transform::Clear | Transform::Pseudonym | Transform::Removed, _)) | None => false,
    };
    let mut ages = halves(facts).filter(|(_, half)| *half == Half::Age);
    ages.find(|(path, _)| is_requested(path)).map(|(path, _)| path)
}

fn remove(shown: &mut Shown, column: &ColumnPath, reason: impl FnOnce() -> RuleReason) {
    if let Some(shown) = shown.get_mut(column)
        && matches!(shown.0, Transform::Generalized(_))
    {
        *shown = (Transform::Removed, Some(reason()));
    }
}
