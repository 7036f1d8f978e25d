//! Parses a condition on rows, written as SQL, into constraints on single columns.
//!
//! `age >= 40 AND sex = 1 AND chol BETWEEN 200 AND 300 AND thal IN (3, 6)`. Anything that is not a conjunction of
//! comparisons of one column with constants cannot be compared with what a policy allows, and is refused.
//!
//! Names and comparisons mean what they mean in a query: a name matches without regard to case where one column only can be meant, and a
//! text that the condition writes is read as what it is compared with, completely or not at all. No number is compared as text.

mod constant;

use std::collections::{BTreeMap, BTreeSet};

use concordat_protocol::ids::ColumnName;
use concordat_protocol::scope::{Bound, Constraint, InvalidScope, Rows, Value, Values};
use concordat_protocol::wire::messages::CatalogColumn;
use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;

use constant::{Constant, Kind};

/// Longest condition, in bytes.
const MAX_CONDITION: usize = 16 * 1024;
/// Most characters of a name or a number that a message repeats.
const MAX_SHOWN: usize = 64;

/// Why a condition is rejected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConditionError {
    /// It is not an SQL condition.
    #[error("the row condition cannot be read; write for example `age >= 40 AND sex = 1`")]
    Unreadable,
    /// It is more than a conjunction of comparisons.
    #[error(
        "the row condition may only join comparisons of one column with constants by `AND` (`=`, `<`, `<=`, `>`, `>=`, `IN`, `BETWEEN`, `IS NULL`, `IS NOT NULL`)"
    )]
    TooGeneral,
    /// An unknown column.
    #[error("there is no column `{name}`{}", suggested(alike))]
    NoColumn {
        /// The name as in the condition.
        name: String,
        /// The columns whose names differ from it in case only.
        alike: Vec<ColumnName>,
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

/// Parses `text` as a condition on `columns`.
pub(super) fn parse(text: &str, columns: &[CatalogColumn]) -> Result<Rows, ConditionError> {
    if text.len() > MAX_CONDITION {
        return Err(ConditionError::TooGeneral);
    }
    let mut parser = Parser::new(&GenericDialect {})
        .try_with_sql(text)
        .map_err(|_| ConditionError::Unreadable)?;
    let expr = parser.parse_expr().map_err(|_| ConditionError::Unreadable)?;
    if parser.peek_token().token != datafusion::sql::sqlparser::tokenizer::Token::EOF {
        return Err(ConditionError::Unreadable);
    }
    let mut constraints = BTreeMap::new();
    conjuncts(&expr, columns, &mut constraints)?;
    Ok(Rows::new(constraints)?)
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "every other expression has to be a comparison"
)]
fn conjuncts(
    expr: &Expr,
    columns: &[CatalogColumn],
    all: &mut BTreeMap<ColumnName, Constraint>,
) -> Result<(), ConditionError> {
    match expr {
        Expr::Nested(inner) => conjuncts(inner, columns, all),
        Expr::BinaryOp {
            left,
            op: BinaryOperator::And,
            right,
        } => {
            conjuncts(left, columns, all)?;
            conjuncts(right, columns, all)
        }
        other => {
            let (column, constraint) = comparison(other, columns)?;
            let met = match all.get(&column) {
                Some(earlier) => {
                    let both = earlier.meet(&constraint);
                    both.ok_or_else(|| ConditionError::Contradictory(column.clone()))?
                }
                None => constraint,
            };
            all.insert(column, met);
            Ok(())
        }
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "an expression that is not listed is refused"
)]
fn comparison(expr: &Expr, columns: &[CatalogColumn]) -> Result<(ColumnName, Constraint), ConditionError> {
    match expr {
        Expr::BinaryOp { left, op, right } => {
            let column = known(left, columns)?;
            let value = constant(right, column)?;
            constrained(column, compared(op, value).ok_or(ConditionError::TooGeneral)?)
        }
        Expr::Between {
            expr,
            negated: false,
            low,
            high,
        } => {
            let column = known(expr, columns)?;
            let end = |side: &Expr| constant(side, column).map(|value| Some(Bound { value, inclusive: true }));
            let (low, high) = (end(low)?, end(high)?);
            constrained(column, Values::Range { low, high })
        }
        Expr::InList {
            expr,
            list,
            negated: false,
        } => {
            let column = known(expr, columns)?;
            let values: Result<BTreeSet<Value>, _> = list.iter().map(|item| constant(item, column)).collect();
            constrained(column, Values::Set(values?))
        }
        Expr::IsNull(expr) => {
            let missing = Constraint::new(Values::Set(BTreeSet::new()), true)?;
            Ok((known(expr, columns)?.name.clone(), missing))
        }
        Expr::IsNotNull(expr) => constrained(known(expr, columns)?, Values::Any),
        _ => Err(ConditionError::TooGeneral),
    }
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

fn compared(op: &BinaryOperator, value: Value) -> Option<Values> {
    let bound = |inclusive| {
        Some(Bound {
            value: value.clone(),
            inclusive,
        })
    };
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "an operator that is not listed is refused"
    )]
    match op {
        BinaryOperator::Eq => Some(Values::Set(BTreeSet::from([value]))),
        BinaryOperator::Lt => Some(Values::Range {
            low: None,
            high: bound(false),
        }),
        BinaryOperator::LtEq => Some(Values::Range {
            low: None,
            high: bound(true),
        }),
        BinaryOperator::Gt => Some(Values::Range {
            low: bound(false),
            high: None,
        }),
        BinaryOperator::GtEq => Some(Values::Range {
            low: bound(true),
            high: None,
        }),
        _ => None,
    }
}

/// The column that an expression names: exactly that one, or the only one whose name differs in case.
fn known<'a>(expr: &Expr, columns: &'a [CatalogColumn]) -> Result<&'a CatalogColumn, ConditionError> {
    let Expr::Identifier(name) = expr else {
        return Err(ConditionError::TooGeneral);
    };
    if let Some(column) = columns.iter().find(|column| column.name.as_str() == name.value) {
        return Ok(column);
    }
    let lower = name.value.to_lowercase();
    let alike = columns
        .iter()
        .filter(|column| column.name.as_str().to_lowercase() == lower);
    let alike: Vec<&CatalogColumn> = alike.collect();
    match (name.quote_style, alike.as_slice()) {
        (None, [only]) => Ok(*only),
        _ => Err(ConditionError::NoColumn {
            name: name.value.chars().take(MAX_SHOWN).collect(),
            alike: alike.iter().map(|column| column.name.clone()).collect(),
        }),
    }
}

/// The constant that an expression is, as a value to compare with the column.
fn constant(expr: &Expr, column: &CatalogColumn) -> Result<Value, ConditionError> {
    let constant = Constant::of(expr).ok_or(ConditionError::TooGeneral)?;
    let kind = Kind::of(&column.kind).ok_or_else(|| ConditionError::NotComparable(column.name.clone()))?;
    constant.value(kind).ok_or_else(|| ConditionError::Kind {
        column: column.name.clone(),
        kind: kind.label(),
        constant: constant.mismatch(kind, &column.name),
    })
}

#[cfg(test)]
mod tests;
