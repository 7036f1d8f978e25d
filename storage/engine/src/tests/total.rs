//! Below tier `records`: no value makes a query fail, and what too few subjects have is not released in any form.

use super::*;

const TYPES: [&str; 9] = [
    "SMALLINT",
    "INT",
    "BIGINT",
    "REAL",
    "DOUBLE",
    "TEXT",
    "BOOLEAN",
    "DATE",
    "TIMESTAMP",
];
const COUNTS: [&str; 2] = ["count({})", "count(DISTINCT {})"];
const STATISTICS: [&str; 10] = [
    "sum({})",
    "avg({})",
    "mean({})",
    "stddev({})",
    "stddev_pop({})",
    "stddev_samp({})",
    "var({})",
    "var_pop({})",
    "var_samp({})",
    "var_sample({})",
];
/// Queries of one fixture: each appends to its ledger, which is verified whenever it is opened.
const QUERIES: usize = 160;
const COLUMNS: [&str; 4] = ["name", "born", "age", "chol"];
/// Subjects of [`survivor_among_failures`].
const SUBJECTS: u64 = 40;

/// Expressions of one column that are NULL for some of its values.
fn partial_expressions() -> Vec<String> {
    let mut all = vec![
        "nullif(age, 9000000000)".to_owned(),
        "CASE WHEN age < 100 THEN age END".to_owned(),
        "CASE age WHEN 7 THEN chol END".to_owned(),
        "1 / (age - 9000000000)".to_owned(),
        "1 % (age - 9000000000)".to_owned(),
        "date_part('year', born)".to_owned(),
        "date_part('week', TRY_CAST(name AS TIMESTAMP))".to_owned(),
        "age * age".to_owned(),
        "CAST(age AS DECIMAL(19, 0))".to_owned(),
        "TRY_CAST(age AS DECIMAL(3, 1))".to_owned(),
        "coalesce(nullif(age, 9000000000), NULL)".to_owned(),
        "nvl(nullif(age, 9000000000), NULL)".to_owned(),
        "greatest(nullif(age, 9000000000), NULL)".to_owned(),
        "upper(nullif(name, 'x'))".to_owned(),
    ];
    for column in COLUMNS {
        for to in TYPES {
            all.push(format!("CAST({column} AS {to})"));
            all.push(format!("TRY_CAST({column} AS {to})"));
            for through in ["SMALLINT", "TEXT", "DATE", "TIMESTAMP"] {
                all.push(format!("TRY_CAST(TRY_CAST({column} AS {through}) AS {to})"));
            }
        }
    }
    all
}

#[tokio::test]
async fn nothing_of_a_single_survivor_is_released() {
    let mut withheld = 0;
    for expressions in partial_expressions().chunks(QUERIES / 4) {
        let fixture = survivor_among_failures().await;
        for expression in expressions {
            withheld += withheld_answers(&fixture, expression).await;
        }
    }
    assert!(withheld > 20, "only {withheld} answers about one subject were tried");
}

/// How many answers about `expression` were withheld, if one subject has a value. Nothing else may be released of it.
async fn withheld_answers(fixture: &Fixture, expression: &str) -> usize {
    let counted = format!("SELECT count({expression}) FROM heart");
    let Ok(with_value) = fixture.rows(clear(Tier::Records, &COLUMNS), &counted).await else {
        return 0;
    };
    let with_value: u64 = with_value[0][0].parse().unwrap();
    let few = |subjects: u64| (1..10).contains(&subjects);
    let is_secret = with_value == 0 || few(with_value) || few(SUBJECTS - with_value);
    let mut withheld = 0;
    for (tier, aggregates) in [
        (Tier::Count, &COUNTS[..1]),
        (Tier::Aggregate, &COUNTS[..]),
        (Tier::Aggregate, &STATISTICS[..]),
    ] {
        // Several names stand for one function, so that each needs another name in the answer.
        let named = aggregates
            .iter()
            .enumerate()
            .map(|(at, text)| format!("{text} AS a{at}"));
        let aggregates = named.collect::<Vec<_>>().join(", ").replace("{}", expression);
        let sql = format!("SELECT {aggregates} FROM heart");
        match fixture.rows(clear(tier, &COLUMNS), &sql).await {
            Ok(rows) if is_secret => {
                assert!(rows[0].iter().all(String::is_empty), "{with_value}: {sql}: {rows:?}");
                withheld += usize::from(with_value == 1);
            }
            Ok(_) => {}
            Err(error) => assert!(is_static(&error), "{sql}: {error:?}"),
        }
    }
    withheld
}

