//! Values that the documentation states, from stored rows: a provider and the consumer's node compute the same.

use arrow::{array::TimestampMillisecondArray, datatypes::TimeUnit};
use chrono::NaiveDate;
use concordat_protocol::schema::ColumnKind;

use super::{home::Home, *};
use crate::ShownColumn;

/// How often the rows of [`columns`] are repeated, so that conditions skip some of several row groups.
const TIMES: usize = 20;
const DAY_MILLIS: i64 = 86_400_000;

fn day(text: &str) -> i32 {
    let epoch = NaiveDate::from_ymd_opt(1970, 1, 1).unwrap();
    let day: NaiveDate = text.parse().unwrap();
    i32::try_from((day - epoch).num_days()).unwrap()
}

/// The milliseconds of a day, and some more.
fn moment(text: &str, more: i64) -> i64 {
    i64::from(day(text)) * DAY_MILLIS + more
}

fn repeated<T: Clone>(values: &[T]) -> Vec<T> {
    std::iter::repeat_n(values, TIMES).flatten().cloned().collect()
}

/// Six rows, repeated: operands of divisions, numbers to be rounded, and dates up to year 9999 with timestamps beside them.
fn columns() -> Vec<(&'static str, ColumnKind, ArrayRef)> {
    let numbers = i64::try_from(6 * TIMES).unwrap();
    let n = [Some(7), Some(-7), Some(7), Some(i64::MIN), Some(0), None];
    let m = [2, 2, 0, 3, 0, 1];
    let x = [Some(1.5), Some(2.5), Some(-1.5), Some(0.5), Some(3.5), None];
    let y = [0.0, 2.0, -0.0, 0.0, 1.0, 1.0];
    let d = ["9999-12-31", "2020-06-30", "0001-01-01", "1970-01-01", "", "2262-04-12"];
    let d = d.map(|text| (!text.is_empty()).then(|| day(text)));
    let s = [
        moment("2021-01-01", 0),
        moment("2021-01-01", 0),
        moment("0001-01-01", 0),
        moment("1970-01-01", 1),
        moment("2021-01-01", 0),
        moment("2262-04-12", -1),
    ];
    vec![
        (
            "mrn",
            ColumnKind::Int,
            Arc::new(Int64Array::from_iter_values(0..numbers)),
        ),
        ("n", ColumnKind::Int, Arc::new(Int64Array::from(repeated(&n)))),
        ("m", ColumnKind::Int, Arc::new(Int64Array::from(repeated(&m)))),
        ("x", ColumnKind::Float, Arc::new(Float64Array::from(repeated(&x)))),
        ("y", ColumnKind::Float, Arc::new(Float64Array::from(repeated(&y)))),
        ("d", ColumnKind::Date, Arc::new(Date32Array::from(repeated(&d)))),
        (
            "s",
            ColumnKind::Timestamp,
            Arc::new(TimestampMillisecondArray::from(repeated(&s))),
        ),
    ]
}

/// The rows as a provider stores them, six in each row group.
async fn stored() -> Fixture {
    let field = |(name, _, values): &(&str, ColumnKind, ArrayRef)| Field::new(*name, values.data_type().clone(), true);
    let schema = Arc::new(Schema::new(columns().iter().map(field).collect::<Vec<_>>()));
    let moments = DataType::Timestamp(TimeUnit::Millisecond, None);
    assert_eq!(schema.field_with_name("s").unwrap().data_type(), &moments);
    let values = columns().into_iter().map(|(_, _, values)| values).collect();
    let rows = RecordBatch::try_new(Arc::clone(&schema), values).unwrap();
    Fixture {
        schema,
        ..Fixture::of_groups(&[rows], Some(6)).await
    }
}

/// The rows as the consumer's node has them.
fn received() -> Home {
    let columns = columns().into_iter().map(|(name, kind, values)| {
        let shown = ShownColumn {
            name: name.to_owned(),
            kind,
            transform: Transform::Clear,
        };
        (shown, values)
    });
    Home::new().with("heart", "somewhere", columns.collect())
}

fn all_columns() -> Scope {
    clear(Tier::Records, &["mrn", "n", "m", "x", "y", "d", "s"])
}

