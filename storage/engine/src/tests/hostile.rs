use super::*;
use concordat_protocol::error_kind::{ErrorKind, Explain};

fn visible() -> Scope {
    clear(Tier::Records, &["age", "sex"])
}

#[tokio::test]
async fn hidden_and_missing_columns_give_the_same_error() {
    let fixture = Fixture::new().await;
    for template in [
        "SELECT {} FROM heart",
        "SELECT heart.{} FROM heart",
        "SELECT h.{} FROM heart h",
        "SELECT age FROM heart WHERE {} = 1",
        "SELECT age FROM heart ORDER BY {}",
        "SELECT count(*) FROM heart GROUP BY {}",
        "SELECT sex, count(*) FROM heart GROUP BY sex HAVING max({}) > 1",
        "SELECT CASE WHEN {} IS NULL THEN 1 END FROM heart",
        "SELECT count(*) FILTER (WHERE {} = 1) FROM heart",
        "SELECT substr('x', {}) FROM heart",
        "SELECT age FROM heart LIMIT {}",
    ] {
        for (column, hidden) in [("chol", true), ("mrn", true), ("missing", false)] {
            let error = fixture.refused(visible(), &template.replace("{}", column)).await;
            let text = error.to_string();
            let expected = format!("no column `{column}` in `budapest.heart`; there are ");
            let listed = text.strip_prefix(&expected);
            let listed = listed.unwrap_or_else(|| panic!("{template} {hidden}: {text}"));
            assert!(
                listed.contains("`age`") && listed.contains("`sex`"),
                "{template}: {listed}"
            );
            for absent in ["chol", "mrn", "missing"] {
                assert!(!listed.contains(absent), "{template}: {listed}");
            }
            assert!(std::error::Error::source(&error).is_none());
        }
    }
}

#[tokio::test]
async fn other_tables_do_not_exist() {
    let fixture = Fixture::new().await;
    for table in [
        "zurich.heart",
        "person",
        "budapest.person",
        "information_schema.tables",
        "x.budapest.heart",
        "HEART",
        "\"heart.parquet\"",
    ] {
        let error = fixture.refused(visible(), &format!("SELECT age FROM {table}")).await;
        assert!(
            matches!(error, QueryError::UnknownTable { .. } | QueryError::Syntax { .. }),
            "{table}: {error}"
        );
    }
}

