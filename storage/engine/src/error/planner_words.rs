//! Errors of the planner in our words: its own names of functions, types and options mean nothing to a person who wrote a query.

use std::{collections::HashSet, ops::ControlFlow};

use concordat_protocol::ids::DatasetRef;
use datafusion::{
    common::SchemaError,
    error::DataFusionError,
    sql::sqlparser::ast::{Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Statement, Visitor},
};

use super::{
    QueryError,
    tables::{tables_of, visible_to},
    unread_texts,
};
use crate::visit;

/// Maximum length of a repeated planner message about the query, in characters.
const MAX_DETAIL: usize = 600;

impl QueryError {
    /// An error of the planner. The planner has seen the query and the visible columns but no data, so its message may
    /// be repeated, in our words.
    pub(crate) fn planning(error: DataFusionError, dataset: &DatasetRef) -> Self {
        explained(error, dataset, None)
    }

    /// The same, for the plan of `statement`.
    pub(crate) fn planning_of(statement: &Statement, error: DataFusionError, dataset: &DatasetRef) -> Self {
        explained(error, dataset, Some(statement))
    }

    /// A test of a subquery where the library computes none.
    #[must_use]
    pub fn subquery_outside_of_conditions() -> Self {
        invalid(
            "`EXISTS` and `IN (SELECT …)` are computed here in `WHERE` and `HAVING` only; write them there in one query for each case, or use \
             `LEFT JOIN` with `IS NOT NULL`",
        )
    }
}

/// The error as people read it.
#[expect(clippy::wildcard_enum_match_arm, reason = "every other error has nothing but a text")]
fn explained(error: DataFusionError, dataset: &DatasetRef, statement: Option<&Statement>) -> QueryError {
    match error {
        DataFusionError::External(inner) => match inner.downcast::<QueryError>() {
            Ok(own) => *own,
            Err(_) => invalid("it cannot be planned"),
        },
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => {
            explained(*inner, dataset, statement)
        }
        DataFusionError::Collection(errors) => match errors.into_iter().next() {
            Some(first) => explained(first, dataset, statement),
            None => invalid("it cannot be planned"),
        },
        DataFusionError::SchemaError(error, _) => schema(&error, dataset, statement),
        other => invalid(&message(&other.strip_backtrace(), statement)),
    }
}

fn invalid(detail: &str) -> QueryError {
    QueryError::Invalid {
        detail: detail.chars().take(MAX_DETAIL).collect(),
    }
}

fn schema(error: &SchemaError, dataset: &DatasetRef, statement: Option<&Statement>) -> QueryError {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => {
            let tables = tables_of(field, valid_fields, statement, dataset);
            QueryError::unknown_in(field.name(), tables, visible_to(field, valid_fields))
        }
        SchemaError::AmbiguousReference { field } => invalid(&format!(
            "`{0}` is a column of several tables; write the table before it, as in `t.{0}`",
            field.name()
        )),
        SchemaError::DuplicateQualifiedField { .. } | SchemaError::DuplicateUnqualifiedField { .. }
            if statement.is_some_and(groups_twice) =>
        {
            invalid("`ROLLUP` and `CUBE` take each expression once; write the repeated one once")
        }
        SchemaError::DuplicateQualifiedField { name, .. } | SchemaError::DuplicateUnqualifiedField { name } => invalid(
            &format!("two columns have the name `{name}`; name one of them with `AS`"),
        ),
    }
}

/// The message of the planner in our words; the text of the planner if it has no names of its own in it.
fn message(text: &str, statement: Option<&Statement>) -> String {
    let text = text.lines().next().unwrap_or_default();
    let text = PREFIXES
        .iter()
        .fold(text, |text, prefix| text.strip_prefix(prefix).unwrap_or(text));
    if let Some(own) = known(text, statement) {
        return own;
    }
    if FOREIGN.iter().any(|word| text.contains(word)) {
        return "it cannot be planned; write it in a simpler form".to_owned();
    }
    text.to_owned()
}

/// What the planner puts before its messages.
const PREFIXES: [&str; 5] = [
    "Error during planning: ",
    "Schema error: ",
    "SQL error: ",
    "This feature is not implemented: ",
    "Execution error: ",
];

/// Words of the library that mean nothing to the author of a query.
const FOREIGN: [&str; 16] = [
    "datafusion",
    "DataFusion",
    "Internal error",
    "internal error",
    "sqltorel",
    "Utf8",
    "Int64",
    "Int32",
    "Float64",
    "LogicalPlan",
    "Expr",
    "signature",
    "Arrow",
    "UDF",
    "physical",
    "__concordat",
];

