//! The consumer knows the answer of a provider before it sends a text: the same columns, and the same refusals.

use super::*;
use crate::{ShownColumn, foreseen, shown_schema, with_oldest_year};
use concordat_protocol::{error_kind::Explain, schema::ColumnKind};

const COLUMNS: [(&str, ColumnKind, Transform); 7] = [
    ("mrn", ColumnKind::Int, Transform::Pseudonym),
    ("name", ColumnKind::Text, Transform::Clear),
    ("born", ColumnKind::Date, YEAR),
    ("age", ColumnKind::Int, BANDS),
    ("sex", ColumnKind::Int, Transform::Clear),
    ("chol", ColumnKind::Float, Transform::Clear),
    ("PERSON_ID", ColumnKind::Int, Transform::Removed),
];

/// The columns under a permission that ends in 2027.
fn shown() -> SchemaRef {
    shown_from(1937)
}

/// The columns, where `oldest` and all years before it are one.
fn shown_from(oldest: i32) -> SchemaRef {
    let columns = COLUMNS.map(|(name, kind, transform)| ShownColumn {
        name: name.to_owned(),
        kind,
        transform,
    });
    let shown = shown_schema("budapest.heart", &columns).unwrap();
    Arc::new(with_oldest_year(&shown, oldest))
}

fn permitted() -> Scope {
    let columns: Vec<_> = COLUMNS
        .iter()
        .filter(|(.., transform)| *transform != Transform::Removed)
        .map(|(name, _, transform)| (*name, *transform))
        .collect();
    scope(Tier::Records, &columns)
}

/// Queries that are answered, and ones that are refused.
const QUERIES: [&str; 57] = [
    "SELECT * FROM heart",
    "SELECT heart.*, sex + 1 FROM heart",
    "SELECT SEX, Name AS n, chol AS Cholesterol FROM heart ORDER BY age FETCH FIRST 3 ROWS ONLY",
    "SELECT age, born FROM heart WHERE age >= 50 AND born < DATE '1985-01-01'",
    "SELECT mrn, upper(name), concat(name, sex), name || 'x' FROM heart LIMIT 2",
    "SELECT count(*) AS N FROM heart",
    "SELECT count(*) FROM heart WHERE age BETWEEN 50 AND 59",
    "SELECT count(chol) FROM heart WHERE chol > 200.5",
    "SELECT sex, count(*), sum(sex), avg(sex), avg(chol), stddev(chol) FROM heart GROUP BY sex ORDER BY sex",
    "SELECT age, count(*) AS n FROM heart GROUP BY age HAVING count(*) > 3 ORDER BY age",
    "SELECT sum(CAST(sex AS DECIMAL(19,0))), count(sex) FROM heart",
    "SELECT sum(sex) / count(*), round(avg(chol), 1) FROM heart",
    "SELECT CAST(sex AS DOUBLE), TRY_CAST(name AS INT), CAST(chol AS TEXT) FROM heart",
    "SELECT CAST(chol AS INT) FROM heart",
    "SELECT count(*) FROM heart WHERE CAST(chol AS INT) > 1",
    "SELECT count(*) FROM heart WHERE TRY_CAST(chol AS INT) > 1",
    "SELECT CASE WHEN chol > 250 THEN 'high' END AS level, count(*) FROM heart GROUP BY level",
    "SELECT sex / 0, -sex, sex % 2, chol * 2, sex IS DISTINCT FROM 1 FROM heart",
    "SELECT min(chol), max(chol), median(chol) FROM heart",
    "SELECT DISTINCT sex FROM heart ORDER BY sex",
    "SELECT NULL AS nothing, true AS yes, 1 AS one, 1.5 AS x, 'x' AS text, DATE '2020-01-01' AS day FROM heart LIMIT 1",
    "SELECT TIMESTAMP '2020-01-01 10:00:00' AS s, CAST('2020-01-01T00:00:00Z' AS TIMESTAMP WITH TIME ZONE) AS z FROM heart LIMIT 1",
    "SELECT date_part('year', DATE '2020-01-01'), date_trunc('month', DATE '2020-01-01') FROM heart LIMIT 1",
    "SELECT substr(name, 0, sex - 2), sqrt(0 - sex) FROM heart",
    "SELECT count(*) FROM heart -- a comment",
    "SELECT age, age FROM heart",
    "SELECT age FROM heart WHERE age > 50",
    "SELECT age FROM heart WHERE age = 50",
    "SELECT min(age) FROM heart",
    "SELECT count(*) FROM heart WHERE born > DATE '1980-06-01'",
    "SELECT count(*) FROM heart WHERE born <= 1937",
    "SELECT count(*) FROM heart WHERE born < 1930",
    "SELECT count(*) FROM heart WHERE born IN (1937, 1980)",
    "SELECT count(*) FROM heart WHERE born >= DATE '1936-01-01'",
    "SELECT count(*) FROM heart WHERE born < sex + 1970",
    "SELECT count(*) FROM heart WHERE mrn = 'x'",
    "SELECT count(*) FROM heart WHERE name > 5",
    "SELECT count(*) FROM heart WHERE name LIKE '%1'",
    "SELECT count(*) FROM heart WHERE sex = 'x'",
    "SELECT hidden FROM heart",
    "SELECT PERSON_ID FROM heart",
    "SELECT nmae FROM heart",
    "SELECT power(sex, 2) FROM heart",
    "SELECT sum(name) FROM heart",
    "SELECT sum(age) FROM heart",
    "SELECT sum(sex, chol) FROM heart",
    "SELECT name, count(*) FROM heart",
    "SELECT sex FROM heart ORDER BY ALL",
    "SELECT sex FROM heart GROUP BY ALL",
    "SELECT sum(sex) OVER () FROM heart",
    "SELECT a.sex FROM heart a JOIN heart b ON a.sex = b.sex",
    "SELECT sex FROM other",
    "SELECT sex FROM heart VERSION AS OF 3",
    "SELECT sex FROM heart FETCH FIRST 3 ROWS WITH TIES",
    "SELECT CAST(sex AS INTERVAL) FROM heart",
    "SELECT CAST(sex AS DECIMAL(39, 0)) FROM heart",
    "SELECT sex FROM",
];