#[tokio::test]
async fn everything_but_one_plain_select_is_denied() {
    let fixture = Fixture::new().await;
    for sql in [
        "SELECT age FROM heart; SELECT age FROM heart",
        "SELECT age FROM heart; DROP TABLE heart",
        "CREATE TABLE x AS SELECT age FROM heart",
        "CREATE VIEW x AS SELECT age FROM heart",
        "CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd'",
        "DROP TABLE heart",
        "INSERT INTO heart SELECT * FROM heart",
        "UPDATE heart SET age = 1",
        "DELETE FROM heart",
        "COPY heart TO '/tmp/x'",
        "SET datafusion.execution.batch_size = 1",
        "SHOW TABLES",
        "SHOW COLUMNS FROM heart",
        "DESCRIBE heart",
        "EXPLAIN SELECT age FROM heart",
        "EXPLAIN ANALYZE SELECT age FROM heart",
        "VALUES (1)",
        "TABLE heart",
        "SELECT 1",
        "SELECT age FROM heart UNION SELECT age FROM heart",
        "SELECT age FROM heart UNION ALL SELECT mrn FROM person",
        "SELECT age FROM heart INTERSECT SELECT age FROM heart",
        "SELECT age FROM heart EXCEPT SELECT age FROM heart",
        "(SELECT age FROM heart)",
        "WITH x AS (SELECT age FROM heart) SELECT age FROM x",
        "WITH RECURSIVE x AS (SELECT 1) SELECT age FROM heart",
        "SELECT age FROM heart, heart h",
        "SELECT h.age FROM heart h JOIN heart i ON h.age = i.age",
        "SELECT age FROM heart CROSS JOIN heart i",
        "SELECT age FROM (SELECT age FROM heart)",
        "SELECT age FROM LATERAL (SELECT age FROM heart)",
        "SELECT age FROM heart(1, 10)",
        "SELECT age FROM TABLE(range(1, 10))",
        "SELECT age FROM UNNEST([1, 2])",
        "SELECT (SELECT max(age) FROM heart) FROM heart",
        "SELECT age FROM heart WHERE age IN (SELECT age FROM heart)",
        "SELECT age FROM heart WHERE EXISTS (SELECT 1 FROM heart)",
        "SELECT age FROM heart WHERE age > ALL (SELECT age FROM heart)",
        "SELECT age FROM heart ORDER BY (SELECT 1)",
        "SELECT age INTO x FROM heart",
        "SELECT age FROM heart FOR UPDATE",
        "SELECT age FROM heart TABLESAMPLE (10 PERCENT)",
        "SELECT age FROM heart AS h(secret)",
        "SELECT DISTINCT ON (age) age FROM heart",
        "SELECT TOP 1 age FROM heart",
        "SELECT * EXCLUDE (age) FROM heart",
        "SELECT * REPLACE (1 AS age) FROM heart",
        "SELECT age FROM heart GROUP BY ALL",
        "SELECT age FROM heart GROUP BY ROLLUP (age)",
        "SELECT age FROM heart GROUP BY CUBE (age, sex)",
        "SELECT age FROM heart GROUP BY GROUPING SETS ((age), (sex))",
        "SELECT age FROM heart ORDER BY ALL",
        "SELECT row_number() OVER (ORDER BY age) FROM heart",
        "SELECT sum(age) OVER () FROM heart",
        "SELECT age FROM heart QUALIFY count(*) OVER () > 1",
        "SELECT age FROM heart WINDOW w AS (ORDER BY age)",
        "SELECT random() FROM heart",
        "SELECT uuid() FROM heart",
        "SELECT now() FROM heart",
        "SELECT current_date FROM heart",
        "SELECT version() FROM heart",
        "SELECT repeat('x', 1000000000) FROM heart",
        "SELECT arrow_typeof(age) FROM heart",
        "SELECT input_file_name() FROM heart",
        "SELECT array_agg(age) FROM heart",
        "SELECT first_value(age) FROM heart",
        "SELECT datafusion.public.max(age) FROM heart",
        "SELECT [age] FROM heart",
        "SELECT {a: age} FROM heart",
        "SELECT struct(age) FROM heart",
        "SELECT age[1] FROM heart",
        "SELECT INTERVAL '1' DAY FROM heart",
        "SELECT CAST(age AS INTERVAL) FROM heart",
        "SELECT age AT TIME ZONE 'UTC' FROM heart",
        "SELECT age FROM heart WHERE 'x' ~ '('",
        "SELECT age << 3 FROM heart",
        "SELECT age FROM heart WHERE age = $1",
        "SELECT @@version FROM heart",
        "SELECT age AS __concordat_x FROM heart",
        "SELECT __concordat_cell_subject FROM heart",
        "SELECT \"__CONCORDAT_subject\" FROM heart",
        "SELECT age FROM heart AS __concordat_h",
        "",
        "SELECT",
        ";",
    ] {
        let error = fixture.refused(visible(), sql).await;
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "a test names the variant that it looks for"
        )]
        let known = match &error {
            QueryError::Refused { .. } | QueryError::Function { .. } => error.kind() == ErrorKind::Denied,
            QueryError::Syntax { .. } | QueryError::UnknownColumn { .. } | QueryError::UnknownTable { .. } => true,
            _ => false,
        };
        assert!(known, "`{sql}` passed the check of statements: {error:?}");
    }
}

#[tokio::test]
async fn length_and_depth_are_bounded() {
    let fixture = Fixture::new().await;
    let long = format!("SELECT age FROM heart WHERE age IN ({})", vec!["1"; 40_000].join(","));
    let chain = format!("SELECT age FROM heart WHERE age = {}", vec!["1"; 10_000].join("+"));
    let nested = format!("SELECT {}age{} FROM heart", "(".repeat(3000), ")".repeat(3000));
    let not = format!("SELECT {} true FROM heart", "NOT ".repeat(3000));
    let minus = format!("SELECT {} 1 FROM heart", "- ".repeat(3000));
    let case = format!(
        "SELECT {} 1 {} FROM heart",
        "CASE WHEN true THEN ".repeat(500),
        " END".repeat(500)
    );
    for sql in [long, chain] {
        let error = fixture.refused(visible(), &sql).await;
        assert!(matches!(error, QueryError::TooComplex { .. }), "{error}");
    }
    for sql in [nested, not, minus, case] {
        // The parser refuses some of these with its own message; what matters is that they are refused without a
        // failure of the engine.
        let error = fixture.refused(visible(), &sql).await;
        assert!(!matches!(error, QueryError::Engine { .. }), "{error}");
    }
    let fits = format!("SELECT count(*) FROM heart WHERE age = {}", vec!["1"; 60].join("+"));
    assert_eq!(fixture.rows(visible(), &fits).await.unwrap(), [["2"]]);
}

#[tokio::test]
async fn planning_errors_name_only_what_is_visible() {
    let fixture = Fixture::new().await;
    for sql in [
        "SELECT sum(age, sex) FROM heart",
        "SELECT age FROM heart GROUP BY sex",
        "SELECT round('x', 'y', 'z') FROM heart",
        "SELECT lower(*) FROM heart",
    ] {
        let text = fixture.refused(visible(), sql).await.to_string();
        for hidden in ["chol", "mrn", "born", "PERSON_ID", "name\"", "__concordat", "Sentinel"] {
            assert!(!text.contains(hidden), "{sql}: {text}");
        }
    }
}
