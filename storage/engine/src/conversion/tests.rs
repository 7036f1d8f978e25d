use arrow::array::{BooleanArray, Date32Array, Int64Array, StringArray, TimestampMillisecondArray};
use concordat_protocol::{schema::ColumnKind, scope::Transform};

use super::*;
use crate::{Casts, QueryError, ShownColumn, tests::home::Home};

const TYPES: [&str; 13] = [
    "SMALLINT",
    "INT",
    "BIGINT",
    "REAL",
    "DOUBLE",
    "DECIMAL(10, 2)",
    "DECIMAL(38, 0)",
    "TEXT",
    "BOOLEAN",
    "DATE",
    "TIMESTAMP",
    "TIMESTAMP WITH TIME ZONE",
    "TIME",
];

fn column(name: &str, kind: ColumnKind, values: ArrayRef) -> (ShownColumn, ArrayRef) {
    let shown = ShownColumn {
        name: name.to_owned(),
        kind,
        transform: Transform::Clear,
    };
    (shown, values)
}

/// Values of each kind, each in a row of its own.
fn values() -> Home {
    let moments = vec![
        0,
        -62_135_596_800_000,
        253_402_300_799_999,
        1_600_000_000_123,
        1,
        -1,
        2,
        3,
    ];
    Home::of(vec![
        column(
            "row",
            ColumnKind::Int,
            Arc::new(Int64Array::from((0..8).collect::<Vec<i64>>())),
        ),
        column(
            "n",
            ColumnKind::Int,
            Arc::new(Int64Array::from(vec![
                0,
                1,
                -1,
                32_768,
                2_147_483_648,
                i64::MAX,
                i64::MIN,
                100_000_000,
            ])),
        ),
        column(
            "x",
            ColumnKind::Float,
            Arc::new(Float64Array::from(vec![
                0.5,
                1.5,
                -2.5,
                1e300,
                f64::NAN,
                f64::INFINITY,
                2.5,
                9.3e18,
            ])),
        ),
        column(
            "b",
            ColumnKind::Boolean,
            Arc::new(BooleanArray::from(vec![
                true, false, true, false, true, false, true, false,
            ])),
        ),
        column(
            "v",
            ColumnKind::Text,
            Arc::new(StringArray::from(vec![
                "1",
                "1.5",
                "x",
                "",
                "2020-01-01",
                "true",
                "99999999999999999999",
                "2020-01-01 10:00:00",
            ])),
        ),
        column(
            "d",
            ColumnKind::Date,
            Arc::new(Date32Array::from(vec![0, -719_162, 2_932_896, 18_262, 1, -1, 2, 3])),
        ),
        column(
            "s",
            ColumnKind::Timestamp,
            Arc::new(TimestampMillisecondArray::from(moments.clone())),
        ),
        column(
            "z",
            ColumnKind::TimestampUtc,
            Arc::new(TimestampMillisecondArray::from(moments).with_timezone("UTC")),
        ),
    ])
}

#[tokio::test]
async fn cast_fails_exactly_where_try_cast_is_missing() {
    let home = values();
    let (mut none, mut failed, mut cast, mut refused) = (0, 0, 0, 0);
    for from in ["n", "x", "b", "v", "d", "s", "z"] {
        for to in TYPES {
            let tried = home
                .rows(&format!("SELECT TRY_CAST({from} AS {to}) FROM t ORDER BY row"))
                .await;
            let strict = home
                .rows(&format!("SELECT CAST({from} AS {to}) FROM t WHERE row < 0"))
                .await;
            let Ok(tried) = tried else {
                assert!(strict.is_err(), "{from} to {to}");
                none += 1;
                continue;
            };
            strict.unwrap();
            let mut can_fail = false;
            for (row, cells) in tried.iter().enumerate() {
                let sql = format!("SELECT CAST({from} AS {to}) FROM t WHERE row = {row}");
                match home.rows(&sql).await {
                    Ok(found) => {
                        assert_eq!(found[0], *cells, "{sql}");
                        let empty_text = from == "v" && to == "TEXT";
                        assert!(!cells[0].is_empty() || empty_text, "{sql}");
                        cast += 1;
                    }
                    Err(error) => {
                        assert!(matches!(error, QueryError::CannotCast { .. }), "{sql}: {error}");
                        assert_eq!(cells[0], "", "{sql}");
                        can_fail = true;
                        failed += 1;
                    }
                }
            }
            // Below tier `records`, what fails on one of these values is not planned.
            let below = home
                .planned(&format!("SELECT CAST({from} AS {to}) FROM t"), Casts::Refused)
                .await;
            match below {
                Ok(_) => assert!(!can_fail, "{from} to {to}"),
                Err(error) => {
                    assert!(matches!(error, QueryError::FallibleCast { .. }), "{error}");
                    assert!(error.to_string().contains("write `TRY_CAST("), "{error}");
                    refused += 1;
                }
            }
        }
    }
    assert!(
        none >= 20 && failed >= 40 && cast >= 250 && refused >= 20,
        "{none} {failed} {cast} {refused}"
    );
}

