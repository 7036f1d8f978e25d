//! Bands of ages against the ages behind them.

use arrow::array::AsArray;
use concordat_keys::PseudonymSecret;
use concordat_protocol::scope::{BandWidth, Generalization};

use super::*;
use crate::transform::Change;

const OPERATORS: [&str; 6] = ["<", "<=", ">", ">=", "=", "<>"];

fn banded(width: BandWidth, kind: ColumnKind, ages: &ArrayRef) -> (ShownColumn, ArrayRef) {
    let transform = Transform::Generalized(Generalization::AgeBand(width));
    let key = PseudonymSecret::random().unwrap().key(None);
    let change = Change::of(transform, "age", ages.data_type(), &key, 0)
        .unwrap()
        .unwrap();
    shown("age", kind, transform, change.apply(ages).unwrap())
}

/// Bands, and the ages behind those that have one.
fn ages(width: BandWidth, whole: bool) -> (Home, Vec<f64>) {
    if whole {
        let raw: Vec<i64> = (0..=130).collect();
        let values: ArrayRef = Arc::new(Int64Array::from(raw.clone()));
        let home = Home::of(vec![banded(width, ColumnKind::Int, &values)]);
        #[expect(clippy::cast_precision_loss, reason = "ages are small")]
        return (home, raw.iter().map(|age| *age as f64).collect());
    }
    let raw: Vec<f64> = (0..=520).map(|quarter| f64::from(quarter) / 4.0).collect();
    let values: ArrayRef = Arc::new(Float64Array::from(raw.clone()));
    (Home::of(vec![banded(width, ColumnKind::Float, &values)]), raw)
}

fn holds(op: &str, age: f64, threshold: f64) -> bool {
    match op {
        "<" => age < threshold,
        "<=" => age <= threshold,
        ">" => age > threshold,
        ">=" => age >= threshold,
        "=" => age == threshold,
        _ => age != threshold,
    }
}

/// Whether a band contains ages for which it is true and others: then single ages decide.
fn is_divided(width: BandWidth, whole: bool, op: &str, threshold: f64) -> bool {
    let bands = crate::transform::bands(width);
    let step = if whole { 1.0 } else { 0.0625 };
    bands.into_iter().any(|(_, least)| {
        #[expect(clippy::cast_precision_loss, reason = "ages are small")]
        let (low, count) = (least as f64, if least >= 90 { 1000.0 } else { width.years() as f64 });
        let mut age = low;
        let mut found = (false, false);
        while age < low + count {
            if holds(op, age, threshold) {
                found.0 = true;
            } else {
                found.1 = true;
            }
            age += step;
        }
        found == (true, true)
    })
}

#[tokio::test]
async fn band_is_compared_where_whole_bands_decide() {
    let (mut answered, mut refused) = (0, 0);
    for width in [BandWidth::Five, BandWidth::Ten] {
        for whole in [true, false] {
            let (home, raw) = ages(width, whole);
            for half in -10..=240 {
                let threshold = f64::from(half) / 2.0;
                for op in OPERATORS {
                    let text = if half % 2 == 0 {
                        (half / 2).to_string()
                    } else {
                        threshold.to_string()
                    };
                    let sql = format!("SELECT count(*) FROM t WHERE age {op} {text}");
                    let found = home.value(&sql).await;
                    if is_divided(width, whole, op, threshold) {
                        let error = found.expect_err(&sql);
                        assert!(matches!(error, crate::QueryError::Invalid { .. }), "{sql}: {error}");
                        refused += 1;
                    } else if !matches!(op, "=" | "<>") {
                        let expected = raw.iter().filter(|age| holds(op, **age, threshold)).count();
                        assert_eq!(found.unwrap(), expected.to_string(), "{whole} {sql}");
                        answered += 1;
                    }
                }
            }
        }
    }
    assert!(answered > 400 && refused > 2000, "{answered} and {refused}");
}

