//! Row filters: a conjunction of constraints on single columns.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::invalid::{InvalidScope, Part};
use super::value::{Kind, Value};
use crate::ids::ColumnName;

/// Most columns a filter may constrain.
const MAX_CONSTRAINTS: usize = 64;
/// Most values a set may list.
const MAX_SET: usize = 1000;
/// Longest text a filter may compare with, in bytes.
const MAX_TEXT: usize = 256;

/// Which rows: every constraint must be satisfied. Without constraints, all rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    try_from = "BTreeMap<ColumnName, Constraint>",
    into = "BTreeMap<ColumnName, Constraint>"
)]
pub struct Rows(BTreeMap<ColumnName, Constraint>);

impl Rows {
    /// All rows.
    pub fn all() -> Self {
        Self::default()
    }

    /// The rows that satisfy every one of `constraints`.
    ///
    /// # Errors
    /// [`InvalidScope`] for more than 64 constraints.
    pub fn new(constraints: BTreeMap<ColumnName, Constraint>) -> Result<Self, InvalidScope> {
        if constraints.len() > MAX_CONSTRAINTS {
            return Err(InvalidScope::new(
                Part::Rows,
                format!("more than {MAX_CONSTRAINTS} constrained columns"),
            ));
        }
        let free = Constraint {
            values: Values::Any,
            null: true,
        };
        Ok(Self(
            constraints
                .into_iter()
                .filter(|(_, constraint)| *constraint != free)
                .collect(),
        ))
    }

    /// The constraints by column.
    pub fn constraints(&self) -> impl Iterator<Item = (&ColumnName, &Constraint)> {
        self.0.iter()
    }

    /// Whether all rows are covered.
    pub fn is_all(&self) -> bool {
        self.0.is_empty()
    }

    /// The rows that satisfy both filters; `None` if no row can.
    pub fn meet(&self, other: &Self) -> Option<Self> {
        let mut met = self.0.clone();
        for (column, theirs) in &other.0 {
            let both = match met.get(column) {
                Some(mine) => mine.meet(theirs)?,
                None => theirs.clone(),
            };
            met.insert(column.clone(), both);
        }
        Self::new(met).ok()
    }

    pub(super) fn covers(&self, inner: &Self) -> bool {
        self.0
            .iter()
            .all(|(column, mine)| inner.0.get(column).is_some_and(|theirs| mine.covers(theirs)))
    }
}

impl TryFrom<BTreeMap<ColumnName, Constraint>> for Rows {
    type Error = InvalidScope;
    fn try_from(constraints: BTreeMap<ColumnName, Constraint>) -> Result<Self, InvalidScope> {
        Self::new(constraints)
    }
}

impl From<Rows> for BTreeMap<ColumnName, Constraint> {
    fn from(rows: Rows) -> Self {
        rows.0
    }
}

impl fmt::Display for Rows {
    /// As an SQL condition.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_all() {
            return f.write_str("all rows");
        }
        let parts: Vec<_> = self
            .0
            .iter()
            .map(|(column, constraint)| constraint.to_sql(column))
            .collect();
        f.write_str(&parts.join(" AND "))
    }
}

/// Which values one column may have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawConstraint", into = "RawConstraint")]
pub struct Constraint {
    values: Values,
    null: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawConstraint {
    values: Values,
    null: bool,
}

/// Which values are allowed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Values {
    /// Any value.
    Any,
    /// One of these; an empty set allows no value at all.
    Set(BTreeSet<Value>),
    /// Between two ends, at least one of which is set.
    Range {
        /// The lower end.
        low: Option<Bound>,
        /// The upper end.
        high: Option<Bound>,
    },
}

/// One end of a range.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bound {
    /// The value at the end.
    pub value: Value,
    /// Whether the value itself belongs to the range.
    pub inclusive: bool,
}

impl Constraint {
    /// A constraint in its one canonical form: discrete bounds become inclusive, a range of one value becomes a set.
    ///
    /// # Errors
    /// [`InvalidScope`] if no value can satisfy it, it mixes kinds, or it is too large.
    pub fn new(values: Values, null: bool) -> Result<Self, InvalidScope> {
        let values = match values {
            Values::Any => Values::Any,
            Values::Set(set) => check_set(set)?,
            Values::Range { low, high } => canonical_range(low, high)?,
        };
        let empty = matches!(&values, Values::Set(set) if set.is_empty());
        if empty && !null {
            Err(InvalidScope::new(Part::Rows, "a condition that no row can satisfy"))
        } else {
            Ok(Self { values, null })
        }
    }

    /// The allowed values.
    pub fn values(&self) -> &Values {
        &self.values
    }

    /// Whether a missing value is allowed.
    pub fn allows_null(&self) -> bool {
        self.null
    }

    /// The kind of the values, if any is listed.
    pub fn kind(&self) -> Option<Kind> {
        match &self.values {
            Values::Any => None,
            Values::Set(set) => set.first().map(Value::kind),
            Values::Range { low, high } => low.as_ref().or(high.as_ref()).map(|bound| bound.value.kind()),
        }
    }

    /// Whether `value` (`None` for a missing one) satisfies the constraint.
    pub fn admits(&self, value: Option<&Value>) -> bool {
        value.map_or(self.null, |value| self.values.admit(value))
    }

    /// What satisfies both; `None` if no value does or if the kinds differ.
    pub fn meet(&self, other: &Self) -> Option<Self> {
        let kinds_differ = matches!((self.kind(), other.kind()), (Some(a), Some(b)) if a != b);
        let null = self.null && other.null;
        let values = if kinds_differ {
            Values::Set(BTreeSet::new())
        } else {
            self.values.meet(&other.values)
        };
        Self::new(values, null).ok()
    }

