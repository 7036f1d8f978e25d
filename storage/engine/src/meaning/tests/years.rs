//! Years against the dates and timestamps behind them.

use arrow::array::{Array, AsArray};
use arrow::datatypes::Int32Type;
use chrono::{Datelike, Days, NaiveDate};
use concordat_keys::PseudonymSecret;
use concordat_protocol::scope::Generalization;

use super::*;
use crate::transform::Change;

const YEAR: Transform = Transform::Generalized(Generalization::Year);

fn years_of(kind: ColumnKind, values: &ArrayRef) -> (ShownColumn, ArrayRef) {
    years_from(0, kind, values)
}

fn years_from(oldest: i32, kind: ColumnKind, values: &ArrayRef) -> (ShownColumn, ArrayRef) {
    let key = PseudonymSecret::random().unwrap().key(None);
    let change = Change::of(YEAR, "born", values.data_type(), &key, oldest);
    let change = change.unwrap().unwrap();
    shown("born", kind, YEAR, change.apply(values).unwrap())
}

fn edges() -> Vec<NaiveDate> {
    let mut days = Vec::new();
    for year in [1, 1899, 1970, 1980, 2000, 9999] {
        let first = NaiveDate::from_ymd_opt(year, 1, 1).unwrap();
        let last = NaiveDate::from_ymd_opt(year, 12, 31).unwrap();
        days.extend([
            first,
            first + Days::new(1),
            first + Days::new(180),
            last - Days::new(1),
            last,
        ]);
    }
    days
}

/// Whether a year contains days for which it is true and others.
fn is_divided(op: &str, day: NaiveDate) -> bool {
    let first = NaiveDate::from_ymd_opt(day.year(), 1, 1).unwrap();
    let days = (0..366)
        .map(|count| first + Days::new(count))
        .filter(|other| other.year() == day.year());
    let results: Vec<bool> = days.map(|other| holds(op, other.cmp(&day))).collect();
    results.contains(&true) && results.contains(&false)
}

#[tokio::test]
async fn year_is_compared_with_dates_where_whole_years_decide() {
    let days = edges();
    let epoch = NaiveDate::from_ymd_opt(1970, 1, 1).unwrap();
    let stored: Vec<i32> = days
        .iter()
        .map(|day| i32::try_from((*day - epoch).num_days()).unwrap())
        .collect();
    let stored: ArrayRef = Arc::new(Date32Array::from(stored));
    let home = Home::of(vec![years_of(ColumnKind::Date, &stored)]);
    let (mut answered, mut refused) = (0, 0);
    for day in &days {
        for op in ["<", "<=", ">", ">=", "=", "<>"] {
            for literal in [
                format!("DATE '{}'", day.format("%Y-%m-%d")),
                format!("'{}'", day.format("%Y-%m-%d")),
                format!("TIMESTAMP '{} 00:00:00'", day.format("%Y-%m-%d")),
            ] {
                let sql = format!("SELECT count(*) FROM t WHERE born {op} {literal}");
                let found = home.value(&sql).await;
                if is_divided(op, *day) {
                    assert!(found.is_err(), "{sql}: {found:?}");
                    refused += 1;
                } else {
                    let expected = days.iter().filter(|other| holds(op, (*other).cmp(day))).count();
                    assert_eq!(found.unwrap(), expected.to_string(), "{sql}");
                    answered += 1;
                }
            }
        }
    }
    assert!(answered >= 72 && refused > 300, "{answered} and {refused}");
}

#[tokio::test]
async fn year_of_a_timestamp_is_not_decided_by_the_last_midnight() {
    let last = NaiveDate::from_ymd_opt(1980, 12, 31)
        .unwrap()
        .and_hms_opt(10, 0, 0)
        .unwrap()
        .and_utc();
    let stored: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![last.timestamp_millis()]));
    let home = Home::of(vec![years_of(ColumnKind::Timestamp, &stored)]);
    for (condition, expected) in [
        ("born >= DATE '1980-01-01'", Some("1")),
        ("born < DATE '1981-01-01'", Some("1")),
        ("born > TIMESTAMP '1980-12-31 23:59:59.999'", Some("0")),
        ("born <= TIMESTAMP '1980-12-31 23:59:59.999'", Some("1")),
        ("born > DATE '1980-12-31'", None),
        ("born <= DATE '1980-12-31'", None),
        ("born BETWEEN DATE '1980-01-01' AND DATE '1980-12-31'", None),
        (
            "born BETWEEN TIMESTAMP '1980-01-01 00:00:00' AND TIMESTAMP '1980-12-31 23:59:59.999'",
            Some("1"),
        ),
    ] {
        let sql = format!("SELECT count(*) FROM t WHERE {condition}");
        let found = home.value(&sql).await;
        assert_eq!(found.as_deref().ok(), expected, "{sql}: {found:?}");
    }
}

#[tokio::test]
async fn year_is_a_number_and_not_a_date() {
    let stored: ArrayRef = Arc::new(Date32Array::from(vec![Some(3700), Some(0), None]));
    let (column, values) = years_of(ColumnKind::Date, &stored);
    assert_eq!(values.as_primitive::<Int32Type>().value(0), 1980);
    assert!(values.is_null(2));
    let home = Home::of(vec![(column, values), clear("d", ColumnKind::Date, stored)]);
    for (condition, expected) in [
        ("born = 1980", "1"),
        ("born >= '1980'", "1"),
        ("born BETWEEN 1970 AND 1979", "1"),
        ("born BETWEEN DATE '1970-01-01' AND DATE '1979-12-31'", "1"),
        ("born NOT BETWEEN DATE '1970-01-01' AND DATE '1979-12-31'", "1"),
        ("born IN (1980, 1981)", "1"),
        ("2024 - born < 50", "1"),
        ("born + 0.5 > 1980", "1"),
        ("CAST(born AS TEXT) = '1980'", "1"),
        ("born = born", "2"),
        ("nullif(born, 1980) IS NULL", "2"),
        ("date_part('year', d) = born", "2"),
    ] {
        let sql = format!("SELECT count(*) FROM t WHERE {condition}");
        assert_eq!(home.value(&sql).await.unwrap(), expected, "{sql}");
    }
    for (sql, part) in [
        (
            "SELECT * FROM t WHERE born > DATE '1980-06-01'",
            "born >= DATE '1980-01-01'",
        ),
        ("SELECT * FROM t WHERE born = '1980-01-01'", "born >= 1980"),
        ("SELECT * FROM t WHERE born = d", "shown as a year"),
        ("SELECT * FROM t WHERE born = 'x'", "shown as a year"),
        (
            "SELECT date_part('year', born) FROM t",
            "`date_part` does not take these arguments",
        ),
        ("SELECT CAST(born AS DATE) FROM t", "shown as a year"),
        ("SELECT born FROM t UNION SELECT d FROM t", "shown as a year"),
        (
            "SELECT one.d FROM t AS one JOIN t AS other ON one.d = other.born",
            "shown as a year",
        ),
    ] {
        let refusal = home.refusal(sql).await;
        assert!(refusal.contains(part), "{sql}: {refusal}");
    }
    assert_eq!(home.value("SELECT min(born) FROM t").await.unwrap(), "1970");
}
