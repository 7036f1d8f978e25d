//! Sums and means of whole numbers near the ends of 64 bits.

use arrow::array::{Decimal128Array, Float64Array, Int64Array};
use concordat_protocol::schema::ColumnKind;

use super::{home::Home, *};
use crate::ShownColumn;

fn of(values: Vec<Option<i64>>) -> Home {
    let groups: Vec<i64> = (0..values.len()).map(|row| i64::try_from(row % 2).unwrap()).collect();
    let column = |name: &str, values: ArrayRef| {
        let shown = ShownColumn {
            name: name.to_owned(),
            kind: ColumnKind::Int,
            transform: Transform::Clear,
        };
        (shown, values)
    };
    Home::of(vec![
        column("n", Arc::new(Int64Array::from(values))),
        column("g", Arc::new(Int64Array::from(groups))),
    ])
}

fn lists() -> Vec<Vec<Option<i64>>> {
    let ends = [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX - 1, i64::MAX];
    let mut lists: Vec<Vec<Option<i64>>> = vec![vec![], vec![None, None]];
    for one in ends {
        lists.push(vec![Some(one)]);
        for other in ends {
            lists.push(vec![Some(one), None, Some(other)]);
            lists.push(vec![
                Some(one),
                Some(other),
                Some(other),
                Some(i64::MIN),
                Some(i64::MAX),
            ]);
        }
    }
    lists.push(vec![Some(9_000_000_000_000_000_000); 6]);
    lists.push(vec![Some(1_600_000_000_000_123); 6000]);
    lists
}

#[tokio::test]
async fn sum_is_exact_or_an_error_and_never_wraps() {
    let mut errors = 0;
    for values in lists() {
        let home = of(values.clone());
        let known: Vec<i128> = values.iter().flatten().map(|value| i128::from(*value)).collect();
        let exact: i128 = known.iter().sum();
        let expected = i64::try_from(exact).ok().filter(|_| !known.is_empty());
        for sql in [
            "SELECT sum(n) FROM t",
            "SELECT sum(n) AS s FROM t HAVING count(*) >= 0 ORDER BY s",
            "SELECT sum(n) OVER () FROM t LIMIT 1",
            "SELECT s FROM (SELECT sum(n) AS s, max(n) FROM t)",
        ] {
            if values.is_empty() && sql.contains("OVER") {
                continue;
            }
            match (home.value(sql).await, expected) {
                (Ok(found), Some(expected)) => assert_eq!(found, expected.to_string(), "{sql} of {values:?}"),
                (Ok(found), None) => assert!(known.is_empty() && found.is_empty(), "{found}: {sql} of {values:?}"),
                (Err(error), expected) => {
                    assert_eq!(expected, None, "{sql} of {values:?}: {error}");
                    assert_eq!(
                        error.to_string(),
                        "the sum of `n` is beyond 64 bits; write `sum(CAST(n AS DOUBLE))`"
                    );
                    errors += 1;
                }
            }
        }
        let wide = home.value("SELECT sum(CAST(n AS DECIMAL(19,0))) FROM t").await.unwrap();
        assert_eq!(
            wide,
            if known.is_empty() {
                String::new()
            } else {
                exact.to_string()
            }
        );
    }
    assert!(errors > 50, "{errors}");
}

#[tokio::test]
async fn mean_is_between_the_least_and_the_greatest() {
    for values in lists() {
        let home = of(values.clone());
        let known: Vec<i64> = values.iter().flatten().copied().collect();
        for sql in [
            "SELECT avg(n) FROM t",
            "SELECT mean(n) FROM t",
            "SELECT avg(n) OVER () FROM t LIMIT 1",
        ] {
            if values.is_empty() && sql.contains("OVER") {
                continue;
            }
            let found = home.value(sql).await.unwrap();
            let (Some(least), Some(most)) = (known.iter().min(), known.iter().max()) else {
                assert_eq!(found, "", "{sql}");
                continue;
            };
            #[expect(clippy::cast_precision_loss, reason = "the nearest floating point numbers are meant")]
            let (least, most) = (*least as f64, *most as f64);
            let found: f64 = found.parse().unwrap();
            assert!((least..=most).contains(&found), "{sql} of {values:?}: {found}");
        }
    }
}

/// The parts of a consortium give the same mean as one table.
#[tokio::test]
async fn mean_of_parts_is_the_mean_of_all() {
    use datafusion::prelude::{col, lit};
    let values: Vec<Option<i64>> = (0..100).map(|n| Some(i64::MAX - n * n)).collect();
    let home = of(values.clone());
    let whole = home.value("SELECT avg(n) FROM t").await.unwrap();
    let sum: i128 = values.iter().flatten().map(|value| i128::from(*value)).sum();
    let sums = Decimal128Array::from(vec![sum])
        .with_precision_and_scale(29, 0)
        .unwrap();
    let batch = RecordBatch::try_from_iter([("sum", Arc::new(sums) as ArrayRef)]).unwrap();
    let context = datafusion::prelude::SessionContext::new();
    let frame = context
        .read_batch(batch)
        .unwrap()
        .select(vec![crate::mean_of(col("sum"), lit(100_i64))])
        .unwrap();
    let batches = frame.collect().await.unwrap();
    assert_eq!(array_value_to_string(batches[0].column(0), 0).unwrap(), whole);
}