/// Whether the error is one of planning, which does not depend on any value.
fn is_static(error: &QueryError) -> bool {
    matches!(
        error,
        QueryError::Invalid { .. }
            | QueryError::Function { .. }
            | QueryError::Fallible { .. }
            | QueryError::FallibleCast { .. }
            | QueryError::Tier { .. }
    )
}

/// 39 subjects with values that few casts accept, and one with small ones.
async fn survivor_among_failures() -> Fixture {
    let rows = (0..40).map(|mrn| match mrn {
        0 => values(mrn, Some("7"), Some(100), Some(7), Some(7.25)),
        _ => values(mrn, Some("x"), Some(i32::MAX), Some(9_000_000_000), Some(1e300)),
    });
    let rows: Vec<RecordBatch> = rows.collect();
    Fixture::of(&[arrow::compute::concat_batches(&schema(), &rows).unwrap()]).await
}

fn values(mrn: i64, name: Option<&str>, born: Option<i32>, age: Option<i64>, chol: Option<f64>) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(vec![mrn])),
        Arc::new(StringArray::from(vec![name])),
        Arc::new(Date32Array::from(vec![born])),
        Arc::new(Int64Array::from(vec![age])),
        Arc::new(Int64Array::from(vec![mrn])),
        Arc::new(Float64Array::from(vec![chol])),
        Arc::new(Int64Array::from(vec![mrn])),
    ];
    RecordBatch::try_new(schema(), columns).unwrap()
}

#[tokio::test]
async fn cast_to_truth_values_is_not_summed() {
    let fixture = survivor_among_failures().await;
    let sql = "SELECT sum(TRY_CAST(CAST(age AS BOOLEAN) AS INT)) FROM heart";
    let error = fixture.refused(clear(Tier::Aggregate, &COLUMNS), sql).await;
    assert!(matches!(error, QueryError::Tier { .. }), "{error}");
    let sql = "SELECT count(CAST(age AS BOOLEAN)) FROM heart";
    let rows = fixture.rows(clear(Tier::Aggregate, &COLUMNS), sql).await.unwrap();
    assert_eq!(rows, [["40"]]);
}

#[tokio::test]
async fn no_value_makes_a_condition_fail() {
    let operands = [
        "age",
        "\"PERSON_ID\"",
        "chol",
        "born",
        "name",
        "(age > 0)",
        "TRY_CAST(age AS INT)",
        "TRY_CAST(chol AS REAL)",
        "TRY_CAST(age AS DECIMAL(20, 3))",
        "CAST(born AS TIMESTAMP)",
        "TRY_CAST(name AS TIMESTAMP WITH TIME ZONE)",
        "TRY_CAST(name AS DATE)",
        "(age + 9223372036854775808)",
        "(CAST(born AS TIMESTAMP) - TRY_CAST(name AS TIMESTAMP))",
        "CASE WHEN age = 1 THEN -(-9223372036854775807 - 1) ELSE 1 END",
    ];
    let columns = ["age", "PERSON_ID", "chol", "born", "name"];
    let mut answered = 0;
    for (at, left) in operands.into_iter().enumerate() {
        let fixture = extreme_values().await;
        for condition in conditions(left, &operands, at) {
            let sql = format!("SELECT count(*) FROM heart WHERE CAST(({condition}) AS TEXT) <> 'a'");
            match fixture.rows(clear(Tier::Count, &columns), &sql).await {
                Ok(_) => answered += 1,
                Err(error) => assert!(is_static(&error), "{sql}: {error:?}"),
            }
        }
    }
    assert!(answered > 300, "only {answered} conditions were answered");
}

