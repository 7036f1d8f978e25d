//! What a query means: its plan before types are converted, in which every comparison is one that loses no value.
//!
//! The library compares values of different types by converting one of them, and where that fails, by converting it to something else:
//! text to a whole number, a date to nanoseconds. Whether the result is what the query means depends on the data. Here such a comparison
//! is refused when the query is planned, or rewritten to one that is decided:
//!
//! 1. Every expression has a class ([`class`]) and a form ([`shown`](crate::shown)). What is compared must have the same class;
//!    [`align`] reads texts that the query wrote as what they are compared with, and turns dates into timestamps.
//! 2. A band of ages is compared with the names of bands, or with numbers where whole bands decide ([`compare_bands`]); a year with numbers, or
//!    with dates at the ends of years ([`compare_years`]); a pseudonym with pseudonyms of the same origin ([`compare_pseudonyms`]).
//! 3. The arguments of functions are checked in the same way ([`arguments`]), and the operands of arithmetic ([`arithmetic`]).
//!
//! What has no meaning here is refused before it is planned ([`defined`]). Two columns that differ in their subqueries only are two columns ([`subqueries`]).
//!
//! The result has no functions of its own, so that a part of it can be written as SQL again, and means the same there.

mod align;
mod arguments;
mod arithmetic;
mod cases;
mod casts;
mod checks;
mod class;
mod compare;
mod compare_bands;
mod compare_pseudonyms;
mod compare_years;
mod defined;
mod expressions;
mod literals;
mod nodes;
mod operands;
mod patterns;
mod planner;
mod subqueries;

use std::ops::ControlFlow;

use datafusion::{
    common::tree_node::Transformed,
    error::{DataFusionError, Result},
    execution::context::SessionState,
    logical_expr::LogicalPlan,
    sql::{
        parser,
        sqlparser::ast::{self, Statement, VisitorMut},
    },
};

use crate::visit_mut;
pub(crate) use class::{literal, literal_value, shown};
pub(crate) use defined::set_operation;
pub(crate) use expressions::refused;
pub(crate) use literals::{notation, read as text_as};
pub(crate) use planner::ComparisonPlanner;
use planner::{DISTINCT, NOT_DISTINCT};

/// The plan of a statement, with names resolved, and before its types are checked or converted. Every statement passes here, wherever it is
/// computed.
///
/// # Errors
/// [`QueryError`](crate::QueryError) within the error of the library, for what has no meaning here ([`defined`]); the errors of the planner.
pub(crate) async fn plan_of(state: &SessionState, statement: &Statement) -> Result<LogicalPlan> {
    defined::check(statement).map_err(|error| DataFusionError::External(Box::new(error)))?;
    let error = match state.statement_to_plan(plannable(statement)).await {
        Ok(plan) => return Ok(plan),
        Err(error) => error,
    };
    let Some(numbered) = subqueries::numbered(statement) else {
        return Err(error);
    };
    // The error is about the statement as it was written.
    state.statement_to_plan(plannable(&numbered)).await.map_err(|_| error)
}

/// The statement with operators in place of what cannot be planned otherwise.
fn plannable(statement: &Statement) -> parser::Statement {
    let mut planned = statement.clone();
    let _ = visit_mut(&mut planned, &mut Distinctions);
    parser::Statement::Statement(Box::new(planned))
}

/// Makes `a IS DISTINCT FROM b` an operator that [`ComparisonPlanner`] plans, as the other comparisons are.
struct Distinctions;

impl VisitorMut for Distinctions {
    type Break = ();

    #[expect(clippy::wildcard_enum_match_arm, reason = "other expressions stay as they are")]
    fn pre_visit_expr(&mut self, expression: &mut ast::Expr) -> ControlFlow<()> {
        let (op, left, right) = match expression {
            ast::Expr::IsDistinctFrom(left, right) => (DISTINCT, left, right),
            ast::Expr::IsNotDistinctFrom(left, right) => (NOT_DISTINCT, left, right),
            _ => return ControlFlow::Continue(()),
        };
        *expression = ast::Expr::BinaryOp {
            left: left.clone(),
            op: ast::BinaryOperator::Custom(op.to_owned()),
            right: right.clone(),
        };
        ControlFlow::Continue(())
    }
}

/// The plan with its comparisons checked and rewritten.
pub(crate) fn checked(plan: LogicalPlan) -> Result<LogicalPlan> {
    let plan = plan.transform_up_with_subqueries(|node| nodes::checked(node).map(Transformed::yes))?;
    Ok(plan.data)
}

#[cfg(test)]
mod tests;
