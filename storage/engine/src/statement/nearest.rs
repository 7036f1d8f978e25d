//! Clauses and joins that the holder of a collection does not compute, with the form that it does.

use datafusion::sql::sqlparser::ast::{Distinct, Expr, Join, JoinConstraint, JoinOperator, Select, TableWithJoins};

use super::refusal::{forbid, not_computed, refused};
use crate::QueryError;

/// Refuses the clauses of a `SELECT` for which there is another form.
pub(super) fn check_form(select: &Select) -> Result<(), QueryError> {
    if !select.named_window.is_empty() {
        return Err(not_computed("`WINDOW` is", "write the window in each `OVER (…)`"));
    }
    if select.qualify.is_some() {
        return Err(not_computed(
            "`QUALIFY` is",
            "select the window function in a derived table, and write `WHERE` around it",
        ));
    }
    if matches!(select.distinct, Some(Distinct::On(_))) {
        return Err(not_computed(
            "`DISTINCT ON` is",
            "select `row_number() OVER (PARTITION BY … ORDER BY …)` in a derived table, and write `WHERE` with `= 1` around it",
        ));
    }
    Ok(())
}

pub(super) fn several_or_none(from: &[TableWithJoins]) -> QueryError {
    if from.is_empty() {
        refused("queries without a dataset are")
    } else {
        not_computed("several tables after `FROM` are", "write `JOIN … ON …`")
    }
}

/// The condition of a join; `None` if it names columns in common.
pub(super) fn condition(join: &Join) -> Result<Option<&Expr>, QueryError> {
    forbid(join.global, "options of a join are")?;
    let constraint = match &join.join_operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::LeftSemi(constraint)
        | JoinOperator::LeftAnti(constraint) => constraint,
        JoinOperator::Right(_) | JoinOperator::RightOuter(_) => {
            return Err(not_computed("`RIGHT JOIN` is", "swap the tables and write `LEFT JOIN`"));
        }
        JoinOperator::FullOuter(_) => {
            return Err(not_computed(
                "`FULL JOIN` is",
                "write a `LEFT JOIN`, and after `UNION ALL` the rows of the other table with `NOT EXISTS`",
            ));
        }
        JoinOperator::Semi(_) | JoinOperator::RightSemi(_) => {
            return Err(not_computed("this semi join is", "write `LEFT SEMI JOIN` or `EXISTS`"));
        }
        JoinOperator::Anti(_) | JoinOperator::RightAnti(_) => {
            return Err(not_computed(
                "this anti join is",
                "write `LEFT ANTI JOIN` or `NOT EXISTS`",
            ));
        }
        JoinOperator::CrossJoin(_) => return Err(without_condition()),
        JoinOperator::CrossApply
        | JoinOperator::OuterApply
        | JoinOperator::AsOf { .. }
        | JoinOperator::StraightJoin(_)
        | JoinOperator::ArrayJoin
        | JoinOperator::LeftArrayJoin
        | JoinOperator::InnerArrayJoin => return Err(refused("joins outside standard SQL are")),
    };
    match constraint {
        JoinConstraint::On(condition) => Ok(Some(condition)),
        JoinConstraint::Using(_) => Ok(None),
        // One with columns in common was written out with its names.
        JoinConstraint::Natural => Err(not_computed(
            "a `NATURAL JOIN` of tables without a column in common is",
            "write `ON …`",
        )),
        JoinConstraint::None => Err(without_condition()),
    }
}

const fn without_condition() -> QueryError {
    not_computed(
        "a join without a condition is",
        "write `ON …`; for a single value, write a subquery in its place",
    )
}