#[tokio::test]
async fn casts_round_to_the_nearest() {
    let home = values();
    for (sql, expected) in [
        ("SELECT CAST(1.5 AS INTEGER)", "2"),
        ("SELECT CAST(2.5 AS INTEGER)", "2"),
        ("SELECT CAST(-2.5 AS INTEGER)", "-2"),
        ("SELECT CAST(-1.5 AS INTEGER)", "-2"),
        ("SELECT CAST(0.49999999999999994 AS INTEGER)", "0"),
        ("SELECT CAST(CAST(2.5 AS DECIMAL(3, 1)) AS INTEGER)", "3"),
        ("SELECT CAST(CAST(-2.5 AS DECIMAL(3, 1)) AS INTEGER)", "-3"),
        ("SELECT CAST(CAST(1.25 AS DECIMAL(3, 2)) AS DECIMAL(3, 1))", "1.3"),
        ("SELECT CAST(1.005 AS DECIMAL(3, 1))", "1.0"),
        ("SELECT CAST(true AS INTEGER)", "1"),
        ("SELECT CAST(7 AS BOOLEAN)", "true"),
        ("SELECT CAST('1e3' AS DOUBLE)", "1000.0"),
        ("SELECT CAST(x AS BIGINT) FROM t WHERE row = 0", "0"),
        ("SELECT CAST(x AS BIGINT) FROM t WHERE row = 1", "2"),
        ("SELECT CAST(x AS BIGINT) FROM t WHERE row = 2", "-2"),
        ("SELECT TRY_CAST(x AS BIGINT) FROM t WHERE row = 3", ""),
        ("SELECT TRY_CAST(x AS REAL) FROM t WHERE row = 3", ""),
        ("SELECT TRY_CAST(x AS BIGINT) FROM t WHERE row = 7", ""),
        ("SELECT CAST(TIMESTAMP '9999-12-31 23:59:59' AS DATE)", "9999-12-31"),
        ("SELECT CAST(DATE '0001-01-01' AS TIMESTAMP)", "0001-01-01T00:00:00"),
        (
            "SELECT CAST(TIMESTAMP '2020-01-01 10:00:00.9' AS TIMESTAMP(0))",
            "2020-01-01T10:00:00",
        ),
        (
            "SELECT CAST(TIMESTAMP '1969-12-31 23:59:59.5' AS TIMESTAMP(0))",
            "1969-12-31T23:59:59",
        ),
        (
            "SELECT CAST(TIMESTAMP '1969-12-31 23:59:59.9999' AS TIMESTAMP(3))",
            "1969-12-31T23:59:59.999",
        ),
        (
            "SELECT CAST(s AS TIMESTAMP(0)) FROM t WHERE row = 5",
            "1969-12-31T23:59:59",
        ),
        (
            "SELECT CAST(z AS TIMESTAMP(0) WITH TIME ZONE) < '1970-01-01' FROM t WHERE row = 5",
            "true",
        ),
        (
            "SELECT TIMESTAMP '2020-01-01 10:00:00.123456'",
            "2020-01-01T10:00:00.123456",
        ),
        ("SELECT CAST(DATE '2020-01-01' AS TEXT)", "2020-01-01"),
        ("SELECT 7 / 2", "3"),
        ("SELECT -7 / 2", "-3"),
        ("SELECT 7 % -2", "1"),
        ("SELECT 7 / 2.0", "3.5"),
    ] {
        assert_eq!(home.value(sql).await.unwrap(), expected, "{sql}");
    }
    for sql in [
        "SELECT CAST('1.5' AS INTEGER)",
        "SELECT CAST(2147483648 AS INTEGER)",
        "SELECT DATE '2020-02-30'",
        "SELECT CAST(1e300 AS REAL)",
        "SELECT CAST(1000 AS DECIMAL(3, 1))",
        "SELECT CAST(1 AS DECIMAL(39, 1))",
        "SELECT CAST(1 AS TIMESTAMP)",
        "SELECT CAST('x' AS TIMESTAMP(9))",
    ] {
        let error = home.refusal(sql).await;
        assert!(
            !error.contains("Arrow") && !error.contains("Cast error"),
            "{sql}: {error}"
        );
    }
}

/// A guard around a cast is respected.
#[tokio::test]
async fn cast_within_a_case_is_computed_only_for_its_rows() {
    let home = values();
    let sql = "SELECT CASE WHEN row = 0 THEN CAST(v AS BIGINT) ELSE -1 END FROM t ORDER BY row LIMIT 2";
    let rows = home.rows(sql).await.unwrap();
    assert_eq!(rows.concat(), ["1", "-1"]);
}
