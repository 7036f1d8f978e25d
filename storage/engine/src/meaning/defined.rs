//! What a statement may contain, whoever computes it.
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
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "what else a query is has no set operation of its own"
)]
fn set_operations(body: &SetExpr) -> Result<(), QueryError> {
    match body {
        SetExpr::SetOperation {
            op,
            set_quantifier,
            left,
            right,
        } => {
            set_operation(*op, *set_quantifier)?;
            set_operations(left)?;
            set_operations(right)
        }
        _ => Ok(()),
    }
}

/// Refuses a set operation for which there is another form.
///
/// # Errors
/// [`QueryError::NotDefined`].
fn set_operation(op: SetOperator, quantifier: SetQuantifier) -> Result<(), QueryError> {
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
mod tests {
    use super::*;
    use crate::parse;

    fn checked(sql: &str) -> Result<(), QueryError> {
        let statements = parse(sql, 64).unwrap_or_else(|error| panic!("{sql}: {error}"));
        check(&statements[0])
    }

    #[test]
    fn set_operations_that_count_equal_rows_are_refused_at_each_depth() {
        for sql in [
            "SELECT a FROM t EXCEPT ALL SELECT a FROM u",
            "SELECT a FROM t INTERSECT ALL SELECT a FROM u",
            "SELECT a FROM t UNION ALL (SELECT a FROM u EXCEPT ALL SELECT a FROM v)",
            "SELECT a FROM t UNION SELECT a FROM u INTERSECT ALL SELECT a FROM v",
            "SELECT a FROM (SELECT a FROM t EXCEPT ALL SELECT a FROM u) AS d",
            "WITH w AS (SELECT a FROM t EXCEPT ALL SELECT a FROM u) SELECT a FROM w",
            "SELECT a FROM t WHERE a IN (SELECT a FROM u INTERSECT ALL SELECT a FROM v)",
        ] {
            let error = checked(sql).unwrap_err();
            assert!(matches!(error, QueryError::NotDefined { .. }), "{sql}: {error}");
            assert!(error.to_string().contains("without `ALL`"), "{sql}: {error}");
        }
        for sql in [
            "SELECT a FROM t EXCEPT SELECT a FROM u",
            "SELECT a FROM t INTERSECT DISTINCT SELECT a FROM u",
            "SELECT a FROM t UNION ALL SELECT a FROM u",
        ] {
            assert!(checked(sql).is_ok(), "{sql}");
        }
        assert!(checked("SELECT a FROM t UNION BY NAME SELECT a FROM u").is_err());
    }

    #[test]
    fn operators_without_a_meaning_are_refused_with_the_nearest_form() {
        for (expression, nearest) in [
            ("a ^ 2", "`power(x, y)`"),
            ("a << 64", "`x * power(2, n)`"),
            ("a >> 1", "`floor(x / power(2, n))`"),
            ("a | 1", "power(2, n)"),
            ("a & 1", "power(2, n)"),
            ("a <=> 1", "`IS NOT DISTINCT FROM`"),
        ] {
            for sql in [
                format!("SELECT {expression} FROM t"),
                format!("SELECT count(*) FROM t WHERE ({expression}) = 1"),
                format!(
                    "SELECT sum(a) FILTER (WHERE ({expression}) = 1) FROM t GROUP BY b HAVING sum({expression}) > 0"
                ),
                format!("SELECT b FROM t ORDER BY {expression}"),
            ] {
                let error = checked(&sql).unwrap_err();
                assert!(matches!(error, QueryError::NotDefined { .. }), "{sql}: {error}");
                assert!(error.to_string().contains(nearest), "{sql}: {error}");
            }
        }
        for expression in [
            "a + b - c * d / e % f",
            "a || b",
            "NOT (a = b AND c <> d OR e < f)",
            "a ~ 'x' OR b !~* 'y'",
            "a IS DISTINCT FROM -b",
        ] {
            assert!(checked(&format!("SELECT {expression} FROM t")).is_ok(), "{expression}");
        }
    }

    #[test]
    fn clauses_that_would_be_left_out_are_refused() {
        for sql in [
            "SELECT a FROM t TABLESAMPLE (10 PERCENT)",
            "SELECT a FROM (SELECT a FROM t TABLESAMPLE (10)) AS d",
            "SELECT a FROM t PREWHERE a > 1",
            "SELECT a FROM t GROUP BY a WITH TOTALS",
            "SELECT a, count(*) FROM t GROUP BY a WITH ROLLUP",
        ] {
            let error = checked(sql).unwrap_err();
            assert!(matches!(error, QueryError::NotDefined { .. }), "{sql}: {error}");
        }
    }

    #[test]
    fn name_of_a_query_is_no_name_of_a_dataset() {
        for sql in [
            "WITH \"gamma.t\" AS (SELECT a FROM u) SELECT a FROM gamma.t",
            "SELECT a FROM (WITH v AS (SELECT a FROM u), \"gamma.t\" AS (SELECT a FROM v) SELECT a FROM gamma.t) AS d",
        ] {
            let error = checked(sql).unwrap_err();
            assert!(matches!(error, QueryError::NotDefined { .. }), "{sql}: {error}");
        }
        assert!(checked("WITH v AS (SELECT a FROM u) SELECT a FROM v").is_ok());
    }

    #[test]
    fn number_that_is_not_finite_is_refused() {
        for number in ["1e400", "-1e400", "2e308"] {
            let found = checked(&format!("SELECT a FROM t WHERE a < {number}"));
            assert!(matches!(&found, Err(QueryError::Invalid { .. })), "{number}: {found:?}");
        }
        for number in ["1e308", "1.7976931348623157e308", "1e-400", "18446744073709551615", "3"] {
            assert!(
                checked(&format!("SELECT a FROM t WHERE a < {number}")).is_ok(),
                "{number}"
            );
        }
    }
}