#[tokio::test]
async fn sum_beyond_64_bits_is_an_error_of_the_provider_too() {
    let large = |range: std::ops::Range<i64>| {
        let batch = patients(range);
        let rows = batch.num_rows();
        let mut columns = batch.columns().to_vec();
        columns[6] = Arc::new(Int64Array::from(vec![9_000_000_000_000_000_000; rows]));
        RecordBatch::try_new(schema(), columns).unwrap()
    };
    let fixture = Fixture::of(&[large(0..20)]).await;
    let scope = || clear(Tier::Records, &["PERSON_ID", "sex", "age"]);
    for sql in [
        "SELECT sum(\"PERSON_ID\") FROM heart",
        "SELECT sum(\"PERSON_ID\") FROM heart WHERE age < 25",
        "SELECT sex, sum(\"PERSON_ID\") FROM heart GROUP BY sex",
    ] {
        let error = fixture.refused(scope(), sql).await;
        assert!(matches!(error, QueryError::SumTooLarge { .. }), "{sql}: {error}");
    }
    let none = "SELECT sum(\"PERSON_ID\") FROM heart WHERE age < 0";
    assert_eq!(fixture.rows(scope(), none).await.unwrap(), [[""]]);
    let exact = "SELECT sum(CAST(\"PERSON_ID\" AS DECIMAL(19,0))), avg(\"PERSON_ID\"), count(*) FROM heart";
    assert_eq!(
        fixture.rows(scope(), exact).await.unwrap(),
        [["180000000000000000000", "9e18", "20"]]
    );
    let grouped =
        "SELECT sex, sum(age), sum(CAST(\"PERSON_ID\" AS DECIMAL(19,0))) FROM heart GROUP BY sex ORDER BY sex";
    assert_eq!(
        fixture.rows(scope(), grouped).await.unwrap(),
        [
            ["0", "300", "90000000000000000000"],
            ["1", "290", "90000000000000000000"]
        ]
    );
}

/// Rows 0 to 3 of `n`, with 1e300, -0.5, 0.25 and 3.25 as `f`.
fn of_doubles() -> Home {
    let column = |name: &str, kind: ColumnKind, values: ArrayRef| {
        let shown = ShownColumn {
            name: name.to_owned(),
            kind,
            transform: Transform::Clear,
        };
        (shown, values)
    };
    Home::of(vec![
        column("n", ColumnKind::Int, Arc::new(Int64Array::from(vec![0, 1, 2, 3]))),
        column(
            "f",
            ColumnKind::Float,
            Arc::new(Float64Array::from(vec![1e300, -0.5, 0.25, 3.25])),
        ),
    ])
}

#[tokio::test]
async fn float_aggregates_of_queries_are_exact() {
    let home = of_doubles();
    let frame = "OVER (ORDER BY n ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)";
    for (sql, expected) in [
        // 0.25 + 3.25 = 3.5, of which the distances from the mean 1.75 are 1.5: 2 * 1.5^2 / 1 = 4.5 and 2 * 1.5^2 / 2 = 2.25.
        (
            format!("SELECT sum(f) {frame} AS s, n FROM t ORDER BY n DESC LIMIT 1"),
            "3.5,3",
        ),
        (
            format!("SELECT avg(f) {frame} AS s, n FROM t ORDER BY n DESC LIMIT 1"),
            "1.75,3",
        ),
        (
            format!("SELECT var_samp(f) {frame} AS s, n FROM t ORDER BY n DESC LIMIT 1"),
            "4.5,3",
        ),
        (
            format!("SELECT stddev_pop(f) {frame} AS s, n FROM t ORDER BY n DESC LIMIT 1"),
            "1.5,3",
        ),
        // A step of 1 in n is one of 3 in f: (0.5 * 1.5) * 2 / 2 = 0.75, and a slope of 3.
        (
            format!("SELECT covar_pop(f, n) {frame} AS s, n FROM t ORDER BY n DESC LIMIT 1"),
            "0.75,3",
        ),
        (
            format!("SELECT regr_slope(f, n) {frame} AS s, n FROM t ORDER BY n DESC LIMIT 1"),
            "3.0,3",
        ),
        // Position 0.3 * 2 = 0.6 among 0, 1 and 2.
        (
            "SELECT percentile_cont(0.3) WITHIN GROUP (ORDER BY n) FROM t WHERE n < 3".to_owned(),
            "0.6",
        ),
        (
            "SELECT n < 3 AS g, percentile_cont(0.3) WITHIN GROUP (ORDER BY n) FROM t GROUP BY n < 3 ORDER BY g DESC"
                .to_owned(),
            "true,0.6,false,3.0",
        ),
        // (4^2 - 1) / 12 = 1.25.
        ("SELECT var_pop(n + 4503599627370496) FROM t".to_owned(), "1.25"),
        ("SELECT stddev(f * 1e8) FROM t".to_owned(), ""),
    ] {
        let rows = home.rows(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert_eq!(rows.concat().join(","), expected, "{sql}");
    }
    let distinct = home.rows("SELECT corr(DISTINCT f, n) FROM t").await;
    assert!(distinct.is_err(), "{distinct:?}");
}
