//! A condition on rows, written as SQL, becomes constraints on single columns.
//!
//! 1. The text is read as comparisons ([`text`]), by a parser in an engine process.
//! 2. The comparisons that arrive in the node are checked ([`comparison`]).
//! 3. Their columns are found in a catalog, and their constants are read as values of these columns ([`conditions`]).
//!
//! `age >= 40 AND sex = 1 AND chol BETWEEN 200 AND 300 AND thal IN (3, 6)`. Anything that is not a conjunction of
//! comparisons of one column with constants cannot be compared with what a policy allows, and is refused.
//!
//! Over several datasets a column is named with its dataset (`person.year_of_birth >= 1950`) unless only one of them has it. A comparison
//! is about the rows of its dataset, and no other.
//!
//! Names and comparisons mean what they mean in a query: a name matches without regard to case where one column only can be meant, and a
//! text that the condition writes is read as what it is compared with, completely or not at all. No number is compared as text.

mod comparison;
mod constant;
mod text;

use std::collections::{BTreeMap, BTreeSet};

use concordat_protocol::ids::{ColumnName, DatasetName};
use concordat_protocol::scope::{Bound, Constraint, InvalidScope, Rows, Value, Values};
use concordat_protocol::wire::messages::CatalogColumn;

use comparison::{ColumnText, Comparison, Name, Operator, Test};
use constant::{Constant, Kind};

pub(crate) use comparison::RowCondition;

/// Most characters of a name or a number that a message repeats.
const MAX_SHOWN: usize = 64;

/// Why a condition is rejected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConditionError {
    /// An unknown column.
    #[error("there is no column `{name}`{}", suggested(alike))]
    NoColumn {
        /// The name as in the condition.
        name: String,
        /// The columns whose names differ from it in case only.
        alike: Vec<ColumnName>,
    },
    /// An unknown dataset.
    #[error("the row condition names `{name}`, which is not among the datasets that it is about")]
    NoDataset {
        /// The name as in the condition.
        name: String,
    },
    /// A column that several datasets have.
    #[error(
        "`{name}` is a column of {}; name one of them, as in `{}.{name}`",
        listed(datasets),
        first(datasets)
    )]
    Ambiguous {
        /// The name as in the condition.
        name: String,
        /// The datasets that have it.
        datasets: Vec<DatasetName>,
    },
    /// A constant that is not comparable with the column.
    #[error("`{column}` is {kind}, and {constant}")]
    Kind {
        /// The column.
        column: ColumnName,
        /// What its values are.
        kind: &'static str,
        /// What the constant is, and how to write one that is comparable.
        constant: String,
    },
    /// A column with which no constant is comparable.
    #[error(
        "a row condition cannot compare the values of `{0}`; write `{0} IS NULL` or `{0} IS NOT NULL`, or leave it out"
    )]
    NotComparable(ColumnName),
    /// A condition that contradicts itself.
    #[error("no row can meet the condition on `{0}`; compare it with other values")]
    Impossible(ColumnName),
    /// Two conditions that contradict each other.
    #[error("no row can meet both conditions on `{0}`; leave one of them out")]
    Contradictory(ColumnName),
    /// It is too large.
    #[error(transparent)]
    Scope(#[from] InvalidScope),
}

/// The columns that may be meant, as a suggestion.
fn suggested(alike: &[ColumnName]) -> String {
    let names: Vec<&str> = alike.iter().map(ColumnName::as_str).collect();
    match names.as_slice() {
        [] => String::new(),
        names => format!("; did you mean `{}`?", names.join("` or `")),
    }
}

fn listed(datasets: &[DatasetName]) -> String {
    let names: Vec<String> = datasets.iter().map(|name| format!("`{name}`")).collect();
    names.join(" and ")
}

fn first(datasets: &[DatasetName]) -> &str {
    datasets.first().map_or("", DatasetName::as_str)
}

/// A dataset with the columns that a condition may name.
pub(super) type ListedDataset<'a> = (&'a DatasetName, &'a [CatalogColumn]);

/// The rows of each dataset that a condition is about.
pub(super) type Conditions = BTreeMap<DatasetName, Rows>;

/// The constraints of the columns of each dataset.
type Constraints = BTreeMap<DatasetName, BTreeMap<ColumnName, Constraint>>;

