use std::{cmp::Ordering, sync::Arc};

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, Float64Array, Int64Array, UInt64Array};
use arrow::datatypes::{Decimal256Type, i256};
use concordat_protocol::{schema::ColumnKind, scope::Transform};
use proptest::prelude::*;

use super::*;
use crate::{
    QueryError, ShownColumn,
    positions::{positions, unchanged},
    tests::home::Home,
};

/// 18 digits, of which a `DOUBLE` holds 16.
const CODE: i64 = 100_000_000_000_000_992;

fn order_of(values: impl Array + 'static) -> Vec<i256> {
    let values: ArrayRef = Arc::new(values);
    let positions = positions(&values).unwrap();
    positions.as_primitive::<Decimal256Type>().values().to_vec()
}

/// The order of a whole number and a floating point number, by the whole part and the sign of the rest.
fn reference(whole: i128, double: f64) -> Ordering {
    if double.is_nan() || double > 1e38 {
        return Ordering::Less;
    }
    if double < -1e38 {
        return Ordering::Greater;
    }
    let floor = double.floor();
    #[expect(clippy::cast_possible_truncation, reason = "it is a whole number within the range")]
    let below = floor as i128;
    whole.cmp(&below).then(if double > floor {
        Ordering::Less
    } else {
        Ordering::Equal
    })
}

#[expect(clippy::cast_precision_loss, reason = "the nearest floating point number is meant")]
fn nearest(whole: i64) -> f64 {
    whole as f64
}

fn hostile_doubles() -> Vec<f64> {
    let mut all = vec![
        0.0,
        5e-324,
        0.5,
        1.0,
        1.5,
        f64::MAX,
        f64::INFINITY,
        1e18,
        1e19,
        1e38,
        2e38,
    ];
    for exponent in [52, 53, 54, 62, 63, 64, 126, 127] {
        let power = 2f64.powi(exponent);
        all.extend([power, power.next_up(), power.next_down()]);
    }
    let negative: Vec<f64> = all.iter().map(|double| -double).collect();
    all.extend(negative);
    all.push(f64::NAN);
    all
}

proptest! {
    #[test]
    fn exact_positions_are_in_the_order_of_numbers(
        whole in prop_oneof![any::<i64>(), (-70_i64..70).prop_map(|near| (1_i64 << 53) + near), Just(i64::MAX), Just(i64::MIN)],
        double in prop_oneof![
            any::<f64>(),
            prop::sample::select(hostile_doubles()),
            any::<i64>().prop_map(nearest),
        ],
        other in any::<f64>(),
    ) {
        let wholes = order_of(Int64Array::from(vec![whole]));
        let doubles = order_of(Float64Array::from(vec![double, other]));
        prop_assert_eq!(wholes[0].cmp(&doubles[0]), reference(i128::from(whole), double), "{} {}", whole, double);
        if !double.is_nan() && !other.is_nan() {
            prop_assert_eq!(doubles[0].partial_cmp(&doubles[1]), double.partial_cmp(&other), "{} {}", double, other);
        }
    }
}

#[test]
fn exact_positions_of_equal_numbers_are_one() {
    let most = 99_999_999_999_999_999_999_999_999_999_999_999_999_i128;
    let decimals = Decimal128Array::from(vec![5, -5, most, -most])
        .with_precision_and_scale(38, 0)
        .unwrap();
    let decimals = order_of(decimals);
    let wholes = order_of(Int64Array::from(vec![5, -5]));
    let doubles = order_of(Float64Array::from(vec![5.0, -5.0, 1.1e38, -1.1e38]));
    assert_eq!(decimals[..2], wholes);
    assert_eq!(doubles[..2], wholes);
    assert!(decimals[2] < doubles[2] && decimals[3] > doubles[3]);
    let unsigned = order_of(UInt64Array::from(vec![5, u64::MAX]));
    assert_eq!(unsigned[0], wholes[0]);
    assert!(unsigned[1] < order_of(Float64Array::from(vec![2f64.powi(64)]))[0]);
    let zeros = order_of(Float64Array::from(vec![0.0, -0.0, f64::NAN, -f64::NAN]));
    assert_eq!((zeros[0], zeros[2]), (zeros[1], zeros[3]));
}

fn as_doubles(values: &ArrayRef) -> Option<ArrayRef> {
    unchanged(values, &DataType::Float64).unwrap()
}

#[test]
fn exact_conversion_changes_no_number() {
    let whole = |values: Vec<Option<i64>>| -> ArrayRef { Arc::new(Int64Array::from(values)) };
    let exact = 1_i64 << 53;
    assert!(as_doubles(&whole(vec![Some(exact), None, Some(-exact), Some(i64::MIN)])).is_some());
    for changed in [exact + 1, -exact - 1, i64::MAX, CODE + 1] {
        assert!(as_doubles(&whole(vec![Some(1), Some(changed)])).is_none(), "{changed}");
    }
    let doubles: ArrayRef = Arc::new(Float64Array::from(vec![Some(1.0), None, Some(f64::NAN)]));
    assert!(unchanged(&doubles, &DataType::Float64).unwrap().is_some());
    assert!(unchanged(&doubles, &DataType::Int64).unwrap().is_none());
}

fn column(name: &str, kind: ColumnKind, values: ArrayRef) -> (ShownColumn, ArrayRef) {
    let column = ShownColumn {
        name: name.to_owned(),
        kind,
        transform: Transform::Clear,
    };
    (column, values)
}

