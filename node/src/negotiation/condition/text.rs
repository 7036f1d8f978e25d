//! The text of a row condition, read as comparisons. It is read in an engine process.

use concordat_engine::TextParser;
use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, Ident};
use datafusion::sql::sqlparser::parser::ParserError;

use super::comparison::{ColumnText, Comparison, MAX_CONDITION, Name, Operator, RowCondition, Test};
use super::constant::Constant;

/// How deeply brackets and signs may be nested.
const MAX_DEPTH: usize = 64;

/// Why a text is not a row condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConditionTextError {
    /// It is not an SQL condition.
    #[error("the row condition cannot be read; write for example `age >= 40 AND sex = 1`")]
    Unreadable,
    /// It is refused before it is parsed.
    #[error(
        "the row condition has too many comparisons, or they are nested too deeply; compare each column once, or with a list: `sex IN (1, 2)`"
    )]
    TooNested,
    /// It is too long.
    #[error("the row condition is longer than {} KiB; compare each column once, and write shorter lists", MAX_CONDITION >> 10)]
    TooLong,
    /// It is more than a conjunction of comparisons.
    #[error(
        "the row condition may only join comparisons of one column with constants by `AND` (`=`, `<`, `<=`, `>`, `>=`, `IN`, `BETWEEN`, `IS NULL`, `IS NOT NULL`)"
    )]
    TooGeneral,
}

impl RowCondition {
    /// Refuses a text that is too long.
    ///
    /// # Errors
    /// [`ConditionTextError::TooLong`].
    pub(crate) const fn admit(text: &str) -> Result<(), ConditionTextError> {
        if text.len() > MAX_CONDITION {
            return Err(ConditionTextError::TooLong);
        }
        Ok(())
    }

    /// Reads `text` in the engine process that has the `parser`, on the thread of a computation: parsing, walking and dropping the
    /// expression each call themselves.
    ///
    /// # Errors
    /// [`ConditionTextError`] unless it is a conjunction of comparisons of columns with constants.
    pub(crate) fn read(parser: TextParser, text: &str) -> Result<Self, ConditionTextError> {
        Self::admit(text)?;
        let expr = parser.parse_expression(text, MAX_DEPTH).map_err(|error| match error {
            ParserError::RecursionLimitExceeded => ConditionTextError::TooNested,
            ParserError::TokenizerError(_) | ParserError::ParserError(_) => ConditionTextError::Unreadable,
        })?;
        let mut comparisons = Vec::new();
        conjuncts(&expr, &mut comparisons).ok_or(ConditionTextError::TooGeneral)?;
        Self::new(comparisons).ok_or(ConditionTextError::TooNested)
    }

    /// As [`Self::read`], in the process of a test.
    #[cfg(test)]
    pub(crate) fn parse(text: &str) -> Result<Self, ConditionTextError> {
        TextParser::in_tests(|parser| Self::read(parser, text)).unwrap_or(Err(ConditionTextError::Unreadable))
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "every other expression has to be a comparison"
)]
fn conjuncts(expr: &Expr, all: &mut Vec<Comparison>) -> Option<()> {
    match expr {
        Expr::Nested(inner) => conjuncts(inner, all),
        Expr::BinaryOp {
            left,
            op: BinaryOperator::And,
            right,
        } => {
            conjuncts(left, all)?;
            conjuncts(right, all)
        }
        other => {
            all.push(comparison(other)?);
            Some(())
        }
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "an expression that is not listed is refused"
)]
fn comparison(expr: &Expr) -> Option<Comparison> {
    let (left, test) = match expr {
        Expr::BinaryOp { left, op, right } => (left, Test::Is(operator(op)?, Constant::of(right)?)),
        Expr::Between {
            expr,
            negated: false,
            low,
            high,
        } => (expr, Test::Between(Constant::of(low)?, Constant::of(high)?)),
        Expr::InList {
            expr,
            list,
            negated: false,
        } => (expr, Test::In(list.iter().map(Constant::of).collect::<Option<_>>()?)),
        Expr::IsNull(expr) => (expr, Test::Missing),
        Expr::IsNotNull(expr) => (expr, Test::Present),
        _ => return None,
    };
    Some(Comparison {
        column: column(left)?,
        test,
    })
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "an operator that is not listed is refused"
)]
const fn operator(op: &BinaryOperator) -> Option<Operator> {
    match op {
        BinaryOperator::Eq => Some(Operator::Equal),
        BinaryOperator::Lt => Some(Operator::Less),
        BinaryOperator::LtEq => Some(Operator::LessOrEqual),
        BinaryOperator::Gt => Some(Operator::Greater),
        BinaryOperator::GtEq => Some(Operator::GreaterOrEqual),
        _ => None,
    }
}

/// The column that an expression names, with its dataset or without.
fn column(expr: &Expr) -> Option<ColumnText> {
    if let Expr::Identifier(column) = expr {
        return Some(ColumnText {
            dataset: None,
            column: name(column),
        });
    }
    let Expr::CompoundIdentifier(parts) = expr else {
        return None;
    };
    let [dataset, column] = parts.as_slice() else {
        return None;
    };
    Some(ColumnText {
        dataset: Some(name(dataset)),
        column: name(column),
    })
}

fn name(ident: &Ident) -> Name {
    Name {
        text: ident.value.clone(),
        quoted: ident.quote_style.is_some(),
    }
}