/// Casts and functions of `left`, and arithmetic with each of the others.
fn conditions(left: &str, operands: &[&str], at: usize) -> Vec<String> {
    let mut all: Vec<String> = vec![format!("- {left}")];
    all.extend(TYPES.map(|to| format!("CAST({left} AS {to})")));
    all.extend(TYPES.map(|to| format!("TRY_CAST({left} AS {to})")));
    all.extend(FUNCTIONS.map(|function| function.replace("{}", left)));
    for right in operands {
        all.extend(["-", "/", "%"].map(|op| format!("{left} {op} {right}")));
    }
    for right in operands.iter().skip(at) {
        all.extend(["+", "*", "||"].map(|op| format!("{left} {op} {right}")));
    }
    all
}

const FUNCTIONS: [&str; 20] = [
    "ceil({})",
    "floor({})",
    "exp({})",
    "ln({})",
    "log10({})",
    "log2({})",
    "sqrt({})",
    "signum({})",
    "isnan({})",
    "upper({})",
    "trim({})",
    "octet_length({})",
    "strpos({}, 'x')",
    "concat({}, 'x')",
    "coalesce({}, {})",
    "nullif({}, {})",
    "greatest({}, {})",
    "date_part('year', {})",
    "date_part('week', {})",
    "date_part('doy', {})",
];

/// Every pair of extreme integers, with extremes of the other types.
async fn extreme_values() -> Fixture {
    let integers = [
        i64::MIN,
        i64::MIN + 1,
        -86_400_000_000_000,
        -1,
        0,
        1,
        4_000_000_000,
        i64::MAX - 1,
        i64::MAX,
    ];
    let days = [i32::MIN, -1, 0, 20_000, 100_000_000, i32::MAX];
    let floats = [
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MAX,
        f64::MIN,
        0.0,
        -0.5,
    ];
    let texts = [
        "",
        "x",
        "7",
        "1e999",
        "99999999999999999999",
        "2024-02-30",
        "-262143-01-01",
        "inf",
    ];
    let pairs = integers
        .iter()
        .flat_map(|one| integers.iter().map(move |other| (one, other)));
    let rows: Vec<RecordBatch> = (0..)
        .zip(pairs)
        .map(|(row, (one, other)): (usize, _)| {
            let batch = values(
                i64::try_from(row).unwrap(),
                Some(texts[row % texts.len()]),
                Some(days[row % days.len()]),
                Some(*one),
                Some(floats[row % floats.len()]),
            );
            let mut columns = batch.columns().to_vec();
            columns[6] = Arc::new(Int64Array::from(vec![*other]));
            RecordBatch::try_new(schema(), columns).unwrap()
        })
        .collect();
    Fixture::of(&[arrow::compute::concat_batches(&schema(), &rows).unwrap()]).await
}