#[tokio::test]
async fn documented_values_are_those_of_provider_and_consumer() {
    let (provider, consumer) = (stored().await, received());
    let constant = |value: &'static str| [value; 6];
    for (expression, expected) in [
        ("CAST(1.5 AS INTEGER)", constant("2")),
        ("CAST(2.5 AS INTEGER)", constant("2")),
        ("CAST(-1.5 AS INTEGER)", constant("-2")),
        ("CAST(CAST(2.5 AS DECIMAL(3, 1)) AS INTEGER)", constant("3")),
        ("CAST(x AS INTEGER)", ["2", "2", "-2", "0", "4", ""]),
        ("TRY_CAST(x AS BIGINT)", ["2", "2", "-2", "0", "4", ""]),
        ("7 / 2", constant("3")),
        ("-7 / 2", constant("-3")),
        ("7 / 2.0", constant("3.5")),
        ("7 / 0", constant("")),
        ("7 % 0", constant("")),
        ("7.5 / 0", constant("")),
        ("0.0 / 0.0", constant("")),
        ("n / m", ["3", "-3", "", "-3074457345618258602", "", ""]),
        ("n % m", ["1", "-1", "", "-2", "", ""]),
        ("n / y", ["", "-3.5", "", "", "0.0", ""]),
        ("x / y", ["", "1.25", "", "", "3.5", ""]),
        ("x / m", ["0.75", "1.25", "", "0.16666666666666666", "", ""]),
        (
            "d > TIMESTAMP '2021-01-01 00:00:00'",
            ["true", "false", "false", "false", "", "true"],
        ),
        ("d > s", ["true", "false", "false", "false", "", "true"]),
        ("d = s", ["false", "false", "true", "false", "", "false"]),
        ("CAST(d AS TIMESTAMP) = d", ["true", "true", "true", "true", "", "true"]),
        ("CAST(s AS DATE) = d", ["false", "false", "true", "true", "", "false"]),
    ] {
        let sql = format!("SELECT mrn, ({expression}) AS v FROM heart WHERE mrn < 6 ORDER BY mrn");
        let one = provider.rows(all_columns(), &sql).await;
        let one = one.unwrap_or_else(|error| panic!("{sql}: {error}"));
        let own = consumer.rows(&sql).await;
        let own = own.unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert_eq!(one, own, "{sql}");
        let cells: Vec<&str> = one.iter().map(|row| row[1].as_str()).collect();
        assert_eq!(cells, expected, "{sql}");
    }
}

/// Conditions also decide which stored rows are read at all.
#[tokio::test]
async fn documented_conditions_are_those_of_provider_and_consumer() {
    let (provider, consumer) = (stored().await, received());
    for (condition, rows) in [
        ("d > TIMESTAMP '2021-01-01 00:00:00'", 2),
        ("TIMESTAMP '2021-01-01 00:00:00' < d", 2),
        ("d > '2021-01-01'", 2),
        ("d > s", 2),
        ("d >= s", 3),
        ("NOT d <= s", 2),
        ("d = s", 1),
        ("d = TIMESTAMP '9999-12-31 00:00:00'", 1),
        ("d < TIMESTAMP '9999-12-31 00:00:00'", 4),
        (
            "d IN (TIMESTAMP '9999-12-31 00:00:00', TIMESTAMP '0001-01-01 00:00:00')",
            2,
        ),
        (
            "d BETWEEN TIMESTAMP '2021-01-01 00:00:00' AND TIMESTAMP '9999-12-31 00:00:00'",
            2,
        ),
        ("s > DATE '2262-04-11'", 1),
        ("s <= DATE '0001-01-01'", 1),
        ("CAST(1.5 AS INTEGER) = 2", 6),
        ("CAST(1.5 AS INTEGER) = m", 2),
        ("TRY_CAST(x AS INTEGER) = 2", 2),
        ("n / m = 3", 1),
        ("n / m IS NULL", 3),
        ("n % m = -1", 1),
        ("x / y IS NULL", 4),
        ("1 / m >= 0", 4),
        ("n = 7 AND 7 / 2 = 3", 2),
    ] {
        let sql = format!("SELECT count(*) FROM heart WHERE {condition}");
        let expected = (rows * TIMES).to_string();
        assert_eq!(consumer.value(&sql).await.unwrap(), expected, "{sql}");
        let found = provider.rows(all_columns(), &sql).await;
        let found = found.unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert_eq!(found, [[expected.as_str()]], "{sql}");
    }
}
