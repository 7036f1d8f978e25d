//! Every operator over every pair of classes, as columns and as literals.

use std::cmp::Ordering;

use super::*;

/// A value as the oracle compares it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Known {
    Missing,
    Number(f64, Option<i64>),
    Truth(bool),
    Text(&'static str),
    /// Microseconds, of a day or of a point in time.
    Day(i64),
    Moment(i64),
    Instant(i64),
}

const DAY: i64 = 86_400_000_000;

/// An operand in SQL, and its value in each row; `reads` if it is a text that the query wrote.
struct Operand {
    sql: &'static str,
    rows: [Known; 4],
}

fn whole(value: i64) -> Known {
    #[expect(clippy::cast_precision_loss, reason = "the nearest floating point number is meant")]
    Known::Number(value as f64, Some(value))
}

fn fraction(value: f64) -> Known {
    Known::Number(value, None)
}

fn operands() -> Vec<Operand> {
    use Known::{Day, Instant, Missing, Moment, Text, Truth};
    let days = [18_262 * DAY, 0, -719_162 * DAY, 2_932_896 * DAY];
    let moments = [days[0], 1000, days[2], days[3] + DAY - 1000];
    let column = |sql, rows| Operand { sql, rows };
    let literal = |sql, value: Known| Operand { sql, rows: [value; 4] };
    vec![
        column("n", [whole(5), whole(-1), whole(i64::MAX), Missing]),
        column("x", [fraction(2.5), fraction(5.0), fraction(-1e300), Missing]),
        column("b", [Truth(true), Truth(false), Truth(true), Missing]),
        column("v", [Text("5"), Text("2020-01-01"), Text(""), Missing]),
        column("d", days.map(Day)),
        column("s", moments.map(Moment)),
        column("z", moments.map(Instant)),
        literal("5", whole(5)),
        literal("-1", whole(-1)),
        literal("2.5", fraction(2.5)),
        literal("true", Truth(true)),
        literal("NULL", Missing),
        literal("DATE '2020-01-01'", Day(days[0])),
        literal("DATE '9999-12-31'", Day(days[3])),
        literal("TIMESTAMP '2020-01-01 00:00:00'", Moment(days[0])),
        literal("TIMESTAMP '0001-01-01 00:00:00.000001'", Moment(days[2] + 1)),
        literal("TIMESTAMP '9999-12-31 23:59:59.999'", Moment(moments[3])),
        literal(
            "CAST('2020-01-01T01:00:00+01:00' AS TIMESTAMP WITH TIME ZONE)",
            Instant(days[0]),
        ),
    ]
}