#[tokio::test]
async fn foreseen_answer_is_the_one_of_the_provider() {
    let fixture = Fixture::new().await;
    let dataset = "budapest.heart".parse().unwrap();
    let (mut answered, mut refused) = (0, 0);
    for sql in QUERIES {
        let expected = foreseen(sql, &dataset, None, &shown(), Tier::Records).await;
        match (fixture.query(permitted(), sql).await, expected) {
            (Ok(answer), Ok(columns)) => {
                assert_eq!(answer.schema(), columns, "{sql}");
                answer.into_ipc().unwrap();
                answered += 1;
            }
            (Err(error), Err(foreseen)) => {
                assert_eq!(error.to_string(), foreseen.to_string(), "{sql}");
                assert_eq!(error.kind(), foreseen.kind(), "{sql}");
                refused += 1;
            }
            (found, foreseen) => panic!("{sql}: {found:?} instead of {foreseen:?}"),
        }
    }
    assert!(answered > 20 && refused > 20, "{answered} and {refused}");
}

/// Below `records` columns follow from declarations, which the columns of a grant alone do not state.
#[tokio::test]
async fn foreseen_answer_below_records_needs_declarations() {
    let dataset = "budapest.heart".parse().unwrap();
    for tier in [Tier::Exists, Tier::Count, Tier::Aggregate] {
        let refused = foreseen("SELECT count(*) FROM heart", &dataset, None, &shown(), tier).await;
        assert!(matches!(refused, Err(QueryError::NotApplied { .. })), "{tier}");
    }
}