/// Messages for which there is a better sentence.
fn known(text: &str, statement: Option<&Statement>) -> Option<String> {
    let quoted = |text: &str| text.split('\'').nth(1).map(str::to_owned);
    let name_of = |text: &str| quoted(text).map(|call| call.split('(').next().unwrap_or_default().to_owned());
    if text.starts_with("No function matches")
        || text.contains("failed to match any signature")
        || text.starts_with("Failed to coerce arguments")
        || text.contains("does not support zero arguments")
        || text.contains("user-defined coercion failed")
        || text.contains("expects") && text.contains("argument")
    {
        let name = name_of(text)?;
        let operand = statement
            .filter(|_| text.contains("Utf8"))
            .and_then(|statement| argument_of(&name, statement));
        return Some(match operand {
            Some(operand) => format!(
                "`{name}` does not take these arguments; if `{operand}` is text, write `{name}(TRY_CAST({operand} AS DOUBLE))`{}",
                unread_texts(&operand, "a number", "DOUBLE")
            ),
            None => format!("`{name}` does not take these arguments"),
        });
    }
    if text.starts_with("Invalid function") {
        return Some(format!(
            "there is no function `{}`; `concordat query --functions` lists all",
            name_of(text)?
        ));
    }
    if text.contains("must be in GROUP BY") || text.contains("must appear in the GROUP BY") {
        let column = text
            .split('"')
            .nth(1)
            .and_then(|column| column.rsplit('.').next())
            .unwrap_or("a column");
        return Some(format!("`{column}` is neither grouped by nor inside an aggregate"));
    }
    if text.starts_with("Projections require unique expression names") {
        let column = text.split('"').nth(1)?;
        let column = column.rsplit('.').next().unwrap_or(column);
        return Some(format!(
            "two columns have the name `{column}`; name one of them with `AS`"
        ));
    }
    if text.starts_with("Cannot infer common argument type") || text.contains("Failed to coerce") {
        return Some("it compares values of types that cannot be compared; write a `CAST` of one of them".to_owned());
    }
    if text.starts_with("Unary operator '-'") || text.starts_with("Unary operator '+'") {
        return Some("a sign needs a number, and its operand is not one".to_owned());
    }
    if text.starts_with("Unary operator") {
        return Some("`NOT` needs a condition, and its operand is not one".to_owned());
    }
    if text.starts_with("Aggregate") && text.contains("nested") {
        return Some("an aggregate cannot be inside another one".to_owned());
    }
    None
}

/// Whether a `ROLLUP` or `CUBE` has an expression more than once. Names of columns are in one spelling by then.
fn groups_twice(statement: &Statement) -> bool {
    struct Repeated(bool);
    impl Visitor for Repeated {
        type Break = ();

        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "every set of `GROUPING SETS` is planned as it is written"
        )]
        fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<()> {
            self.0 = match expression {
                Expr::Rollup(members) | Expr::Cube(members) => is_repeated(&members.concat()),
                _ => false,
            };
            if self.0 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        }
    }
    let mut repeated = Repeated(false);
    let _ = visit(statement, &mut repeated);
    repeated.0
}

/// The same column with and without quotes is repeated, too.
fn is_repeated(members: &[Expr]) -> bool {
    let mut before = HashSet::new();
    let written = |member: &Expr| member.to_string().replace('"', "");
    !members.iter().all(|member| before.insert(written(member)))
}

/// The argument as it was written, if it is a column.
fn column(argument: &FunctionArg) -> Option<String> {
    let FunctionArg::Unnamed(FunctionArgExpr::Expr(column)) = argument else {
        return None;
    };
    let is_column = matches!(column, Expr::Identifier(_) | Expr::CompoundIdentifier(_));
    is_column.then(|| column.to_string())
}

/// The first column that a call of the function has as an argument.
fn argument_of(name: &str, statement: &Statement) -> Option<String> {
    struct Calls<'a> {
        name: &'a str,
        found: Option<String>,
    }
    impl Visitor for Calls<'_> {
        type Break = ();

        fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<()> {
            let Expr::Function(function) = expression else {
                return ControlFlow::Continue(());
            };
            if !function.name.to_string().eq_ignore_ascii_case(self.name) {
                return ControlFlow::Continue(());
            }
            let FunctionArguments::List(list) = &function.args else {
                return ControlFlow::Continue(());
            };
            self.found = list.args.iter().find_map(column);
            match self.found {
                Some(_) => ControlFlow::Break(()),
                None => ControlFlow::Continue(()),
            }
        }
    }
    let mut calls = Calls { name, found: None };
    let _ = visit(statement, &mut calls);
    calls.found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planner_messages_have_no_names_of_the_library() {
        for (text, expected) in [
            (
                "Error during planning: Function 'sum' failed to match any signature, errors: Error during planning: x",
                "`sum` does not take these arguments",
            ),
            (
                "Error during planning: Invalid function 'foo'.",
                "there is no function `foo`; `concordat query --functions` lists all",
            ),
            (
                "Error during planning: Column in SELECT must be in GROUP BY or an aggregate function: While expanding wildcard, column \"heart.age\" must appear in the GROUP BY clause",
                "`age` is neither grouped by nor inside an aggregate",
            ),
            ("Internal error: x", "it cannot be planned; write it in a simpler form"),
            ("Error during planning: a plain sentence", "a plain sentence"),
        ] {
            assert_eq!(message(text, None), expected);
        }
    }
}