/// Ten codes that are two numbers as `DOUBLE`, small numbers, and halves; in `d` the codes as `DOUBLE`, of which only the first is
/// unchanged.
fn codes() -> Home {
    let codes: Vec<i64> = (0..10).map(|at| CODE + at).collect();
    let doubles: Vec<f64> = codes.iter().copied().map(nearest).collect();
    Home::of(vec![
        column("code", ColumnKind::Int, Arc::new(Int64Array::from(codes))),
        column("d", ColumnKind::Float, Arc::new(Float64Array::from(doubles))),
        column("small", ColumnKind::Int, Arc::new(Int64Array::from_iter_values(0..10))),
        column(
            "half",
            ColumnKind::Float,
            Arc::new(Float64Array::from_iter_values(
                (0..10_i32).map(|at| f64::from(at) / 2.0),
            )),
        ),
    ])
}

#[tokio::test]
async fn exact_comparisons_distinguish_large_whole_numbers() {
    let home = codes();
    for (condition, count) in [
        ("code = d", "1"),
        ("d = code", "1"),
        ("code <> d", "9"),
        ("code IS NOT DISTINCT FROM d", "1"),
        ("code = 100000000000000993", "1"),
        ("code = CAST('100000000000000992' AS DOUBLE)", "1"),
        ("code = 100000000000000992.0", "1"),
        ("code > 1e17", "10"),
        ("code < 1e300", "10"),
        ("code IN (100000000000000993, 2.5)", "1"),
        ("code IN (d, 2.5)", "1"),
        ("code BETWEEN 100000000000000994 AND 1e18", "8"),
        ("code BETWEEN d AND d", "1"),
        ("d BETWEEN code AND code", "1"),
        ("d = 100000000000000993", "0"),
        ("d = 100000000000000992", "9"),
        ("CASE code WHEN d THEN 1 ELSE 0 END = 1", "1"),
        ("code IN (SELECT d FROM t)", "1"),
        ("code NOT IN (SELECT d FROM t)", "9"),
        ("d IN (SELECT code FROM t)", "9"),
        ("CAST(code AS DECIMAL(18, 0)) = d", "1"),
        ("CAST(small AS DECIMAL(38, 15)) = CAST(small AS DECIMAL(38, 30))", "10"),
        ("CAST(code AS DECIMAL(38, 15)) > CAST(small AS DECIMAL(38, 30))", "10"),
        ("small = half", "1"),
        ("small IN (2.0, 2.5)", "1"),
    ] {
        let sql = format!("SELECT count(*) FROM t WHERE {condition}");
        let found = home.value(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert_eq!(found, count, "{sql}");
    }
}

#[tokio::test]
async fn exact_keys_of_joins_and_sets_are_whole_numbers() {
    let home = codes();
    for (sql, count) in [
        ("SELECT count(*) FROM t a JOIN t b ON a.code = b.d", "9"),
        ("SELECT count(DISTINCT a.code) FROM t a JOIN t b ON a.code = b.d", "1"),
        (
            "SELECT count(*) FROM t a JOIN (SELECT DISTINCT d AS code FROM t) b USING (code)",
            "1",
        ),
        (
            "SELECT count(*) FROM (SELECT code FROM t INTERSECT SELECT d FROM t)",
            "1",
        ),
        ("SELECT count(*) FROM (SELECT code FROM t EXCEPT SELECT d FROM t)", "9"),
        (
            "SELECT count(*) FROM (SELECT small FROM t UNION SELECT half FROM t)",
            "15",
        ),
        (
            "SELECT count(*) FROM (SELECT CAST(code AS TEXT) FROM t UNION SELECT CAST(d AS TEXT) FROM t)",
            "12",
        ),
    ] {
        let found = home.value(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert_eq!(found, count, "{sql}");
    }
}

/// Where whole numbers and `DOUBLE` are one column.
const ONE_COLUMN: [&str; 9] = [
    "SELECT code FROM t UNION ALL SELECT half FROM t",
    "SELECT half FROM t UNION SELECT code FROM t",
    "SELECT coalesce(code, half) FROM t",
    "SELECT nvl(code, half) FROM t",
    "SELECT nullif(code, 2.5) FROM t",
    "SELECT greatest(code, half) FROM t",
    "SELECT least(2.5, code) FROM t",
    "SELECT CASE WHEN half > 1 THEN code ELSE half END FROM t",
    "SELECT nvl2(half, code, 0.5) FROM t",
];

#[tokio::test]
async fn exact_column_has_no_number_that_changed() {
    let home = codes();
    for sql in ONE_COLUMN {
        let error = home.rows(sql).await.unwrap_err();
        assert!(
            matches!(&error, QueryError::NoDouble { operand } if operand == "code"),
            "{sql}: {error}"
        );
        let small = sql.replace("code", "small");
        assert!(home.rows(&small).await.is_ok(), "{small}");
        if !sql.contains("UNION") {
            let refusal = home.computed(sql, Casts::Refused).await.unwrap_err().to_string();
            assert!(refusal.contains("write `CAST(code AS DOUBLE)`"), "{sql}: {refusal}");
        }
        let cast = sql.replace("code", "CAST(code AS DOUBLE)");
        assert!(home.rows(&cast).await.is_ok(), "{cast}");
    }
    let defaults = "SELECT lag(code, 1, 2.5) OVER (ORDER BY code) FROM t";
    assert!(home.refusal(defaults).await.contains("cannot be a value of `code`"));
    let wide = "SELECT coalesce(CAST(code AS DECIMAL(38, 0)), CAST(half AS DECIMAL(38, 30))) FROM t";
    assert!(home.refusal(wide).await.contains("38 digits"));
}
