//! Parses a condition on rows, written as SQL, into constraints on single columns.
//!
//! `age >= 40 AND sex = 1 AND chol BETWEEN 200 AND 300 AND thal IN (3, 6)`. Anything that is not a conjunction of
//! comparisons of one column with constants cannot be compared with what a policy allows, and is refused.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Datelike, NaiveDate};
use concordat_protocol::ids::ColumnName;
use concordat_protocol::scope::{Bound, Constraint, Finite, InvalidScope, Rows, Value, Values};
use concordat_protocol::wire::messages::CatalogColumn;
use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, UnaryOperator, Value as Literal};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;

/// Longest condition, in bytes.
const MAX_CONDITION: usize = 16 * 1024;
/// Days from 0001-01-01 to 1970-01-01 in the proleptic Gregorian calendar.
const EPOCH_FROM_CE: i32 = 719_163;

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
    #[error("there is no column `{0}`")]
    NoColumn(String),
    /// A constant whose kind differs from that of the column.
    #[error("the column `{column}` holds values of the kind {kind} and cannot be compared with that constant")]
    Kind {
        /// The column.
        column: ColumnName,
        /// The kind of its values.
        kind: String,
    },
    /// It cannot be satisfied.
    #[error(transparent)]
    Scope(#[from] InvalidScope),
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
                Some(earlier) => earlier.meet(&constraint).ok_or_else(|| unsatisfiable(&column))?,
                None => constraint,
            };
            all.insert(column, met);
            Ok(())
        }
    }
}

fn unsatisfiable(column: &ColumnName) -> ConditionError {
    ConditionError::Kind {
        column: column.clone(),
        kind: "that no row can have under both conditions".to_owned(),
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "an expression that is not listed is refused"
)]
fn comparison(expr: &Expr, columns: &[CatalogColumn]) -> Result<(ColumnName, Constraint), ConditionError> {
    match expr {
        Expr::BinaryOp { left, op, right } => {
            let (column, kind) = known(left, columns)?;
            let value = constant(right, &column, &kind)?;
            let values = compared(op, value).ok_or(ConditionError::TooGeneral)?;
            Ok((column, Constraint::new(values, false)?))
        }
        Expr::Between {
            expr,
            negated: false,
            low,
            high,
        } => {
            let (column, kind) = known(expr, columns)?;
            let end = |side: &Expr| constant(side, &column, &kind).map(|value| Some(Bound { value, inclusive: true }));
            let values = Values::Range {
                low: end(low)?,
                high: end(high)?,
            };
            Ok((column, Constraint::new(values, false)?))
        }
        Expr::InList {
            expr,
            list,
            negated: false,
        } => {
            let (column, kind) = known(expr, columns)?;
            let values: Result<BTreeSet<Value>, _> = list.iter().map(|item| constant(item, &column, &kind)).collect();
            Ok((column, Constraint::new(Values::Set(values?), false)?))
        }
        Expr::IsNull(expr) => Ok((
            known(expr, columns)?.0,
            Constraint::new(Values::Set(BTreeSet::new()), true)?,
        )),
        Expr::IsNotNull(expr) => Ok((known(expr, columns)?.0, Constraint::new(Values::Any, false)?)),
        _ => Err(ConditionError::TooGeneral),
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

/// The column that an expression names, and the kind of its values.
fn known(expr: &Expr, columns: &[CatalogColumn]) -> Result<(ColumnName, String), ConditionError> {
    let Expr::Identifier(name) = expr else {
        return Err(ConditionError::TooGeneral);
    };
    let found = columns.iter().find(|column| column.name.as_str() == name.value);
    let found = found.ok_or_else(|| ConditionError::NoColumn(name.value.chars().take(64).collect()))?;
    Ok((found.name.clone(), found.kind.clone()))
}

fn constant(expr: &Expr, column: &ColumnName, kind: &str) -> Result<Value, ConditionError> {
    let (expr, negative) = if let Expr::UnaryOp {
        op: UnaryOperator::Minus,
        expr,
    } = expr
    {
        (expr.as_ref(), true)
    } else {
        (expr, false)
    };
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "an expression that is not listed is refused"
    )]
    let text = match expr {
        Expr::Value(value) => literal(&value.value, negative),
        Expr::TypedString(typed) => literal(&typed.value.value, negative),
        _ => None,
    };
    let text = text.ok_or(ConditionError::TooGeneral)?;
    typed(&text, kind).ok_or_else(|| ConditionError::Kind {
        column: column.clone(),
        kind: kind.to_owned(),
    })
}

#[expect(clippy::wildcard_enum_match_arm, reason = "a constant that is not listed is refused")]
fn literal(value: &Literal, negative: bool) -> Option<String> {
    match value {
        Literal::Number(digits, _) => Some(if negative { format!("-{digits}") } else { digits.clone() }),
        Literal::SingleQuotedString(text) if !negative => Some(text.clone()),
        Literal::Boolean(yes) if !negative => Some(yes.to_string()),
        _ => None,
    }
}

fn typed(text: &str, kind: &str) -> Option<Value> {
    match kind {
        "integer" => text.parse().ok().map(Value::Int),
        "number" => text
            .parse()
            .ok()
            .and_then(|number| Finite::new(number).ok())
            .map(Value::Float),
        "boolean" => text.parse().ok().map(Value::Bool),
        "date" => text
            .parse::<NaiveDate>()
            .ok()
            .map(|day| Value::Date(day.num_days_from_ce().saturating_sub(EPOCH_FROM_CE))),
        "text" => Some(Value::Text(text.to_owned())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_become_constraints() {
        let rows = parse(
            "age >= 40 AND sex = 1 AND (born < '1970-01-02') AND note IN ('a', 'b')",
            &columns(),
        )
        .unwrap();
        assert_eq!(
            rows.to_string(),
            "age >= 40 AND born <= DATE '1970-01-01' AND note IN ('a', 'b') AND sex = 1"
        );
        let band = parse("age > 39 AND age BETWEEN -1 AND 59", &columns()).unwrap();
        assert_eq!(band.to_string(), "age >= 40 AND age <= 59");
        assert_eq!(parse("age IS NULL", &columns()).unwrap().to_string(), "age IS NULL");
    }

    #[test]
    fn what_cannot_be_compared_is_refused() {
        for general in [
            "age = 1 OR sex = 1",
            "age = sex",
            "NOT age = 1",
            "age <> 3",
            "abs(age) = 1",
            "age + 1 = 2",
            "age IN (SELECT 1)",
        ] {
            assert_eq!(
                parse(general, &columns()).unwrap_err(),
                ConditionError::TooGeneral,
                "{general}"
            );
        }
        for unreadable in ["age >=", "age = 1; DROP TABLE x", ""] {
            assert_eq!(
                parse(unreadable, &columns()).unwrap_err(),
                ConditionError::Unreadable,
                "{unreadable}"
            );
        }
        assert_eq!(
            parse("secret = 1", &columns()).unwrap_err(),
            ConditionError::NoColumn("secret".into())
        );
        assert!(matches!(
            parse("age = 'old'", &columns()).unwrap_err(),
            ConditionError::Kind { .. }
        ));
        assert!(matches!(
            parse("age = 1 AND age = 2", &columns()).unwrap_err(),
            ConditionError::Kind { .. }
        ));
    }

    fn columns() -> Vec<CatalogColumn> {
        let column = |name: &str, kind: &str| CatalogColumn {
            name: name.parse().unwrap(),
            kind: kind.into(),
            class: "ordinary".into(),
        };
        vec![
            column("age", "integer"),
            column("sex", "integer"),
            column("born", "date"),
            column("note", "text"),
        ]
    }
}
