//! Prevents errors about single rows.
//!
//! Below tier `records` rows are not visible, but an error can reveal as much as an answer: `WHERE abs(CASE WHEN age =
//! 47 THEN least number END) > 0` fails if someone is 47. So conditions and groups, which are computed from rows, may
//! only use functions that return a value or NULL for every input. Above the grouping all functions may be used, since
//! they only see released cells.

use datafusion::{
    common::tree_node::TreeNode,
    logical_expr::{Aggregate, Expr, LogicalPlan, expr::ScalarFunction},
    scalar::ScalarValue,
};

use crate::divide::{QUOTIENT, REMAINDER};

/// Functions that never fail, whatever the values of their arguments.
const INFALLIBLE: [&str; 30] = [
    "btrim",
    "ceil",
    "character_length",
    "coalesce",
    "concat",
    "contains",
    "date_part",
    "ends_with",
    "exp",
    "floor",
    "greatest",
    "isnan",
    "least",
    "ln",
    "log10",
    "log2",
    "lower",
    "ltrim",
    "nullif",
    "nvl",
    "octet_length",
    QUOTIENT,
    REMAINDER,
    "rtrim",
    "signum",
    "sqrt",
    "starts_with",
    "strpos",
    "trim",
    "upper",
];
/// Date parts that every date and timestamp has.
const DATE_PARTS: [&str; 7] = ["year", "quarter", "month", "week", "day", "dow", "doy"];

/// The first function in the conditions and groups that is not known to be infallible.
pub(super) fn first_fallible(grouping: &Aggregate) -> Option<String> {
    let groups = grouping.group_expr.iter();
    groups.chain(conditions(&grouping.input)).find_map(fallible_function)
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the plan is known to be a chain; other literals do not name a part"
)]
fn conditions(plan: &LogicalPlan) -> Vec<&Expr> {
    match plan {
        LogicalPlan::Filter(filter) => std::iter::once(&filter.predicate)
            .chain(conditions(&filter.input))
            .collect(),
        LogicalPlan::SubqueryAlias(alias) => conditions(&alias.input),
        _ => Vec::new(),
    }
}

fn fallible_function(expression: &Expr) -> Option<String> {
    let mut found = None;
    // The visitor cannot fail.
    let _ = expression.exists(|inner| {
        if let Expr::ScalarFunction(function) = inner
            && !is_infallible(function)
        {
            found = Some(function.func.name().to_owned());
        }
        Ok(found.is_some())
    });
    found
}

fn is_infallible(function: &ScalarFunction) -> bool {
    let name = function.func.name();
    INFALLIBLE.contains(&name) && (name != "date_part" || function.args.first().is_some_and(is_known_part))
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the plan is known to be a chain; other literals do not name a part"
)]
fn is_known_part(part: &Expr) -> bool {
    match part {
        Expr::Literal(ScalarValue::Utf8(Some(part)) | ScalarValue::Utf8View(Some(part)), _) => {
            DATE_PARTS.contains(&part.to_ascii_lowercase().as_str())
        }
        _ => false,
    }
}
