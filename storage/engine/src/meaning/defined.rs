//! What a statement may contain, at holders and on the consumer's node.
//!
//! The library leaves some clauses out without an error, computes some operations in another way than the SQL standard, and has operators that
//! mean something else in PostgreSQL and DuckDB. All of them are refused before anything is planned, on each path: at a holder, over the
//! datasets of a collection, below tier `records`, and on the consumer's node. Operators that are not listed here are refused, so that new ones
//! of a newer parser are refused too.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, GroupByExpr, Query, Select, SetExpr, SetOperator, SetQuantifier, Statement, TableFactor,
    UnaryOperator, Value, Visitor,
};

use crate::{QueryError, visit};

/// Most characters of a number that an error repeats.
const MAX_NUMBER: usize = 32;

/// Checks that everything in `statement` has a meaning here.
///
/// # Errors
/// [`QueryError::NotDefined`] with the nearest form, and [`QueryError::Invalid`] for a number that no `DOUBLE` is.
pub(super) fn check(statement: &Statement) -> Result<(), QueryError> {
    let mut check = Check(None);
    let _ = visit(statement, &mut check);
    check.0.map_or(Ok(()), Err)
}

/// The first thing that is refused.
struct Check(Option<QueryError>);

impl Check {
    fn keep(&mut self, checked: Result<(), QueryError>) -> ControlFlow<()> {
        match checked {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                self.0 = Some(error);
                ControlFlow::Break(())
            }
        }
    }
}

impl Visitor for Check {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        self.keep(clauses_of_query(query).and_then(|()| set_operations(&query.body)))
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        self.keep(clauses(select))
    }

    fn pre_visit_table_factor(&mut self, table: &TableFactor) -> ControlFlow<()> {
        self.keep(options(table))
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "other expressions have no operator and no number"
    )]
    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<()> {
        let checked = match expression {
            Expr::BinaryOp { op, .. } => operator(op),
            Expr::AnyOp { compare_op, .. } | Expr::AllOp { compare_op, .. } => operator(compare_op),
            Expr::UnaryOp { op, .. } => sign(*op),
            Expr::Value(value) => number(&value.value),
            _ => Ok(()),
        };
        self.keep(checked)
    }
}

const fn undefined(what: &'static str, nearest: &'static str) -> QueryError {
    QueryError::NotDefined { what, nearest }
}

fn forbid(present: bool, what: &'static str, nearest: &'static str) -> Result<(), QueryError> {
    if present { Err(undefined(what, nearest)) } else { Ok(()) }
}

/// Refuses set operations that the library computes without counting equal rows, or does not have.
fn set_operations(body: &SetExpr) -> Result<(), QueryError> {
    let SetExpr::SetOperation {
        op,
        set_quantifier,
        left,
        right,
    } = body
    else {
        return Ok(());
    };
    set_operation(*op, *set_quantifier)?;
    set_operations(left)?;
    set_operations(right)
}

/// Refuses a set operation that is not computed anywhere.
///
/// # Errors
/// [`QueryError::NotDefined`] with the nearest form.
pub(crate) fn set_operation(op: SetOperator, quantifier: SetQuantifier) -> Result<(), QueryError> {
    match (op, quantifier) {
        (SetOperator::Union, SetQuantifier::None | SetQuantifier::Distinct | SetQuantifier::All)
        | (SetOperator::Intersect | SetOperator::Except, SetQuantifier::None | SetQuantifier::Distinct) => Ok(()),
        (SetOperator::Intersect | SetOperator::Except, SetQuantifier::All) => Err(undefined(
            "`INTERSECT ALL` and `EXCEPT ALL` are",
            "write them without `ALL`, or `EXISTS` and `NOT EXISTS`; to count equal rows, number them with \
             `row_number() OVER (PARTITION BY …)` on both sides",
        )),
        (SetOperator::Minus, _) => Err(undefined("`MINUS` is", "write `EXCEPT`")),
        (_, SetQuantifier::ByName | SetQuantifier::AllByName | SetQuantifier::DistinctByName) => Err(undefined(
            "`BY NAME` is",
            "select the columns of both sides in the same order",
        )),
    }
}

/// Refuses clauses that the library leaves out, and names that it confuses.
fn clauses_of_query(query: &Query) -> Result<(), QueryError> {
    // The planner finds the table of a name with periods by the whole text, so that such a name would stand for a dataset.
    let mut defined = query.with.iter().flat_map(|with| &with.cte_tables);
    forbid(
        defined.any(|table| table.alias.name.value.contains('.')),
        "a name of `WITH` with a period is",
        "write another name",
    )?;
    forbid(!query.pipe_operators.is_empty(), "`|>` is", "write a derived table")?;
    forbid(
        query.settings.is_some() || query.format_clause.is_some(),
        "`SETTINGS` and `FORMAT` are",
        "leave them out",
    )
}