    fn covers(&self, inner: &Self) -> bool {
        self.meet(inner).is_some_and(|met| met == *inner)
    }

    fn to_sql(&self, column: &ColumnName) -> String {
        let end = |bound: &Bound, strict: &str| {
            format!(
                "{column} {strict}{} {}",
                if bound.inclusive { "=" } else { "" },
                bound.value
            )
        };
        let values = match &self.values {
            Values::Any => format!("{column} IS NOT NULL"),
            Values::Set(set) if set.is_empty() => return format!("{column} IS NULL"),
            Values::Set(set) => {
                let list: Vec<_> = set.iter().map(Value::to_string).collect();
                if list.len() == 1 {
                    format!("{column} = {}", list.join(""))
                } else {
                    format!("{column} IN ({})", list.join(", "))
                }
            }
            Values::Range { low, high } => {
                let ends = low.iter().map(|b| end(b, ">")).chain(high.iter().map(|b| end(b, "<")));
                ends.collect::<Vec<_>>().join(" AND ")
            }
        };
        if self.null {
            format!("({values} OR {column} IS NULL)")
        } else {
            values
        }
    }
}

impl Values {
    fn admit(&self, value: &Value) -> bool {
        match self {
            Self::Any => true,
            Self::Set(set) => set.contains(value),
            Self::Range { low, high } => {
                let same_kind = low
                    .as_ref()
                    .or(high.as_ref())
                    .is_some_and(|b| b.value.kind() == value.kind());
                let above = low
                    .as_ref()
                    .is_none_or(|b| *value > b.value || b.inclusive && *value == b.value);
                let below = high
                    .as_ref()
                    .is_none_or(|b| *value < b.value || b.inclusive && *value == b.value);
                same_kind && above && below
            }
        }
    }

    fn meet(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Any, x) | (x, Self::Any) => x.clone(),
            (Self::Set(set), x) | (x, Self::Set(set)) => {
                Self::Set(set.iter().filter(|value| x.admit(value)).cloned().collect())
            }
            (Self::Range { low: l1, high: h1 }, Self::Range { low: l2, high: h2 }) => Self::Range {
                low: tighter(l1.as_ref(), l2.as_ref(), |a, b| a > b),
                high: tighter(h1.as_ref(), h2.as_ref(), |a, b| a < b),
            },
        }
    }
}

/// The end that admits less; at equal values the exclusive one.
fn tighter(a: Option<&Bound>, b: Option<&Bound>, further: fn(&Value, &Value) -> bool) -> Option<Bound> {
    match (a, b) {
        (Some(a), Some(b)) if further(&a.value, &b.value) => Some(a.clone()),
        (Some(a), Some(b)) if a.value == b.value => Some(Bound {
            value: a.value.clone(),
            inclusive: a.inclusive && b.inclusive,
        }),
        (_, Some(b)) => Some(b.clone()),
        (a, None) => a.cloned(),
    }
}

fn check_set(set: BTreeSet<Value>) -> Result<Values, InvalidScope> {
    let one_kind = set
        .first()
        .is_none_or(|first| set.iter().all(|value| value.kind() == first.kind()));
    if !one_kind {
        return Err(InvalidScope::new(Part::Rows, "a set mixes values of different kinds"));
    }
    if set.len() > MAX_SET {
        return Err(InvalidScope::new(
            Part::Rows,
            format!("a set of more than {MAX_SET} values"),
        ));
    }
    set.iter().try_for_each(check_text)?;
    Ok(Values::Set(set))
}

fn check_text(value: &Value) -> Result<(), InvalidScope> {
    match value {
        Value::Text(text) if text.len() > MAX_TEXT => Err(InvalidScope::new(
            Part::Rows,
            format!("a text of more than {MAX_TEXT} bytes"),
        )),
        Value::Text(_) | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Date(_) => Ok(()),
    }
}

fn canonical_range(low: Option<Bound>, high: Option<Bound>) -> Result<Values, InvalidScope> {
    let empty = || Ok(Values::Set(BTreeSet::new()));
    for bound in low.iter().chain(&high) {
        check_text(&bound.value)?;
    }
    let (Some(low), Some(high)) = (close(low, Value::successor), close(high, Value::predecessor)) else {
        return empty();
    };
    match (&low, &high) {
        (None, None) => Ok(Values::Any),
        (Some(l), Some(h)) if l.value.kind() != h.value.kind() => {
            Err(InvalidScope::new(Part::Rows, "a range mixes values of different kinds"))
        }
        (Some(l), Some(h)) if l.value > h.value => empty(),
        (Some(l), Some(h)) if l.value == h.value => {
            if l.inclusive && h.inclusive {
                Ok(Values::Set(BTreeSet::from([l.value.clone()])))
            } else {
                empty()
            }
        }
        (Some(_), _) | (None, Some(_)) => Ok(Values::Range { low, high }),
    }
}

/// Makes an exclusive end of a discrete kind inclusive. The outer `None` means that no value lies beyond the end.
fn close(bound: Option<Bound>, step: fn(&Value) -> Option<Value>) -> Option<Option<Bound>> {
    match bound {
        Some(bound) if bound.value.is_discrete() && !bound.inclusive => {
            step(&bound.value).map(|value| Some(Bound { value, inclusive: true }))
        }
        other => Some(other),
    }
}

impl TryFrom<RawConstraint> for Constraint {
    type Error = InvalidScope;
    fn try_from(raw: RawConstraint) -> Result<Self, InvalidScope> {
        Self::new(raw.values, raw.null)
    }
}

impl From<Constraint> for RawConstraint {
    fn from(constraint: Constraint) -> Self {
        Self {
            values: constraint.values,
            null: constraint.null,
        }
    }
}
