//! The oldest years, which are shown as one.

use arrow::array::Array;
use chrono::{Datelike, Days, NaiveDate};
use concordat_keys::PseudonymSecret;
use concordat_protocol::scope::{BandWidth, Generalization};

use super::*;
use crate::{
    shown::{Shape, Years, shape_of},
    shown_schema,
    transform::Change,
    with_oldest_year, with_values_of,
};

const YEAR: Transform = Transform::Generalized(Generalization::Year);
const OLDEST: i32 = 1937;
const OPERATORS: [&str; 6] = ["<", "<=", ">", ">=", "=", "<>"];

fn day(year: i32, month: u32, day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(year, month, day).unwrap()
}

/// A birth in each year from 1900 to 1945, with its year as `n`, and where `oldest` and all years before it are shown as `oldest`.
fn births(oldest: i32) -> Vec<(ShownColumn, ArrayRef)> {
    let days = (1900..=1945).map(|year| (day(year, 6, 15) - day(1970, 1, 1)).num_days());
    let days: ArrayRef = Arc::new(Date32Array::from_iter_values(
        days.map(|day| i32::try_from(day).unwrap()),
    ));
    let key = PseudonymSecret::random().unwrap().key(None);
    let change = Change::of(YEAR, "born", days.data_type(), &key, oldest);
    let years = change.unwrap().unwrap().apply(&days).unwrap();
    vec![
        shown("born", ColumnKind::Date, YEAR, years),
        clear(
            "n",
            ColumnKind::Int,
            Arc::new(Int64Array::from_iter_values(1900..=1945)),
        ),
        clear("d", ColumnKind::Date, days),
    ]
}

fn home() -> Home {
    Home::new().with_years_from(OLDEST, "t", births(OLDEST))
}

fn flipped(op: &str) -> &str {
    match op {
        "<" => ">",
        "<=" => ">=",
        ">" => "<",
        ">=" => "<=",
        other => other,
    }
}

/// Counts or refuses, as `expected` states: `None` if the answer depends on what is not shown.
async fn assert_count(home: &Home, condition: &str, expected: Option<usize>) {
    let sql = format!("SELECT count(*) FROM t WHERE {condition}");
    match (home.value(&sql).await, expected) {
        (Ok(found), Some(expected)) => assert_eq!(found, expected.to_string(), "{sql}"),
        (Err(error), None) => assert!(error.to_string().contains("1937 and before as one"), "{sql}: {error}"),
        (found, expected) => panic!("{sql}: {found:?} instead of {expected:?}"),
    }
}

#[tokio::test]
async fn oldest_years_are_compared_with_numbers_where_all_of_them_decide() {
    let home = home();
    for threshold in 1900..=1945 {
        for op in OPERATORS {
            let among: Vec<bool> = (1..=OLDEST).map(|year| holds(op, year.cmp(&threshold))).collect();
            let divided = among.contains(&true) && among.contains(&false);
            let count = (1900..=1945)
                .filter(|year: &i32| holds(op, year.cmp(&threshold)))
                .count();
            let expected = (!divided).then_some(count);
            assert_count(&home, &format!("born {op} {threshold}"), expected).await;
            assert_count(&home, &format!("{threshold} {} born", flipped(op)), expected).await;
            assert_count(&home, &format!("born {op} '{threshold}'"), expected).await;
            assert_count(&home, &format!("born {op} {threshold} + 60 - 60"), expected).await;
            if !matches!(op, "=" | "<>") {
                // No year is between this one and the half year after it.
                let half = match op {
                    ">" | "<=" => format!("{threshold}.5"),
                    _ => format!("{}.5", threshold - 1),
                };
                assert_count(&home, &format!("born {op} {half}"), expected).await;
            }
        }
    }
}