/// The rows of `datasets` that meet `condition`. A dataset that is absent in the result has no condition.
pub(super) fn conditions(
    condition: &RowCondition,
    datasets: &[ListedDataset<'_>],
) -> Result<Conditions, ConditionError> {
    let mut all = Constraints::new();
    for comparison in condition.comparisons() {
        let (dataset, (column, constraint)) = constraint(comparison, datasets)?;
        let of_dataset = all.entry(dataset).or_default();
        let met = match of_dataset.get(&column) {
            Some(earlier) => {
                let both = earlier.meet(&constraint);
                both.ok_or_else(|| ConditionError::Contradictory(column.clone()))?
            }
            None => constraint,
        };
        of_dataset.insert(column, met);
    }
    let mut conditions = Conditions::new();
    for (dataset, constraints) in all {
        conditions.insert(dataset, Rows::new(constraints)?);
    }
    Ok(conditions)
}

/// The constraint that a comparison is, with the dataset of its column.
fn constraint(
    comparison: &Comparison,
    datasets: &[ListedDataset<'_>],
) -> Result<(DatasetName, (ColumnName, Constraint)), ConditionError> {
    let (dataset, column) = known(&comparison.column, datasets)?;
    let constrained = match &comparison.test {
        Test::Is(operator, right) => constrained(column, compared(*operator, value(right, column)?))?,
        Test::Between(low, high) => {
            let end = |side: &Constant| value(side, column).map(|value| Some(Bound { value, inclusive: true }));
            let (low, high) = (end(low)?, end(high)?);
            constrained(column, Values::Range { low, high })?
        }
        Test::In(list) => {
            let values: Result<BTreeSet<Value>, _> = list.iter().map(|item| value(item, column)).collect();
            constrained(column, Values::Set(values?))?
        }
        Test::Missing => {
            let missing = Constraint::new(Values::Set(BTreeSet::new()), true)?;
            (column.name.clone(), missing)
        }
        Test::Present => constrained(column, Values::Any)?,
    };
    Ok((dataset.clone(), constrained))
}

/// The constraint of a column to values.
fn constrained(column: &CatalogColumn, values: Values) -> Result<(ColumnName, Constraint), ConditionError> {
    let column = column.name.clone();
    match Constraint::new(values.clone(), false) {
        Ok(constraint) => Ok((column, constraint)),
        // If missing values would make it valid, there is no other value that meets it.
        Err(_) if Constraint::new(values, true).is_ok() => Err(ConditionError::Impossible(column)),
        Err(invalid) => Err(invalid.into()),
    }
}

fn compared(operator: Operator, value: Value) -> Values {
    let bound = |value, inclusive| Some(Bound { value, inclusive });
    match operator {
        Operator::Equal => Values::Set(BTreeSet::from([value])),
        Operator::Less => Values::Range {
            low: None,
            high: bound(value, false),
        },
        Operator::LessOrEqual => Values::Range {
            low: None,
            high: bound(value, true),
        },
        Operator::Greater => Values::Range {
            low: bound(value, false),
            high: None,
        },
        Operator::GreaterOrEqual => Values::Range {
            low: bound(value, true),
            high: None,
        },
    }
}

/// A column with its dataset.
type NamedColumn<'a> = (&'a DatasetName, &'a CatalogColumn);

/// The column that is written, with its dataset or without.
fn known<'a>(written: &ColumnText, datasets: &[ListedDataset<'a>]) -> Result<NamedColumn<'a>, ConditionError> {
    let column = &written.column;
    let Some(dataset) = &written.dataset else {
        return of_any(column, datasets);
    };
    let unquoted = (!dataset.quoted).then(|| dataset.text.to_lowercase());
    let named = unquoted.as_deref().unwrap_or(&dataset.text);
    let found = datasets.iter().find(|(name, _)| name.as_str() == named);
    let (name, columns) = found.ok_or_else(|| ConditionError::NoDataset { name: shown(dataset) })?;
    match matching(column, columns) {
        Ok(found) => Ok((*name, found)),
        Err(alike) => Err(no_column(column, &alike)),
    }
}

/// The column of this name, if only one of the datasets has it.
fn of_any<'a>(name: &Name, datasets: &[ListedDataset<'a>]) -> Result<NamedColumn<'a>, ConditionError> {
    let mut found = Vec::new();
    let mut others = Vec::new();
    for (dataset, columns) in datasets {
        match matching(name, columns) {
            Ok(column) => found.push((*dataset, column)),
            Err(alike) => others.extend(alike),
        }
    }
    match found.as_slice() {
        [] => Err(no_column(name, &others)),
        [only] => Ok(*only),
        several => Err(ConditionError::Ambiguous {
            name: shown(name),
            datasets: several.iter().map(|(dataset, _)| (*dataset).clone()).collect(),
        }),
    }
}

/// The column that a name means: exactly that one, or the only one whose name differs in case. Otherwise those whose names differ in case.
fn matching<'a>(name: &Name, columns: &'a [CatalogColumn]) -> Result<&'a CatalogColumn, Vec<&'a CatalogColumn>> {
    if let Some(column) = columns.iter().find(|column| column.name.as_str() == name.text) {
        return Ok(column);
    }
    let lower = name.text.to_lowercase();
    let alike = columns
        .iter()
        .filter(|column| column.name.as_str().to_lowercase() == lower);
    let alike: Vec<&CatalogColumn> = alike.collect();
    if let (false, [only]) = (name.quoted, alike.as_slice()) {
        return Ok(*only);
    }
    Err(alike)
}

fn no_column(name: &Name, alike: &[&CatalogColumn]) -> ConditionError {
    ConditionError::NoColumn {
        name: shown(name),
        alike: alike.iter().map(|column| column.name.clone()).collect(),
    }
}

/// A name of the condition, as a message repeats it.
fn shown(name: &Name) -> String {
    name.text.chars().take(MAX_SHOWN).collect()
}

/// A constant, as a value to compare with the column.
fn value(constant: &Constant, column: &CatalogColumn) -> Result<Value, ConditionError> {
    let kind = Kind::of(&column.kind).ok_or_else(|| ConditionError::NotComparable(column.name.clone()))?;
    constant.value(kind).ok_or_else(|| ConditionError::Kind {
        column: column.name.clone(),
        kind: kind.label(),
        constant: constant.mismatch(kind, &column.name),
    })
}

#[cfg(test)]
mod tests;
