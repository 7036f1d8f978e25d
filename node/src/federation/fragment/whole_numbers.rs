//! Whole numbers of a member in a column that is `DOUBLE` over all members: as `DOUBLE`, large ones are other numbers.
//!
//! 1. Where the column is compared, counted or grouped by, or its least or greatest value is returned, the member computes with its whole
//!    numbers. What it returns is converted when it is received, if it stays the same.
//! 2. Where the query computes with it, as `DOUBLE` like all arithmetic with such a column.
//! 3. Everything else, such as `coalesce`, might return another number, and is not sent.

use std::collections::BTreeSet;

use concordat_engine::is_comparison;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Column;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::logical_expr::expr::{AggregateFunction, InList};
use datafusion::logical_expr::{Between, BinaryExpr, Case, Cast, Expr, Operator, TryCast};

/// Aggregates that compute with their arguments.
const COMPUTE: [&str; 12] = [
    "avg",
    "corr",
    "mean",
    "median",
    "stddev",
    "stddev_pop",
    "stddev_samp",
    "sum",
    "var",
    "var_pop",
    "var_samp",
    "var_sample",
];

/// The member's own columns of whole numbers that are `DOUBLE` over all members.
#[derive(Debug)]
pub(super) struct WholeNumbers(BTreeSet<String>);

impl WholeNumbers {
    pub(super) fn new(columns: impl IntoIterator<Item = String>) -> Self {
        Self(columns.into_iter().collect())
    }

    /// `expression` over the member's columns, each of which is converted to `DOUBLE`, without the conversions on which a result might
    /// depend. The inner error names the column for which there is no such expression.
    ///
    /// # Errors
    /// If the expression cannot be changed.
    pub(super) fn unchanged_in(&self, expression: Expr) -> Result<Result<Expr, String>> {
        if self.0.is_empty() {
            return Ok(Ok(expression));
        }
        let computed = expression.transform_up(|part| Ok(Transformed::yes(self.without_conversion(part))))?;
        let mut changed = None;
        let computed = self.own(computed.data).transform_up(|part| {
            if let Some(column) = self.converted(&part) {
                changed.get_or_insert_with(|| column.name.clone());
            }
            Ok(match self.computed_with(&part) {
                Some(column) => Transformed::yes(Expr::Cast(Cast::new(Box::new(column), DataType::Float64))),
                None => Transformed::no(part),
            })
        })?;
        Ok(match changed {
            None => Ok(computed.data),
            Some(column) => Err(format!(
                "`{column}` is a whole number there and a `DOUBLE` over all members, where it might be another number"
            )),
        })
    }