#[tokio::test]
async fn oldest_years_are_compared_with_dates_where_all_of_them_decide() {
    let home = home();
    let (earliest, latest) = (day(1, 1, 1), day(OLDEST, 12, 31));
    let (mut answered, mut refused) = (0, 0);
    for year in [1900, 1936, 1937, 1938, 1945] {
        for of_year in [day(year, 1, 1), day(year, 7, 1), day(year, 12, 31)] {
            for op in OPERATORS {
                let days = (0..366).map(|count| day(year, 1, 1) + Days::new(count));
                let days = days.filter(|other| other.year() == year);
                let within: Vec<bool> = days.map(|other| holds(op, other.cmp(&of_year))).collect();
                let divided = within.contains(&true) && within.contains(&false)
                    || holds(op, earliest.cmp(&of_year)) != holds(op, latest.cmp(&of_year));
                let births = (1900..=1945).map(|year| day(year, 6, 15));
                let count = births.filter(|birth| holds(op, birth.cmp(&of_year))).count();
                for literal in [
                    format!("DATE '{of_year}'"),
                    format!("'{of_year}'"),
                    format!("TIMESTAMP '{of_year} 00:00:00'"),
                ] {
                    let sql = format!("SELECT count(*) FROM t WHERE born {op} {literal}");
                    match home.value(&sql).await {
                        Ok(found) => {
                            assert!(!divided, "{sql}: {found}");
                            assert_eq!(found, count.to_string(), "{sql}");
                            answered += 1;
                        }
                        Err(error) => {
                            assert!(divided, "{sql}: {error}");
                            refused += 1;
                        }
                    }
                }
            }
        }
    }
    assert!(answered >= 30 && refused > 200, "{answered} and {refused}");
    let refusal = home.refusal("SELECT * FROM t WHERE born < DATE '1930-01-01'").await;
    assert!(
        refusal.contains("write `born <= 1937` for all of these years") && refusal.contains("`born >= 1938`"),
        "{refusal}"
    );
}

#[tokio::test]
async fn other_comparisons_of_the_oldest_years_follow_the_same_rule() {
    let home = home();
    for (condition, expected) in [
        ("born IN (1938, 1945)", Some(2)),
        ("born IN (1937, 1945)", None),
        ("born NOT IN (1930)", None),
        ("born BETWEEN 1938 AND 1940", Some(3)),
        ("born NOT BETWEEN 1938 AND 1940", Some(43)),
        ("born BETWEEN 1930 AND 1940", None),
        ("born BETWEEN 1938 AND 1936", None),
        ("born BETWEEN DATE '1938-01-01' AND DATE '1940-12-31'", Some(3)),
        ("CASE born WHEN 1938 THEN 1 ELSE 0 END = 1", Some(1)),
        ("CASE born WHEN 1937 THEN 1 ELSE 0 END = 1", None),
        ("nullif(born, 1930) IS NULL", None),
        ("born IS DISTINCT FROM 1937", None),
        ("born IS NOT DISTINCT FROM 1940", Some(1)),
        ("born = NULL", Some(0)),
        ("born IS NULL", Some(0)),
        ("born = born", Some(46)),
        // The number is that of a row, and may be one of the oldest years.
        ("born < n", None),
        ("n = born", None),
        ("born IN (n)", None),
        ("date_part('year', d) > born", None),
        ("born IN (SELECT n FROM t)", None),
        ("n IN (SELECT born FROM t)", None),
        ("born IN (SELECT born FROM t WHERE n > 1940)", Some(5)),
        ("CASE WHEN born > 1937 THEN born END <= n", Some(8)),
        // What is computed from a year is computed from the one that is shown.
        ("2024 - born < 86", Some(7)),
        ("2024 - born > 87", Some(0)),
        ("CAST(born AS BIGINT) < 1937", Some(0)),
    ] {
        assert_count(&home, condition, expected).await;
    }
    let refusal = home.refusal("SELECT * FROM t WHERE born < n").await;
    assert!(
        refusal.contains("write `CASE WHEN born > 1937 THEN born END`"),
        "{refusal}"
    );
    let joined = "SELECT count(*) FROM t AS one JOIN t AS other ON one.born = other.born";
    assert_eq!(home.value(joined).await.unwrap(), (38 * 38 + 8).to_string());
    let refusal = home
        .refusal("SELECT 1 FROM t AS one JOIN t AS other ON one.n = other.born")
        .await;
    assert!(refusal.contains("THEN born END"), "{refusal}");
}