/// A consumer that knows a later end than the provider refuses more comparisons, and sends none that the provider refuses.
#[tokio::test]
async fn later_oldest_year_admits_no_other_comparison() {
    let dataset = "budapest.heart".parse().unwrap();
    let (mut admitted, mut fewer) = (0, 0);
    for year in 1930..=1945 {
        for op in ["<", "<=", ">", ">=", "=", "<>"] {
            for threshold in [
                year.to_string(),
                format!("DATE '{year}-01-01'"),
                format!("DATE '{year}-12-31'"),
            ] {
                let sql = format!("SELECT count(*) FROM heart WHERE born {op} {threshold}");
                let earlier = foreseen(&sql, &dataset, None, &shown_from(1935), Tier::Records).await;
                let later = foreseen(&sql, &dataset, None, &shown_from(1940), Tier::Records).await;
                assert!(earlier.is_ok() || later.is_err(), "{sql}");
                admitted += usize::from(later.is_ok());
                fewer += usize::from(earlier.is_ok() && later.is_err());
            }
        }
    }
    assert!(admitted > 30 && fewer > 20, "{admitted} and {fewer}");
}

#[tokio::test]
async fn refusals_have_no_names_of_the_library() {
    let dataset = "budapest.heart".parse().unwrap();
    for sql in QUERIES {
        let Err(error) = foreseen(sql, &dataset, None, &shown(), Tier::Records).await else {
            continue;
        };
        let text = error.to_string();
        for foreign in [
            "Utf8",
            "Int64",
            "Float64",
            "datafusion",
            "signature",
            "Error during",
            "Arrow",
            "__concordat",
        ] {
            assert!(!text.contains(foreign), "{sql}: {text}");
        }
    }
}

#[tokio::test]
async fn refusals_state_what_works() {
    let dataset = "budapest.heart".parse().unwrap();
    for (sql, part) in [
        ("SELECT power(sex, 2) FROM heart", "`concordat query --functions` lists"),
        ("SELECT nmae FROM heart", "did you mean `name`?"),
        ("SELECT nmae FROM heart", "there are `name`, "),
        (
            "SELECT age, age FROM heart",
            "two columns have the name `age`; name one of them with `AS`",
        ),
        (
            "SELECT name, count(*) FROM heart",
            "`name` is neither grouped by nor inside an aggregate",
        ),
        (
            "SELECT sum(name) FROM heart",
            "if `name` is text, write `sum(TRY_CAST(name AS DOUBLE))`",
        ),
        ("SELECT age FROM heart WHERE age > 50", "write `age >= 50`"),
    ] {
        let error = foreseen(sql, &dataset, None, &shown(), Tier::Records)
            .await
            .unwrap_err();
        assert!(error.to_string().contains(part), "{sql}: {error}");
    }
}

/// A wide table is read in batches with fewer rows, because a reader allocates every column for a whole batch.
#[tokio::test]
async fn batches_shrink_as_columns_are_added() {
    let dataset = "budapest.wide".parse().unwrap();
    for (columns, kind) in [
        (1100, ColumnKind::Int),
        (520, ColumnKind::Text),
        (4096, ColumnKind::Int),
    ] {
        let shown: Vec<ShownColumn> = (0..columns)
            .map(|at| ShownColumn {
                name: format!("c{at}"),
                kind,
                transform: Transform::Clear,
            })
            .collect();
        let schema = crate::shown::as_read(&shown_schema("x", &shown).unwrap());
        let table = Arc::new(datafusion::datasource::empty::EmptyTable::new(schema));
        let state = crate::session::planning_context(&dataset, table).unwrap().state();
        let names: Vec<&str> = shown.iter().map(|column| column.name.as_str()).collect();
        let rows = async |sql: &str| {
            let statement = crate::statement::checked(sql, &dataset, None, &names).unwrap();
            let plan = crate::plan::planned(&state, statement, &dataset).await.unwrap();
            crate::rows_per_batch(&plan, 32 * 1024).unwrap()
        };
        let all = rows("SELECT * FROM wide LIMIT 1").await;
        assert!(all * columns * 16 <= 32 << 20, "{all} rows of {columns} columns");
        assert!(all >= 256, "{all} rows of {columns} columns");
        assert_eq!(rows("SELECT c0 FROM wide LIMIT 1").await, 32 * 1024);
    }
}