#[tokio::test]
async fn band_between_numbers_is_decided_by_both_ends() {
    for width in [BandWidth::Five, BandWidth::Ten] {
        for whole in [true, false] {
            let (home, raw) = ages(width, whole);
            for low in [-1, 0, 10, 45, 50, 51, 90] {
                for high in [-1, 9, 49, 50, 54, 59, 89, 90, 120] {
                    let (from, to) = (f64::from(low), f64::from(high));
                    let divided = is_divided(width, whole, ">=", from) || is_divided(width, whole, "<=", to);
                    let sql = format!("SELECT count(*) FROM t WHERE age BETWEEN {low} AND {high}");
                    let found = home.value(&sql).await;
                    if divided {
                        assert!(found.is_err(), "{sql}: {found:?}");
                        continue;
                    }
                    let within = raw.iter().filter(|age| **age >= from && **age <= to).count();
                    assert_eq!(found.unwrap(), within.to_string(), "{sql}");
                    let sql = sql.replace("BETWEEN", "NOT BETWEEN");
                    assert_eq!(
                        home.value(&sql).await.unwrap(),
                        (raw.len() - within).to_string(),
                        "{sql}"
                    );
                }
            }
        }
    }
}

#[tokio::test]
async fn band_is_compared_with_names_in_their_order() {
    let (home, raw) = ages(BandWidth::Ten, true);
    let count = |least: i64, end: i64| {
        #[expect(clippy::cast_precision_loss, reason = "ages are small")]
        let within = raw.iter().filter(|age| **age >= least as f64 && **age < end as f64);
        within.count().to_string()
    };
    for (condition, expected) in [
        ("age = '50-59'", count(50, 60)),
        ("'50-59' = age", count(50, 60)),
        ("age <> '50-59'", (raw.len() - 10).to_string()),
        ("age IN ('0-9', '90+')", (10 + raw.len() - 90).to_string()),
        ("age NOT IN ('0-9', '90+')", count(10, 90)),
        ("age < '10-19'", count(0, 10)),
        ("age <= '90+'", raw.len().to_string()),
        ("age > '80-89'", count(90, 1000)),
        ("'80-89' < age", count(90, 1000)),
        ("age BETWEEN '10-19' AND '20-29'", count(10, 30)),
        ("age IS NOT DISTINCT FROM '20-29'", count(20, 30)),
        ("CASE age WHEN '0-9' THEN 1 ELSE 0 END = 1", count(0, 10)),
        ("nullif(age, '0-9') IS NULL", count(0, 10)),
        ("age >= 50 AND NOT age >= 60", count(50, 60)),
        ("NOT age < 0", raw.len().to_string()),
        ("age >= -3", raw.len().to_string()),
        ("age LIKE '5%'", count(50, 60)),
        ("CAST(age AS TEXT) = '5'", "0".to_owned()),
    ] {
        let sql = format!("SELECT count(*) FROM t WHERE {condition}");
        assert_eq!(home.value(&sql).await.unwrap(), expected, "{sql}");
    }
}

#[tokio::test]
async fn band_is_ordered_by_age_and_not_by_text() {
    let ages: ArrayRef = Arc::new(Int64Array::from(vec![
        Some(95),
        Some(5),
        Some(15),
        None,
        Some(55),
        Some(8),
    ]));
    let home = Home::of(vec![banded(BandWidth::Five, ColumnKind::Int, &ages)]);
    let flat = |rows: Vec<Vec<String>>| rows.concat();
    let ordered = ["5-9", "5-9", "15-19", "55-59", "90+", ""];
    for sql in [
        "SELECT age FROM t ORDER BY age",
        "SELECT age AS a FROM t ORDER BY a",
        "SELECT a FROM (SELECT age AS a FROM t) ORDER BY a",
        "SELECT age FROM t ORDER BY 1",
    ] {
        assert_eq!(flat(home.rows(sql).await.unwrap()), ordered, "{sql}");
    }
    let grouped = "SELECT age FROM t GROUP BY age ORDER BY age DESC NULLS LAST";
    assert_eq!(
        flat(home.rows(grouped).await.unwrap()),
        ["90+", "55-59", "15-19", "5-9", ""]
    );
    let distinct = "SELECT DISTINCT age FROM t ORDER BY age LIMIT 2";
    assert_eq!(flat(home.rows(distinct).await.unwrap()), ["5-9", "15-19"]);
    let ranked = "SELECT age, rank() OVER (ORDER BY age) AS r FROM t ORDER BY r, age LIMIT 3";
    assert_eq!(
        flat(home.rows(ranked).await.unwrap()),
        ["5-9", "1", "5-9", "1", "15-19", "3"]
    );
    let listed = "SELECT string_agg(age, ' ' ORDER BY age) FROM t";
    assert_eq!(home.value(listed).await.unwrap(), "5-9 5-9 15-19 55-59 90+");
    let united = "SELECT age FROM t UNION ALL SELECT age FROM t ORDER BY age LIMIT 5";
    assert_eq!(
        flat(home.rows(united).await.unwrap()),
        ["5-9", "5-9", "5-9", "5-9", "15-19"]
    );
    let compared = "SELECT count(*) FROM t AS one JOIN t AS other ON one.age < other.age";
    assert_eq!(home.value(compared).await.unwrap(), "9");
    let joined = "SELECT count(*) FROM t AS one JOIN t AS other ON one.age = other.age";
    assert_eq!(home.value(joined).await.unwrap(), "7");
}