#[tokio::test]
async fn years_of_grants_that_end_in_different_years_are_not_matched() {
    let home = home().with_years_from(1936, "u", births(1936));
    for sql in [
        "SELECT count(*) FROM t JOIN u ON t.born = u.born",
        "SELECT count(*) FROM t JOIN u USING (born)",
        "SELECT count(*) FROM u JOIN t USING (born)",
        "SELECT count(*) FROM t CROSS JOIN u WHERE t.born < u.born",
        "SELECT count(*) FROM t WHERE born IN (SELECT born FROM u)",
        "SELECT born FROM t INTERSECT SELECT born FROM u",
        "SELECT count(*) FROM (SELECT born FROM t UNION ALL SELECT born FROM u) WHERE born < 1937",
        "SELECT count(*) FROM (SELECT born FROM u UNION ALL SELECT born FROM t) WHERE born < 1937",
        "SELECT count(*) FROM (SELECT born FROM u UNION SELECT born FROM t) WHERE born = 1937",
    ] {
        let refusal = home.refusal(sql).await;
        assert!(refusal.contains("1937 and before as one"), "{sql}: {refusal}");
    }
    for (sql, expected) in [
        (
            "SELECT count(*) FROM (SELECT born FROM u UNION ALL SELECT born FROM t) WHERE born <= 1937",
            "76",
        ),
        (
            "SELECT count(*) FROM (SELECT born FROM u UNION ALL SELECT n FROM t) WHERE born >= 1937",
            "18",
        ),
        (
            "SELECT count(*) FROM t JOIN u \
             ON CASE WHEN t.born > 1937 THEN t.born END = CASE WHEN u.born > 1937 THEN u.born END",
            "8",
        ),
        ("SELECT count(*) FROM t JOIN u ON t.n = u.n", "46"),
    ] {
        assert_eq!(home.value(sql).await.unwrap(), expected, "{sql}");
    }
}

fn field_of(kind: ColumnKind, transform: Transform) -> arrow::datatypes::Field {
    let column = ShownColumn {
        name: "x".to_owned(),
        kind,
        transform,
    };
    let schema = shown_schema("somewhere", &[column]).unwrap();
    schema.field(0).clone()
}

#[test]
fn form_of_two_columns_is_true_of_both() {
    let ten = Transform::Generalized(Generalization::AgeBand(BandWidth::Ten));
    let five = Transform::Generalized(Generalization::AgeBand(BandWidth::Five));
    let (whole, fractions) = (field_of(ColumnKind::Int, ten), field_of(ColumnKind::Float, ten));
    let width = BandWidth::Ten;
    let pairs = [
        (&whole, &whole, true),
        (&whole, &fractions, false),
        (&fractions, &whole, false),
    ];
    for (one, other, expected) in pairs {
        let both = with_values_of(one, other).unwrap();
        assert_eq!(shape_of(&both), Shape::Band { width, whole: expected });
    }
    assert_eq!(with_values_of(&whole, &field_of(ColumnKind::Int, five)), None);
    assert_eq!(with_values_of(&whole, &field_of(ColumnKind::Date, YEAR)), None);

    let years = |kind, oldest| {
        let schema = arrow::datatypes::Schema::new(vec![field_of(kind, YEAR)]);
        with_oldest_year(&schema, oldest).field(0).clone()
    };
    let dates = years(ColumnKind::Date, 1936);
    for (other, expected) in [
        (years(ColumnKind::Date, 1937), (true, Some(1937))),
        (years(ColumnKind::Date, 1900), (true, Some(1936))),
        (years(ColumnKind::Timestamp, 1936), (false, Some(1936))),
        (field_of(ColumnKind::Date, YEAR), (true, Some(1936))),
    ] {
        let expected = Shape::Year(Years {
            dates: expected.0,
            oldest: expected.1,
        });
        assert_eq!(shape_of(&with_values_of(&dates, &other).unwrap()), expected);
        assert_eq!(shape_of(&with_values_of(&other, &dates).unwrap()), expected);
    }
}

#[test]
fn oldest_year_of_a_column_only_becomes_later() {
    let schema = arrow::datatypes::Schema::new(vec![field_of(ColumnKind::Date, YEAR)]);
    let later = with_oldest_year(&schema, 1937);
    assert_eq!(with_oldest_year(&later, 1930), later);
    let Shape::Year(years) = shape_of(with_oldest_year(&later, 1940).field(0)) else {
        panic!("it is a year");
    };
    assert_eq!((years.oldest, years.dates), (Some(1940), true));
    assert_eq!(later.field(0).name(), "x");
}