#[tokio::test]
async fn failing_value_of_one_subject_is_not_visible() {
    let fixture = Fixture::new().await;
    for fallible in [
        "CAST(born + CASE WHEN age = {} THEN 2147483647 ELSE 1 END AS TEXT) <> 'a' OR sex >= 0",
        "CAST(born + CASE WHEN age = {} THEN 2147483647 ELSE 1 END AS TIMESTAMP) > TIMESTAMP '1677-09-22 00:00:00' OR sex >= 0",
        "TRY_CAST(CASE WHEN age = {} THEN 'x' ELSE '2020-01-01' END AS DATE) IS NULL OR sex >= 0",
        "age * (CASE WHEN age = {} THEN 9223372036854775807 ELSE 1 END) IS NULL OR sex >= 0",
        "TRY_CAST(CASE WHEN age = {} THEN 1e300 ELSE 1 END AS DECIMAL(10, 2)) * TRY_CAST(age AS DECIMAL(38, 2)) IS NULL OR sex >= 0",
        "born + CASE WHEN age = {} THEN 2147483647 ELSE 1 END IS NULL OR sex >= 0",
        "(CASE WHEN age = {} THEN 9223372036854775808 ELSE 1 END) * 9223372036854775808 IS NULL OR sex >= 0",
    ] {
        for tier in [Tier::Exists, Tier::Count, Tier::Aggregate] {
            let mut answers = Vec::new();
            for age in ["47", "470"] {
                let sql = format!("SELECT count(*) FROM heart WHERE {}", fallible.replace("{}", age));
                let answer = fixture.rows(clear(tier, &["age", "sex", "born"]), &sql).await;
                answers.push(answer.map_err(|error| error.to_string()));
            }
            let [one, none] = answers.as_slice() else {
                panic!("two answers")
            };
            assert_eq!(one.is_ok(), none.is_ok(), "{fallible}: {one:?} {none:?}");
        }
    }
}

#[tokio::test]
async fn few_subjects_are_answered_like_none() {
    let fixture = Fixture::new().await;
    for (tier, sql) in [
        (Tier::Exists, "SELECT count(*) FROM heart WHERE {}"),
        (Tier::Count, "SELECT count(*) FROM heart WHERE {}"),
        (Tier::Count, "SELECT count(chol) FROM heart WHERE {}"),
        (
            Tier::Aggregate,
            "SELECT count(*), count(chol), avg(chol) FROM heart WHERE {}",
        ),
        (Tier::Aggregate, "SELECT count(DISTINCT age) FROM heart WHERE {}"),
        (
            Tier::Aggregate,
            "SELECT count(*) + 1 FROM heart WHERE {} HAVING count(*) IS NULL",
        ),
        (
            Tier::Aggregate,
            "SELECT sex, count(*), avg(chol) FROM heart WHERE {} GROUP BY sex",
        ),
        (Tier::Aggregate, "SELECT sex FROM heart WHERE {} GROUP BY sex"),
        (Tier::Aggregate, "SELECT count(*) FROM heart WHERE {} GROUP BY sex, age"),
        (Tier::Aggregate, "SELECT count(*) FROM heart WHERE {} GROUP BY 1 + 1"),
    ] {
        let mut released = Vec::new();
        for matching in [
            "age = 400",
            "age = 41",
            "age = 41 AND born > CAST('1980-01-01' AS DATE)",
        ] {
            let sql = sql.replace("{}", matching);
            let scope = clear(tier, &["age", "sex", "chol", "born"]);
            let mut answer = fixture.query(scope, &sql).await.unwrap().into_ipc().unwrap();
            while answer.next_chunk().await.unwrap().is_some() {}
            released.push(answer.totals());
        }
        assert_eq!(released[0], released[1], "{sql}");
        assert_eq!(released[0], released[2], "{sql}");
    }
}

#[tokio::test]
async fn values_that_few_subjects_lack_are_withheld() {
    let fixture = Fixture::new().await;
    let scope = || clear(Tier::Aggregate, &["age", "sex", "chol"]);
    // Two of 182 patients have no `chol`.
    let sql = "SELECT {}count(*), count(chol), avg(chol) FROM heart WHERE chol IS NOT NULL OR age = 20";
    let rows = fixture.rows(scope(), &sql.replace("{}", "")).await.unwrap();
    assert_eq!(rows, [["182", "", ""]]);
    // They are of one sex; the count for the other would follow from the total of both.
    let sql = format!("{} GROUP BY sex ORDER BY sex", sql.replace("{}", "sex, "));
    let rows = fixture.rows(scope(), &sql).await.unwrap();
    assert_eq!(rows, [["0", "100", "", ""], ["1", "82", "", ""]]);
    // Twenty of 200 have none.
    let sql = "SELECT count(*), count(chol) FROM heart";
    assert_eq!(fixture.rows(scope(), sql).await.unwrap(), [["200", "180"]]);
}
