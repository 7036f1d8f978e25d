//! What the library would convert with a loss: lengths of time to nanoseconds, and floating point numbers to decimals.

use super::*;

async fn assert_counts(cases: &[(&str, &str)]) {
    let home = one_of_each();
    for (condition, expected) in cases {
        let sql = format!("SELECT count(*) FROM t WHERE {condition}");
        assert_eq!(home.value(&sql).await.unwrap(), *expected, "{sql}");
    }
}

/// Nanoseconds of 64 bits hold 292 years.
#[tokio::test]
async fn lengths_of_time_are_compared_beyond_292_years() {
    assert_counts(&[
        ("s - TIMESTAMP '1970-01-01 00:00:00' > INTERVAL '30 days'", "2"),
        ("TIMESTAMP '1970-01-01 00:00:00' - s >= INTERVAL '700000 days'", "1"),
        ("s - TIMESTAMP '0001-01-01 00:00:00' = INTERVAL '0 days'", "1"),
        ("s - CAST(d AS TIMESTAMP) < s - TIMESTAMP '0001-01-01 00:00:00'", "3"),
        (
            "greatest(s - TIMESTAMP '0001-01-01 00:00:00', s - CAST(d AS TIMESTAMP)) IS NULL",
            "0",
        ),
    ])
    .await;
    let lengths = "SELECT s - TIMESTAMP '0001-01-01 00:00:00' AS c FROM t";
    let counted = format!("SELECT count(c) FROM ({lengths} UNION ALL SELECT s - CAST(d AS TIMESTAMP) FROM t)");
    assert_eq!(one_of_each().value(&counted).await.unwrap(), "8");
}

#[tokio::test]
async fn decimals_are_searched_among_floating_point_numbers() {
    assert_counts(&[
        (
            "CAST(n AS DECIMAL(19, 0)) IN (SELECT x FROM t WHERE x IS NOT NULL)",
            "1",
        ),
        (
            "CAST(n AS DECIMAL(19, 0)) NOT IN (SELECT x FROM t WHERE x IS NOT NULL)",
            "2",
        ),
        (
            "x NOT IN (SELECT CAST(n AS DECIMAL(19, 0)) FROM t WHERE n IS NOT NULL)",
            "2",
        ),
    ])
    .await;
}

#[tokio::test]
async fn decimals_and_floating_point_numbers_are_one_column() {
    let home = one_of_each();
    let decimals = "SELECT CAST(n AS DECIMAL(19, 0)) AS c FROM t";
    let few = format!("{decimals} WHERE n < 100");
    for (sql, expected) in [
        (
            format!("SELECT min(c) FROM ({few} UNION ALL SELECT x FROM t)"),
            "-1e300",
        ),
        (format!("SELECT count(c) FROM ({few} UNION ALL SELECT x FROM t)"), "5"),
        (
            format!("SELECT min(c) FROM (SELECT x AS c FROM t UNION {few})"),
            "-1e300",
        ),
        // Without floating point numbers, all digits stay.
        (
            format!("SELECT max(c) FROM ({decimals} UNION ALL SELECT CAST(2.5 AS DECIMAL(2, 1)) FROM t)"),
            "9223372036854775807.0",
        ),
    ] {
        assert_eq!(home.value(&sql).await.unwrap(), expected, "{sql}");
    }
    // The greatest of them has no `DOUBLE`.
    let changed = format!("SELECT count(c) FROM ({decimals} UNION ALL SELECT x FROM t)");
    assert!(matches!(home.value(&changed).await, Err(QueryError::NoDouble { .. })));
}
