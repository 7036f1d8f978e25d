//! Conditions that are sent to the provider instead of being checked locally.
//!
//! Only conditions that mean the same on both sides are sent: comparisons of a column with a value, lists, ranges, missing values,
//! and their combinations. Everything else is checked locally, so leaving a condition out loses nothing.

use datafusion::logical_expr::{BinaryExpr, Expr, Operator, expr::InList};
use datafusion::scalar::ScalarValue;

use super::statement::quoted;

/// Longest list that is sent; a longer one is checked locally.
const MAX_LIST: usize = 1000;

/// `filter` as an SQL condition, with each column named as `own_name` does; `None` if it cannot be sent.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a condition that is not listed is checked locally"
)]
pub(super) fn as_text(filter: &Expr, own_name: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let text = |part: &Expr| as_text(part, own_name);
    let column = |part: &Expr| column(part, own_name);
    let operand = |part: &Expr| operand(part, own_name);
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match op {
            Operator::And | Operator::Or => Some(format!("({} {op} {})", text(left)?, text(right)?)),
            Operator::Eq | Operator::NotEq | Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq => {
                Some(format!("{} {op} {}", operand(left)?, operand(right)?))
            }
            _ => None,
        },
        Expr::Not(inner) => Some(format!("(NOT {})", text(inner)?)),
        Expr::IsNull(inner) => Some(format!("{} IS NULL", column(inner)?)),
        Expr::IsNotNull(inner) => Some(format!("{} IS NOT NULL", column(inner)?)),
        Expr::Between(between) => {
            let low = operand(&between.low)?;
            let high = operand(&between.high)?;
            let not = if between.negated { "NOT " } else { "" };
            Some(format!("({} {not}BETWEEN {low} AND {high})", column(&between.expr)?))
        }
        Expr::InList(InList { expr, list, negated }) if list.len() <= MAX_LIST => {
            let values = list.iter().map(operand).collect::<Option<Vec<_>>>()?;
            let not = if *negated { "NOT " } else { "" };
            Some(format!("{} {not}IN ({})", column(expr)?, values.join(", ")))
        }
        _ => None,
    }
}

fn column(expr: &Expr, own_name: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let Expr::Column(column) = expr else { return None };
    Some(quoted(&own_name(&column.name)?).to_string())
}

fn operand(expr: &Expr, own_name: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    if let Expr::Literal(value, _) = expr {
        literal(value)
    } else {
        column(expr, own_name)
    }
}

/// A value as an SQL literal that reads back as the same value.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a condition with a value of any other type is checked locally"
)]
fn literal(value: &ScalarValue) -> Option<String> {
    match value {
        ScalarValue::Boolean(Some(value)) => Some(value.to_string()),
        ScalarValue::Int64(Some(value)) => Some(value.to_string()),
        ScalarValue::Int32(Some(value)) => Some(value.to_string()),
        ScalarValue::Float64(Some(value)) if value.is_finite() => Some(format!("CAST('{value:?}' AS DOUBLE)")),
        ScalarValue::Utf8(Some(text)) | ScalarValue::LargeUtf8(Some(text)) | ScalarValue::Utf8View(Some(text)) => {
            Some(format!("'{}'", text.replace('\'', "''")))
        }
        ScalarValue::Date32(Some(_)) => Some(format!("CAST('{value}' AS DATE)")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::prelude::{col, lit};

    fn as_text(filter: &Expr) -> Option<String> {
        super::as_text(filter, &|column| Some(column.to_owned()))
    }

    #[test]
    fn filter_comparisons_lists_and_missing_values_are_sent() {
        let filter = col("age")
            .gt_eq(lit(40_i64))
            .and(col("sex").in_list(vec![lit("f"), lit("o'x")], true));
        assert_eq!(
            as_text(&filter).unwrap(),
            "(\"age\" >= 40 AND \"sex\" NOT IN ('f', 'o''x'))"
        );
        assert_eq!(as_text(&col("chol").is_null()).unwrap(), "\"chol\" IS NULL");
        let day = lit(ScalarValue::Date32(Some(20_000)));
        assert_eq!(
            as_text(&col("seen").lt(day)).unwrap(),
            "\"seen\" < CAST('2024-10-04' AS DATE)"
        );
        assert_eq!(
            as_text(&col("chol").gt(lit(240.5))).unwrap(),
            "\"chol\" > CAST('240.5' AS DOUBLE)"
        );
    }

    #[test]
    fn filter_name_with_a_quote_stays_one_name() {
        let odd = Expr::Column(datafusion::common::Column::from_name("a\" OR 1=1 --"));
        assert_eq!(as_text(&odd.is_null()).unwrap(), "\"a\"\" OR 1=1 --\" IS NULL");
    }

    #[test]
    fn filter_that_may_differ_at_the_provider_is_kept_local() {
        assert_eq!(
            as_text(&col("age").eq(lit(1_i64)).or((col("age") + lit(1_i64)).gt(lit(3_i64)))),
            None
        );
        assert_eq!(as_text(&col("name").like(lit("a%"))), None);
        assert_eq!(as_text(&col("age").eq(lit(ScalarValue::Int64(None)))), None);
    }
}