/// What a text is beside each of these columns; `None` if it is refused.
type Readings = Vec<(&'static str, Option<Known>)>;

/// Texts that a query writes, and what they are beside a column of each class.
fn texts() -> Vec<(&'static str, Readings)> {
    use Known::{Day, Instant, Moment, Text, Truth};
    let day = 18_262 * DAY;
    vec![
        (
            "'5'",
            vec![
                ("n", Some(whole(5))),
                ("x", Some(whole(5))),
                ("b", None),
                ("v", Some(Text("5"))),
                ("d", None),
                ("s", None),
                ("z", None),
            ],
        ),
        (
            "'2.5'",
            vec![
                ("n", None),
                ("x", Some(fraction(2.5))),
                ("b", None),
                ("v", Some(Text("2.5"))),
                ("d", None),
            ],
        ),
        ("' 5'", vec![("n", None), ("x", None), ("v", Some(Text(" 5")))]),
        (
            "'true'",
            vec![
                ("n", None),
                ("b", Some(Truth(true))),
                ("v", Some(Text("true"))),
                ("s", None),
            ],
        ),
        (
            "'2020-01-01'",
            vec![
                ("n", None),
                ("b", None),
                ("d", Some(Day(day))),
                ("s", Some(Moment(day))),
                ("z", Some(Instant(day))),
                ("v", Some(Text("2020-01-01"))),
            ],
        ),
        (
            "'2020-01-01 00:00:00'",
            vec![("d", None), ("s", Some(Moment(day))), ("z", Some(Instant(day)))],
        ),
        (
            "'2020-01-01 01:00:00+01:00'",
            vec![("d", None), ("s", None), ("z", Some(Instant(day)))],
        ),
        ("'2020-02-30'", vec![("d", None), ("s", None), ("z", None)]),
        ("'0000-01-01'", vec![("d", None)]),
        ("'10000-01-01'", vec![("d", None)]),
        (
            "''",
            vec![
                ("n", None),
                ("x", None),
                ("b", None),
                ("d", None),
                ("v", Some(Text(""))),
            ],
        ),
    ]
}

const OPERATORS: [&str; 8] = [
    "=",
    "<>",
    "<",
    "<=",
    ">",
    ">=",
    "IS DISTINCT FROM",
    "IS NOT DISTINCT FROM",
];

/// The order of two values; `None` if they are not comparable, and `Some(None)` if one is missing.
fn order(one: Known, other: Known) -> Option<Option<Ordering>> {
    use Known::{Day, Instant, Missing, Moment, Number, Text, Truth};
    Some(match (one, other) {
        (Missing, _) | (_, Missing) => None,
        (Number(_, Some(one)), Number(_, Some(other))) => Some(one.cmp(&other)),
        (Number(one, _), Number(other, _)) => one.partial_cmp(&other),
        (Truth(one), Truth(other)) => Some(one.cmp(&other)),
        (Text(one), Text(other)) => Some(one.cmp(other)),
        (Day(one) | Moment(one), Day(other) | Moment(other)) => Some(one.cmp(&other)),
        (Instant(one), Instant(other)) => Some(one.cmp(&other)),
        _ => return None,
    })
}

fn expected(op: &str, one: Known, other: Known) -> &'static str {
    let missing = (one == Known::Missing, other == Known::Missing);
    let order = order(one, other).flatten();
    let truth = match (op, order, missing) {
        ("IS DISTINCT FROM", None, missing) => missing.0 != missing.1,
        ("IS NOT DISTINCT FROM", None, missing) => missing.0 == missing.1,
        (_, None, _) => return "",
        ("=" | "IS NOT DISTINCT FROM", Some(order), _) => order.is_eq(),
        ("<>" | "IS DISTINCT FROM", Some(order), _) => order.is_ne(),
        ("<", Some(order), _) => order.is_lt(),
        ("<=", Some(order), _) => order.is_le(),
        (">", Some(order), _) => order.is_gt(),
        (">=", Some(order), _) => order.is_ge(),
        _ => unreachable!("{op}"),
    };
    if truth { "true" } else { "false" }
}

/// Whether two operands have classes that are compared. A literal without a zone is in UTC, a column without one is not.
fn comparable(one: &Operand, other: &Operand) -> bool {
    use Known::{Instant, Missing};
    let is = |operand: &Operand, wanted: fn(&Known) -> bool| {
        operand.rows.iter().all(|row| matches!(row, Missing) || wanted(row))
    };
    let missing = |operand: &Operand| operand.rows.iter().all(|row| matches!(row, Missing));
    let instant = |operand: &Operand| is(operand, |row| matches!(row, Instant(_)));
    let no_zone = |operand: &Operand| is(operand, |row| matches!(row, Known::Day(_) | Known::Moment(_)));
    let literal = |operand: &Operand| operand.sql.contains('\'');
    if missing(one) || missing(other) {
        return true;
    }
    if instant(one) && no_zone(other) {
        return literal(other);
    }
    if instant(other) && no_zone(one) {
        return literal(one);
    }
    order(one.rows[0], other.rows[0]).is_some()
}

#[expect(clippy::wildcard_enum_match_arm, reason = "other values have no zone to lack")]
fn as_instant(operand: &Operand, beside: &Operand) -> [Known; 4] {
    let zoned = beside.rows.iter().any(|row| matches!(row, Known::Instant(_)));
    operand.rows.map(|row| match row {
        Known::Day(micros) | Known::Moment(micros) if zoned => Known::Instant(micros),
        other => other,
    })
}