/// Refuses clauses of a `SELECT` that the library leaves out.
fn clauses(select: &Select) -> Result<(), QueryError> {
    forbid(select.prewhere.is_some(), "`PREWHERE` is", "write `WHERE`")?;
    forbid(
        !select.connect_by.is_empty(),
        "`CONNECT BY` is",
        "write `WITH RECURSIVE`, or a join for each step",
    )?;
    forbid(
        select.exclude.is_some(),
        "`EXCLUDE` after the columns is",
        "write `* EXCLUDE (…)`, or the columns",
    )?;
    forbid(
        select.value_table_mode.is_some(),
        "`AS STRUCT` and `AS VALUE` are",
        "write the columns",
    )?;
    forbid(
        select.select_modifiers.is_some() || !select.distribute_by.is_empty(),
        "`DISTRIBUTE BY` and modifiers of `SELECT` are",
        "leave them out",
    )?;
    let (GroupByExpr::All(modifiers) | GroupByExpr::Expressions(_, modifiers)) = &select.group_by;
    forbid(
        !modifiers.is_empty(),
        "`WITH ROLLUP`, `WITH CUBE` and `WITH TOTALS` are",
        "write `GROUP BY ROLLUP (…)`, `CUBE (…)` or `GROUPING SETS (…)`",
    )
}

/// Refuses options of a table that the library leaves out.
#[expect(clippy::wildcard_enum_match_arm, reason = "other tables are not those of a dataset")]
fn options(table: &TableFactor) -> Result<(), QueryError> {
    let (sample, others) = match table {
        TableFactor::Table {
            with_hints,
            with_ordinality,
            partitions,
            json_path,
            sample,
            index_hints,
            ..
        } => {
            let hints = !with_hints.is_empty() || !index_hints.is_empty();
            let parts = !partitions.is_empty() || json_path.is_some();
            (sample.is_some(), hints || parts || *with_ordinality)
        }
        TableFactor::Derived { sample, .. } => (sample.is_some(), false),
        _ => (false, false),
    };
    forbid(sample, "`TABLESAMPLE` is", "query all rows, or a condition on a column")?;
    forbid(others, "options of a table are", "leave them out")
}

/// Refuses an operator without a defined meaning.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "an operator that is not listed is refused"
)]
fn operator(op: &BinaryOperator) -> Result<(), QueryError> {
    const BITS: &str = "for digits of a binary number write `floor(x / power(2, n)) % 2`";
    Err(match op {
        BinaryOperator::Plus
        | BinaryOperator::Minus
        | BinaryOperator::Multiply
        | BinaryOperator::Divide
        | BinaryOperator::Modulo
        | BinaryOperator::StringConcat
        | BinaryOperator::Eq
        | BinaryOperator::NotEq
        | BinaryOperator::Lt
        | BinaryOperator::LtEq
        | BinaryOperator::Gt
        | BinaryOperator::GtEq
        | BinaryOperator::And
        | BinaryOperator::Or
        | BinaryOperator::PGRegexMatch
        | BinaryOperator::PGRegexIMatch
        | BinaryOperator::PGRegexNotMatch
        | BinaryOperator::PGRegexNotIMatch => return Ok(()),
        // It is a power in PostgreSQL and DuckDB, and in the library it combines bits.
        BinaryOperator::BitwiseXor | BinaryOperator::PGExp => undefined("the operator `^` is", "write `power(x, y)`"),
        BinaryOperator::PGBitwiseXor => undefined("the operator `#` is", BITS),
        BinaryOperator::BitwiseAnd => undefined("the operator `&` is", BITS),
        BinaryOperator::BitwiseOr => undefined("the operator `|` is", BITS),
        BinaryOperator::PGBitwiseShiftLeft => undefined("the operator `<<` is", "write `x * power(2, n)`"),
        BinaryOperator::PGBitwiseShiftRight => undefined("the operator `>>` is", "write `floor(x / power(2, n))`"),
        BinaryOperator::Xor => undefined("`XOR` is", "write `<>` between both conditions"),
        BinaryOperator::Spaceship => undefined("the operator `<=>` is", "write `IS NOT DISTINCT FROM`"),
        BinaryOperator::PGLikeMatch
        | BinaryOperator::PGILikeMatch
        | BinaryOperator::PGNotLikeMatch
        | BinaryOperator::PGNotILikeMatch => undefined("the operator `~~` is", "write `LIKE` or `ILIKE`"),
        BinaryOperator::DuckIntegerDivide | BinaryOperator::MyIntegerDivide => {
            undefined("the operator for whole quotients is", "write `/` between whole numbers")
        }
        BinaryOperator::PGStartsWith => undefined("the operator `^@` is", "write `starts_with(text, start)`"),
        _ => undefined("this operator is", "`concordat query --functions` lists those that are"),
    })
}

/// Refuses an operator of one operand without a defined meaning.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "an operator that is not listed is refused"
)]
fn sign(op: UnaryOperator) -> Result<(), QueryError> {
    match op {
        UnaryOperator::Plus | UnaryOperator::Minus | UnaryOperator::Not => Ok(()),
        _ => Err(undefined(
            "this operator is",
            "`concordat query --functions` lists those that are",
        )),
    }
}

/// Refuses a number beyond those that a `DOUBLE` can be: it would be infinite.
fn number(value: &Value) -> Result<(), QueryError> {
    let Value::Number(digits, _) = value else {
        return Ok(());
    };
    let infinite = digits
        .replace('_', "")
        .parse::<f64>()
        .is_ok_and(|number| !number.is_finite());
    if !infinite {
        return Ok(());
    }
    let start: String = digits.chars().take(MAX_NUMBER).collect();
    Err(QueryError::Invalid {
        detail: format!(
            "the number `{start}` is greater than every `DOUBLE`; the greatest one is 1.7976931348623157e308"
        ),
    })
}

#[cfg(test)]
mod tests;
