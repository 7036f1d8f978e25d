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
            format!("SELECT sum(a) FILTER (WHERE ({expression}) = 1) FROM t GROUP BY b HAVING sum({expression}) > 0"),
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