#[tokio::test]
async fn comparison_is_exact_or_refused_for_all_classes() {
    let home = one_of_each();
    let (mut answered, mut refused) = (0, 0);
    for one in operands() {
        for other in operands() {
            let selected: Vec<String> = OPERATORS
                .iter()
                .enumerate()
                .map(|(at, op)| format!("({} {op} {}) AS c{at}", one.sql, other.sql))
                .collect();
            let sql = format!("SELECT {} FROM t", selected.join(", "));
            if !comparable(&one, &other) {
                let refusal = home.refusal(&sql).await;
                assert!(refusal.contains("not valid for the columns"), "{sql}: {refusal}");
                refused += 1;
                continue;
            }
            let rows = home.rows(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
            let (left, right) = (as_instant(&one, &other), as_instant(&other, &one));
            for (row, cells) in rows.iter().enumerate() {
                for (op, cell) in OPERATORS.iter().zip(cells) {
                    assert_eq!(
                        cell,
                        expected(op, left[row], right[row]),
                        "row {row} of {} {op} {}",
                        one.sql,
                        other.sql
                    );
                }
            }
            answered += 1;
        }
    }
    assert!(answered > 100 && refused > 100, "{answered} and {refused}");
}

#[tokio::test]
async fn text_literal_is_read_as_what_it_is_compared_with() {
    let home = one_of_each();
    let columns = operands();
    for (text, cases) in texts() {
        for (column, value) in cases {
            for op in ["=", ">=", "IS DISTINCT FROM"] {
                for sql in [
                    format!("SELECT ({column} {op} {text}) FROM t"),
                    format!("SELECT ({text} {op} {column}) FROM t"),
                ] {
                    let Some(value) = value else {
                        let refusal = home.refusal(&sql).await;
                        assert!(
                            refusal.contains("the text")
                                && !refusal.contains(text)
                                && refusal.contains(&format!("`{column}`")),
                            "{sql}: {refusal}"
                        );
                        continue;
                    };
                    let known = columns.iter().find(|operand| operand.sql == column).unwrap();
                    let rows = home.rows(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
                    for (row, cells) in rows.iter().enumerate() {
                        let (left, right) = if sql.contains(&format!("({column}")) {
                            (known.rows[row], value)
                        } else {
                            (value, known.rows[row])
                        };
                        assert_eq!(cells[0], expected(op, left, right), "row {row} of {sql}");
                    }
                }
            }
        }
    }
}

/// The other forms that compare, with each pair of columns.
#[tokio::test]
async fn other_comparisons_follow_the_same_rule() {
    let home = one_of_each();
    let forms = [
        "SELECT ({0} IN ({1})) FROM t",
        "SELECT ({0} NOT IN ({1}, {1})) FROM t",
        "SELECT ({0} BETWEEN {1} AND {1}) FROM t",
        "SELECT ({1} BETWEEN {0} AND {1}) FROM t",
        "SELECT CASE {0} WHEN {1} THEN 1 END FROM t",
        "SELECT CASE WHEN b THEN {0} ELSE {1} END FROM t",
        "SELECT nullif({0}, {1}) FROM t",
        "SELECT coalesce({0}, {1}) FROM t",
        "SELECT greatest({0}, {1}) FROM t",
        "SELECT least({0}, {1}) FROM t",
        "SELECT nvl({0}, {1}) FROM t",
        "SELECT one.n FROM t AS one JOIN t AS other ON one.{0} = other.{1}",
        "SELECT n FROM t WHERE {0} IN (SELECT {1} FROM t)",
        "SELECT {0} FROM t UNION ALL SELECT {1} FROM t",
        "SELECT {0} FROM t INTERSECT SELECT {1} FROM t",
        "SELECT {0} FROM t EXCEPT SELECT {1} FROM t",
    ];
    let columns: Vec<Operand> = operands().into_iter().take(7).collect();
    for one in &columns {
        for other in &columns {
            for form in forms {
                let sql = form.replace("{0}", one.sql).replace("{1}", other.sql);
                let dates = form.contains("IN (SELECT") && one.sql != other.sql;
                let expected = comparable(one, other) && !(dates && (one.sql == "d" || other.sql == "d"));
                match home.rows(&sql).await {
                    Ok(_) => assert!(expected, "{sql} was answered"),
                    // The greatest whole number has no `DOUBLE`.
                    Err(QueryError::NoDouble { operand }) => assert_eq!(operand, "n", "{sql}"),
                    Err(error) => assert!(!expected, "{sql}: {error}"),
                }
            }
        }
    }
}

#[tokio::test]
async fn far_dates_are_compared_with_timestamps() {
    let home = one_of_each();
    for (condition, count) in [
        ("d > TIMESTAMP '2021-01-01 00:00:00'", "1"),
        ("d < s", "2"),
        ("d = s", "2"),
        ("s > DATE '9999-12-31'", "1"),
        (
            "d BETWEEN TIMESTAMP '0001-01-01 00:00:00' AND TIMESTAMP '1970-01-01 00:00:00'",
            "2",
        ),
        ("d IN (TIMESTAMP '9999-12-31 00:00:00')", "1"),
        ("coalesce(d, s) = d", "4"),
        ("greatest(d, s) = s", "4"),
        ("CAST(d AS TIMESTAMP) <= s", "4"),
        ("CAST(s AS DATE) = d", "4"),
        ("s - d >= INTERVAL '23 hours'", "1"),
        ("z >= TIMESTAMP '9999-12-31 23:59:59.999'", "1"),
        ("z < '1970-01-01'", "1"),
    ] {
        let sql = format!("SELECT count(*) FROM t WHERE {condition}");
        assert_eq!(home.value(&sql).await.unwrap(), count, "{sql}");
    }
    let united = "SELECT max(c) FROM (SELECT d AS c FROM t UNION ALL SELECT s FROM t)";
    assert_eq!(home.value(united).await.unwrap(), "9999-12-31T23:59:59.999");
    let joined = "SELECT count(*) FROM t AS one JOIN t AS other ON one.d = other.s";
    assert_eq!(home.value(joined).await.unwrap(), "2");
}

#[tokio::test]
async fn decimals_beside_floating_point_numbers_lose_nothing() {
    let home = one_of_each();
    for (condition, count) in [
        ("CAST(n AS DECIMAL(38, 0)) > x", "2"),
        ("CAST(n AS DECIMAL(19, 0)) > -1e300", "3"),
        ("x < CAST(n AS DECIMAL(19, 0)) * 1e300", "2"),
        ("CAST(n AS DECIMAL(38, 19)) = n", "3"),
        ("CAST(n AS DECIMAL(38, 0)) = n", "3"),
        ("x IN (CAST(2.5 AS DECIMAL(2, 1)), 1e300)", "1"),
        ("CAST(2.5 AS DECIMAL(2, 1)) + x > 4", "2"),
    ] {
        let sql = format!("SELECT count(*) FROM t WHERE {condition}");
        assert_eq!(home.value(&sql).await.unwrap(), count, "{sql}");
    }
}

#[tokio::test]
async fn refusals_name_the_form_that_works() {
    let home = one_of_each();
    for (sql, part) in [
        (
            "SELECT * FROM t WHERE v > 100",
            "`v` is text; write `TRY_CAST(v AS DOUBLE) > 100`; a text that is not a number is missing then",
        ),
        (
            "SELECT * FROM t WHERE 100 < v",
            "`v` is text; write `100 < TRY_CAST(v AS DOUBLE)`",
        ),
        (
            "SELECT * FROM t WHERE v = d",
            "`v` is text; write `TRY_CAST(v AS DATE) = d`; a text that is not a date is missing then, and \
             `SELECT count(*) … WHERE v IS NOT NULL AND TRY_CAST(v AS DATE) IS NULL` counts those",
        ),
        (
            "SELECT * FROM t WHERE v IN (1, 2)",
            "`v` is text; write `TRY_CAST(v AS DOUBLE)`",
        ),
        (
            "SELECT * FROM t WHERE v BETWEEN 1 AND 2",
            "`v` is text; write `TRY_CAST(v AS DOUBLE)`",
        ),
        (
            "SELECT * FROM t WHERE n = 'abc'",
            "`n` is a whole number, and the text is not a whole number",
        ),
        (
            "SELECT * FROM t WHERE d = '2020-13-01'",
            "`d` is a date, and the text is not a date, written `yyyy-mm-dd`",
        ),
        (
            "SELECT * FROM t WHERE b = 1",
            "`b` is true or false, and `1` is a number",
        ),
        (
            "SELECT * FROM t WHERE z > s",
            "`s` is a timestamp, and has no zone; if it is in UTC, write `CAST(s AS TIMESTAMP WITH TIME ZONE)`",
        ),
        (
            "SELECT v + 1 FROM t",
            "`v` is text; write `TRY_CAST(v AS DOUBLE)` to compute with it; a text that is not a number is missing then",
        ),
        (
            "SELECT sqrt(v) FROM t",
            "if `v` is text, write `sqrt(TRY_CAST(v AS DOUBLE))`",
        ),
        ("SELECT date_part('year', v) FROM t", "`v` is text"),
        (
            "SELECT date_part('year', v) FROM t",
            "is missing then, and `SELECT count(*)",
        ),
        ("SELECT * FROM t WHERE n LIKE '5%'", "write `CAST(n AS TEXT) LIKE …`"),
        ("SELECT * FROM t WHERE NOT n", "`NOT` needs a condition"),
        ("SELECT CAST(n AS DATE) FROM t", "a number has no unit of time"),
        ("SELECT substr(v, x) FROM t", "`substr` does not take these arguments"),
        ("SELECT d + x FROM t", "`x` is not a whole number of days"),
        ("SELECT b + 1 FROM t", "there is no `+` of them"),
    ] {
        let refusal = home.refusal(sql).await;
        assert!(refusal.contains(part), "{sql}: {refusal}");
    }
}