    /// The expression, whose operands were changed before.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a conversion in any other expression stays, and is found afterwards"
    )]
    fn without_conversion(&self, expression: Expr) -> Expr {
        let own = |operand: Box<Expr>| Box::new(self.own(*operand));
        let double = |operand: Box<Expr>| Box::new(self.double(*operand));
        match expression {
            Expr::BinaryExpr(BinaryExpr { left, op, right }) if is_comparison(op) => {
                Expr::BinaryExpr(BinaryExpr::new(own(left), op, own(right)))
            }
            Expr::BinaryExpr(BinaryExpr { left, op, right }) if computes(op) => {
                Expr::BinaryExpr(BinaryExpr::new(double(left), op, double(right)))
            }
            Expr::IsNull(operand) => Expr::IsNull(own(operand)),
            Expr::IsNotNull(operand) => Expr::IsNotNull(own(operand)),
            Expr::Between(Between {
                expr,
                negated,
                low,
                high,
            }) => Expr::Between(Between::new(own(expr), negated, own(low), own(high))),
            Expr::InList(InList { expr, list, negated }) => {
                let list = list.into_iter().map(|item| self.own(item)).collect();
                Expr::InList(InList::new(own(expr), list, negated))
            }
            Expr::Case(Case {
                expr: Some(expr),
                when_then_expr,
                else_expr,
            }) => {
                let branches = when_then_expr.into_iter().map(|(when, then)| (own(when), then));
                Expr::Case(Case::new(Some(own(expr)), branches.collect(), else_expr))
            }
            Expr::Cast(Cast { expr, field }) if field.data_type().is_floating() => Expr::Cast(Cast {
                expr: double(expr),
                field,
            }),
            Expr::TryCast(TryCast { expr, field }) if field.data_type().is_floating() => Expr::TryCast(TryCast {
                expr: double(expr),
                field,
            }),
            Expr::AggregateFunction(AggregateFunction { func, mut params }) => {
                let args = std::mem::take(&mut params.args).into_iter();
                params.args = match func.name() {
                    "count" | "max" | "min" => args.map(|arg| self.own(arg)).collect(),
                    name if COMPUTE.contains(&name) => args.map(|arg| self.double(arg)).collect(),
                    _ => args.collect(),
                };
                Expr::AggregateFunction(AggregateFunction { func, params })
            }
            other => other,
        }
    }

    /// The operand, without a conversion of the member's whole numbers.
    fn own(&self, operand: Expr) -> Expr {
        match self.converted(&operand) {
            Some(column) => Expr::Column(column.clone()),
            None => operand,
        }
    }

    /// The operand, with a conversion that is meant. Until all are found, it is written as one that cannot fail.
    fn double(&self, operand: Expr) -> Expr {
        match self.converted(&operand) {
            Some(column) => Expr::TryCast(TryCast::new(Box::new(Expr::Column(column.clone())), DataType::Float64)),
            None => operand,
        }
    }

    /// The column of the member, if the expression is its conversion.
    fn converted<'a>(&self, expression: &'a Expr) -> Option<&'a Column> {
        let Expr::Cast(cast) = expression else { return None };
        self.column(&cast.expr)
    }

    /// The column of the member, if the expression is a conversion that is meant.
    fn computed_with(&self, expression: &Expr) -> Option<Expr> {
        let Expr::TryCast(cast) = expression else { return None };
        self.column(&cast.expr).cloned().map(Expr::Column)
    }

    fn column<'a>(&self, expression: &'a Expr) -> Option<&'a Column> {
        let Expr::Column(column) = expression else { return None };
        self.0.contains(&column.name).then_some(column)
    }
}

const fn computes(op: Operator) -> bool {
    matches!(
        op,
        Operator::Plus | Operator::Minus | Operator::Multiply | Operator::Divide | Operator::Modulo
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::functions_aggregate::expr_fn::{count_distinct, max, stddev, sum};
    use datafusion::logical_expr::{cast, lit, when};

    fn text(expression: Expr) -> Result<String, String> {
        let whole = WholeNumbers::new(["code".to_owned()]);
        let unchanged = whole.unchanged_in(expression).unwrap()?;
        Ok(datafusion::sql::unparser::expr_to_sql(&unchanged).unwrap().to_string())
    }

    #[test]
    fn fragment_whole_numbers_are_compared_as_they_are() {
        let own = || Expr::Column(Column::new_unqualified("code"));
        let code = || cast(own(), DataType::Float64);
        let other = || Expr::Column(Column::new_unqualified("age"));
        for unconverted in [
            code(),
            code().eq(lit(5_i64)),
            lit(2.5).lt(code()),
            code().in_list(vec![lit(1_i64), lit(2.5)], false),
            code().between(lit(1_i64), lit(2.5)),
            code().is_null().or(code().is_not_null()),
            count_distinct(code()),
            max(code()),
            when(code().gt(lit(5_i64)), lit(1_i64)).end().unwrap(),
        ] {
            let sql = text(unconverted).unwrap();
            assert!(sql.contains("code") && !sql.contains("CAST"), "{sql}");
        }
        for converted in [
            code() + lit(0.5),
            sum(code()),
            stddev(code()),
            cast(code(), DataType::Float64).eq(lit(5.0)),
            (code() * lit(2.0)).gt(other()),
        ] {
            let sql = text(converted).unwrap();
            assert!(sql.contains("CAST") && !sql.contains("TRY_CAST"), "{sql}");
        }
        for refused in [
            cast(code(), DataType::Utf8),
            cast(code(), DataType::Utf8).eq(lit("5")),
            when(other().gt(lit(5_i64)), code()).end().unwrap(),
            Expr::Negative(Box::new(code())),
        ] {
            let obstacle = text(refused).unwrap_err();
            assert!(obstacle.contains("`code` is a whole number there"), "{obstacle}");
        }
        let written = cast(other(), DataType::Float64);
        assert!(text(cast(written, DataType::Utf8)).unwrap().contains("age"));
    }
}