#[tokio::test]
async fn band_refusals_name_the_forms_that_work() {
    let ages: ArrayRef = Arc::new(Int64Array::from(vec![5]));
    let five = banded(BandWidth::Five, ColumnKind::Int, &ages);
    let home = Home::of(vec![
        banded(BandWidth::Ten, ColumnKind::Int, &ages),
        clear("n", ColumnKind::Int, Arc::clone(&ages)),
        clear("v", ColumnKind::Text, Arc::new(StringArray::from(vec!["x"]))),
    ])
    .with("five", "elsewhere", vec![five]);
    for sql in [
        "SELECT * FROM t WHERE age > 50",
        "SELECT * FROM t WHERE age = 50",
        "SELECT * FROM t WHERE age = '50'",
        "SELECT * FROM t WHERE age = '50-54'",
        "SELECT * FROM t WHERE age BETWEEN 50 AND 55",
        "SELECT * FROM t WHERE age IN (50, 60)",
        "SELECT * FROM t WHERE age > n",
        "SELECT * FROM t WHERE age = v",
        "SELECT * FROM t WHERE age = DATE '2020-01-01'",
    ] {
        let refusal = home.refusal(sql).await;
        assert!(
            refusal.contains("age >= 50") && refusal.contains("age = '50-59'"),
            "{sql}: {refusal}"
        );
    }
    for (sql, part) in [
        ("SELECT CAST(age AS INT) > 50 FROM t", "cannot be cast to INT"),
        ("SELECT TRY_CAST(age AS DOUBLE) FROM t", "cannot be cast to DOUBLE"),
        ("SELECT age + 1 FROM t", "`+` needs a number"),
        ("SELECT - age FROM t", "a sign needs a number"),
        ("SELECT min(age) FROM t", "ORDER BY age LIMIT 1"),
        ("SELECT max(age) FROM t", "ORDER BY age DESC LIMIT 1"),
        ("SELECT max(a) FROM (SELECT age AS a FROM t)", "ORDER BY a DESC LIMIT 1"),
        ("SELECT greatest(age, '0-9') FROM t", "ORDER BY age DESC LIMIT 1"),
        (
            "SELECT t.age FROM t JOIN five ON t.age = five.age",
            "bands of 10 and 5 years",
        ),
        ("SELECT age FROM t UNION SELECT age FROM five", "cannot be one column"),
        ("SELECT age FROM t UNION SELECT n FROM t", "cannot be one column"),
        (
            "SELECT n FROM t WHERE age IN (SELECT n FROM t)",
            "shown in bands of 10 years",
        ),
    ] {
        let refusal = home.refusal(sql).await;
        assert!(refusal.contains(part), "{sql}: {refusal}");
    }
}

#[test]
fn oracle_knows_the_bands() {
    let ages: ArrayRef = Arc::new(Int64Array::from(vec![Some(5), None]));
    let (_, bands) = banded(BandWidth::Ten, ColumnKind::Int, &ages);
    assert_eq!(bands.as_string::<i32>().iter().collect::<Vec<_>>(), [Some("0-9"), None]);
}
